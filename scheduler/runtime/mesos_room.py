"""Connect a term to Mesos: a driver of its own, which is told who we are by the store."""

import asyncio
from collections.abc import Callable

from attrs import evolve

from scheduler.core.effects import MesosEffect
from scheduler.core.events import Event
from scheduler.mesos.dispatch import MesosDispatch
from scheduler.mesos.driver import DriverConfig, DriverEnd, DriverStats, EgretDriver
from scheduler.mesos.masters import Masters
from scheduler.mesos.outcome import Sent, Unknown
from scheduler.runtime.shell import Term
from scheduler.runtime.supervision import supervise
from scheduler.runtime.turn import Changes


class MesosRefused(Exception):
    """Mesos will not have us any more, and trying again cannot help."""


class TeardownFailed(Exception):
    """The framework was not torn down, or it is unknown whether it was."""


_ENDS = {
    DriverEnd.SUPERSEDED: (
        "another scheduler has subscribed with our framework id and runs our tasks now:"
        " make sure that no two schedulers use copies of one store"
    ),
    DriverEnd.REMOVED: (
        "Mesos has removed our framework and ended its tasks: it was torn down, or we stayed away"
        " longer than --failover-timeout. To begin anew as another framework, start with"
        " another --store"
    ),
}


_TEARDOWN_CONFIRMED_S = 20.0


class MesosRoom:
    """A driver for each term."""

    def __init__(
        self,
        config: DriverConfig,
        masters: Callable[[], Masters],
        post: Callable[[Event], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        """Prepare.

        Args:
            config: who we are; the framework id is taken from the store.
            masters: makes a source of master addresses for one term.
            post: takes what Mesos reports.
            fail: told when we must not go on.
        """
        self._config = config
        self._masters = masters
        self._post = post
        self._fail = fail
        self._driver: EgretDriver | None = None
        self._dispatch: MesosDispatch | None = None
        self._serving: asyncio.Task[object] | None = None
        self._is_tearing_down = False

    @property
    def stats(self) -> DriverStats | None:
        """Counts of the present term's driver; None while there is none."""
        return None if self._driver is None else self._driver.stats

    async def start(self, term: Term) -> None:
        """Begin to subscribe, as the framework we have always been."""
        known = term.world.framework
        config = evolve(self._config, framework_id=known.id if known else None)
        # What goes wrong is logged and counted by the driver itself.
        driver = EgretDriver(config, self._masters(), self._post, lambda _kind, _message: None)
        self._driver = driver
        self._dispatch = MesosDispatch(driver, self._post)
        self._serving = supervise(self._serve(driver), "mesos", self._fail)

    async def stop(self) -> None:
        """Leave the master; tasks run on."""
        if self._driver is not None:
            self._driver.stop()
        if self._serving is not None:
            await asyncio.wait({self._serving})
        self._driver = self._dispatch = self._serving = None

    def instances_changed(self, changes: Changes) -> None:
        """Nothing: Mesos is told by effects."""

    def send(self, effect: MesosEffect) -> None:
        """Carry out an effect; without a driver there is nobody to send it to."""
        if self._dispatch is not None:
            self._dispatch.send(effect)

    async def teardown(self) -> None:
        """End the framework and every task of it, because an operator asked for that.

        Raises:
            TeardownFailed: the master was not reached, or refused.
        """
        driver, serving = self._driver, self._serving
        if driver is None or serving is None:
            raise TeardownFailed("this scheduler does not lead")
        self._is_tearing_down = True
        outcome = await driver.teardown()
        if isinstance(outcome, Unknown):
            # The master ends our stream together with the framework, so its reply is often lost;
            # but then it tells us, when we ask to subscribe, that the framework was removed.
            await asyncio.wait({serving}, timeout=_TEARDOWN_CONFIRMED_S)
            if serving.done():
                return
        if not isinstance(outcome, Sent):
            self._is_tearing_down = False
            raise TeardownFailed(outcome.reason)

    async def _serve(self, driver: EgretDriver) -> None:
        end = await driver.serve()
        if end is DriverEnd.REMOVED and self._is_tearing_down:
            return
        if end in _ENDS:
            raise MesosRefused(f"framework {driver.framework_id}: {_ENDS[end]}")
