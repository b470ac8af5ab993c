"""Store what became of a deployment."""

from scheduler.core.deployment import Change
from scheduler.core.ids import AppId, DeploymentId, Version
from scheduler.core.records import Finished, Outcome
from scheduler.store import store_pb2 as pb


def encode_finished(it: Finished) -> bytes:
    """Give the bytes to store."""
    return pb.Finished(
        id=it.id,
        outcome=it.outcome,
        version=it.version,
        ended_at_ms=it.ended_at_ms,
        started_at_ms=it.started_at_ms,
        changes=[change_message(change) for change in it.changes],
        reason=it.reason,
        reverts=it.reverts,
        reverted_by=it.reverted_by,
    ).SerializeToString()


def decode_finished(value: bytes) -> Finished:
    """Read what was stored.

    Raises:
        ValueError: its outcome is none of ours.
        google.protobuf.message.DecodeError: the bytes are damaged.
    """
    it = pb.Finished.FromString(value)
    return Finished(
        id=DeploymentId(it.id),
        outcome=Outcome(it.outcome),
        version=Version(it.version),
        ended_at_ms=it.ended_at_ms,
        started_at_ms=it.started_at_ms if it.HasField("started_at_ms") else None,
        changes=tuple(change_of(change) for change in it.changes),
        reason=it.reason if it.HasField("reason") else None,
        reverts=DeploymentId(it.reverts) if it.HasField("reverts") else None,
        reverted_by=DeploymentId(it.reverted_by) if it.HasField("reverted_by") else None,
    )


def change_message(it: Change) -> pb.Change:
    """Write one app's part in a deployment."""
    return pb.Change(app_id=it.app_id, before=it.before, after=it.after)


def change_of(it: pb.Change) -> Change:
    """Read one app's part in a deployment."""
    return Change(
        app_id=AppId(it.app_id),
        before=Version(it.before) if it.HasField("before") else None,
        after=Version(it.after) if it.HasField("after") else None,
    )
