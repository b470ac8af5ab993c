"""A service for tests: answers HTTP on $PORT0 and tells how it was ended.

It answers 500 as soon as a file named by $SICK exists. On TERM it asks Consul, if $CONSUL is set,
how many entries of the service $SERVICE still point to this task, and appends that number to the
file $EVIDENCE. Pure Python, started with -S: many of them start at once.
"""

import json
import os
import signal
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

TASK_ID = os.environ["MESOS_TASK_ID"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        is_sick = Path(os.environ.get("SICK", "/nonexistent")).exists()
        body = TASK_ID.encode()
        self.send_response(500 if is_sick else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # noqa: A002 - the base class names it so
        pass


def on_term(*_):
    if "CONSUL" in os.environ:
        url = f"{os.environ['CONSUL']}/v1/catalog/service/{os.environ['SERVICE']}"
        with urllib.request.urlopen(url) as answer:
            mine = [row for row in json.load(answer) if TASK_ID in row["ServiceID"]]
        with Path(os.environ["EVIDENCE"]).open("a") as evidence:
            evidence.write(f"{len(mine)}\n")
    os._exit(0)


signal.signal(signal.SIGTERM, on_term)
HTTPServer(("", int(os.environ["PORT0"])), Handler).serve_forever()
