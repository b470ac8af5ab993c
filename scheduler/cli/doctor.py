"""Check what a working scheduler needs: ``egret doctor``.

It looks from this machine, as this user. What it cannot see from here it says it cannot.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click
import requests
from attrs import asdict, frozen
from rich.text import Text

from scheduler.cli.address import config_path
from scheduler.cli.announcement import announcement_path, find_announcement
from scheduler.cli.client import Client
from scheduler.cli.demo_children import find_consul
from scheduler.cli.failures import ExitCode, Failure
from scheduler.cli.info import mesos_url
from scheduler.cli.jsonvalues import Fields, fields
from scheduler.cli.output import BAD, GOOD, WAITING, print_json, print_table
from scheduler.cli.session import Session, connected
from scheduler.cli.waiting import refusals_of

_TIMEOUT_S = 5
_REFUSALS_SHOWN = 10
_STYLES = {"ok": GOOD, "note": WAITING, "wrong": BAD}


@frozen
class Finding:
    """One thing looked at; `verdict` is ok, note (works, worth knowing) or wrong."""

    what: str
    verdict: str
    says: str


@click.command(name="doctor")
@click.pass_context
@connected
def command(session: Session, ctx: click.Context) -> None:
    """Check the server, Mesos, Consul and file permissions; exit code 1 if anything is wrong."""
    findings = [*_look_at_server(session.client), *_look_at_files()]
    if session.as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [[f.what, Text(f.verdict, _STYLES[f.verdict]), f.says] for f in findings]
        print_table(["what", "verdict", "because"], rows, "")
    is_wrong = any(finding.verdict == "wrong" for finding in findings)
    ctx.exit(ExitCode.FAILED if is_wrong else ExitCode.OK)


# ------------------------------------------------------------------- the scheduler


def _look_at_server(client: Client) -> Iterator[Finding]:
    server = client.server
    try:
        info = fields(client.get("/v2/info", {"embed": "egret"}))
    except Failure as failure:
        says = " ".join([failure.message, *failure.advice[:2]])
        yield Finding("scheduler", "wrong", says)
        return
    version = fields(info.get("egret")).get("version") or info.get("version")
    yield Finding("scheduler", "ok", f"{server.url} ({server.origin}), version {version}")
    if not info.get("elected"):
        leader = info.get("leader")
        verdict = "note" if leader else "wrong"
        yield Finding("leader", verdict, f"it does not lead; the leader: {leader or 'none'}")
    yield from _look_at_mesos(info)
    yield from _look_at_consul(info)
    yield from _look_at_metrics(client)


def _look_at_mesos(info: Fields) -> Iterator[Finding]:
    url = mesos_url(info)
    if url is None:
        yield Finding(
            "Mesos",
            "wrong",
            "the scheduler has found no master: check --master and its log",
        )
        return
    is_connected = fields(info.get("egret")).get("mesosConnected")
    problem = _get(f"{url}/health")
    if problem is not None:
        verdict = "note" if is_connected else "wrong"
        yield Finding("Mesos master", verdict, f"{url} does not answer from here: {problem}")
    if is_connected:
        framework = info.get("frameworkId")
        yield Finding("Mesos", "ok", f"registered at {url} as framework {framework}")
    else:
        yield Finding("Mesos", "wrong", f"the scheduler is not connected to {url}: see its log")


def _look_at_consul(info: Fields) -> Iterator[Finding]:
    consul = fields(info.get("egret")).get("consul") or fields(info.get("marathon_config")).get(
        "consul"
    )
    demo = find_announcement()
    if consul is None and demo is not None:
        consul = demo.consul
    if not consul:
        return
    problem = _get(f"{consul}/v1/status/leader")
    if problem is None:
        yield Finding("Consul", "ok", f"{consul} answers")
    else:
        yield Finding("Consul", "wrong", f"{consul} does not answer from here: {problem}")


def _look_at_metrics(client: Client) -> Iterator[Finding]:
    text = client.text("/metrics")
    values = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")
    )
    if float(values.get("egret_store_degraded", 0)):
        yield Finding(
            "store", "wrong", "the last commit failed: nothing is changed until one works"
        )
    else:
        yield Finding("store", "ok", "commits succeed")
    if "egret_consul_synced" not in values:
        yield Finding("discovery", "note", "off: start the scheduler with --consul URL")
    elif float(values["egret_consul_synced"]):
        count = int(float(values.get("egret_consul_registrations", 0)))
        yield Finding("discovery", "ok", f"Consul holds all {count} registrations")
    else:
        lag_s = float(values.get("egret_consul_lag_seconds", 0))
        yield Finding("discovery", "wrong", f"Consul has been behind for {lag_s:.0f} s")
    if float(values.get("egret_health_brake", 0)):
        yield Finding(
            "health",
            "wrong",
            "too much fails at once, nothing is killed for it: see `egret brake show`",
        )
    yield from _look_at_refusals(client)
    unknown = int(float(values.get("egret_unknown_tasks", 0)))
    if unknown:
        yield Finding(
            "tasks",
            "note",
            f"{unknown} tasks run that the store does not know: see `egret task list --unknown`",
        )


def _look_at_refusals(client: Client) -> Iterator[Finding]:
    refusals = refusals_of(client)
    for refusal in refusals[:_REFUSALS_SHOWN]:
        says = f"{refusal['name']} of {refusal['app']} is not registered: {refusal['reason']}"
        yield Finding("Consul name", "wrong", says)
    if len(refusals) > _REFUSALS_SHOWN:
        more = len(refusals) - _REFUSALS_SHOWN
        yield Finding("Consul name", "wrong", f"and {more} more: GET /v2/egret/discovery")


def _get(url: str) -> str | None:
    """Ask; return what is wrong, or None."""
    session = requests.Session()
    session.trust_env = urlsplit(url).hostname not in {"127.0.0.1", "localhost"}
    try:
        response = session.get(url, timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        return type(error).__name__
    return None if response.ok else f"status {response.status_code}"


# --------------------------------------------------------------------- this machine


def _look_at_files() -> Iterator[Finding]:
    config = config_path()
    if config.exists():
        yield from _look_at_mode("configuration", config)
    note = announcement_path()
    if note.exists() and find_announcement() is None:
        yield Finding("demo", "note", f"{note} was left by an `egret local` that is gone; harmless")
    if find_consul() is None:
        yield Finding("consul binary", "note", "none for `egret local`: run `make tools`")
    if shutil.which("docker") is None:
        yield Finding("docker", "note", "none here: `egret local` refuses apps with Docker images")


def _look_at_mode(what: str, path: Path) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Finding(what, "wrong", f"{path}: {error.strerror}")
        return
    if not os.access(path, os.R_OK):
        yield Finding(what, "wrong", f"{path} cannot be read by this user")
    elif mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding(what, "wrong", f"{path} can be changed by others: chmod go-w {path}")
    else:
        yield Finding(what, "ok", f"{path} is ours alone to change")
