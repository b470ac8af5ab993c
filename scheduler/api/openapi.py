"""Describe the API in OpenAPI 3.1: paths from the route table, bodies from the types that decode.

``make openapi`` writes docs/openapi.json; GET /openapi.json serves the same. What an operation
does is what its handler says of itself; what it takes and answers stands in ``operations``.
"""

import inspect
import re
from importlib import metadata
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from scheduler.api.answers import ANSWERS
from scheduler.api.context import Api, Handler
from scheduler.api.operations import OPERATIONS, QUERIES, Operation
from scheduler.api.replies import json_response
from scheduler.api.routes import TABLE
from scheduler.spec import component_schemas

Json = dict[str, Any]

_PATH_PARAMETERS: dict[str, tuple[str, str]] = {
    "id": ("path of an app or group, without its first slash", r"^[a-z0-9]([a-z0-9-/]*[a-z0-9])?$"),
    "task_id": ("id of a task", r"^[^/]+$"),
    "version": ("when the version was made: an ISO 8601 instant", r"^[0-9TZ:.+-]+$"),
    "deployment_id": ("id of a deployment", r"^[^/]+$"),
    "name": ("name of a file", r"^[^/]+$"),
    "rest": ("id of a pod", r"^[a-z0-9-]+$"),
}
_ERROR = {"$ref": "#/components/schemas/Error"}


def document(version: str) -> Json:
    """Build the whole document; ``version`` is Egret's own."""
    paths: Json = {}
    for path, handlers in TABLE:
        template = path.replace(":path}", "}")
        paths[template] = {
            "parameters": [_path_parameter(name) for name in re.findall(r"{(\w+)}", template)],
            **{
                method.lower(): _operation(method.lower(), template, handler)
                for method, handler in handlers.items()
                if method != "HEAD"
            },
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Egret",
            "version": version,
            "description": "Marathon 1.11's API with additions.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**component_schemas(), **ANSWERS},
            "responses": {
                str(status): {
                    "description": meaning,
                    "content": {"application/json": {"schema": _ERROR}},
                }
                for status, meaning in _MEANINGS.items()
            },
        },
    }


async def show_openapi(api: Api, _request: Request) -> Response:
    """GET /openapi.json."""
    return json_response(document(api.config.version))


def _path_parameter(name: str) -> Json:
    meaning, pattern = _PATH_PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": meaning,
        "schema": {"type": "string", "pattern": pattern},
    }


def _operation(method: str, path: str, handler: Handler) -> Json:
    operation = OPERATIONS[handler]
    words = handler.__name__.replace("_", " ")
    shown: Json = {
        "operationId": re.sub(r"\W+", "_", f"{method} {path}").strip("_"),
        "summary": words[:1].upper() + words[1:],
        "description": _description(handler),
        "responses": {
            **{str(status): _answer(operation) for status in operation.statuses},
            **{str(s): {"$ref": f"#/components/responses/{s}"} for s in operation.errors},
        },
    }
    parameters = [
        *(_query(name) for name in operation.query),
        *(_header(name) for name in operation.headers),
    ]
    if parameters:
        shown["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": operation.body}}
        shown["requestBody"] = {"required": True, "content": content}
    return shown


def _description(handler: Handler) -> str:
    """Take what the handler says of itself, without the path that is told anyway."""
    text = (inspect.getdoc(handler) or "").partition("\n\nRaises")[0].replace("``", "`")
    said = re.sub(r"^[A-Z]+ /\S*?([:;,.]\s+|[:;,.]?$)", "", text)
    return said[:1].upper() + said[1:]


def _query(name: str) -> Json:
    meaning, schema = QUERIES[name]
    is_list = schema.get("type") == "array"
    exploded = {"style": "form", "explode": True} if is_list else {}
    return {"name": name, "in": "query", "description": meaning, "schema": schema, **exploded}


def _header(name: str) -> Json:
    return {"name": name, "in": "header", "schema": {"type": "string"}}


def _answer(operation: Operation) -> Json:
    answer: Json = {"description": "done"}
    if operation.answer is not None:
        answer["content"] = {operation.media_type: {"schema": operation.answer}}
        answer["content"].update({kind: {} for kind in operation.other_types})
    return answer


_MEANINGS = {
    400: "no JSON, wrong types, or parameters that exclude each other",
    403: "too many deployments are running, or another site made a browser ask",
    404: "there is no such thing",
    405: "the event stream is not accepted",
    409: "exists already, is locked by a deployment, or has changed",
    413: "the body is too large",
    415: "the body calls itself a form",
    422: "a rule is broken",
    429: "too many changes are waiting",
    503: "this scheduler does not lead, or could not answer in time",
}


def as_text() -> bytes:
    """Write the document as docs/openapi.json holds it."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return orjson.dumps(document(metadata.version("egret")), option=options) + b"\n"
