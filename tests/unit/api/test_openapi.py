"""The description of the API is made from what decodes, and what is committed is current."""

import json

import attrs
import pytest

from scheduler.api.openapi import as_text, document
from scheduler.api.operations import OPERATIONS
from scheduler.api.routes import TABLE
from scheduler.spec.structure import camel
from scheduler.spec.wire import WireApp
from tests.conftest import REPOSITORY

SCHEMAS = document("0")["components"]["schemas"]


def test_the_committed_document_is_current():
    """To mend it: make openapi."""
    assert (REPOSITORY / "docs/openapi.json").read_bytes() == as_text()


def test_every_handler_is_described_and_nothing_else():
    assert {handler for _, handlers in TABLE for handler in handlers.values()} == set(OPERATIONS)


async def test_the_document_is_served(egret):
    served = (await egret.http.get("/openapi.json")).json()
    assert served == json.loads(json.dumps(document("0.1.0")))


def test_every_field_that_is_decoded_is_described():
    names = {camel(attribute.name) for attribute in attrs.fields(WireApp)}
    assert set(SCHEMAS["App"]["properties"]) == names


@pytest.mark.parametrize(
    ("schema", "field", "described"),
    [
        ("App", "instances", {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1}),
        ("App", "cpus", {"type": ["number", "null"], "minimum": 0.001, "maximum": 1e12}),
        ("App", "killSelection",
         {"type": ["string", "null"], "enum": ["YOUNGEST_FIRST", "OLDEST_FIRST", None]}),
        ("App", "container",
         {"anyOf": [{"$ref": "#/components/schemas/Container"}, {"type": "null"}]}),
        ("App", "fetch",
         {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Fetch"}}),
        ("Fetch", "uri", {"type": "string", "minLength": 1, "maxLength": 1024}),
        ("Network", "name",
         {"type": ["string", "null"], "minLength": 1, "maxLength": 63,
          "pattern": "^(?:[a-z0-9]([-a-z0-9_]*[a-z0-9])?)$"}),
        ("Group", "groups",
         {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Group"}}),
    ],
)  # fmt: skip
def test_bounds_are_described_as_they_are_checked(schema, field, described):
    assert SCHEMAS[schema]["properties"][field] == described


def test_every_reference_leads_somewhere():
    text = json.dumps(document("0"))
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(SCHEMAS)
