"""S7: what an accepted write promised is stored, visible at once, and there in every later term."""

from attrs import evolve

from scheduler.core import effects as fx
from scheduler.core import events as ev
from scheduler.core.app import AppSpec, PortDefinition
from scheduler.core.ids import DeploymentId
from scheduler.core.instance import Condition
from scheduler.core.records import Kind
from scheduler.core.world import World
from tests.simulation.ledger import Ledger
from tests.simulation.violation import demand

_UNTOUCHED = frozenset(
    {Condition.PROVISIONED, Condition.STAGING, Condition.STARTING, Condition.RUNNING}
)


def check_answer(
    ledger: Ledger, world: World | None, command: ev.Command, answer: fx.Answer
) -> None:
    """Compare an answer with what is stored and shown in the moment it is given.

    ``world`` is None for a leader that was replaced meanwhile: what it shows is old.
    """
    if isinstance(answer, fx.Accepted) and answer.deployment_id is not None:
        _check_deployment(ledger, command, answer)
    if isinstance(command, ev.ChangeApps) and isinstance(answer, fx.Accepted):
        if _check_queued(ledger, command, answer):
            return
        for upsert in command.upserts:
            _check_upsert(ledger, world, upsert, answer)
        for removal in command.removals:
            app = ledger.app(removal.app_id)
            is_gone = app is None or app.removed or app.version > answer.version
            demand(is_gone, "S7", f"{removal.app_id} was removed, the store says {app}")
    if isinstance(answer, fx.Killed):
        for was in answer.instances:
            stored = ledger.instances.get(was.id)
            is_as_before = stored is not None and stored.task_id == was.task_id
            is_untouched = is_as_before and stored.condition in _UNTOUCHED
            demand(not is_untouched, "S7", f"{was.task_id} was killed, the store says {stored}")


def _check_deployment(ledger: Ledger, command: ev.Command, answer: fx.Accepted) -> None:
    """The deployment was stored; one that takes back nothing is over as it begins."""
    if isinstance(command, ev.CancelDeployment):
        tables = (ledger.rows[Kind.DEPLOYMENT], ledger.rows[Kind.QUEUED])
        is_over = not any(command.deployment_id in table for table in tables)
        demand(is_over, "S7", f"{command.deployment_id} was cancelled and is stored still")
        cancelled = ledger.deployments_ever.get(command.deployment_id)
        if cancelled is None:
            return
        if answer.deployment_id not in ledger.deployments_ever:
            # What it changed may be changed again already, or may never have been different.
            for change in cancelled.changes:
                app = ledger.app(change.app_id)
                present = None if app is None or app.removed else app.version
                is_left = change.before != change.after and present == change.after
                demand(not is_left, "S10", f"{change.app_id} was left at {present} by a cancel")
        return
    known = (ledger.deployments_ever, ledger.queued_ever, ledger.empty_deployments)
    is_stored = any(answer.deployment_id in ids for ids in known)
    demand(is_stored, "S7", f"deployment {answer.deployment_id} was accepted and is not stored")


def _check_queued(ledger: Ledger, command: ev.ChangeApps, answer: fx.Accepted) -> bool:
    """Whether a change was queued; then all of it is stored until it begins."""
    queued = ledger.queued_ever.get(DeploymentId(str(answer.deployment_id)))
    if queued is None:
        return False
    wanted = [_without_ports(upsert.spec) for upsert in command.upserts]
    is_whole = [_without_ports(upsert.spec) for upsert in queued.upserts] == wanted
    demand(is_whole, "S7", f"{queued.app_ids}: {command} was queued as {queued}")
    return True


def _check_upsert(
    ledger: Ledger, world: World | None, upsert: ev.Upsert, answer: fx.Accepted
) -> None:
    app_id = upsert.spec.id
    wanted = _without_ports(upsert.spec)
    versions = ledger.versions_ever.get(app_id, {}).values()
    is_stored = any(_without_ports(version.spec) == wanted for version in versions)
    demand(is_stored, "S7", f"{app_id}@{answer.version} was accepted and is not stored")
    if world is None:
        return
    stored, shown = ledger.app(app_id), world.apps.get(app_id)
    demand(stored == shown, "S7", f"{app_id} is stored as {stored}, shown as {shown}")


def _without_ports(spec: AppSpec) -> AppSpec:
    """Leave out the service ports that were given to the app."""
    definitions = spec.port_definitions or ()
    return evolve(
        spec,
        port_definitions=tuple(
            definition if spec.require_ports else PortDefinition() for definition in definitions
        ),
    )
