"""Identity: as good as id(), and no event for audit hooks."""

from typing import Any

from fastapi_hmr import audit
from fastapi_hmr.engine.identity import address


class Alike:
    """Equal to all others, by its own account."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


def test_objects_are_told_apart_whatever_they_say_of_themselves() -> None:
    """Equal ones, and such as can't be hashed; classes too, whose metaclass may say something else."""
    things: list[Any] = [Alike(), Alike(), [], [], {}, Alike, object]
    assert len({address(thing) for thing in things}) == len(things)
    assert [address(thing) for thing in things] == [address(thing) for thing in things]


def test_it_is_no_event() -> None:
    """As each call of id() is, since we have an audit hook."""
    events: list[tuple[Any, ...]] = []
    audit.listen("builtins.id", events.append)
    try:
        address([])
        assert events == []
        id([])
        assert len(events) == 1
    finally:
        audit.unlisten("builtins.id", events.append)
