"""Make changes: derive commands from the world as it is, and derive them anew if it moved.

A definition that is derived from another (a partial update) names the version it was derived
from; the core refuses it as stale when another change came first. Then it is derived again.
"""

from collections.abc import Callable, Iterable

from attrs import frozen
from starlette.requests import Request

from scheduler.api.bodies import flag, own_flag
from scheduler.api.context import Api
from scheduler.api.errors import ApiError, no_app, refused
from scheduler.core.app import AppSpec
from scheduler.core.effects import Accepted, Answer, Killed, Refusal, Rejected, Released
from scheduler.core.events import ChangeApps, Command, Removal, Upsert
from scheduler.core.group import Group
from scheduler.core.ids import AppId, GroupId, RequestId, Version
from scheduler.core.times import format_ms, parse_ms
from scheduler.core.world import World
from scheduler.spec import InvalidInput, Problem, canonical_path, problem_of_path

_ATTEMPTS = 5


@frozen
class Manner:
    """What to do about deployments in the way: be refused, cancel them, or wait for them."""

    force: bool
    queue: bool


def manner_of(request: Request, *, force: bool = False) -> Manner:
    """Read ``force`` and Egret's ``queue``.

    ``force`` says what it is unless told; who would rather wait has told.

    Raises:
        ApiError: 400, ``queue`` is neither true nor false.
    """
    queue = own_flag(request, "queue")
    return Manner(flag(request, "force", default=force and not queue), queue)


@frozen
class Plan:
    """What one request wants to change, derived from the world of this moment."""

    upserts: tuple[Upsert, ...] = ()
    removals: tuple[Removal, ...] = ()
    restarts: tuple[AppId, ...] = ()
    groups: tuple[Group, ...] = ()
    removed_groups: tuple[GroupId, ...] = ()

    def command(self, request_id: RequestId, manner: Manner) -> ChangeApps:
        return ChangeApps(
            request_id,
            self.upserts,
            self.removals,
            self.restarts,
            self.groups,
            self.removed_groups,
            manner.force,
            manner.queue,
        )


async def carry_out(api: Api, derive: Callable[[World], Plan], manner: Manner) -> Accepted:
    """Submit what ``derive`` plans; plan again while somebody else is faster, a few times.

    ``derive`` runs on the loop without a wait before the command is in the inbox.

    Raises:
        ApiError: the change was refused.
    """
    rejected: Rejected | None = None
    for _ in range(_ATTEMPTS):
        plan = derive(api.world)
        answer = await _submit(api, lambda request_id, p=plan: p.command(request_id, manner))
        if isinstance(answer, Accepted):
            return answer
        assert isinstance(answer, Rejected)
        rejected = answer
        if answer.refusal is not Refusal.STALE:
            break
    assert rejected is not None
    raise refused(rejected)


async def command(api: Api, make: Callable[[RequestId], Command]) -> Accepted | Killed | Released:
    """Submit one command.

    Raises:
        ApiError: it was refused.
    """
    answer = await _submit(api, make)
    if isinstance(answer, Rejected):
        raise refused(answer)
    return answer


async def _submit(api: Api, make: Callable[[RequestId], Command]) -> Answer:
    return await api.runtime.submit(make, api.config.write_timeout_s)


# ------------------------------------------------------------ reading the request


def app_id_of(request: Request) -> AppId:
    """Read the app id in the path, absolute or not; an impossible id is an unknown app."""
    text = request.path_params["id"]
    if problem_of_path(text) is not None:
        raise no_app("/" + text.lstrip("/"))
    return AppId(canonical_path("/" + text))


def version_of(text: str, path: str = "/version") -> Version:
    """Read a version as clients write it: any ISO 8601 instant.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return Version(format_ms(parse_ms(text)))
    except (ValueError, OverflowError):
        raise InvalidInput([Problem(path, f"Invalid timestamp: {text[:64]}")]) from None


def require_version(request: Request, world: World, app_id: AppId) -> None:
    """Keep the promise of ``If-Match`` and ``ifVersion``: change only the version that is named.

    Raises:
        ApiError: 409, the app has another version now, or does not exist.
    """
    wanted = request.query_params.get("ifVersion") or request.headers.get("if-match")
    if wanted is None:
        return
    app = world.live_app(app_id)
    wanted = wanted.strip().removeprefix("W/").strip('"')
    if app is None or (wanted not in {"*", app.version}):
        present = "does not exist" if app is None else f"is at version {app.version} now"
        raise ApiError(409, f"App '{app_id}' {present}")


def upsert_of(world: World, spec: AppSpec) -> Upsert:
    """Set an app, given the version it has now."""
    app = world.live_app(spec.id)
    return Upsert(spec, None if app is None else app.version)


def unique_ids(app_ids: Iterable[AppId]) -> None:
    """Refuse one body that sets the same app twice."""
    seen: set[AppId] = set()
    for index, app_id in enumerate(app_ids):
        if app_id in seen:
            raise InvalidInput([Problem(f"/({index})/id", f"{app_id} is given twice")])
        seen.add(app_id)
