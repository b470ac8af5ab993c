"""Translate app JSON to the model and back."""

from scheduler.spec.codec import decode_spec as decode_spec, encode_spec as encode_spec
from scheduler.spec.decode import (
    Decoded as Decoded,
    decode_app as decode_app,
    joined_paths as joined_paths,
    merge as merge,
    prefixed as prefixed,
)
from scheduler.spec.files import read_apps as read_apps
from scheduler.spec.jsontext import parse_json as parse_json
from scheduler.spec.paths import (
    ROOT as ROOT,
    canonical_path as canonical_path,
    is_inside as is_inside,
    parent_of as parent_of,
    problem_of_path as problem_of_path,
    segments_of as segments_of,
)
from scheduler.spec.problems import InvalidInput as InvalidInput, Problem as Problem, at as at
from scheduler.spec.render import to_json as to_json
from scheduler.spec.rules import (
    FEATURE_GPUS as FEATURE_GPUS,
    FEATURE_SECRETS as FEATURE_SECRETS,
    SpecRules as SpecRules,
)
from scheduler.spec.wire import READ_ONLY as READ_ONLY
