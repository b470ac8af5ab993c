"""Foretell the capacity of an app all through a rollout: who serves and who is alive at each point.

The rollout is played forward by the functions that decide when it is real: ``upkeep.bounds_at``,
``rollout.decide`` and ``rollout.launch_room``. Only the cluster is imagined, and kindly. In each
round

- there is room for everything, no offer is missing, no fixed port is taken;
- what waits is launched as far as the ceiling lets it, and serves when the round is over;
- what was ended is gone when the round is over;
- an old instance that is unhealthy or out of sight stays so until it is ended.

A point is the tightest moment of its round: what is ended serves no more, what is launched does
not serve yet, and both are alive. Canaries that wait for an operator are a point of their own,
after which they are taken as approved.

An app with fixed host ports can do worse than foretold: where the old instances hold the ports on
every agent, one of them goes first, below the floor (``upkeep.is_kept_out``). Offers alone tell
whether it comes to that, so it is only marked (``may_stop_first``).
"""

from operator import attrgetter

from attrs import evolve, fields, frozen

from scheduler.core.app import AppSpec
from scheduler.core.rollout import Bounds, Side, decide, launch_room
from scheduler.core.tally import Bucket
from scheduler.core.upkeep import ENDING_ORDER, REPLACING_ORDER, bounds_at, has_fixed_ports

POINTS_MAX = 50
"""Most points of one forecast, unless told otherwise."""
POINTS_MIN = 5
"""What is never left out: first, last, canaries, fewest serving, most alive."""
_LEAPS = 20
"""How many leaps a long stretch of like rounds takes."""

_NAMES = tuple(field.name for field in fields(Side))
_numbers = attrgetter(*_NAMES)
# Sides do not tell apart those that are proving themselves.
_ENDING_ORDER = tuple(bucket.value for bucket in ENDING_ORDER if bucket is not Bucket.PROVING)
_REPLACING_ORDER = tuple(b.value for b in REPLACING_ORDER if b is not Bucket.PROVING)
_WITHOUT_TASK = {Bucket.SCHEDULED.value, Bucket.DONE.value, Bucket.UNREACHABLE.value}
"""What is forgotten as soon as it is ended: there is no task to wait for."""


@frozen
class Point:
    """One round at its tightest moment; the first point is the present, the last one the end."""

    number: int
    """Rounds are numbered from 1; 0 is the present."""
    old_serving: int
    new_serving: int
    alive: int
    """Instances, old and new, that may have a task."""
    created: int = 0
    ended: int = 0
    floor: int = 0
    """Fewest that must serve; 0 where nothing is replaced, which has no such bound."""
    ceiling: int = 0
    """Most that may be alive, but for those that are already; where nothing is replaced, the
    wanted number."""
    awaits_promotion: bool = False

    @property
    def serving(self) -> int:
        return self.old_serving + self.new_serving


@frozen
class Forecast:
    points: tuple[Point, ...]
    rounds: int
    """How many rounds change anything."""
    left_out: int = 0
    """How many points were left out for brevity."""
    may_stop_first: bool = False
    """Whether an old instance may have to go first for its fixed host ports, below the floor."""


def forecast(spec: AppSpec, new: Side, old: Side, *, points_max: int = POINTS_MAX) -> Forecast:
    """Play the rollout of an app to ``spec`` forward from the present counts of both sides.

    Ends for every input. The work is bounded by the logarithm of the number of instances, because
    like rounds are leapt over; returned are at most ``points_max`` (at least 5) points.
    """
    is_replacing = bool(old.alive or old.active or new.doomed)
    points, rests = _play(spec, _State(new, old, is_replacing))
    rounds = points[-1].number + 1 - rests
    may_stop_first = has_fixed_ports(spec) and old.active > 0
    return _thinned(points, rounds, points_max, may_stop_first=may_stop_first)


