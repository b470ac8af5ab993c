"""Speak to the scheduler's API over HTTP and turn every kind of refusal into a clear failure."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import requests
from attrs import frozen

from scheduler.cli.address import Server
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.jsonvalues import fields, items, objects

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 60
_PROBLEMS_SHOWN = 40

Params = Mapping[str, str]


@frozen
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


class Client:
    """One scheduler's API. Every method raises Failure for whatever is no success."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._session = requests.Session()
        # A proxy for the outer world must not come between us and our own machine.
        self._session.trust_env = urlsplit(server.url).hostname not in {
            "127.0.0.1",
            "::1",
            "localhost",
        }
        self._session.headers["User-Agent"] = "egret-cli"

    def get(self, path: str, params: Params | None = None) -> Any:
        """Return the body of a GET."""
        return self.call("GET", path, params).body

    def text(self, path: str) -> str:
        """Return the body of a GET that is no JSON."""
        answer = self._send("GET", path, None, None, accept="text/plain")
        self._check("GET", path, answer)
        return str(answer.body)

    def find(self, path: str, params: Params | None = None) -> Any:
        """Return the body of a GET, or None where there is no such thing."""
        answer = self._send("GET", path, params, None)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        self._check("GET", path, answer)
        return answer.body

    def call(
        self, method: str, path: str, params: Params | None = None, body: Any = None
    ) -> Answer:
        """Send a request and return its answer.

        Raises:
            Failure: no connection, or an answer that is not 2xx.
        """
        answer = self._send(method, path, params, body)
        self._check(method, path, answer, params)
        return answer

    def stream(self, path: str, params: Params, accept: str) -> Iterator[str]:
        """Yield the lines of an endless answer.

        Raises:
            Failure: no connection, or an answer that is not 2xx.
        """
        try:
            response = self._session.get(
                self.server.url + path,
                params=dict(params),
                headers={"Accept": accept},
                stream=True,
                timeout=(CONNECT_TIMEOUT_S, None),
            )
            if not response.ok:
                self._check("GET", path, _answer(response), params)
            for line in response.iter_lines():
                yield line.decode("utf-8", "replace")
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Any,
        accept: str = "application/json",
    ) -> Answer:
        data = None if body is None else orjson.dumps(body)
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = self._session.request(
                method,
                self.server.url + path,
                params=dict(params or {}),
                data=data,
                headers=headers,
                timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S),
            )
        except requests.RequestException as error:
            raise self._unreachable(error) from None
        return _answer(response)

    def _unreachable(self, error: requests.RequestException) -> Failure:
        if isinstance(error, requests.ReadTimeout):
            return Failure(
                ExitCode.TIMEOUT,
                f"{self.server.url} did not answer within {ANSWER_TIMEOUT_S} s.",
                "What was asked for may still happen; look with `egret deployment list`.",
            )
        return Failure(
            ExitCode.NOT_REACHABLE,
            f"No scheduler answers at {self.server.url} ({self.server.origin}).",
            "Start one with `egret scheduler`, or a whole demo with `egret local`,",
            "or name another: --server http://HOST:PORT, or $EGRET_SERVER.",
            "`egret doctor` checks what is there.",
        )

    def _check(self, method: str, path: str, answer: Answer, params: Params | None = None) -> None:
        if 200 <= answer.status < 300:
            return
        message = _message(answer.body) or f"{method} {path} was answered {answer.status}"
        details = problems_in(answer.body)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise Failure(ExitCode.NOT_FOUND, f"{message}.".replace("..", "."), *details)
        if answer.status in {502, 503, 504}:
            raise Failure(
                ExitCode.NOT_REACHABLE,
                f"{self.server.url} cannot serve this now: {message}",
                "It may be waiting for Mesos or for its store; `egret doctor` tells more.",
            )
        if answer.status >= 500:
            raise Failure(ExitCode.FAILED, f"The scheduler failed ({answer.status}): {message}")
        advice = _advice(path, params or {}, answer)
        if advice:
            # The API advises ?force=true; the command line has a flag for that.
            message = message.partition(" Override with")[0]
        raise Failure(ExitCode.REFUSED, message, *details, *advice)


def app_path(app_id: str, *more: str) -> str:
    """Return the API path of an app, or of something below it."""
    parts = [part for part in app_id.split("/") if part]
    return "/".join(["/v2/apps", *(quote(part, safe="*") for part in parts), *more])


def group_path(group_id: str) -> str:
    """Return the API path of a group; that of the root has no id."""
    parts = [quote(part, safe="") for part in group_id.split("/") if part]
    return "/".join(["/v2/groups", *parts])


def problems_in(body: Any) -> list[str]:
    """List the problems of an error body, each as ``path: what is wrong``."""
    lines: list[str] = []
    for detail in items(fields(body).get("details")):
        entry = fields(detail)
        if entry:
            lines += [f"{entry.get('path', '/')}: {text}" for text in items(entry.get("errors"))]
        else:
            lines.append(str(detail))
    if len(lines) > _PROBLEMS_SHOWN:
        return [*lines[:_PROBLEMS_SHOWN], f"… and {len(lines) - _PROBLEMS_SHOWN} more"]
    return lines


def _answer(response: requests.Response) -> Answer:
    try:
        body = orjson.loads(response.content) if response.content else None
    except orjson.JSONDecodeError:
        body = response.text
    return Answer(response.status_code, body, response.headers)


def _message(body: Any) -> str:
    if isinstance(body, dict):
        return str(fields(body).get("message", ""))
    return str(body or "").strip()[:500]


def _advice(path: str, params: Params, answer: Answer) -> list[str]:
    if answer.status != HTTPStatus.CONFLICT:
        return []
    ids = [str(one.get("id")) for one in objects(fields(answer.body).get("deployments"))]
    if not ids:
        return []
    force = "or override it with --force."
    if "queue" in params:
        # Who would wait is refused only for what waits already.
        return [f"Deployment {', '.join(ids)} waits for it already: cancel that, {force}"]
    wait = f"Wait for it (`egret deployment watch {ids[0]}`)"
    queue = "" if path == "/v2/tasks/delete" else ", let the change wait with --queue,"
    return [f"It is locked by deployment {', '.join(ids)}.", f"{wait}{queue} {force}"]
