"""Keep the JSON of what does not change, so that polling a thousand apps costs almost nothing.

Versions and instances are immutable: a changed one is another object. An encoding is therefore
good for as long as the very object it was made from is there; one of everything, for as long as
nothing at all changes. What is no longer asked for goes when a cache is full and starts anew, so
memory is bounded and nothing has to be invalidated.
"""

from collections.abc import Callable, Hashable
from typing import Any

import orjson

from scheduler.core.world import World

Json = dict[str, Any]


class Encodings:
    """At most ``limit`` encodings of objects, one for each key."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[Hashable, tuple[object, bytes]] = {}

    def of(self, key: Hashable, value: object, show: Callable[[], Json]) -> bytes:
        """Encode ``value``; ``show`` gives its JSON and is asked only for a new object."""
        found = self._found.get(key)
        if found is not None and found[0] is value:
            return found[1]
        encoded = orjson.dumps(show())
        if len(self._found) >= self._limit:
            self._found.clear()
        self._found[key] = (value, encoded)
        return encoded


class Wholes:
    """The latest answers that show all of the world; good while the world stays as it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: dict[Hashable, tuple[World, int, bytes]] = {}

    def get(self, key: Hashable, world: World) -> bytes | None:
        """Return the answer made of this world at its present revision, if there is one."""
        found = self._found.get(key)
        if found is None or found[0] is not world or found[1] != world.revision:
            return None
        return found[2]

    def keep(self, key: Hashable, world: World, revision: int, body: bytes) -> None:
        """Keep an answer that was begun at ``revision``, unless the world has moved since."""
        if revision != world.revision:
            return
        if len(self._found) >= self._limit:
            self._found.clear()
        self._found[key] = (world, revision, body)


def extended(encoded: bytes, more: Json) -> orjson.Fragment:
    """Add keys to an encoded object that is not empty and has none of them."""
    if not more:
        return orjson.Fragment(encoded)
    return orjson.Fragment(encoded[:-1] + b"," + orjson.dumps(more)[1:])
