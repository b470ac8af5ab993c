"""Own the world: feed it events, make decisions durable, then act on them."""

from scheduler.runtime.committer import Committed, Committer, DirectCommitter, ThreadCommitter
from scheduler.runtime.crashpoints import crash_here
from scheduler.runtime.inbox import Inbox, InboxFull
from scheduler.runtime.leadership import Station
from scheduler.runtime.shell import LeadLost, NotLeader, Room, Runtime, Surroundings, Term, epoch_ms
from scheduler.runtime.turn import CORE, Changes, CommitReport, Limits, Outputs, Steps, Turns

__all__ = [
    "CORE",
    "Changes",
    "CommitReport",
    "Committed",
    "Committer",
    "DirectCommitter",
    "Inbox",
    "InboxFull",
    "LeadLost",
    "Limits",
    "NotLeader",
    "Outputs",
    "Room",
    "Runtime",
    "Station",
    "Steps",
    "Surroundings",
    "Term",
    "ThreadCommitter",
    "Turns",
    "crash_here",
    "epoch_ms",
]
