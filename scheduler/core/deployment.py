"""Describe a deployment: a durable plan that takes apps from one version to another, in steps.

A step's actions run side by side; the next step begins when all of them are satisfied. A
deployment never says *how* to act: ``rollout`` derives that from the state of the instances each
time it is looked at, which is why a crash between two steps loses nothing.
Marathon page: "Deployments".
"""

from enum import StrEnum

from attrs import frozen

from scheduler.core.group import Group
from scheduler.core.ids import AppId, DeploymentId, GroupId, Version

PAUSED_BY_OPERATOR = "paused by an operator"


class ActionKind(StrEnum):
    START = "StartApplication"
    STOP = "StopApplication"
    SCALE = "ScaleApplication"
    RESTART = "RestartApplication"


@frozen
class Action:
    kind: ActionKind
    app_id: AppId


@frozen
class Step:
    actions: tuple[Action, ...]


@frozen
class Change:
    """One app's part: the version before and after; None where the app did or will not exist."""

    app_id: AppId
    before: Version | None
    after: Version | None


@frozen
class GroupChange:
    """One group's part: what it was before and after; None where it did or will not exist."""

    group_id: GroupId
    before: Group | None
    after: Group | None


@frozen
class Deployment:
    id: DeploymentId
    version: Version
    started_at_ms: int
    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    current_step: int = 0
    """Index into ``steps``; equal to their number only in the moment it is finished."""
    step_started_at_ms: int = 0
    reverts: DeploymentId | None = None
    """The deployment whose changes this one takes back."""
    paused: str | None = None
    """Why nothing is replaced for the time being; None while the deployment goes on."""
    promoted: bool = False
    """An operator has approved the canaries of the present step; the next step has its own."""
    untried: bool = False
    """It goes to what nobody has approved, although it takes a deployment back: the way back was
    given up."""
    group_changes: tuple[GroupChange, ...] = ()
    """Made at once, before the first step; kept to be taken back."""

    @property
    def goes_back(self) -> bool:
        """Whether its versions have run before, and need no canaries."""
        return self.reverts is not None and not self.untried

    @property
    def has_failed(self) -> bool:
        """Whether it is paused because it cannot succeed; it goes on by an operator's word only."""
        return self.paused not in {None, PAUSED_BY_OPERATOR}

    def step_index(self) -> dict[AppId, int]:
        """Map each app to the step that acts on it.

        StartApplication only announces an app (Marathon starts it with no instance), so it does
        not count.
        """
        return {
            action.app_id: index
            for index, step in enumerate(self.steps)
            for action in step.actions
            if action.kind is not ActionKind.START
        }
