"""Read path ids: absolute or relative to a group, as Marathon writes them.

A segment is one or more labels joined by dots; a label is lower-case letters, digits and inner
hyphens. ``.`` and ``..`` are resolved, never kept. Marathon: "Applications", field ``id``.
"""

import re

from scheduler.core.ids import AppId, GroupId

ROOT = GroupId("/")
RESERVED_LAST_SEGMENTS = frozenset({"restart", "tasks", "versions", ".", ".."})
"""Words that stand behind an app id in the API's own paths."""

_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_SEGMENT = re.compile(rf"{_LABEL}(\.{_LABEL})*|\.|\.\.")
_LENGTH_MAX = 1024
_SEGMENTS_MAX = 64
"""Deep enough for any tree, and no input can exhaust the stack with it."""

SEGMENT_HELP = (
    "each segment of the id must be labels of lower-case letters, digits and inner hyphens, joined"
    " by dots"
)


def problem_of_path(text: str) -> str | None:
    """Say what is wrong with a relative or absolute path id, or None."""
    if not text:
        return "must not be empty"
    if len(text) > _LENGTH_MAX:
        return f"must be at most {_LENGTH_MAX} characters long"
    if len(segments_of(text)) > _SEGMENTS_MAX:
        return f"must have at most {_SEGMENTS_MAX} segments"
    if not all(_SEGMENT.fullmatch(segment) for segment in segments_of(text)):
        return SEGMENT_HELP
    return None


def segments_of(text: str) -> list[str]:
    """Split a path id: ``/shop/web`` has two segments, the root has none."""
    return [segment for segment in text.split("/") if segment]


def canonical_path(text: str, base: GroupId = ROOT) -> str:
    """Resolve ``text`` against the group ``base``; never climbs above the root."""
    found = [] if text.startswith("/") else segments_of(base)
    for segment in segments_of(text):
        if segment == "..":
            found = found[:-1]
        elif segment != ".":
            found.append(segment)
    return "/" + "/".join(found)


def parent_of(path: AppId | GroupId) -> GroupId:
    """Name the group that holds ``path``; the root holds itself."""
    return GroupId(path.rpartition("/")[0] or "/")


def is_inside(path: str, group: GroupId) -> bool:
    """Whether ``path`` lies below ``group``, at any depth."""
    return path != group and (group == ROOT or path.startswith(f"{group}/"))
