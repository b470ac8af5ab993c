"""Move an instance through its life: one table of (condition, signal) → what is done.

Theory. An instance is one wanted copy of an app. It waits (Scheduled), is placed (Provisioned:
the intent is stored, the ACCEPT is on its way), starts (Staging, Starting), runs, and one day is
ended: first taken out of discovery (Draining), then killed (Killing). A task that ends sends its
instance back to Scheduled, with the next incarnation, as long as the instance's goal is Running;
with any other goal the instance is forgotten and leaves a tombstone (``records.Ended``), so that
a task that rises from the dead is known as ours and ended. A task out of sight (Unreachable) is
waited for as the app's ``unreachableStrategy`` says.

Every cell is written down. ``illegal`` marks the ones that cannot happen; they are counted and
change nothing. Signals may repeat and arrive late: each handler is idempotent.
"""

from collections.abc import Callable

from scheduler.core import transitions as do
from scheduler.core.batch import Batch
from scheduler.core.instance import Condition, Instance
from scheduler.core.returns import settle_return
from scheduler.core.signals import Cause, Signal

Handler = Callable[[Batch, Instance, Cause], None]


def step(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Apply one signal to an instance, by the table."""
    TABLE[instance.condition][cause.signal](batch, instance, cause)


def come_back_late(batch: Batch, instance: Instance, cause: Cause) -> None:
    """Welcome a task that was given up; it or the one in its place may be one too many."""
    do.come_back(batch, instance, cause)
    returned = batch.world.instances[instance.id]
    if returned.kill_reason is None:
        settle_return(batch, returned, step)


S = Signal
C = Condition

TABLE: dict[Condition, dict[Signal, Handler]] = {
    C.SCHEDULED: {
        S.STAGING: do.illegal,
        S.STARTING: do.illegal,
        S.RUNNING: do.illegal,
        S.KILLING: do.illegal,
        S.CRASHED: do.illegal,
        S.KILLED: do.illegal,
        S.REFUSED: do.illegal,
        S.LOST: do.illegal,
        S.UNREACHABLE: do.illegal,
        S.UNKNOWN: do.illegal,
        S.KILL: do.withdraw,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.ignore,
    },
    C.PROVISIONED: {
        S.STAGING: do.advance,
        S.STARTING: do.advance,
        S.RUNNING: do.run,
        S.KILLING: do.kill_begun,
        S.CRASHED: do.crash,
        S.KILLED: do.end,
        S.REFUSED: do.refuse,
        S.LOST: do.end,
        S.UNREACHABLE: do.cut_off,
        S.UNKNOWN: do.end,
        S.KILL: do.start_kill,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.confirm,
    },
    C.STAGING: {
        S.STAGING: do.ignore,
        S.STARTING: do.advance,
        S.RUNNING: do.run,
        S.KILLING: do.kill_begun,
        S.CRASHED: do.crash,
        S.KILLED: do.end,
        S.REFUSED: do.refuse,
        S.LOST: do.end,
        S.UNREACHABLE: do.cut_off,
        S.UNKNOWN: do.vanish,
        S.KILL: do.start_kill,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.overdue,
    },
    C.STARTING: {
        S.STAGING: do.ignore,
        S.STARTING: do.ignore,
        S.RUNNING: do.run,
        S.KILLING: do.kill_begun,
        S.CRASHED: do.crash,
        S.KILLED: do.end,
        S.REFUSED: do.refuse,
        S.LOST: do.end,
        S.UNREACHABLE: do.cut_off,
        S.UNKNOWN: do.vanish,
        S.KILL: do.start_kill,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.overdue,
    },
    C.RUNNING: {
        S.STAGING: do.ignore,
        S.STARTING: do.ignore,
        S.RUNNING: do.refresh,
        S.KILLING: do.kill_begun,
        S.CRASHED: do.crash,
        S.KILLED: do.end,
        S.REFUSED: do.refuse,
        S.LOST: do.end,
        S.UNREACHABLE: do.cut_off,
        S.UNKNOWN: do.vanish,
        S.KILL: do.start_kill,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.look,
    },
    C.DRAINING: {
        S.STAGING: do.ignore,
        S.STARTING: do.ignore,
        S.RUNNING: do.ignore,
        S.KILLING: do.kill_begun,
        S.CRASHED: do.end,
        S.KILLED: do.end,
        S.REFUSED: do.end,
        S.LOST: do.end,
        S.UNREACHABLE: do.lose_sight,
        S.UNKNOWN: do.end,
        S.KILL: do.retarget,
        S.DEREGISTERED: do.drained,
        S.DEADLINE: do.drained,
    },
    C.KILLING: {
        S.STAGING: do.ignore,
        S.STARTING: do.ignore,
        S.RUNNING: do.ignore,
        S.KILLING: do.ignore,
        S.CRASHED: do.crash_in_kill,
        S.KILLED: do.end,
        S.REFUSED: do.end,
        S.LOST: do.end,
        S.UNREACHABLE: do.lose_sight,
        S.UNKNOWN: do.end,
        S.KILL: do.retarget,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.kill_again,
    },
    C.UNREACHABLE: {
        S.STAGING: do.come_back,
        S.STARTING: do.come_back,
        S.RUNNING: do.come_back,
        S.KILLING: do.kill_begun,
        S.CRASHED: do.crash_in_kill,
        S.KILLED: do.end,
        S.REFUSED: do.refuse,
        S.LOST: do.end,
        S.UNREACHABLE: do.stay_cut_off,
        S.UNKNOWN: do.vanish,
        S.KILL: do.abandon,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.give_up,
    },
    C.UNREACHABLE_INACTIVE: {
        S.STAGING: come_back_late,
        S.STARTING: come_back_late,
        S.RUNNING: come_back_late,
        S.KILLING: do.kill_begun,
        S.CRASHED: do.expunge_lost,
        S.KILLED: do.expunge_lost,
        S.REFUSED: do.expunge_lost,
        S.LOST: do.expunge_lost,
        S.UNREACHABLE: do.ignore,
        S.UNKNOWN: do.expunge_lost,
        S.KILL: do.expunge_lost,
        S.DEREGISTERED: do.ignore,
        S.DEADLINE: do.expunge_lost,
    },
}
