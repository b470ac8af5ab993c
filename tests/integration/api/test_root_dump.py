"""A dump of Marathon's root is put as it is, and comes back equal.

The dump is made here, in the form in which Marathon 1.11 answers GET /v2/groups: what it always
shows is there, what it leaves out when empty is not, and each app uses another mix of fields.
"""

from random import Random
from typing import Any

import httpx2

from tests.live_egret import live_egret

APPS = 1_000
GROUPS = 40
VERSION = "2021-07-27T14:40:33.012Z"
SERVER_SET = {"version", "versionInfo"}


def always(app_id) -> dict[str, Any]:
    return {
        "id": app_id,
        "backoffFactor": 1.15,
        "backoffSeconds": 1,
        "cpus": 0.1,
        "disk": 0,
        "executor": "",
        "gpus": 0,
        "instances": 0,
        "killSelection": "YOUNGEST_FIRST",
        "labels": {},
        "maxLaunchDelaySeconds": 300,
        "mem": 128,
        "networks": [{"mode": "host"}],
        "requirePorts": False,
        "role": "*",
        "unreachableStrategy": {"expungeAfterSeconds": 0, "inactiveAfterSeconds": 0},
        "upgradeStrategy": {"maximumOverCapacity": 1, "minimumHealthCapacity": 1},
        "version": VERSION,
        "versionInfo": {"lastConfigChangeAt": VERSION, "lastScalingAt": VERSION},
    }


def on_host(number):
    ports = [
        {"name": "http", "port": 10_000 + number, "protocol": "tcp"},
        {
            "labels": {"VIP_0": f"/app-{number}:80"},
            "name": "admin",
            "port": 0,
            "protocol": "udp,tcp",
        },
    ]
    ports[1]["port"] = 15_000 + number
    return {"cmd": f"./run --number {number}", "portDefinitions": ports}


def without_ports(number) -> dict[str, Any]:
    return {"args": ["worker", str(number)], "cmd": None, "portDefinitions": []} | {
        "container": {
            "docker": {
                "forcePullImage": True,
                "image": f"registry.example/worker:{number}",
                "parameters": [{"key": "ulimit", "value": "nofile=4096"}],
                "privileged": True,
            },
            "type": "DOCKER",
            "volumes": [{"containerPath": "/data", "hostPath": "/srv/data", "mode": "RO"}],
        }
    }


def bridged(number):
    return {
        "cmd": "nginx",
        "networks": [{"mode": "container/bridge"}],
        "container": {
            "docker": {
                "forcePullImage": False,
                "image": "nginx:1",
                "parameters": [],
                "privileged": False,
            },
            "portMappings": [
                {
                    "containerPort": 80,
                    "hostPort": 0,
                    "labels": {"team": "web"},
                    "name": "http",
                    "protocol": "tcp",
                    "servicePort": 10_000 + number,
                }
            ],
            "type": "DOCKER",
            "volumes": [],
        },
    }


def on_a_network(number):
    return {
        "cmd": "sleep 1",
        "networks": [{"labels": {"zone": "b"}, "mode": "container", "name": "dcos"}],
        "container": {
            "linuxInfo": {"ipcInfo": {"mode": "PRIVATE", "shmSize": 64}},
            "portMappings": [
                {
                    "containerPort": 9_000,
                    "labels": {},
                    "name": "api",
                    "networkNames": ["dcos"],
                    "protocol": "tcp",
                    "servicePort": 10_000 + number,
                }
            ],
            "type": "MESOS",
            "volumes": [],
        },
    }


def check(protocol, **more):
    return {
        "delaySeconds": 15,
        "gracePeriodSeconds": 300,
        "intervalSeconds": 60,
        "ipProtocol": "IPv4",
        "maxConsecutiveFailures": 3,
        "portIndex": 0,
        "protocol": protocol,
        "timeoutSeconds": 20,
        **more,
    }


