"""Pass published facts on to whoever listens: the event stream, the metrics, the log."""

from collections.abc import Callable

from scheduler.core.effects import Fact

Listener = Callable[[Fact], None]


class Bus:
    """Listeners are called at once, in the order in which they came; none may block or raise."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._last = 0

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with every fact from now on, until the returned function is called."""
        self._last += 1
        number = self._last
        self._listeners[number] = listener
        return lambda: self._listeners.pop(number, None) and None

    def publish(self, fact: Fact) -> None:
        """Tell all listeners."""
        for listener in tuple(self._listeners.values()):
            listener(fact)
