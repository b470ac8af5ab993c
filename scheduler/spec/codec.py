"""Store a definition: every field of AppSpec as canonical JSON bytes, and back, exactly.

This is not the API's JSON. That one follows Marathon and leaves defaults to the reader; what is
stored says everything, so that a later release with another default changes no running app. A
field that is absent (stored by an earlier release) takes AppSpec's own default. Keys are sorted:
equal specs are equal bytes.
"""

from typing import Any, cast

import orjson
from cattrs import Converter
from cattrs.errors import StructureHandlerNotFoundError

from scheduler.core.app import AppSpec, HostVolume, SecretRef, SecretVolume
from scheduler.spec.problems import malformed


def encode_spec(spec: AppSpec) -> bytes:
    """Encode ``spec``; equal specs give equal bytes."""
    return orjson.dumps(_CONVERTER.unstructure(spec), option=orjson.OPT_SORT_KEYS)


def decode_spec(data: bytes) -> AppSpec:
    """Decode what ``encode_spec`` wrote.

    Raises:
        InvalidInput: the bytes are damaged or were written for another kind of value.
    """
    try:
        return _CONVERTER.structure(orjson.loads(data), AppSpec)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        StructureHandlerNotFoundError,
    ) as error:
        raise malformed(f"no stored definition: {error!r}") from error


def _scalar(kind: type) -> Any:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, found {value!r}")
        return value

    return hook


def _text_or_secret(value: Any, _: Any) -> str | SecretRef:
    if isinstance(value, str):
        return value
    return SecretRef(secret=cast("str", value["secret"]))


def _volume(value: Any, _: Any) -> HostVolume | SecretVolume:
    kind = SecretVolume if "secret" in value else HostVolume
    return _CONVERTER.structure(value, kind)


def _stored_converter() -> Converter:
    converter = Converter(detailed_validation=False)
    for kind in (str, int, bool):
        # By identity: an enum of texts is a str too, and must not come back as a bare one.
        converter.register_structure_hook_func(
            lambda given, kind=kind: given is kind, _scalar(kind)
        )
    converter.register_structure_hook(str | SecretRef, _text_or_secret)
    converter.register_structure_hook(HostVolume | SecretVolume, _volume)
    return converter


_CONVERTER = _stored_converter()
