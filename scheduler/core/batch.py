"""Collect what one step decides: records to commit, and effects to carry out afterwards."""

from random import Random
from uuid import UUID

from scheduler.core.effects import Effect, Fact, Publish
from scheduler.core.ids import Version
from scheduler.core.records import Delete, Entity, Kind, Record, put
from scheduler.core.times import format_ms, parse_ms
from scheduler.core.world import World


class Batch:
    """One step of the core at one moment. Time and chance come in here and nowhere else.

    A record is applied to the world at once, so that later decisions of the same step see it; the
    caller must commit all records before it carries out any effect.
    """

    __slots__ = ("effects", "now_ms", "records", "rng", "world")

    def __init__(self, world: World, now_ms: int, rng: Random) -> None:
        self.world = world
        self.now_ms = now_ms
        self.rng = rng
        self.records: list[Record] = []
        self.effects: list[Effect] = []

    def put(self, entity: Entity) -> None:
        record = put(entity)
        self.records.append(record)
        self.world.apply(record)

    def delete(self, kind: Kind, key: str) -> None:
        record = Delete(kind, key)
        self.records.append(record)
        self.world.apply(record)

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def publish(self, fact: Fact) -> None:
        self.effects.append(Publish(fact))

    def new_uuid(self) -> str:
        """Make a random UUID (version 4) from the step's own source of chance."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def new_version(self) -> Version:
        """Make a version of now that is greater than every one given before."""
        version = format_ms(self.now_ms)
        last = self.world.last_version
        if version <= last:
            version = format_ms(parse_ms(last) + 1)
        self.world.last_version = Version(version)
        return self.world.last_version
