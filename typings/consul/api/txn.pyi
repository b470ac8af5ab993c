from collections.abc import Mapping, Sequence
from typing import Any

class Txn:
    # It sends no token: with ACLs on, go through `Consul.http.put` and `prepare_headers`.
    def put(self, payload: Sequence[Mapping[str, Any]]) -> Any: ...
