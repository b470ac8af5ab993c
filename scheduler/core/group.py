"""Describe a group: what it has beside the apps below it."""

from attrs import frozen

from scheduler.core.ids import GroupId, Version


@frozen
class Group:
    """What a group has beside the apps below it; apps carry their path themselves."""

    id: GroupId
    version: Version
    dependencies: tuple[str, ...] = ()
    enforce_role: bool | None = None
