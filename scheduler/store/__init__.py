"""Keep records durably and say who leads: one contract, several stores."""

from scheduler.store.codec import Codec
from scheduler.store.contract import (
    SCHEMA_VERSION,
    CommitUnknown,
    CorruptState,
    Elected,
    Lost,
    NewerSchema,
    StaleEpoch,
    Store,
    StoreError,
    StoreUnavailable,
)
from scheduler.store.memory import Fault, MemoryStore
from scheduler.store.sqlite import SqliteStore

__all__ = [
    "SCHEMA_VERSION",
    "Codec",
    "CommitUnknown",
    "CorruptState",
    "Elected",
    "Fault",
    "Lost",
    "MemoryStore",
    "NewerSchema",
    "SqliteStore",
    "StaleEpoch",
    "Store",
    "StoreError",
    "StoreUnavailable",
]
