"""Run the rounds of reconciliation; ``reconciliation`` tells why they are needed."""

from scheduler.core.batch import Batch
from scheduler.core.effects import Reconcile
from scheduler.core.ids import AgentId, TaskId
from scheduler.core.reconciliation import Reconciliation
from scheduler.core.strays import renew_kills
from scheduler.core.world import World

BATCH_GAP_MS = 1_000
"""Wait between two batches of one pass, so that a large cluster is not asked all at once."""


def begin_round(batch: Batch) -> None:
    """Start a round: all tasks of ours, by name."""
    world = batch.world
    renew_kills(world)
    ids = [task_id for i in world.instances.values() if (task_id := i.task_id) is not None]
    world.reconciliation = Reconciliation(
        unanswered=dict.fromkeys(ids),
        to_ask=ids[::-1],
        next_ms=batch.now_ms,
        wait_ms=world.settings.reconcile_retry_ms,
        is_running=True,
    )


def settle_round(batch: Batch) -> None:
    """Send the next call of the round if it is due; begin a new round when it is time."""
    world = batch.world
    state = world.reconciliation
    if not world.connected or state.next_ms is None or state.next_ms > batch.now_ms:
        return
    if not state.is_running:
        begin_round(batch)
        state = world.reconciliation
    asked = _next_batch(world, state)
    if asked:
        batch.emit(Reconcile(asked))
        state.next_ms = batch.now_ms + BATCH_GAP_MS
        return
    if not state.implicit_done:
        # The empty list asks for everything: it brings up tasks that we do not know.
        state.implicit_done = True
        batch.emit(Reconcile(()))
    _next_pass(batch, state)


def _next_batch(world: World, state: Reconciliation) -> tuple[tuple[TaskId, AgentId | None], ...]:
    """Take the next tasks of the pass that are still unanswered and still ours."""
    asked: list[tuple[TaskId, AgentId | None]] = []
    while state.to_ask and len(asked) < world.settings.reconcile_batch:
        task_id = state.to_ask.pop()
        if task_id not in state.unanswered:
            continue
        instance = world.instance_of(task_id)
        if instance is None or instance.placement is None:
            state.heard_of(task_id)
            continue
        asked.append((task_id, instance.placement.agent_id))
    return tuple(asked)


def _next_pass(batch: Batch, state: Reconciliation) -> None:
    """Ask the silent ones again after a growing wait; with all answered the round is over.

    While the disaster brake holds the next one comes sooner: what was not known may be back, and
    a master announces no task that an agent has brought back to it.
    """
    settings, is_braked = batch.world.settings, batch.world.brake.holds
    if not state.unanswered:
        pause_ms = settings.reconcile_retry_max_ms if is_braked else settings.reconcile_interval_ms
        state.is_running = False
        state.next_ms = batch.now_ms + pause_ms
        return
    state.to_ask = list(state.unanswered)[::-1]
    state.next_ms = batch.now_ms + state.wait_ms
    state.wait_ms = min(2 * state.wait_ms, settings.reconcile_retry_max_ms)
