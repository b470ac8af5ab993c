from collections.abc import Callable
from typing import Any

from .base import Response

class CB:
    @classmethod
    def boolean(cls) -> Callable[[Response], bool]: ...
    @classmethod
    def binary(cls) -> Callable[[Response], bytes]: ...
    @classmethod
    def json(
        cls,
        postprocess: Callable[[Any], Any] | None = None,
        allow_404: bool = True,
        one: bool = False,
        decode: bool | str = False,
        is_id: bool = False,
        index: bool = False,
    ) -> Callable[[Response], Any]: ...
