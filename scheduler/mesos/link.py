"""Stay subscribed to whichever master leads, for ever.

One loop: choose a master, hold a subscription until it ends, wait as long as that end asks for.
Subscriptions that end soon one after the other (a call may break its connection each time, while
the stream holds) are made ever more slowly, like attempts that fail.
What is written on the stream and what it means is the driver's business; here it is records.
Rules: Mesos "Scheduler HTTP API" (redirects, 503, back-off, heartbeats).
"""

import asyncio
from collections.abc import Callable

import structlog
from attrs import define, field, frozen

from scheduler.mesos.backoff import Backoff
from scheduler.mesos.calls import CallChannel, CallLimits
from scheduler.mesos.endpoint import Credential, Endpoint, Tls, connect
from scheduler.mesos.masters import Masters
from scheduler.mesos.outcome import CallOutcome, NotSent
from scheduler.mesos.subscription import (
    Lost,
    Redirected,
    Rejected,
    Subscription,
    SubscriptionEnd,
    Timing,
    Unavailable,
)

_log = structlog.get_logger(__name__)


@frozen
class Security:
    """How we and the master prove to each other who we are."""

    tls: Tls = field(factory=Tls)
    credential: Credential | None = None


@define
class LinkStats:
    """Counts since the start, for metrics."""

    subscriptions: int = 0
    disconnections: int = 0
    failed_attempts: int = 0


@frozen
class LinkListener:
    """Whom the link tells; all are called on the event loop and must not raise."""

    subscribe_body: Callable[[], bytes]
    """Asked for the SUBSCRIBE call before each attempt."""
    on_record: Callable[[bytes], None]
    on_lost: Callable[[str], None]
    """Once for each subscription that was confirmed."""
    on_rejected: Callable[[str], None]
    """The master will not have us until a person changes something."""


