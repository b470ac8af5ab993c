"""Decide: the pure core of the scheduler. Same events in, same records and effects out.

The core does no I/O, never waits and never looks at a clock or a source of chance of its own: all
that comes in with the batch. Read ``core`` first (``handle`` and ``settle``), then ``lifecycle``
(one instance), ``rollout`` (the arithmetic of an app), ``deployments`` and ``launches``.
"""

from scheduler.core.batch import Batch
from scheduler.core.core import handle, resume, settle
from scheduler.core.settings import Settings
from scheduler.core.world import World

__all__ = ["Batch", "Settings", "World", "handle", "resume", "settle"]
