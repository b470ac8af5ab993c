"""Decide which app has a service name that several of our apps ask for.

The first to ask keeps it for as long as it has an instance; the others are refused, visibly, and
one of them gets the name when it becomes free. Health plays no part: a name that moved to another
app whenever the first one is ill would send its callers to the wrong place.
"""

from collections.abc import Iterable

from scheduler.core.ids import AppId
from scheduler.discovery.names import Refusal


class Claims:
    """Counts the instances that ask for each name."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[AppId, int]] = {}
        self._holders: dict[str, AppId] = {}

    def add(self, app_id: AppId, names: Iterable[str]) -> None:
        """Take in one instance of an app that asks for these names."""
        for name in names:
            counts = self._counts.setdefault(name, {})
            counts[app_id] = counts.get(app_id, 0) + 1
            self._holders.setdefault(name, app_id)

    def remove(self, app_id: AppId, names: Iterable[str]) -> set[AppId]:
        """Let go of one instance; gives back the apps that got a name by it."""
        heirs: set[AppId] = set()
        for name in names:
            counts = self._counts[name]
            counts[app_id] -= 1
            if counts[app_id]:
                continue
            del counts[app_id]
            if not counts:
                del self._counts[name]
                del self._holders[name]
            elif self._holders[name] == app_id:
                self._holders[name] = min(counts)
                heirs.add(self._holders[name])
        return heirs

    def is_held_by(self, app_id: AppId, name: str) -> bool:
        """Whether the app may use the name."""
        return self._holders.get(name) == app_id

    def refusals_of(self, app_id: AppId, names: Iterable[str]) -> tuple[Refusal, ...]:
        """List those of the names, all asked for by the app, that another app has."""
        return tuple(
            Refusal(app_id, name, f"the app {self._holders[name]} has this name")
            for name in names
            if self._holders[name] != app_id
        )

    def refusals(self) -> tuple[Refusal, ...]:
        """List the apps that ask for a name which another one has."""
        return tuple(
            refusal
            for name, counts in self._counts.items()
            if len(counts) > 1
            for app_id in sorted(counts)
            for refusal in self.refusals_of(app_id, [name])
        )
