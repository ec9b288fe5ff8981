"""The doorbell: what rings it, what does not, and that it can be left."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastapi_hmr.doorbell import Doorbell, doorbell

DEADLINE_S = 20.0


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Doorbell]:
    """One for a folder with a file and a folder in it, which has been heard."""
    (tmp_path / "file").write_text("1")
    (tmp_path / "folder").mkdir()
    bell = doorbell([str(tmp_path), str(tmp_path / "missing")])
    assert bell is not None
    assert bell.wait(DEADLINE_S), "it has rung when it is new"
    assert not bell.wait(0)
    yield bell
    bell.close()


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda root: (root / "file").write_text("2"),
    "touched": lambda root: (root / "file").touch(),
    "made": lambda root: (root / "new").touch(),
    "renamed": lambda root: (root / "file").rename(root / "other"),
    "deleted": lambda root: (root / "file").unlink(),
    "moved away": lambda root: (root / "folder").rename(root.parent / "elsewhere"),
    "folder made": lambda root: (root / "another").mkdir(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_rings(bell: Doorbell, tmp_path: Path, change: str) -> None:
    """Whatever the native core may have news of."""
    CHANGES[change](tmp_path)
    assert bell.wait(DEADLINE_S)
    assert not bell.wait(0)


def test_reading_does_not_ring(bell: Doorbell, tmp_path: Path) -> None:
    """Nor does what happens in folders below, which are watched for themselves."""
    (tmp_path / "file").read_text()
    list(tmp_path.iterdir())
    (tmp_path / "folder" / "file").touch()
    assert not bell.wait(0.05)


def test_who_waits_can_be_woken(bell: Doorbell) -> None:
    """From another thread; once it is closed that is nothing."""
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(bell.wait(DEADLINE_S * 3)))
    waiting.start()
    bell.ring()
    waiting.join(DEADLINE_S)
    assert woken == [True]
    bell.close()
    bell.close()
    bell.ring()


def test_many_changes_are_one_ring(bell: Doorbell, tmp_path: Path) -> None:
    """What came in while nobody waited is heard at once, however much it is."""
    for number in range(3000):
        (tmp_path / f"{number}").touch()
    for _ in range(10):
        if not bell.wait(0):
            break
    assert not bell.wait(0)


def test_no_bell_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is no folder that the kernel would watch by a path below it; other systems have no such thing."""
    (tmp_path / "file").touch()
    assert doorbell([str(tmp_path / "file" / "below")]) is None
    monkeypatch.setattr("sys.platform", "darwin")
    assert doorbell([str(tmp_path)]) is None
