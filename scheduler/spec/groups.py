"""Read group definitions: a tree of groups, each with complete apps (Marathon page "Groups").

What a group does not mention stays as it is; what it lists replaces what is there. A body that
only scales or only names a version is no tree, and says so by itself.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from attrs import define, field, frozen

from scheduler.core.app import AppSpec
from scheduler.core.ids import AppId, GroupId
from scheduler.spec.decode import decode_app, joined_paths, prefixed
from scheduler.spec.paths import ROOT, canonical_path, is_inside, parent_of, problem_of_path
from scheduler.spec.problems import InvalidInput, Problem, at
from scheduler.spec.rules import SpecRules
from scheduler.spec.structure import structure
from scheduler.spec.wire import Bound

_SCALE_MAX = 1e6
_READ_ONLY = frozenset({"pods", "version"})
"""Part of what GET shows. ``pods`` must be empty; ``version`` beside a tree means nothing."""


@frozen
class WireGroup:
    """A group's own fields; apps and groups are read one by one."""

    id: str | None = None
    apps: tuple[Any, ...] | None = None
    groups: tuple[Any, ...] | None = None
    dependencies: tuple[str, ...] | None = None
    scale_by: float | None = field(
        default=None, metadata={"bound": Bound(least=0, most=_SCALE_MAX)}
    )
    enforce_role: bool | None = None
    version: str | None = None


@frozen
class GroupUpdate:
    """What a body wants of a group; None leaves a part as it is."""

    id: GroupId
    apps: tuple[AppSpec, ...] | None = None
    groups: tuple["GroupUpdate", ...] | None = None
    dependencies: tuple[str, ...] | None = None
    enforce_role: bool | None = None
    scale_by: float | None = None
    version: str | None = None

    def walk(self) -> Iterator["GroupUpdate"]:
        """Yield this group and all groups in it."""
        yield self
        for group in self.groups or ():
            yield from group.walk()

    def all_apps(self) -> Iterator[AppSpec]:
        for group in self.walk():
            yield from group.apps or ()


@define
class _Findings:
    problems: list[Problem] = field(factory=list[Problem])
    malformed: list[Problem] = field(factory=list[Problem])
    ignored: list[str] = field(factory=list[str])

    def add(self, path: str, error: InvalidInput) -> None:
        moved = prefixed(path, error).problems
        (self.malformed if error.is_malformed else self.problems).extend(moved)


def decode_group(
    data: Any, rules: SpecRules, base: GroupId, *, apps_max: int
) -> tuple[GroupUpdate, tuple[str, ...]]:
    """Read a group.

    Args:
        data: what JSON gave.
        rules: what this scheduler allows in an app.
        base: the group that the request's path names; the body's own id is relative to it.
        apps_max: most apps in the whole tree.

    Returns: the group, and the paths of the fields that mean nothing here.

    Raises:
        InvalidInput: with every problem of the group and of all apps in it.
    """
    findings = _Findings()
    update = _group(data, rules, base, "/", findings, is_top=True)
    if findings.malformed:
        raise InvalidInput(findings.malformed, is_malformed=True)
    if update is not None:
        findings.problems.extend(_break_of_tree(update, apps_max))
    if findings.problems or update is None:
        raise InvalidInput(findings.problems)
    return update, tuple(findings.ignored)


def _group(
    data: Any,
    rules: SpecRules,
    base: GroupId,
    path: str,
    findings: _Findings,
    *,
    is_top: bool,
) -> GroupUpdate | None:
    try:
        read = structure(data, WireGroup)
    except InvalidInput as error:
        findings.add(path, error)
        return None
    wire = read.value
    findings.problems.extend(Problem(_inside(path, p.path), p.message) for p in read.problems)
    findings.ignored.extend(
        joined_paths(path, (p for p in read.unknown if p.removeprefix("/") not in _READ_ONLY))
    )
    if data.get("pods"):
        findings.problems.append(Problem(at(path, "pods"), "pods are not supported"))
    if wire.enforce_role:
        message = "roles of groups are not supported"
        findings.problems.append(Problem(at(path, "enforceRole"), message))
    group_id = _group_id(wire.id, base, path, findings, is_top=is_top)
    is_tree = any(part is not None for part in (wire.apps, wire.groups, wire.dependencies))
    if wire.scale_by is not None and (is_tree or wire.version is not None):
        findings.problems.append(Problem(at(path, "scaleBy"), "must be given alone"))
    return GroupUpdate(
        id=group_id,
        apps=None if wire.apps is None else _apps(wire.apps, rules, group_id, path, findings),
        groups=None
        if wire.groups is None
        else _groups(wire.groups, rules, group_id, path, findings),
        dependencies=_dependencies(wire, group_id, path, findings),
        enforce_role=wire.enforce_role,
        scale_by=wire.scale_by,
        version=None if is_tree else wire.version,
    )


