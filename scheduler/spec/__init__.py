"""Translate app JSON to the model and back."""

from scheduler.spec.codec import decode_spec, encode_spec
from scheduler.spec.decode import Decoded, decode_app, joined_paths, merge, prefixed
from scheduler.spec.files import read_apps
from scheduler.spec.groups import GroupUpdate, decode_group
from scheduler.spec.jsontext import parse_json
from scheduler.spec.paths import (
    ROOT,
    canonical_path,
    is_inside,
    parent_of,
    problem_of_path,
    segments_of,
)
from scheduler.spec.problems import InvalidInput, Problem, at
from scheduler.spec.render import to_json
from scheduler.spec.rules import FEATURE_GPUS, SpecRules
from scheduler.spec.schema import component_schemas
from scheduler.spec.wire import READ_ONLY

__all__ = [
    "FEATURE_GPUS",
    "READ_ONLY",
    "ROOT",
    "Decoded",
    "GroupUpdate",
    "InvalidInput",
    "Problem",
    "SpecRules",
    "at",
    "canonical_path",
    "component_schemas",
    "decode_app",
    "decode_group",
    "decode_spec",
    "encode_spec",
    "is_inside",
    "joined_paths",
    "merge",
    "parent_of",
    "parse_json",
    "prefixed",
    "problem_of_path",
    "read_apps",
    "segments_of",
    "to_json",
]
