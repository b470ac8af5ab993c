"""The budget of docs/architecture.md, line by line, and what one task costs in all of it."""

import gc

from scheduler.core.effects import Accept
from tests.perf import core, mesos, publish, store
from tests.perf.report import emit

_TASK_BUDGET_US = 500.0
"""Of one core at 2,000 tasks a second; what the parts leave of it is for all that is not here."""


def run(*, quick: bool) -> None:
    """Take the same tasks through the core, the store, the driver and the public."""
    tasks, large = (1_000, 10_000) if quick else (10_000, 100_000)
    core_us, steps = core.run(tasks=tasks, large=large)
    records = [record for step in steps for record in step.records]
    accepts = [effect for step in steps for effect in step.effects if isinstance(effect, Accept)]
    launches = [launch for accept in accepts for launch in accept.launches]
    gc.collect()
    gc.freeze()  # The scheduler would not hold all this either.
    parts_us = (
        core_us,
        store.run(records, tasks=tasks, rows=large),
        mesos.run(launches),
        publish.run(steps, tasks=tasks),
    )
    gc.unfreeze()
    emit("budget", "task", sum(parts_us), "µs", budget=_TASK_BUDGET_US, tasks=tasks)
