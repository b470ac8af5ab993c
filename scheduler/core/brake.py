"""Hold the disaster brake: when an unusual share fails at once, the cause is not the apps.

While it holds, nothing is ended for its health, given up for its absence or replaced; what it holds
back is looked at again when it lets go. It judges by counts that the world keeps as instances
change, so asking costs nothing.
"""

from collections.abc import Iterable

from scheduler.core.ids import InstanceId
from scheduler.core.instance import Instance
from scheduler.core.settings import Settings
from scheduler.core.sight import Sight


class Brake:
    """The brake of one leader's term; none of it is stored."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.running = 0
        """Instances that run."""
        self.once_healthy = 0
        """Those of them whose checks succeeded at least once."""
        self.failing = 0
        """Those of the latter whose checks fail now."""
        self.wanted = 0
        """Instances that all apps together ask for."""
        self._killed: dict[InstanceId, int] = {}
        """Instances killed for their health → when; oldest first."""
        self.sight = Sight()
        self.released_until_ms: int | None = None
        """Until when an operator has overridden the brake."""
        self._is_engaged = False
        """Whether it has engaged and holds, or has only just lost its cause."""
        self._lingers_until_ms: int | None = None
        """Until when it still holds without a cause; None while it has one, or does not hold."""
        self._held_back: dict[str, None] = {}
        """Keys, as ``World.wake_at`` takes them, to be looked at when it lets go."""

    @property
    def holds(self) -> bool:
        """Whether nothing is ended or given up for its absence or health.

        It holds for ``Settings.brake_linger_ms`` longer than its cause: by then every check has
        been asked again, and no verdict of the time of the disaster is left.
        """
        if self.released_until_ms is not None:
            return False
        return self._is_engaged or self.has_cause

    @property
    def killed(self) -> int:
        """Instances killed for their health lately, and not found healthy again since.

        They count as failing, and as once healthy: where one failed check is enough to be killed,
        each is gone before the next one fails, and nobody would see how many there are. An
        instance counts once, however many of its tasks are killed.
        """
        return len(self._killed)

    @property
    def has_cause(self) -> bool:
        """Whether so much fails at once that the cause is not the apps.

        Either the checks of an unusual share of all that were healthy fail (then the prober is
        suspect), or an unusual share of all that should run is out of sight or was so lately, on
        several agents (then the network is).
        """
        if self._is_unusual(self.failing + self.killed, self.once_healthy + self.killed):
            return True
        missing = self.sight.missing
        if not missing:
            return False
        # What has been replaced since runs again, and is counted as missing as well. What shall be
        # scaled down may run for a while yet.
        whole = max(self.running, min(self.wanted, self.running + missing))
        is_unusual = self._is_unusual(min(missing, whole), whole)
        return is_unusual and self.sight.agents >= self._settings.brake_agents_min

    def hold_back(self, key: str) -> None:
        """Have ``key`` looked at when the brake lets go; to be called only while it holds."""
        # The cause may be over before the batch is: what is held back must be let go all the same.
        self._is_engaged = True
        self._held_back[key] = None

    def remember_kill(self, instance: Instance, now_ms: int) -> int:
        """Note that an instance is killed for its health.

        Returns:
            When ``pass_time`` is to be called: by then it says nothing any more.
        """
        if instance.was_healthy and self.released_until_ms is None:
            self._killed.pop(instance.id, None)
            self._killed[instance.id] = now_ms
        return now_ms + self._settings.brake_linger_ms

    def find_healthy(self, instance_id: InstanceId) -> None:
        """An instance's check has succeeded: that it was killed before accuses no prober."""
        self._killed.pop(instance_id, None)

    def follow(self, now_ms: int) -> int | None:
        """Note whether the cause goes on; when it is over the brake lingers, then lets go.

        Returns:
            When ``pass_time`` is to be called, if that is new.
        """
        if self.released_until_ms is not None:
            return None
        if self.has_cause:
            self._is_engaged, self._lingers_until_ms = True, None
        elif self._is_engaged and self._lingers_until_ms is None:
            self._lingers_until_ms = now_ms + self._settings.brake_linger_ms
            return self._lingers_until_ms
        return None

    def release(self, until_ms: int) -> Iterable[str]:
        """Let go by an operator's word: what is missing is lost and proves no disaster any more.

        Returns:
            The keys to look at now.
        """
        self._accept()
        self.released_until_ms = until_ms
        return self._let_go()

    def take_back(self) -> None:
        """Undo a release at once."""
        self.released_until_ms = None
        self.sight.take_back()
        self._killed.clear()

    def pass_time(self, now_ms: int) -> Iterable[str]:
        """End a release, the lingering, or the memory of a kill, if its time is over.

        Returns:
            The keys to look at now.
        """
        if self.released_until_ms is not None and self.released_until_ms <= now_ms:
            self.released_until_ms = None
            self._accept()
        while self._killed:
            instance_id, killed_at_ms = next(iter(self._killed.items()))
            if killed_at_ms + self._settings.brake_linger_ms > now_ms:
                break
            del self._killed[instance_id]
        if self._lingers_until_ms is not None and self._lingers_until_ms <= now_ms:
            return self._let_go()
        return ()

    def _accept(self) -> None:
        self.sight.accept()
        self._killed.clear()

    def _let_go(self) -> Iterable[str]:
        self._is_engaged, self._lingers_until_ms = False, None
        held_back, self._held_back = self._held_back, {}
        return held_back

    def _is_unusual(self, part: int, whole: int) -> bool:
        if whole < self._settings.brake_instances_min:
            return False
        return part * 1000 > whole * self._settings.brake_share_milli
