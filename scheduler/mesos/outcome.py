"""Say what became of a call, as far as it can be known.

A 2xx reply means that the master has received the call, not that it did what it says (Mesos
"Scheduler HTTP API"): every effect is confirmed by an event or it is not confirmed.
"""

from attrs import frozen


@frozen
class Sent:
    """The master has the call: 202, or 200 for UPDATE_FRAMEWORK."""

    status: int


@frozen
class Refused:
    """The master answered and did nothing; ``reason`` is its text, shortened."""

    status: int
    reason: str


@frozen
class NotSent:
    """Not one byte of the call has left: not subscribed, or no connection."""

    reason: str


@frozen
class Unknown:
    """The call left and no reply came: it may have been applied. Reconcile, never repeat."""

    reason: str


CallOutcome = Sent | Refused | NotSent | Unknown
