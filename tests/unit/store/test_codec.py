"""What was stored once must be read for ever."""

import json
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from attrs import fields, has
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler.core.app import AppSpec
from scheduler.core.deployment import Deployment
from scheduler.core.group import Group
from scheduler.core.instance import Instance
from scheduler.core.offer import Agent
from scheduler.core.records import (
    App,
    AppVersion,
    Delay,
    Ended,
    Entity,
    Failure,
    Finished,
    Framework,
    Kind,
    put,
)
from scheduler.store import CorruptState
from tests.unit.store.samples import CODEC, FULL_INSTANCE, SAMPLES

GOLDEN = json.loads((Path(__file__).parent / "golden_v1.json").read_text())

# Specs go through the spec room, which has properties of its own.
_VERSIONS = st.builds(
    AppVersion,
    spec=st.builds(AppSpec, id=st.text(), cmd=st.none() | st.text(), instances=st.integers(0, 99)),
)
_KINDS = (Instance, Deployment, Agent, App, Delay, Ended, Failure, Finished, Framework, Group)


def _any(annotation: Any) -> st.SearchStrategy[Any]:
    """Build any value of a core type; integers stay within what the smallest field holds."""
    arguments = get_args(annotation)
    if annotation is int:
        return st.integers(0, (1 << 31) - 1)
    if get_origin(annotation) is tuple and arguments[-1] is ...:
        return st.lists(_any(arguments[0]), max_size=3).map(tuple)
    if get_origin(annotation) is tuple:
        return st.tuples(*map(_any, arguments))
    if arguments:
        return st.one_of(*map(_any, arguments))
    if has(annotation):
        return st.builds(
            annotation, **{field.name: _any(field.type) for field in fields(annotation)}
        )
    return st.from_type(annotation)


@given(st.one_of(*map(_any, _KINDS), _VERSIONS))
def test_decoding_gives_back_what_was_encoded(entity: Entity):
    record = put(entity)
    assume(not isinstance(entity, Framework) or entity.id)
    assert CODEC.decode(record.kind, record.key, CODEC.encode(entity)) == record


@pytest.mark.parametrize("name", SAMPLES)
def test_the_bytes_of_a_record_never_change(name: str):
    """A store written by an earlier release holds exactly these bytes."""
    assert CODEC.encode(SAMPLES[name]).hex() == GOLDEN[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_bytes_of_an_earlier_release_are_read(name: str):
    record = put(SAMPLES[name])
    assert CODEC.decode(record.kind, record.key, bytes.fromhex(GOLDEN[name])) == record


def test_every_kind_has_a_golden_record():
    assert {put(entity).kind for entity in SAMPLES.values()} == set(Kind)


def test_the_full_sample_leaves_no_field_of_an_instance_at_its_default():
    """Else a forgotten field could be lost without the golden bytes noticing."""
    at_default = {
        field.name
        for field in fields(Instance)
        if getattr(FULL_INSTANCE, field.name) == field.default
    }
    assert not at_default


@pytest.mark.parametrize("kind", Kind)
def test_damaged_bytes_are_refused_with_kind_and_key(kind: Kind):
    with pytest.raises(CorruptState, match=rf"{kind} '/the/key'.*cannot be decoded"):
        CODEC.decode(kind, "/the/key", b"\xff\xff\xff")


@pytest.mark.parametrize("kind", Kind)
def test_empty_bytes_are_refused(kind: Kind):
    with pytest.raises(CorruptState, match="'/the/key'"):
        CODEC.decode(kind, "/the/key", b"")


def test_a_value_under_a_foreign_key_is_refused():
    with pytest.raises(CorruptState, match="app '/other' holds the value of '/shop/web'"):
        CODEC.decode(Kind.APP, "/other", CODEC.encode(SAMPLES["app"]))


def test_a_state_that_is_no_word_of_ours_is_refused():
    value = CODEC.encode(FULL_INSTANCE).replace(b"Killing", b"Kissing")
    with pytest.raises(CorruptState, match=r"instance 'shop_web\.instance-1'.*Kissing"):
        CODEC.decode(Kind.INSTANCE, FULL_INSTANCE.id, value)


def test_a_kind_that_is_none_of_ours_is_refused():
    with pytest.raises(CorruptState, match="'pod'"):
        CODEC.decode("pod", "/x", b"")
