"""Name what a timer is for: the first character of its key; a key without one is an instance."""

from enum import StrEnum


class Timer(StrEnum):
    """Prefixes of the keys given to ``World.wake_at``; no instance id begins with one."""

    LAUNCH_DELAY = "@"
    """``@app@version``: the delay of an app's launches is over."""
    ROLLOUT = "%"
    """``%app``: the app's deployment has a deadline."""
    UNPROVEN = "+"
    """``+instance``: a new instance must have proved itself by now."""
    BRAKE = "~"
    """An override of the disaster brake, or its lingering, ends."""
    HELD = "&"
    """``&app``: what held up the replacement of the app's instances may have let go: the brake, or
    offers that were still to come."""
    STRAY = "!"
    """``!task``: a stray is to be killed once more, or the brake that spared it has let go."""
    SIGHT = "^"
    """``^agent``: what was lost on an agent may be forgotten."""