EXTRAS = [
    {"env": {"LANG": "C.UTF-8", "EMPTY": ""}},
    {"labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "a.example,b.example", "ü": "☃"}},
    {"constraints": [["hostname", "UNIQUE"], ["rack", "GROUP_BY", "3"], ["os", "LIKE", "deb.*"]]},
    {"acceptedResourceRoles": ["*"]},
    {"user": "www-data"},
    {"tty": True},
    {"taskKillGracePeriodSeconds": 30},
    {"killSelection": "OLDEST_FIRST"},
    {"unreachableStrategy": "disabled"},
    {"unreachableStrategy": {"expungeAfterSeconds": 600, "inactiveAfterSeconds": 300}},
    {"upgradeStrategy": {"maximumOverCapacity": 0.25, "minimumHealthCapacity": 0.5}},
    {"backoffFactor": 2, "backoffSeconds": 5, "maxLaunchDelaySeconds": 3600},
    {"cpus": 1.5, "mem": 2048, "disk": 512},
    {"resourceLimits": {"cpus": "unlimited", "mem": 65536}},
    {"executorResources": {"cpus": 0.1, "disk": 10, "mem": 32}},
    {
        "fetch": [
            {
                "cache": True,
                "destPath": "conf/a",
                "executable": False,
                "extract": False,
                "uri": "http://files.example/a.tgz",
            }
        ]
    },
]

WITH_PORTS = [
    {"healthChecks": [check("HTTP", ignoreHttp1xx=False, path="/health")]},
    {"healthChecks": [check("TCP"), check("HTTPS", ignoreHttp1xx=True, path="/")]},
    {"healthChecks": [check("MESOS_HTTP", path="/health")]},
    {
        "readinessChecks": [
            {
                "httpStatusCodesForReady": [200, 202],
                "intervalSeconds": 30,
                "name": "ready",
                "path": "/ready",
                "portName": "http",
                "preserveLastResponse": True,
                "protocol": "HTTP",
                "timeoutSeconds": 10,
            }
        ]
    },
]


def make_app(number, rng) -> dict[str, Any]:
    kind = (on_host, without_ports, bridged, on_a_network)[number % 4]
    app = always(f"/g{number % GROUPS}/app-{number}") | kind(number)
    for extra in rng.sample(EXTRAS, 4):
        app |= extra
    if kind is not without_ports:
        choice = rng.choice(WITH_PORTS)
        if "readinessChecks" not in choice or kind in {on_host, bridged}:
            app |= choice
    if number >= GROUPS * 4 and rng.random() < 0.2:
        app["dependencies"] = [f"/g{number % GROUPS}/app-{number % GROUPS}"]
    return {name: value for name, value in app.items() if value is not None}


def make_dump():
    rng = Random(5)
    apps = [make_app(number, rng) for number in range(APPS)]
    groups = [
        {
            "id": f"/g{number}",
            "apps": [app for app in apps if app["id"].startswith(f"/g{number}/")],
            "groups": [],
            "pods": [],
            "dependencies": ["/g0"] if number == 1 else [],
            "enforceRole": False,
            "version": VERSION,
        }
        for number in range(GROUPS)
    ]
    root = {"id": "/", "apps": [], "groups": groups, "pods": [], "dependencies": []}
    return root | {"version": VERSION}


def canonical(group):
    """What is left to compare: all but the times that a server sets, in one order."""
    apps = [{k: v for k, v in app.items() if k not in SERVER_SET} for app in group["apps"]]
    return {name: value for name, value in group.items() if name != "version"} | {
        "apps": sorted(apps, key=lambda app: app["id"]),
        "groups": sorted(map(canonical, group["groups"]), key=lambda child: child["id"]),
    }


def test_a_root_with_a_thousand_apps_comes_back_equal():
    dump = make_dump()
    with live_egret() as egret, httpx2.Client(base_url=egret.url, timeout=60) as http:
        put = http.put("/v2/groups", json=dump)
        assert put.status_code == 200, put.text[:2000]
        assert "X-Egret-Ignored-Fields" not in put.headers
        shown = http.get("/v2/groups").json()
        again = http.put("/v2/groups?force=true&dryRun=true", json=shown).json()
    assert canonical(shown) == canonical(dump)
    assert again["steps"] == []
    assert [change for change in again["changes"] if change["fields"]] == []
