r"""Frame events the way a Mesos stream carries them.

A record is ``<decimal length>\n<payload>``; Mesos writes each record as one chunk of a chunked
body, and clients in the wild rely on that, so both framings are made here in one go.
"""

from typing import Any

import orjson


def encode_record(event: dict[str, Any]) -> bytes:
    """Return the event as one RecordIO record (without the HTTP chunk around it)."""
    payload = orjson.dumps(event)
    return b"%d\n%b" % (len(payload), payload)


def encode_chunk(event: dict[str, Any]) -> bytes:
    """Return the event as one RecordIO record inside one HTTP/1.1 chunk."""
    record = encode_record(event)
    return b"%x\r\n%b\r\n" % (len(record), record)
