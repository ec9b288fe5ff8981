"""Codes: what is known of a module's file is used again while the file is surely the same."""

import os
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from fastapi_hmr.engine import disk
from fastapi_hmr.engine.loader import Codes

TICK_S = 0.05
"""Longer than the kernel's clock takes from one time to the next."""


class Loader(SourceFileLoader):
    """Counts how often it reads."""

    def __init__(self, path: Path) -> None:
        super().__init__("shop", str(path))
        self.reads = 0

    def get_data(self, path: str) -> bytes:
        """Part of the import system."""
        self.reads += 1
        return super().get_data(path)


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    """A module of one line."""
    path = tmp_path / "shop.py"
    path.write_text("V = 1\n")
    return Loader(path)


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all files had been left alone for a while."""
    monkeypatch.setattr(disk, "AT_REST_NS", 0)


@pytest.mark.usefixtures("rested")
def test_a_file_at_rest_is_read_once(loader: Loader) -> None:
    """However often its module runs."""
    codes = Codes()
    assert [codes.source(loader) for _ in range(3)] == [b"V = 1\n"] * 3
    assert loader.reads == 1


def test_a_file_that_has_just_been_saved_is_read_each_time(loader: Loader) -> None:
    """A second save at the same moment would not show."""
    codes = Codes()
    for _ in range(3):
        codes.source(loader)
    assert loader.reads == 3


@pytest.mark.usefixtures("rested")
def test_another_file_of_the_same_size_and_time_is_read(loader: Loader) -> None:
    """The time can be set back, but not the time of the last change of any kind; or it is another file altogether."""
    codes, path = Codes(), Path(loader.path)
    before = path.stat()
    codes.source(loader)
    time.sleep(TICK_S)
    path.write_text("V = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert codes.source(loader) == b"V = 2\n"
    other = path.with_name("other.py")
    other.write_text("V = 3\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert codes.source(loader) == b"V = 3\n"


@pytest.mark.usefixtures("rested")
def test_a_file_that_is_gone_raises_what_reading_it_raises(loader: Loader) -> None:
    """What it had been is no answer."""
    codes = Codes()
    codes.source(loader)
    Path(loader.path).unlink()
    with pytest.raises(FileNotFoundError):
        codes.source(loader)