def _inside(path: str, inner: str) -> str:
    return joined_paths(path, (inner,))[0]


def _group_id(
    given: str | None, base: GroupId, path: str, findings: _Findings, *, is_top: bool
) -> GroupId:
    if given is None:
        if not is_top:
            findings.problems.append(Problem(at(path, "id"), "must be given"))
        return base
    message = None if given.strip("/") == "" else problem_of_path(given)
    if message is not None:
        findings.problems.append(Problem(at(path, "id"), message))
        return base
    group_id = GroupId(canonical_path(given, base))
    is_child = parent_of(group_id) == base and group_id != base
    if not (is_child or (is_top and (group_id == base or is_inside(group_id, base)))):
        message = f"identifier {group_id} is not child of {base}"
        findings.problems.append(Problem(at(path, "id"), message))
    return group_id


def _apps(
    given: Iterable[Any], rules: SpecRules, group_id: GroupId, path: str, findings: _Findings
) -> tuple[AppSpec, ...]:
    specs: list[AppSpec] = []
    for index, item in enumerate(given):
        where = at(at(path, "apps"), index)
        try:
            decoded = decode_app(item, rules, base=group_id)
        except InvalidInput as error:
            findings.add(where, error)
            continue
        findings.ignored.extend(joined_paths(where, decoded.ignored))
        specs.append(decoded.spec)
        if parent_of(decoded.spec.id) != group_id:
            message = f"identifier {decoded.spec.id} is not child of {group_id}"
            findings.problems.append(Problem(at(where, "id"), message))
    return tuple(specs)


def _groups(
    given: Iterable[Any], rules: SpecRules, group_id: GroupId, path: str, findings: _Findings
) -> tuple[GroupUpdate, ...]:
    found = [
        _group(item, rules, group_id, at(at(path, "groups"), index), findings, is_top=False)
        for index, item in enumerate(given)
    ]
    return tuple(group for group in found if group is not None)


def _dependencies(
    wire: WireGroup, group_id: GroupId, path: str, findings: _Findings
) -> tuple[str, ...] | None:
    if wire.dependencies is None:
        return None
    for index, text in enumerate(wire.dependencies):
        message = problem_of_path(text)
        if message is not None:
            findings.problems.append(Problem(at(at(path, "dependencies"), index), message))
    return tuple(sorted({canonical_path(text, group_id) for text in wire.dependencies}))


def _break_of_tree(update: GroupUpdate, apps_max: int) -> Iterator[Problem]:
    groups = [group.id for group in update.walk()]
    apps: list[AppId] = [spec.id for spec in update.all_apps()]
    if len(apps) > apps_max:
        yield Problem("/apps", f"more than {apps_max} apps")
    if len(set(apps)) != len(apps):
        yield Problem("/apps", "Application ids must be unique.")
    if len(set(groups)) != len(groups):
        yield Problem("/groups", "Group ids must be unique.")
    if any(parts.version is not None or parts.scale_by is not None for parts in _below(update)):
        yield Problem("/groups", "scaleBy and version are for the outermost group")
    if set(groups) & set(cast("list[Any]", apps)) - {ROOT}:
        yield Problem("/", "Groups and Applications may not have the same identifier.")


def _below(update: GroupUpdate) -> Iterator[GroupUpdate]:
    return (group for group in update.walk() if group is not update)
