"""Name the identifiers of the domain, so that a bare string is never taken for one.

Every id is parsed once, at the edge that receives it (the API, a Mesos event, a stored record);
inside the core it is only compared and passed on.
"""

from typing import NewType

AppId = NewType("AppId", str)
"""Absolute path of an app, ``/shop/web``."""

GroupId = NewType("GroupId", str)
"""Absolute path of a group, ``/shop``; the root is ``/``."""

InstanceId = NewType("InstanceId", str)
"""One wanted copy of an app: ``shop_web.instance-<uuid>`` (Marathon's form)."""

TaskId = NewType("TaskId", str)
"""One attempt to run an instance: ``<instance>._app.<incarnation>``; never used twice."""

AgentId = NewType("AgentId", str)
OfferId = NewType("OfferId", str)
FrameworkId = NewType("FrameworkId", str)
DeploymentId = NewType("DeploymentId", str)

Version = NewType("Version", str)
"""Timestamp of a definition, ISO 8601 in UTC with milliseconds: sorts as text."""

Epoch = NewType("Epoch", int)
"""Term of a leader; a store refuses a commit that carries an older one."""

RequestId = NewType("RequestId", int)
"""Ties the answer of a command to the caller that waits for it; lives in one process."""


def app_path_of(app_id: AppId, *, separator: str) -> str:
    """Join the segments of an app id: ``/shop/web`` with ``_`` gives ``shop_web``."""
    return app_id.strip("/").replace("/", separator)


def task_id_of(instance_id: InstanceId, incarnation: int) -> TaskId:
    """Name the attempt number ``incarnation`` (1 is the first) of an instance."""
    return TaskId(f"{instance_id}._app.{incarnation}")


def instance_id_of(task_id: TaskId) -> InstanceId | None:
    """Read the instance id back out of a task id; None if the id is not one of ours."""
    instance, marker, incarnation = task_id.rpartition("._app.")
    if not marker or not incarnation.isdecimal():
        return None
    return InstanceId(instance)
