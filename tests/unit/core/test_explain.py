"""What a deployment is said to wait for, where it is easily said wrong."""

from attrs import evolve

from scheduler.core.app import (
    AppSpec,
    Resources,
    UnreachableStrategy,
    UpdatePolicy,
    UpgradeStrategy,
)
from scheduler.core.events import Disconnected
from scheduler.core.explain import Block, BlockedBy, blocked_by
from scheduler.core.ids import AgentId
from scheduler.core.instance import TaskState
from scheduler.core.upkeep import all_offers_ms
from tests.unit.core.game import Game, offer, spec, update, with_ports

PATIENT = UnreachableStrategy(3_600, 7_200)
TAKEN = ((9000, 9001),)


def why(game: Game) -> BlockedBy:
    (block,) = blocked_by(game.world, game.deployment_id, game.now_ms)
    return block


def running(app: AppSpec | None = None) -> Game:
    game = Game()
    game.connect()
    game.upsert(app or spec())
    game.run_all(agents=range(1, 11))
    return game


def lose(game: Game, *numbers: int) -> None:
    for one in list(game.world.instances.values()):
        agent_id = None if one.placement is None else one.placement.agent_id
        if agent_id in {AgentId(f"agent-{number}") for number in numbers}:
            gone = update(one.task_id, TaskState.UNREACHABLE, agent_id=agent_id)
            game.send(evolve(gone, unreachable_since_ms=game.now_ms))


def test_nothing_is_said_to_end_when_what_is_under_way_takes_all_the_room() -> None:
    """Two old ones end, and only one new one may be under way at a time."""
    one_by_one = UpdatePolicy(max_parallel=1)
    game = running(spec(instances=4))
    game.upsert(spec(instances=4, cmd="new", update=one_by_one))
    ended = [one for one in game.world.instances.values() if one.task_id is not None][:3]
    for old in ended:
        game.send(update(old.task_id, TaskState.KILLED))
    game.offer(offer(1), offer(2))
    assert game.conditions().count("Provisioned") == 1
    assert "Scheduled" in game.conditions()
    assert (why(game).block, why(game).instances) == (Block.LAUNCH, 1)


def test_nothing_is_said_to_end_while_the_brake_keeps_all() -> None:
    app = spec(instances=10, unreachable_strategy=PATIENT, upgrade_strategy=UpgradeStrategy(0, 0))
    game = running(app)
    lose(game, *range(1, 8))
    assert game.world.brake.holds
    game.upsert(evolve(app, cmd="new"))
    assert (why(game).block, why(game).instances) == (Block.BRAKE, 10)


def test_a_stop_first_that_the_brake_holds_up_is_the_brakes() -> None:
    """It waits for a port of its own old instance, not for better offers."""
    app = spec(
        instances=10,
        unreachable_strategy=PATIENT,
        require_ports=True,
        port_definitions=with_ports(8080),
    )
    game = Game()
    game.connect()
    game.upsert(app)
    game.offer(*(offer(number, ports=((8080, 8080),)) for number in range(1, 11)))
    game.run_all(agents=())
    lose(game, *range(1, 8))
    assert game.world.brake.holds
    game.upsert(evolve(app, cmd="new", upgrade_strategy=UpgradeStrategy(1000, 1000)))
    game.offer(*(offer(number, ports=TAKEN) for number in range(8, 11)))
    assert why(game).block is Block.OFFERS
    game.wait_stepwise(all_offers_ms(game.world))
    game.offer(*(offer(number, ports=TAKEN) for number in range(8, 11)))
    assert why(game).block is Block.BRAKE
    assert game.conditions().count("Killing") == 0


def test_a_failure_of_the_version_before_is_not_told_of_the_new_one() -> None:
    game = running()
    game.send(update(game.only.task_id, TaskState.FAILED, message="old and broken"))
    game.upsert(spec(cmd="new"))
    for _ in range(2):
        game.run_all(agents=(1,))
    game.upsert(spec(cmd="newer", backoff=evolve(spec().backoff, base_ms=60_000, max_ms=60_000)))
    game.offer(offer(1))
    (new,) = (one for one in game.world.instances.values() if one.condition.value == "Provisioned")
    game.send(update(new.task_id, TaskState.FAILED, message="new and broken"))
    assert why(game).block is Block.BACKOFF
    assert why(game).message.endswith("new and broken")
    old = next(one for one in game.world.instances.values() if one.version != new.version)
    game.send(update(old.task_id, TaskState.FAILED, message="old again"))
    assert why(game).block is Block.BACKOFF
    assert "old again" not in why(game).message


def test_only_canaries_that_serve_wait_to_be_promoted() -> None:
    game = running(spec(instances=2))
    game.upsert(
        spec(instances=2, cmd="new", update=UpdatePolicy(canary_instances=1, auto_pause=True))
    )
    game.offer(offer(1))
    assert why(game).block is Block.LAUNCH
    game.run_all(agents=())
    assert why(game).block is Block.PROMOTION


def test_offers_that_took_a_task_are_not_said_to_fit_nothing() -> None:
    game = Game()
    game.connect()
    big = Resources(cpus_milli=3_000, mem_mib=32)
    game.upsert(spec(instances=3, resources=big))
    game.offer(offer(1), offer(2, cpus_milli=1_000))
    assert why(game).message.startswith("the latest offers took 1 of its tasks, 1 did not fit;")
    game.wait(1)
    game.offer(offer(3))
    assert why(game).message == (
        "the latest offers took 1 of its tasks, there were no more; the nearest so far, host2: "
        "InsufficientCpus (3 cpus wanted, 1 cpus offered)"
    )


def test_the_nearest_miss_is_what_its_agent_lacks_now() -> None:
    game = Game()
    game.connect()
    game.upsert(spec(resources=Resources(cpus_milli=3_000, mem_mib=1_000)))
    game.offer(offer(1, mem_mib=10))
    assert "InsufficientMemory" in why(game).message
    game.offer(offer(1, cpus_milli=100))
    assert "host1: InsufficientCpus" in why(game).message


def test_the_removal_of_an_app_waits_for_mesos_when_nobody_is_there_to_end_it() -> None:
    game = running(spec(instances=2))
    game.send(Disconnected())
    game.remove("/web")
    assert why(game).block is Block.CONNECTION
    game.connect()
    assert (why(game).block, why(game).instances) == (Block.KILL, 2)