def forecast_removal(present: Side) -> Forecast:
    """Foretell the end of an app: all its instances go at once, and nothing comes."""
    now = Point(0, old_serving=present.serving, new_serving=0, alive=present.alive)
    if not present.active and not present.alive:
        return Forecast((now,), rounds=0)
    left = Point(
        1, old_serving=0, new_serving=0, alive=_end(present, present.active, _ENDING_ORDER).alive
    )
    end = Point(2, old_serving=0, new_serving=0, alive=0)
    return Forecast((now, evolve(left, ended=present.active), end), rounds=1)


# ------------------------------------------------------------ the play


@frozen
class _State:
    new: Side
    old: Side
    is_replacing: bool
    """Whether there was anything to replace, or to wait for, in the beginning."""
    is_promoted: bool = False

    @property
    def numbers(self) -> tuple[int, ...]:
        return (*_numbers(self.new), *_numbers(self.old))

    def moved(self, change: tuple[int, ...], times: int) -> "_State | None":
        """Add a change so many times over; None if more would go than there are."""
        now = [have + times * by for have, by in zip(self.numbers, change, strict=True)]
        if min(now) < 0:
            return None
        half = len(_NAMES)
        return evolve(self, new=Side(*now[:half]), old=Side(*now[half:]))


@frozen
class _Round:
    point: Point
    before: _State
    after: _State

    @property
    def changes(self) -> tuple[int, ...]:
        pairs = zip(self.before.numbers, self.after.numbers, strict=True)
        return tuple(after - before for before, after in pairs)

    @property
    def character(self) -> tuple[object, ...]:
        """What is equal in rounds that are like each other."""
        point = self.point
        return self.changes, point.created, point.ended, point.floor, point.ceiling


def _play(spec: AppSpec, state: _State) -> tuple[list[Point], int]:
    """Give all points that were played, and how many of them are no rounds but rests."""
    points = [_present(spec, state)]
    rests = 2  # the present and the end
    recent: list[_Round] = []
    while True:
        played = _round(spec, state, points[-1].number + 1)
        if played.after == state:
            if not _waits(spec, state):
                # With nothing to do at all the present is the end.
                return (points, 1) if len(points) == 1 else ([*points, played.point], rests)
            points.append(evolve(played.point, awaits_promotion=True))
            rests += 1
            state = evolve(state, is_promoted=True)
            recent = []
            continue
        points.append(played.point)
        state = played.after
        recent = [*recent[-3:], played]
        if _is_rhythm(recent):
            state = _leap(spec, state, recent, points)
            recent = []


def _round(spec: AppSpec, state: _State, number: int) -> _Round:
    new, old = state.new, state.old
    bounds = bounds_at(spec, new, old, is_promoted=state.is_promoted)
    moves = decide(wanted=spec.instances, bounds=bounds, new=new, old=old)
    old_left = _end(old, moves.end_old, _REPLACING_ORDER)
    new_left = _end(new, moves.end_new, _ENDING_ORDER)
    new_left = evolve(new_left, scheduled=new_left.scheduled + moves.create)
    new_left = _launch(new_left, launch_room(bounds, new_left, old_left, is_new=True))
    old_left = _launch(old_left, launch_room(bounds, new_left, old_left, is_new=False))
    tightest = _point(spec, bounds, number, evolve(state, new=new_left, old=old_left))
    point = evolve(tightest, created=moves.create, ended=moves.end_new + moves.end_old)
    return _Round(point, state, evolve(state, new=_come_up(new_left), old=_settle(old_left)))


def _present(spec: AppSpec, state: _State) -> Point:
    bounds = bounds_at(spec, state.new, state.old, is_promoted=False)
    return _point(spec, bounds, 0, state)


def _point(spec: AppSpec, bounds: Bounds, number: int, state: _State) -> Point:
    new, old = state.new, state.old
    return Point(
        number,
        old_serving=old.serving,
        new_serving=new.serving,
        alive=new.alive + old.alive,
        floor=bounds.floor if state.is_replacing else 0,
        ceiling=bounds.ceiling if state.is_replacing else spec.instances,
    )


