class KazooRetry:
    def __init__(
        self, max_tries: int = 1, delay: float = 0.1, *, max_delay: float = 60.0
    ) -> None: ...
