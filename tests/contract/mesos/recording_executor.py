"""A custom executor for tests: standard library only, writes down all it hears.

It answers each LAUNCH with one TASK_RUNNING, each KILL with TASK_KILLING and TASK_KILLED, echoes
messages, and exits with the code that a message ``exit:N`` names. Its log is `events.jsonl` and its
environment `env.json`, both in the directory given as the first argument.
"""

import base64
import contextlib
import http.client
import json
import os
import sys
import threading
import time
import uuid
from pathlib import Path

LOG = Path(sys.argv[1])
HOST = os.environ["MESOS_AGENT_ENDPOINT"]
IDENTITY = {
    "framework_id": {"value": os.environ["MESOS_FRAMEWORK_ID"]},
    "executor_id": {"value": os.environ["MESOS_EXECUTOR_ID"]},
}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
unacknowledged: dict[str, dict] = {}
lock = threading.Lock()


def post(call: dict) -> None:
    connection = http.client.HTTPConnection(HOST, timeout=5)
    connection.request("POST", "/api/v1/executor", json.dumps({**IDENTITY, **call}), HEADERS)
    connection.getresponse().read()
    connection.close()


def update(task_id: str, state: str) -> None:
    status = {
        "task_id": {"value": task_id},
        "state": state,
        "source": "SOURCE_EXECUTOR",
        "executor_id": IDENTITY["executor_id"],
        "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
        "timestamp": time.time(),
        "message": "recorded",
        "data": base64.b64encode(b"opaque").decode(),
    }
    with lock:
        unacknowledged[status["uuid"]] = status
    with contextlib.suppress(OSError):  # SUBSCRIBE sends it again.
        post({"type": "UPDATE", "update": {"status": status}})


def handle(event: dict) -> None:
    with (LOG / "events.jsonl").open("a") as file:
        file.write(json.dumps(event) + "\n")
    kind = event["type"]
    if kind == "LAUNCH":
        update(event["launch"]["task"]["task_id"]["value"], "TASK_RUNNING")
    elif kind == "LAUNCH_GROUP":
        for task in event["launch_group"]["task_group"]["tasks"]:
            update(task["task_id"]["value"], "TASK_RUNNING")
    elif kind == "KILL":
        for state in ("TASK_KILLING", "TASK_KILLED"):
            update(event["kill"]["task_id"]["value"], state)
    elif kind == "ACKNOWLEDGED":
        with lock:
            unacknowledged.pop(event["acknowledged"]["uuid"], None)
    elif kind == "MESSAGE":
        text = base64.b64decode(event["message"]["data"]).decode()
        if text.startswith("exit:"):
            os._exit(int(text.removeprefix("exit:")))
        data = base64.b64encode(f"echo:{text}".encode()).decode()
        post({"type": "MESSAGE", "message": {"data": data}})
    elif kind == "SHUTDOWN":
        os._exit(0)


def listen() -> None:
    connection = http.client.HTTPConnection(HOST, timeout=600)
    with lock:
        updates = [{"status": s} for s in unacknowledged.values()]
    body = {"unacknowledged_tasks": [], "unacknowledged_updates": updates}
    call = {**IDENTITY, "type": "SUBSCRIBE", "subscribe": body}
    connection.request("POST", "/api/v1/executor", json.dumps(call), HEADERS)
    stream = connection.getresponse()
    while line := stream.readline():
        handle(json.loads(stream.read(int(line))))


(LOG / "env.json").write_text(json.dumps(dict(os.environ)))
while True:
    with contextlib.suppress(OSError, http.client.HTTPException):  # The agent is away.
        listen()
    time.sleep(0.2)
