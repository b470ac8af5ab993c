"""Facts reach everyone who listens."""

from scheduler.core.effects import AppTerminated, Fact
from scheduler.core.ids import AppId
from scheduler.telemetry import Bus

FACT = AppTerminated(AppId("/a"))


def test_every_listener_is_told_until_it_leaves():
    bus = Bus()
    first: list[Fact] = []
    second: list[Fact] = []
    leave = bus.subscribe(first.append)
    bus.subscribe(second.append)
    bus.publish(FACT)
    leave()
    leave()
    bus.publish(FACT)
    assert (first, second) == ([FACT], [FACT, FACT])


def test_a_listener_may_leave_while_it_is_told():
    bus = Bus()
    told: list[Fact] = []

    def once(fact: Fact) -> None:
        told.append(fact)
        leave()

    leave = bus.subscribe(once)
    bus.publish(FACT)
    bus.publish(FACT)
    assert told == [FACT]
