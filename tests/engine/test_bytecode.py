"""Python's cache of compiled modules: used where it is surely of the source, and never otherwise."""

import os
import py_compile
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType

import pytest

from fastapi_hmr.engine import bytecode
from fastapi_hmr.engine.loader import Codes
from fastapi_hmr.engine.scopes import Words, words_in

HOUR_AGO = 3600


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module's file that was saved an hour ago, where bytecode may be written."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    path = tmp_path / "shop.py"
    save(path, "V = 1\n", ago_s=HOUR_AGO)
    return path


def save(path: Path, text: str, *, ago_s: float, like: Path | None = None) -> None:
    """Write a file with a time of change in the past, or that of another file."""
    path.write_text(text)
    seconds = (like.stat().st_mtime if like is not None else path.stat().st_mtime) - ago_s
    os.utime(path, (seconds, seconds))


def value(path: Path) -> object:
    """What the module is once it has run."""
    found: dict[str, object] = {}
    exec(Codes().get(SourceFileLoader("shop", str(path)), path.read_bytes()), found)
    return found["V"]


def test_what_is_compiled_is_in_the_cache_for_the_next_start(source: Path) -> None:
    """In Python's own form, so that it takes it too."""
    assert value(source) == 1
    cached = Path(cache_from_source(str(source)))
    assert bytecode.read(str(source), source.read_bytes()) == cached.read_bytes()[bytecode.HEADER :]
    written = cached.read_bytes()
    py_compile.compile(str(source), doraise=True)
    assert cached.read_bytes()[: bytecode.HEADER] == written[: bytecode.HEADER]


def test_the_cache_is_used(source: Path) -> None:
    """A start does not compile what has been compiled: here the cache says something else than the source."""
    other = source.with_name("other.py")
    save(other, "V = 2\n", ago_s=0)
    py_compile.compile(str(other), dfile=str(source), doraise=True)
    Path(cache_from_source(str(source))).parent.mkdir(exist_ok=True)
    marshalled = Path(cache_from_source(str(other))).read_bytes()[bytecode.HEADER :]
    assert value(source) == 1
    bytecode.write(SourceFileLoader("shop", str(source)), str(source), source.read_bytes(), marshalled)
    assert value(source) == 2


def test_a_save_within_the_second_of_the_cache_is_compiled(source: Path) -> None:
    """Same size, same second: Python itself would run the old code."""
    cached = Path(cache_from_source(str(source)))
    py_compile.compile(str(source), doraise=True)
    status = source.stat()
    os.utime(cached, (status.st_mtime, status.st_mtime))
    source.write_text("V = 3\n")
    os.utime(source, (status.st_mtime, status.st_mtime))
    assert value(source) == 3


def test_a_source_that_was_just_saved_is_not_written(source: Path) -> None:
    """A second save might follow within the second."""
    save(source, "V = 4\n", ago_s=0)
    assert value(source) == 4
    assert not Path(cache_from_source(str(source))).exists()


def test_a_changed_source_is_compiled(source: Path) -> None:
    """However old its time of change."""
    assert value(source) == 1
    save(source, "V = 55\n", ago_s=2 * HOUR_AGO)
    assert value(source) == 55


@pytest.mark.parametrize("content", [b"", b"no bytecode at all, but long enough", None])
def test_a_broken_cache_is_compiled_over(source: Path, content: bytes | None) -> None:
    """Half-written, or of another Python; with the right header too."""
    assert value(source) == 1
    cached = Path(cache_from_source(str(source)))
    cached.write_bytes(cached.read_bytes()[: bytecode.HEADER] + b"nonsense" if content is None else content)
    assert value(source) == 1


def test_bytecode_is_not_written_where_it_is_not_wanted(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -B` and PYTHONDONTWRITEBYTECODE."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert value(source) == 1
    assert not Path(cache_from_source(str(source))).exists()


def test_what_is_said_in_a_module_is_looked_up_once(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it runs again unchanged."""
    looked: list[str] = []

    def counted(code: CodeType) -> Words:
        looked.append(code.co_filename)
        return words_in(code)

    monkeypatch.setattr("fastapi_hmr.engine.loader.words_in", counted)
    codes, file = Codes(), SourceFileLoader("shop", str(source))
    for _ in range(3):
        code = codes.get(file, source.read_bytes())
    assert looked == [str(source)]
    assert codes.known(str(source)).words == words_in(code)
    source.write_text("ANOTHER = 2")
    codes.get(file, source.read_bytes())
    assert "ANOTHER" in codes.known(str(source)).words.names
