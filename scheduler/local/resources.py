"""Count cpus, memory, disk and ports exactly.

Scalars are integers in thousandths, the precision Mesos itself keeps
(docs/attributes-resources.md), so that what is given back always equals what was taken.
Reservations do not exist here: a reserved resource gets a key of its own, which no agent has.
"""

from typing import Any, TypeAlias

from attrs import field, frozen

JsonObject: TypeAlias = dict[str, Any]
Ranges: TypeAlias = tuple[tuple[int, int], ...]

_ORDER = ("ports", "cpus", "mem", "disk")
"""The order in which Mesos lists them in offers."""


@frozen
class Bundle:
    """An amount of resources: scalars in thousandths, ranges inclusive and sorted."""

    scalars: dict[str, int] = field(factory=dict[str, int])
    ranges: dict[str, Ranges] = field(factory=dict[str, Ranges])

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return not any(self.scalars.values()) and not any(self.ranges.values())

    @property
    def is_allocatable(self) -> bool:
        """Whether the allocator offers it: Mesos's minimum is cpus 0.01 or mem 32."""
        return self.scalars.get("cpus", 0) >= 10 or self.scalars.get("mem", 0) >= 32_000

    def plus(self, other: "Bundle") -> "Bundle":
        """Return the sum."""
        scalars = dict(self.scalars)
        for name, value in other.scalars.items():
            scalars[name] = scalars.get(name, 0) + value
        ranges = dict(self.ranges)
        for name, spans in other.ranges.items():
            ranges[name] = _union(ranges.get(name, ()), spans)
        return Bundle(scalars, ranges)

    def minus(self, other: "Bundle") -> "Bundle":
        """Return the difference; the caller has checked that `other` is contained."""
        scalars = dict(self.scalars)
        for name, value in other.scalars.items():
            scalars[name] = scalars.get(name, 0) - value
        ranges = dict(self.ranges)
        for name, spans in other.ranges.items():
            ranges[name] = _difference(ranges.get(name, ()), spans)
        return Bundle(scalars, ranges)

    def contains(self, other: "Bundle") -> bool:
        """Return whether every amount and every number of `other` is in this one."""
        for name, value in other.scalars.items():
            if value > self.scalars.get(name, 0):
                return False
        return all(
            _includes(self.ranges.get(name, ()), spans) for name, spans in other.ranges.items()
        )

    def to_json(self, role: str | None = None, *, old_format: bool = False) -> list[JsonObject]:
        """Return Mesos's Resource messages, in the order of its offers, zero amounts left out.

        Args:
            role: the role they are allocated to; None: not allocated.
            old_format: with the `role` field of frameworks without RESERVATION_REFINEMENT.
        """
        resources: list[JsonObject] = []
        names = sorted(
            [*self.scalars, *self.ranges], key=lambda n: _ORDER.index(n) if n in _ORDER else 9
        )
        for name in names:
            if name in self.ranges:
                spans = [{"begin": begin, "end": end} for begin, end in self.ranges[name]]
                if not spans:
                    continue
                resource: JsonObject = {"name": name, "type": "RANGES", "ranges": {"range": spans}}
            elif self.scalars[name] > 0:
                value = self.scalars[name] / 1000
                resource = {"name": name, "type": "SCALAR", "scalar": {"value": value}}
            else:
                continue
            if old_format:
                resource["role"] = "*"
            if role is not None:
                resource["allocation_info"] = {"role": role}
            resources.append(resource)
        return resources


EMPTY = Bundle()


def make_bundle(
    cpus: float, mem_mib: float, disk_mib: float, ports: tuple[tuple[int, int], ...]
) -> Bundle:
    """Return the resources of an agent."""
    scalars = {"cpus": _milli(cpus), "mem": _milli(mem_mib), "disk": _milli(disk_mib)}
    return Bundle(scalars, {"ports": tuple(sorted(ports))} if ports else {})


def parse_resources(resources: list[JsonObject], role: str) -> Bundle:
    """Return the sum of Resource messages of a task that is launched on an offer of `role`.

    What is reserved, revocable, a volume or allocated to another role is counted under a name that
    no offer has, and so never fits.
    """
    scalars: dict[str, int] = {}
    ranges: dict[str, Ranges] = {}
    for resource in resources:
        name = str(resource.get("name", ""))
        if _foreign_part(resource) or resource.get("allocation_info", {}).get("role", role) != role:
            name = describe([resource], role).partition(":")[0]
        if "ranges" in resource:
            spans = resource["ranges"].get("range", [])
            found = tuple(sorted((int(s["begin"]), int(s["end"])) for s in spans))
            ranges[name] = _union(ranges.get(name, ()), found)
        else:
            value = float(resource.get("scalar", {}).get("value", 0))
            scalars[name] = scalars.get(name, 0) + _milli(value)
    return Bundle(scalars, ranges)


def find_invalid(resources: list[JsonObject]) -> str | None:
    """Return Mesos's sentence about the first resource that cannot be, or None."""
    for resource in resources:
        if not resource.get("name"):
            return "Invalid resource: Empty resource name"
        if "scalar" in resource and float(resource["scalar"].get("value", 0)) < 0:
            text = f"{resource['name']}:{_number(float(resource['scalar']['value']))}"
            return f"Resource '{text}' is invalid: Invalid scalar resource: value <= 0"
    return None


def describe(resources: list[JsonObject], role: str) -> str:
    """Return resources as Mesos prints them: ``cpus(allocated: web):0.1; ports(…):[1-2]``."""
    parts: list[str] = []
    for resource in resources:
        allocated = resource.get("allocation_info", {}).get("role", role)
        head = f"{resource.get('name', '')}(allocated: {allocated}){_foreign_part(resource)}"
        if "ranges" in resource:
            spans = resource["ranges"].get("range", [])
            text = ", ".join(f"{s['begin']}-{s['end']}" for s in spans)
            parts.append(f"{head}:[{text}]")
        else:
            parts.append(f"{head}:{_number(float(resource.get('scalar', {}).get('value', 0)))}")
    return "; ".join(parts)


def describe_ranges(spans: Ranges) -> str:
    """Return ranges as the legacy JSON endpoints print them: ``[31000-31000, 31005-31006]``."""
    return "[" + ", ".join(f"{begin}-{end}" for begin, end in spans) + "]"


def _foreign_part(resource: JsonObject) -> str:
    reservations = resource.get("reservations")
    if reservations:
        texts = [
            ",".join(str(r[k]) for k in ("type", "role", "principal") if k in r)
            for r in reservations
        ]
        return f"(reservations: [{','.join(f'({t})' for t in texts)}])"
    if resource.get("role", "*") != "*":
        return f"(reservations: [(STATIC,{resource['role']})])"
    if "disk" in resource:
        return "[volume]"
    return "{REV}" if "revocable" in resource else ""


def _milli(value: float) -> int:
    return round(value * 1000)


def _number(value: float) -> str:
    return f"{round(value, 3):.12g}"


def _union(left: Ranges, right: Ranges) -> Ranges:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted((*left, *right)):
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _difference(left: Ranges, right: Ranges) -> Ranges:
    rest = list(left)
    for begin, end in right:
        kept: list[tuple[int, int]] = []
        for low, high in rest:
            if high < begin or low > end:
                kept.append((low, high))
                continue
            if low < begin:
                kept.append((low, begin - 1))
            if high > end:
                kept.append((end + 1, high))
        rest = kept
    return tuple(rest)


def _includes(outer: Ranges, inner: Ranges) -> bool:
    return all(any(low <= begin and end <= high for low, high in outer) for begin, end in inner)
