"""Read Mesos messages (v1 API, JSON) into the core's values: one small parser for each.

Quantities become exact integers: Mesos itself counts in thousandths, so a double times 1000,
rounded, is what the agent means; fractions of a MiB are not used. A message that is not what the
protocol says raises ``ParseError``, and the driver drops it visibly. Fields we do not know are
ignored: a newer Mesos may send them.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar

import orjson

from scheduler.core.events import AgentLost, ExecutorLost, StatusUpdate
from scheduler.core.ids import AgentId, OfferId, TaskId
from scheduler.core.instance import TaskState
from scheduler.core.offer import UNRESERVED, Agent, Offer, Pool, PortRange

_NS_PER_MS = 1_000_000
_THOUSANDTH = Decimal("0.001")

Message = Mapping[str, Any]
"""A message as it came, decoded from JSON and not yet checked."""

Value = TypeVar("Value")


class ParseError(Exception):
    """A message lacks what its type requires, or holds something of another type."""


def parse_offer(raw: Message) -> Offer:
    """Read one Offer (mesos.proto; traces, 01 and 12)."""
    return _checked("offer", _offer, raw)


def parse_status(raw: Message) -> StatusUpdate:
    """Read a TaskStatus as it comes in an UPDATE event (mesos.proto; traces, 02 and 03)."""
    return _checked("task status", _status, raw)


def parse_failure(raw: Message) -> AgentLost | ExecutorLost:
    """Read a FAILURE event: of an executor, or of an agent alone (traces, 04 and 09)."""
    return _checked("failure", _failure, raw)


def parse_offer_id(raw: Message) -> OfferId:
    """Read an OfferID message."""
    return _checked("offer id", lambda message: OfferId(_text(message["value"])), raw)


def attribute_text(attribute: Message) -> str:
    """Spell an agent's attribute as Marathon's constraints compare it.

    Scalars with at most three decimals, ranges as ``[1-5,8-9]`` and sets as ``{a,b}``, sorted;
    text as it is (Marathon 1.11, constraints).
    """
    match attribute["type"]:
        case "SCALAR":
            return _scalar_text(attribute["scalar"]["value"])
        case "RANGES":
            ranges = sorted(_ranges(attribute))
            return f"[{','.join(f'{begin}-{end}' for begin, end in ranges)}]"
        case "SET":
            return f"{{{','.join(sorted(attribute['set']['item']))}}}"
        case _:
            return _text(attribute["text"]["value"])


def _checked(what: str, read: Callable[[Message], Value], raw: Message) -> Value:
    try:
        return read(raw)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as problem:
        raise ParseError(f"{what}: {type(problem).__name__} {problem}") from problem


def _offer(raw: Message) -> Offer:
    unavailability = raw.get("unavailability")
    duration = unavailability.get("duration") if unavailability else None
    return Offer(
        id=OfferId(_text(raw["id"]["value"])),
        agent=_agent(raw),
        role=_text(raw.get("allocation_info", {}).get("role", UNRESERVED)),
        pools=_pools(raw["resources"]),
        unavailable_from_ms=_ms(unavailability["start"]) if unavailability else None,
        unavailable_for_ms=_ms(duration) if duration else None,
        address=_text(raw.get("url", {}).get("address", {}).get("ip", "")),
    )


def _agent(raw: Message) -> Agent:
    domain = raw.get("domain", {}).get("fault_domain")
    return Agent(
        id=AgentId(_text(raw["agent_id"]["value"])),
        host=_text(raw["hostname"]),
        attributes=tuple(
            (_text(attribute["name"]), attribute_text(attribute))
            for attribute in raw.get("attributes", ())
        ),
        region=_text(domain["region"]["name"]) if domain else None,
        zone=_text(domain["zone"]["name"]) if domain else None,
    )


def _pools(resources: Iterable[Message]) -> tuple[Pool, ...]:
    """Add up what a plain task may use, by reservation, in the order first seen."""
    groups: dict[str, list[Message]] = {}
    for resource in resources:
        if _is_plain(resource):
            groups.setdefault(_reservation(resource), []).append(resource)
    return tuple(_pool(reservation, group) for reservation, group in groups.items())


def _is_plain(resource: Message) -> bool:
    """Not revocable, not shared, not of a resource provider, and no volume or special disk."""
    if "revocable" in resource or "shared" in resource or "provider_id" in resource:
        return False
    disk = resource.get("disk")
    return disk is None or not ("persistence" in disk or "source" in disk or "volume" in disk)


def _reservation(resource: Message) -> str:
    """Spell the reservation as canonical JSON; empty for unreserved resources.

    The old form (``role`` and ``reservation``) comes from masters that were not told
    RESERVATION_REFINEMENT; it is read into the new one.
    """
    stack: list[Message] | None = resource.get("reservations")
    if not stack:
        role = resource.get("role", UNRESERVED)
        if role == UNRESERVED:
            return ""
        dynamic = resource.get("reservation")
        kind = "STATIC" if dynamic is None else "DYNAMIC"
        stack = [{"type": kind, "role": role, **(dynamic or {})}]
    return orjson.dumps(stack, option=orjson.OPT_SORT_KEYS).decode()


def _pool(reservation: str, resources: list[Message]) -> Pool:
    milli = {"cpus": 0, "mem": 0, "disk": 0, "gpus": 0}
    ports: list[tuple[int, int]] = []
    for resource in resources:
        name = resource["name"]
        if name == "ports":
            ports.extend(_ranges(resource))
        elif name in milli:
            milli[name] += round(_number(resource["scalar"]["value"]) * 1000)
    # The last reservation of the stack is the one that holds (reservation refinement).
    role = _text(orjson.loads(reservation)[-1]["role"]) if reservation else UNRESERVED
    return Pool(
        role=role,
        cpus_milli=milli["cpus"],
        mem_mib=milli["mem"] // 1000,
        disk_mib=milli["disk"] // 1000,
        gpus=milli["gpus"] // 1000,
        ports=tuple(PortRange(begin, end) for begin, end in sorted(ports)),
        reservation=reservation,
    )


def _status(raw: Message) -> StatusUpdate:
    agent_id = raw.get("agent_id")
    timestamp_s = raw.get("timestamp")
    unreachable = raw.get("unreachable_time")
    uuid = raw.get("uuid")
    return StatusUpdate(
        task_id=TaskId(_text(raw["task_id"]["value"])),
        state=TaskState(raw["state"]),
        agent_id=AgentId(_text(agent_id["value"])) if agent_id else None,
        uuid=_text(uuid) if uuid is not None else None,
        source=_text(raw.get("source", "")),
        reason=_text(raw.get("reason", "")),
        message=_text(raw.get("message", "")),
        healthy=_flag(raw.get("healthy")),
        addresses=_addresses(raw.get("container_status", {})),
        timestamp_ms=round(_number(timestamp_s) * 1000) if timestamp_s is not None else None,
        unreachable_since_ms=_ms(unreachable) if unreachable else None,
    )


def _addresses(container_status: Message) -> tuple[str, ...]:
    """List the container's IP addresses, each once, in the order of its networks."""
    found = (
        _text(address["ip_address"])
        for network in container_status.get("network_infos", ())
        for address in network.get("ip_addresses", ())
        if "ip_address" in address
    )
    return tuple(dict.fromkeys(found))


def _failure(raw: Message) -> AgentLost | ExecutorLost:
    agent_id = AgentId(_text(raw["agent_id"]["value"]))
    executor_id = raw.get("executor_id")
    if executor_id is None:
        return AgentLost(agent_id)
    status = raw.get("status")
    return ExecutorLost(
        agent_id, _text(executor_id["value"]), int(status) if status is not None else None
    )


def _ranges(holder: Message) -> list[tuple[int, int]]:
    return [(int(item["begin"]), int(item["end"])) for item in holder["ranges"].get("range", ())]


def _ms(time: Message) -> int:
    """Read a TimeInfo or DurationInfo: nanoseconds in JSON, milliseconds here."""
    return int(time["nanoseconds"]) // _NS_PER_MS


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {value!r:.100}")
    return value


def _flag(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"true or false expected, not {value!r:.100}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"number expected, not {value!r:.100}")
    return value


def _scalar_text(value: Any) -> str:
    exact = Decimal(repr(_number(value))).quantize(_THOUSANDTH, ROUND_HALF_EVEN)
    text = f"{exact:f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
