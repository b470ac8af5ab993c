"""Provide the `http_parser` import that pymesos needs, without a compiler.

The C extension of this name has not built since CPython 3.11 moved `longintrepr.h`, and pymesos
cannot be imported without it. Only what pymesos calls is here: see `http_parser.http`.
"""
