"""Write what a task or an executor takes as Mesos's Resources."""

import orjson

from scheduler.core.offer import Pool
from scheduler.mesos.framework import JsonObject


def resources(pools: tuple[Pool, ...], role: str) -> list[JsonObject]:
    """List pools by reservation, allocated to the role of the offer they were taken from."""
    allocated = {"allocation_info": {"role": role}}
    return [{**resource, **allocated} for pool in pools for resource in _pool_resources(pool)]


def _pool_resources(pool: Pool) -> list[JsonObject]:
    reserved: JsonObject = (
        {"reservations": orjson.loads(pool.reservation)} if pool.reservation else {}
    )
    scalars = {
        "cpus": pool.cpus_milli / 1000,
        "mem": float(pool.mem_mib),
        "disk": float(pool.disk_mib),
        "gpus": float(pool.gpus),
    }
    resources: list[JsonObject] = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}, **reserved}
        for name, value in scalars.items()
        if value
    ]
    if pool.ports:
        ranges = [{"begin": ports.begin, "end": ports.end} for ports in pool.ports]
        resources.append(
            {"name": "ports", "type": "RANGES", "ranges": {"range": ranges}, **reserved}
        )
    return resources
