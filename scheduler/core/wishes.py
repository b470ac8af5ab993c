"""Say what somebody wants of one app, and what it was like when they wanted it."""

from attrs import frozen

from scheduler.core.app import AppSpec
from scheduler.core.ids import AppId, Version


@frozen
class Upsert:
    """Set one app to ``spec``. ``expect`` guards against a change in between: the version that
    ``spec`` was derived from, or None if the app must not exist.
    """

    spec: AppSpec
    expect: Version | None


@frozen
class Removal:
    app_id: AppId
    expect: Version | None
    """None removes whatever version there is."""


def app_ids_of(
    upserts: tuple[Upsert, ...], removals: tuple[Removal, ...], restarts: tuple[AppId, ...]
) -> list[AppId]:
    """List the apps that a change is about."""
    return [
        *(upsert.spec.id for upsert in upserts),
        *(removal.app_id for removal in removals),
        *restarts,
    ]
