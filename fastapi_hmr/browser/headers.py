"""Reading and rewriting raw ASGI headers, where one name may come more than once."""

from collections.abc import Container, Iterable

type RawHeaders = Iterable[tuple[bytes, bytes]]


def values(headers: RawHeaders, name: bytes) -> list[bytes]:
    """Every value of `name` (lower case), in order."""
    return [value for key, value in headers if key.lower() == name]


def first(headers: RawHeaders, name: bytes) -> bytes:
    """The first value of `name` (lower case), stripped; empty where there is none."""
    for key, value in headers:
        if key.lower() == name:
            return value.strip()
    return b""


def without(headers: RawHeaders, names: Container[bytes]) -> list[tuple[bytes, bytes]]:
    """All headers but those whose lower-case name is in `names`."""
    return [(key, value) for key, value in headers if key.lower() not in names]
