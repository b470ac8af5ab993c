"""See the apps as a tree of groups: those that were set, and those that apps imply."""

from collections.abc import Container, Iterable, Iterator

from scheduler.core.group import Group
from scheduler.core.ids import AppId, GroupId, Version
from scheduler.core.world import World
from scheduler.spec import ROOT, Problem, is_inside, parent_of

_BEGINNING = Version("1970-01-01T00:00:00.000Z")
"""Version of the root before anything has changed, as in Marathon."""
_CLASH = "Groups and Applications may not have the same identifier."


class Tree:
    """The groups of a world, at one moment; building it is O(apps + groups)."""

    def __init__(self, world: World, only: Container[AppId] | None = None) -> None:
        self.world = world
        self._apps: dict[GroupId, list[AppId]] = {}
        self._groups: dict[GroupId, list[GroupId]] = {ROOT: []}
        for app_id, app in world.apps.items():
            if not app.removed and (only is None or app_id in only):
                self._add(parent_of(app_id))
                self._apps.setdefault(parent_of(app_id), []).append(app_id)
        for group_id in world.groups:
            self._add(group_id)

    def _add(self, group_id: GroupId) -> None:
        if group_id in self._groups:
            return
        parent = parent_of(group_id)
        self._add(parent)
        self._groups[group_id] = []
        self._groups[parent].append(group_id)

    def __contains__(self, group_id: object) -> bool:
        return group_id in self._groups

    def apps_of(self, group_id: GroupId) -> list[AppId]:
        """List the apps right in a group."""
        return self._apps.get(group_id, [])

    def groups_of(self, group_id: GroupId) -> list[GroupId]:
        """List the groups right in a group."""
        return self._groups.get(group_id, [])

    def all_apps(self, group_id: GroupId) -> Iterator[AppId]:
        """Yield the apps of a group and of all groups in it."""
        yield from self.apps_of(group_id)
        for child in self.groups_of(group_id):
            yield from self.all_apps(child)

    def records_at(self, group_id: GroupId) -> list[GroupId]:
        """List the groups at and below ``group_id`` that are stored."""
        return [g for g in self.world.groups if g == group_id or is_inside(g, group_id)]

    def version_of(self, group_id: GroupId) -> Version:
        """Say when something in a group changed last."""
        group = self.world.groups.get(group_id)
        found = [self.world.apps[app_id].version for app_id in self.all_apps(group_id)]
        found.extend(self.world.groups[g].version for g in self.records_at(group_id))
        if group_id == ROOT:
            found.append(self.world.last_version)
        latest = max(found, default=group.version if group else self.world.last_version)
        return latest or _BEGINNING


def problem_of_names(
    tree: Tree,
    new_apps: Iterable[AppId],
    new_groups: Iterable[GroupId],
    gone_apps: Container[AppId],
    gone_groups: Container[GroupId],
) -> Problem | None:
    """Say whether an app and a group would have the same id; O(apps + groups)."""
    apps = {a for a in tree.all_apps(ROOT) if a not in gone_apps} | set(new_apps)
    groups = {g for g in tree.world.groups if g not in gone_groups} | set(new_groups)
    for app_id in apps:
        group_id = parent_of(app_id)
        while group_id != ROOT and group_id not in groups:
            groups.add(group_id)
            group_id = parent_of(group_id)
    for app_id in sorted(apps):
        if GroupId(app_id) in groups:
            return Problem("/", f"{_CLASH} ({app_id})")
    return None


def implied_groups(world: World, app_ids: Iterable[AppId]) -> tuple[Group, ...]:
    """Make the groups that new apps need and that are not stored yet.

    A group stays when its last app goes, so it has to be stored with its first.
    """
    found: dict[GroupId, Group] = {}
    for app_id in app_ids:
        group_id = parent_of(app_id)
        while group_id != ROOT and group_id not in world.groups and group_id not in found:
            found[group_id] = Group(group_id, Version(""))
            group_id = parent_of(group_id)
    return tuple(found.values())