class MasterLink:
    """The way to the leading master: one subscription, and the calls that belong to it."""

    def __init__(
        self,
        masters: Masters,
        listener: LinkListener,
        security: Security,
        timing: Timing,
        limits: CallLimits,
        *,
        random: Callable[[], float],
    ) -> None:
        self.stats = LinkStats()
        self._masters = masters
        self._listener = listener
        self._security = security
        self._timing = timing
        self._limits = limits
        self._backoff = Backoff(timing.backoff_first_s, timing.backoff_cap_s, random)
        self._candidates: tuple[Endpoint, ...] = ()
        self._next_candidate = 0
        self._redirect: Endpoint | None = None
        self._redirects_in_row = 0
        self._endpoint: Endpoint | None = None
        self._subscription: Subscription | None = None
        self._attempt: asyncio.Task[SubscriptionEnd] | None = None
        self._given_up: str | None = None
        self._slowly = False
        self._subscribed_at_s = 0.0
        self._was_brief = False
        """Whether the last subscription ended sooner than the longest back-off lasts."""
        self._stream_id = ""
        self._channel: CallChannel | None = None
        self._finished = False
        self._wake = asyncio.Event()

    @property
    def endpoint(self) -> Endpoint | None:
        """The master of the present attempt or subscription."""
        return self._endpoint

    @property
    def is_subscribed(self) -> bool:
        """Whether a master has us subscribed now, as far as we know."""
        return self._channel is not None

    @property
    def is_given_up(self) -> bool:
        """Whether what still comes in on the present subscription is void."""
        return self._given_up is not None

    async def run(self) -> None:
        """Subscribe again and again until ``finish``; cancelling closes both connections."""
        self._masters.start(self._on_masters)
        try:
            while not self._finished:
                endpoint = await self._next_endpoint()
                if endpoint is not None:
                    await self._pause_after(await self._subscribe(endpoint))
        finally:
            self._masters.stop()
            self._leave("driver stopped")

    def confirm(self, heartbeat_s: float) -> None:
        """Take note of SUBSCRIBED: calls are possible, and silence is judged by its interval."""
        subscription, endpoint = self._subscription, self._endpoint
        if subscription is None or endpoint is None or self._channel is not None:
            raise ValueError("SUBSCRIBED out of turn")
        if not heartbeat_s > 0:
            raise ValueError(f"heartbeat interval of {heartbeat_s} s")
        subscription.silence_limit_s = heartbeat_s * self._timing.missed_heartbeats
        self._channel = CallChannel(
            lambda make: connect(
                endpoint, make, self._security.tls, self._timing.connect_timeout_s
            ),
            self._request_head(endpoint, self._stream_id),
            self._limits,
        )
        if self._security.credential is not None and endpoint.scheme == "http":
            _log.warning("mesos_credential_sent_in_clear", master=endpoint.authority)
        if not self._was_brief:
            self._backoff.reset()
        self._subscribed_at_s = asyncio.get_running_loop().time()
        self._redirects_in_row = 0
        self.stats.subscriptions += 1

    def send(self, body: bytes) -> asyncio.Future[CallOutcome]:
        """Send one call of the present subscription; NotSent where there is none."""
        if self._channel is None:
            return settled(NotSent("not subscribed"))
        return self._channel.send(body)

    def give_up(self, reason: str, *, slowly: bool = False) -> None:
        """End the present subscription and make another; ``slowly`` waits the longest first."""
        self._given_up = reason
        self._slowly = slowly
        if self._attempt is not None:
            self._attempt.cancel()

    def finish(self, reason: str) -> None:
        """End ``run`` soon."""
        self._finished = True
        self.give_up(reason)
        self._wake.set()

    def _on_masters(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Take a new list of masters.

        A subscription to a master that is not in it is left, unless none is known at all: a live
        stream is better proof of a leader than the silence of ZooKeeper is of the contrary.
        """
        _log.info("mesos_masters_known", masters=[endpoint.authority for endpoint in endpoints])
        changed = endpoints != self._candidates
        self._candidates = endpoints
        if not changed or not endpoints:
            return
        self._redirect = None
        self._next_candidate = 0
        # Addresses alone are compared: once redirected, the path differs.
        known = {(endpoint.host, endpoint.port) for endpoint in endpoints}
        present = self._endpoint
        if present is not None and (present.host, present.port) not in known:
            self.give_up("another master leads")
        self._wake.set()

    async def _next_endpoint(self) -> Endpoint | None:
        """Choose whom to ask next: where we were sent, else the candidates in turn."""
        redirect, self._redirect = self._redirect, None
        if redirect is not None:
            return redirect
        if not self._candidates:
            await self._wait(None)
            return None
        chosen = self._candidates[self._next_candidate % len(self._candidates)]
        self._next_candidate += 1
        return chosen

    async def _subscribe(self, endpoint: Endpoint) -> SubscriptionEnd:
        """Make one attempt and hold what comes of it until it ends."""
        self._endpoint, self._given_up, self._slowly = endpoint, None, False
        body = self._listener.subscribe_body()
        subscription = self._subscription = Subscription(
            endpoint,
            b"%s%d\r\n\r\n%s" % (self._request_head(endpoint, None), len(body), body),
            self._security.tls,
            self._timing,
            on_open=self._on_open,
            on_record=self._listener.on_record,
        )
        attempt = self._attempt = asyncio.ensure_future(subscription.run())
        try:
            await asyncio.wait((attempt,))
        finally:
            attempt.cancel()
        if attempt.cancelled():
            reason = self._given_up or "cancelled"
            end = Lost(reason) if subscription.is_open else Unavailable(reason)
        else:
            end = attempt.result()
        self._leave("redirected" if isinstance(end, Redirected) else end.reason)
        return end

    def _on_open(self, stream_id: str) -> None:
        self._stream_id = stream_id

    def _leave(self, reason: str) -> None:
        """Close what belongs to the subscription; tell of the loss once, if there was one."""
        self._attempt = self._subscription = self._endpoint = None
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close(reason, linger=not self._finished)
            self.stats.disconnections += 1
            held_s = asyncio.get_running_loop().time() - self._subscribed_at_s
            self._was_brief = held_s < self._timing.backoff_cap_s
            if not self._was_brief:
                self._backoff.reset()
            _log.warning("mesos_disconnected", reason=reason)
            self._listener.on_lost(reason)

    async def _pause_after(self, end: SubscriptionEnd) -> None:
        """Wait as long as the way the attempt ended asks for."""
        match end:
            case Redirected(to):
                _log.info("mesos_redirected", to=to.authority)
                self._redirect = to
                self._redirects_in_row += 1
                if self._redirects_in_row > 1:  # two masters may point at each other
                    await self._wait(self._backoff.next_s())
            case Rejected(status, reason):
                self.stats.failed_attempts += 1
                self._listener.on_rejected(f"{status} {reason}")
                await self._wait(self._backoff.longest_s())
            case Unavailable(reason):
                self.stats.failed_attempts += 1
                _log.warning("mesos_unavailable", reason=reason)
                await self._wait(self._backoff.next_s())
            case Lost():
                longest = self._slowly
                await self._wait(self._backoff.longest_s() if longest else self._backoff.next_s())

    async def _wait(self, delay_s: float | None) -> None:
        """Sleep, but not through the end or news of another master."""
        if self._finished:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _request_head(self, endpoint: Endpoint, stream_id: str | None) -> bytes:
        """Write the head of a call, afresh each time, up to the value of Content-Length."""
        fields = [
            f"POST {endpoint.path} HTTP/1.1",
            f"Host: {endpoint.authority}",
            # Exactly so: with a charset behind it Mesos answers 415 (traces, 07).
            "Content-Type: application/json",
            "Accept: application/json",
        ]
        if stream_id is not None:
            fields.append(f"Mesos-Stream-Id: {stream_id}")
        if self._security.credential is not None:
            fields.append(f"Authorization: {self._security.credential.header()}")
        fields.append("Content-Length: ")
        # A host that is not Latin-1 was not found either: nothing is sent with a "?" in it.
        return "\r\n".join(fields).encode("latin-1", "replace")


def settled(outcome: CallOutcome) -> asyncio.Future[CallOutcome]:
    """Make a future that has its outcome already."""
    future: asyncio.Future[CallOutcome] = asyncio.get_running_loop().create_future()
    future.set_result(outcome)
    return future