def _end(side: Side, count: int, order: tuple[str, ...]) -> Side:
    """End so many, in the order in which it is really done."""
    left = {name: getattr(side, name) for name in order}
    doomed = side.doomed
    for name in order:
        ended = min(count, left[name])
        left[name] -= ended
        count -= ended
        doomed += 0 if name in _WITHOUT_TASK else ended
    return Side(**left, doomed=doomed)


def _launch(side: Side, room: int) -> Side:
    launched = min(side.scheduled, room)
    return evolve(side, scheduled=side.scheduled - launched, pending=side.pending + launched)


def _settle(side: Side) -> Side:
    """Let time pass on the old side."""
    return evolve(
        side,
        scheduled=side.scheduled + side.recycling,
        pending=0,
        unproven=0,
        serving=side.serving + side.pending + side.unproven,
        recycling=0,
        doomed=0,
    )


def _come_up(side: Side) -> Side:
    """Let time pass on the new side, where all gets well."""
    settled = _settle(side)
    serving = settled.serving + settled.unhealthy + settled.unreachable
    return evolve(settled, unhealthy=0, unreachable=0, serving=serving)


def _waits(spec: AppSpec, state: _State) -> bool:
    """Whether an approval is what holds the rollout up."""
    now = bounds_at(spec, state.new, state.old, is_promoted=state.is_promoted)
    return now.old_least > 0


# ------------------------------------------------------------ leaps


def _is_rhythm(recent: list[_Round]) -> bool:
    """Whether the last two rounds are like the two before.

    Two is the longest beat there is: rounds that create as many as there is room for and end as
    many as are to spare alternate between two numbers of instances.
    """
    if len(recent) < 4:
        return False
    characters = [played.character for played in recent]
    return characters[:2] == characters[2:]


def _leap(spec: AppSpec, state: _State, recent: list[_Round], points: list[Point]) -> _State:
    """Go through a stretch of like rounds in leaps, to its last beat; a short one is played."""
    beat = recent[-2:]
    change = tuple(a + b for a, b in zip(beat[0].changes, beat[1].changes, strict=True))
    left = _beats_left(spec, state, beat, change)
    if left < 2 * _LEAPS:
        return state
    for leaps_left in range(_LEAPS, 0, -1):
        beats = left // leaps_left
        left -= beats
        moved = state.moved(change, beats - 1)
        assert moved is not None
        state = moved
        number = points[-1].number + 2 * (beats - 1)
        for index in (1, 2):
            played = _round(spec, state, number + index)
            points.append(played.point)
            state = played.after
    return state


def _beats_left(spec: AppSpec, state: _State, beat: list[_Round], change: tuple[int, ...]) -> int:
    """Count how many more times the beat repeats: search for the last time, between 0 and most."""
    numbers = zip(state.numbers, change, strict=True)
    most = min((have // -by for have, by in numbers if by < 0), default=0)
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if _repeats(spec, state.moved(change, middle - 1), beat):
            least = middle
        else:
            most = middle - 1
    return least


def _repeats(spec: AppSpec, state: _State | None, beat: list[_Round]) -> bool:
    if state is None:
        return False
    for like in beat:
        played = _round(spec, state, 0)
        if played.character != like.character:
            return False
        state = played.after
    return True


# ------------------------------------------------------------ what is shown


def _thinned(
    points: list[Point], rounds: int, points_max: int, *, may_stop_first: bool
) -> Forecast:
    kept = points
    if len(points) > points_max:
        must = {0, len(points) - 1, *(i for i, p in enumerate(points) if p.awaits_promotion)}
        must.add(min(range(len(points)), key=lambda i: points[i].serving))
        must.add(max(range(len(points)), key=lambda i: points[i].alive))
        free = max(0, points_max - len(must))
        evenly = {round(i * (len(points) - 1) / (free + 1)) for i in range(1, free + 1)}
        kept = [points[i] for i in sorted(must | evenly)]
    left_out = points[-1].number + 1 - len(kept)
    return Forecast(tuple(kept), rounds, left_out, may_stop_first)
