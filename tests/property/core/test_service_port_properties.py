"""Whatever apps name and leave open, in whatever order: what is given is unique and kept."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.app import AppSpec, PortDefinition
from scheduler.core.effects import Rejected
from scheduler.core.events import Upsert
from scheduler.core.ids import AppId
from scheduler.core.service_ports import ServicePorts, assign, service_ports

FIRST, LAST = 10, 15
app_ids = st.sampled_from([AppId(f"/{letter}") for letter in "abcd"])
wanted_ports = st.lists(st.sampled_from([0, 0, 0, 9, 10, 12, 16]), max_size=4)
changes = st.lists(st.dictionaries(app_ids, wanted_ports, max_size=3), max_size=8)


def spec_of(app_id, ports):
    return AppSpec(id=app_id, port_definitions=tuple(PortDefinition(port) for port in ports))


@given(changes)
def test_what_is_given_is_unique_and_kept(steps):
    held, specs = ServicePorts(), {}
    for step in steps:
        upserts = tuple(Upsert(spec_of(app_id, ports), None) for app_id, ports in step.items())
        done = assign(upserts, held, specs.get, FIRST, LAST)
        if isinstance(done, Rejected):
            continue
        for before, after in zip(upserts, done, strict=True):
            asked, got = service_ports(before.spec), service_ports(after.spec)
            app_id = after.spec.id
            for wish, port in zip(asked, got, strict=True):
                assert port == wish if wish else FIRST <= port <= LAST
            fresh = [port for wish, port in zip(asked, got, strict=True) if not wish]
            assert len(set(fresh)) == len(fresh)
            elsewhere = {
                port
                for other, spec in specs.items()
                if other != app_id and other not in step
                for port in service_ports(spec)
            }
            mine = set(service_ports(specs[app_id])) if app_id in specs else set()
            assert not (set(fresh) - mine) & elsewhere
        for after in done:
            specs[after.spec.id] = after.spec
            held.set(after.spec.id, service_ports(after.spec))
    again = tuple(Upsert(spec_of(i, [0] * len(service_ports(s))), None) for i, s in specs.items())
    for upsert in again:
        kept = assign((upsert,), held, specs.get, FIRST, LAST + 100)
        assert not isinstance(kept, Rejected)
        ours = [p for p in service_ports(specs[upsert.spec.id]) if FIRST <= p <= LAST]
        assert set(ours) <= set(service_ports(kept[0].spec))
