"""Foreign: what hangs on objects of libraries is gone through only where something has become of it."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fastapi_hmr.engine.foreign import Foreign, containers
from fastapi_hmr.engine.hmr import Module, SourceFile
from fastapi_hmr.engine.record import Effect, Record, Records


class Library:
    """As of a library: with a registry, and a method whose notes are none."""

    registry: dict[str, Any] = {}  # noqa: RUF012 - a registry is just that

    @classmethod
    def find(cls, name: str) -> Any:
        """Something."""


@pytest.fixture
def record() -> Record:
    """A module that says `x` and nothing else."""
    file = Path("/shop.py")
    record = Record("shop", file, Module("shop", SourceFile(file)), 1, b"x")
    record.code = compile("x = 'x'", str(file), "exec")
    return record


def test_notes_on_methods_are_no_registries() -> None:
    """Annotations and the like; functions are passed over likewise."""
    assert containers(Library) == [Library.registry]


def test_what_is_as_it_was_is_not_gone_through(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each module that runs again imports the same names; and what has changed is found all the same."""
    library = ModuleType("library")
    vars(library)["Library"] = Library
    foreign, gone = Foreign(Records(), frozenset()), 0
    plain = Foreign._entries

    def counted(self: Foreign, *given: Any) -> Iterator[Effect]:
        nonlocal gone
        gone += 1
        return plain(self, *given)

    monkeypatch.setattr(Foreign, "_entries", counted)
    monkeypatch.setattr(Library, "registry", {})
    for _ in range(3):
        foreign.imported(record, library, ("Library",))
        assert list(foreign.end(record)) == []
    assert gone == 0
    foreign.imported(record, library, ("Library",))
    Library.registry["x"] = 1
    assert [effect.what for effect in foreign.end(record)] == ["Library['x']"]
