"""What is stored comes back with its own types."""

from scheduler.core.app import (
    AppSpec,
    Constraint,
    HealthCheck,
    HealthProtocol,
    KillSelection,
    NetworkMode,
    Operator,
)
from scheduler.core.ids import AppId
from scheduler.spec import decode_spec, encode_spec


def test_enums_come_back_as_enums():
    """A bare text equals its enum, so only the type shows the difference, and it crashed."""
    spec = AppSpec(
        AppId("/a"),
        cmd="x",
        health_checks=(HealthCheck(),),
        constraints=(Constraint("hostname", Operator.UNIQUE),),
    )
    stored = decode_spec(encode_spec(spec))
    assert type(stored.health_checks[0].protocol) is HealthProtocol
    assert type(stored.constraints[0].operator) is Operator
    assert type(stored.kill_selection) is KillSelection
    assert type(stored.networks[0].mode) is NetworkMode
