"""Judge an instance's health from the verdicts of its checks, wherever they ran.

Several checks are one conjunction: an instance is healthy when every check last succeeded and
unhealthy when any one last failed (Marathon page "Health Checks"). An app without checks is
healthy for deployments and discovery as soon as it runs, but is counted neither way.
"""

from enum import StrEnum

from scheduler.core.app import AppSpec, HealthCheck
from scheduler.core.instance import CheckResult, Condition, Instance


class Health(StrEnum):
    NO_CHECKS = "no_checks"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


def health_of(instance: Instance, spec: AppSpec) -> Health:
    """Tell the health of a RUNNING instance; UNKNOWN while it is in any other condition."""
    if instance.condition is not Condition.RUNNING:
        return Health.UNKNOWN
    if not spec.health_checks:
        return Health.NO_CHECKS
    verdicts = [_verdict(instance, index, check) for index, check in enumerate(spec.health_checks)]
    if False in verdicts:
        return Health.UNHEALTHY
    return Health.UNKNOWN if None in verdicts else Health.HEALTHY


def is_serving(instance: Instance, spec: AppSpec) -> bool:
    """Whether an instance runs and, where it has checks, all of them say that it is alive."""
    if instance.condition is not Condition.RUNNING:
        return False
    return not spec.health_checks or health_of(instance, spec) is Health.HEALTHY


def check_results(instance: Instance, spec: AppSpec) -> tuple[CheckResult, ...]:
    """One result for each health check of the spec; a check not yet reported has an empty one."""
    missing = len(spec.health_checks) - len(instance.checks)
    return instance.checks + (CheckResult(),) * missing


def _verdict(instance: Instance, index: int, check: HealthCheck) -> bool | None:
    if not check.protocol.is_probed_by_scheduler:
        return instance.mesos_healthy
    return instance.checks[index].alive if index < len(instance.checks) else None
