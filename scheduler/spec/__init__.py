"""Translate app JSON to the model and back."""

from scheduler.spec.codec import decode_spec as decode_spec
from scheduler.spec.codec import encode_spec as encode_spec
from scheduler.spec.decode import (
    Decoded as Decoded,
)
from scheduler.spec.decode import (
    decode_app as decode_app,
)
from scheduler.spec.decode import (
    joined_paths as joined_paths,
)
from scheduler.spec.decode import (
    merge as merge,
)
from scheduler.spec.decode import (
    prefixed as prefixed,
)
from scheduler.spec.files import read_apps as read_apps
from scheduler.spec.jsontext import parse_json as parse_json
from scheduler.spec.paths import (
    ROOT as ROOT,
)
from scheduler.spec.paths import (
    canonical_path as canonical_path,
)
from scheduler.spec.paths import (
    is_inside as is_inside,
)
from scheduler.spec.paths import (
    parent_of as parent_of,
)
from scheduler.spec.paths import (
    problem_of_path as problem_of_path,
)
from scheduler.spec.paths import (
    segments_of as segments_of,
)
from scheduler.spec.problems import InvalidInput as InvalidInput
from scheduler.spec.problems import Problem as Problem
from scheduler.spec.problems import at as at
from scheduler.spec.render import to_json as to_json
from scheduler.spec.rules import (
    FEATURE_GPUS as FEATURE_GPUS,
)
from scheduler.spec.rules import (
    FEATURE_SECRETS as FEATURE_SECRETS,
)
from scheduler.spec.rules import (
    SpecRules as SpecRules,
)
from scheduler.spec.wire import READ_ONLY as READ_ONLY
