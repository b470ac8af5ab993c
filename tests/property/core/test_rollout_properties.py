"""What holds for every replacement of an app's instances, whatever the counts it begins with."""

from collections import Counter

from attrs import asdict
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.app import AppSpec, UpdateOrder, UpdatePolicy, UpgradeStrategy
from scheduler.core.ids import AppId
from scheduler.core.rollout import Bounds, Moves, Side, bounds_of, decide, launch_room
from scheduler.core.tally import Bucket
from scheduler.core.upkeep import ENDING_ORDER, REPLACING_ORDER

WITHOUT_TASK = {"scheduled", "done", "unreachable"}
counts = st.integers(0, 6)
sides = st.builds(Side, **dict.fromkeys(asdict(Side()), counts))
shares = st.integers(0, 1000)
policies = st.none() | st.builds(
    UpdatePolicy,
    order=st.none() | st.sampled_from(UpdateOrder),
    max_parallel=st.none() | st.integers(1, 4),
)
apps = st.builds(
    AppSpec,
    id=st.just(AppId("/web")),
    instances=st.integers(0, 12),
    upgrade_strategy=st.builds(UpgradeStrategy, shares, shares),
    update=policies,
)


class Model:
    """The instances of both sides as numbers; every kill works, every new instance gets well."""

    def __init__(self, app: AppSpec, new: Side, old: Side) -> None:
        self.wanted = app.instances
        self.bounds: Bounds = bounds_of(app)
        self.new = Counter(asdict(new))
        self.old = Counter(asdict(old))

    @property
    def sides(self) -> tuple[Side, Side]:
        return Side(**self.new), Side(**self.old)

    @property
    def serving(self) -> int:
        return self.new["serving"] + self.old["serving"]

    @property
    def alive(self) -> int:
        return sum(side.alive for side in self.sides)

    def decide(self) -> Moves:
        new, old = self.sides
        return decide(wanted=self.wanted, bounds=self.bounds, new=new, old=old)

    def carry_out(self, moves: Moves) -> None:
        self._end(self.old, moves.end_old, REPLACING_ORDER)
        self._end(self.new, moves.end_new, ENDING_ORDER)
        self.new["scheduled"] += moves.create

    def _end(self, side: Counter[str], count: int, order: tuple[Bucket, ...]) -> None:
        for bucket in order:
            if bucket is Bucket.PROVING:
                # Sides do not tell apart those that are proving themselves.
                continue
            ended = min(count, side[bucket])
            side[bucket] -= ended
            count -= ended
            # What has no task in sight is forgotten at once; a task takes time to end.
            side["doomed"] += 0 if bucket in WITHOUT_TASK else ended
        assert count == 0, "asked to end more than there are"

    def pass_time(self) -> None:
        """One thing after another, as in a cluster: tasks end, get well, are launched."""
        for side in (self.new, self.old):
            side["scheduled"] += side["recycling"]
            side["doomed"] = side["recycling"] = side["unreachable"] = 0
        for bucket in ("pending", "unproven", "unhealthy"):
            self.new["serving"] += self.new[bucket]
            self.new[bucket] = 0
        room = launch_room(self.bounds, *self.sides, is_new=True)
        launched = min(room, self.new["scheduled"])
        self.new["scheduled"] -= launched
        self.new["pending"] += launched

    @property
    def is_done(self) -> bool:
        new, old = self.sides
        return old == Side() and new == Side(serving=self.wanted - new.done, done=new.done)


@given(apps, sides, sides)
def test_no_kill_of_ours_goes_below_the_floor(app: AppSpec, new: Side, old: Side) -> None:
    model = Model(app, new, old)
    before = model.serving
    model.carry_out(model.decide())
    # A new one that has ended as it may holds its place without serving.
    assert model.serving >= min(before, model.bounds.floor - model.new["done"])


@given(apps, sides, sides)
def test_no_old_one_that_may_serve_again_goes_below_the_floor(
    app: AppSpec, new: Side, old: Side
) -> None:
    """One out of sight, say, though another is being ended and comes back."""
    model = Model(app, new, old)

    def kept() -> int:
        left = model.sides[1]
        return left.serving + left.unproven + left.unhealthy + left.unreachable

    before, floor = kept(), model.bounds.floor * bool(app.instances)
    model.carry_out(model.decide())
    assert new.serving + new.done + kept() >= min(new.serving + new.done + before, floor)


@given(apps, sides, sides)
def test_nothing_is_created_above_the_ceiling_while_there_is_an_old_side(
    app: AppSpec, new: Side, old: Side
) -> None:
    bounds = bounds_of(app)
    moves = decide(wanted=app.instances, bounds=bounds, new=new, old=old)
    if old.alive and moves.create:
        assert new.alive + new.scheduled + old.alive + moves.create <= bounds.ceiling


@given(apps, sides, sides)
def test_never_creates_and_ends_new_instances_at_once(app: AppSpec, new: Side, old: Side) -> None:
    moves = decide(wanted=app.instances, bounds=bounds_of(app), new=new, old=old)
    assert min(moves.create, moves.end_new) == 0
    assert min(moves.create, moves.end_new, moves.end_old) >= 0
    assert new.active + moves.create <= max(app.instances, new.active)


@given(apps, sides, sides)
def test_one_more_that_serves_never_holds_an_old_one_back(
    app: AppSpec, new: Side, old: Side
) -> None:
    def ended(serving: int) -> int:
        better = Side(**{**asdict(new), "serving": serving})
        return decide(wanted=app.instances, bounds=bounds_of(app), new=better, old=old).end_old

    assert ended(new.serving) <= ended(new.serving + 1)


@settings(max_examples=200)
@given(apps, sides, sides)
def test_a_replacement_always_arrives(app: AppSpec, new: Side, old: Side) -> None:
    """With new instances that get well and kills that work, within a bounded number of looks."""
    model = Model(app, new, old)
    for _ in range(4 * (app.instances + new.active + old.active + 4)):
        model.carry_out(model.decide())
        if model.is_done:
            return
        model.pass_time()
    raise AssertionError(f"stuck at {model.sides} with {model.decide()}")


@settings(max_examples=200)
@given(apps, sides, sides)
def test_no_launch_passes_the_ceiling(app: AppSpec, new: Side, old: Side) -> None:
    """All through a replacement, however many were alive when it began."""
    model = Model(app, new, old)
    most = max(model.bounds.ceiling, model.alive, app.instances)
    for _ in range(20):
        model.carry_out(model.decide())
        model.pass_time()
        assert model.alive <= most


@given(
    st.integers(0, 1),
    st.builds(UpgradeStrategy, shares, shares),
    policies,
    st.sampled_from(["serving", "pending", "doomed", "unhealthy"]),
)
def test_an_app_that_must_not_run_twice_never_does(
    wanted: int, capacities: UpgradeStrategy, policy: UpdatePolicy | None, bucket: str
) -> None:
    single = AppSpec(
        id=AppId("/web"),
        instances=wanted,
        labels=(("MARATHON_SINGLE_INSTANCE_APP", "true"),),
        upgrade_strategy=capacities,
        update=policy,
    )
    model = Model(single, Side(), Side(**{bucket: 1}))
    for _ in range(8):
        model.carry_out(model.decide())
        model.pass_time()
        assert model.alive <= 1
    assert model.is_done
