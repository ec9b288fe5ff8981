"""Where a file system reports nothing, and files that are elsewhere: found by looking, and nothing is lost."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from watchfiles._rust_notify import RustNotify

from fastapi_hmr.events import FileChange
from fastapi_hmr.poll import needs_polling
from fastapi_hmr.watcher import Watcher
from tests.feed import Feed, watching


def test_polling_where_events_do_not_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mount that holds a root decides, the innermost first; the environment has the last word."""
    monkeypatch.delenv("WATCHFILES_FORCE_POLLING", raising=False)
    mounts = tmp_path / "mounts"
    mounts.write_text("root / overlay rw 0 0\nhost /app 9p rw 0 0\nvol /app/data ext4 rw 0 0\n")
    assert "9p" in (needs_polling([Path("/app/src")], mounts) or "")
    assert needs_polling([Path("/app/data/x")], mounts) is None
    assert needs_polling([Path("/srv")], mounts) is None
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "true")
    assert needs_polling([Path("/srv")], mounts) == "WATCHFILES_FORCE_POLLING=true"
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "false")
    assert needs_polling([Path("/app/src")], mounts) is None


async def test_polling_loses_no_change(tmp_path: Path) -> None:
    """Without events from the kernel a save is found by comparing, also the second of two within one second."""
    file, sub = tmp_path / "main.py", tmp_path / "sub"
    file.write_text("1")
    async with watching(tmp_path, polling=True) as feed:
        for text in ("2", "3", "44", "5"):
            file.write_text(text)
            assert await feed.next() == {FileChange("modified", file)}
        sub.mkdir()
        (sub / "new.py").write_text("1")
        file.write_text("6")
        await feed.until(FileChange("added", sub / "new.py"))
        await feed.until(FileChange("modified", file))
        (sub / "new.py").write_text("2")
        file.unlink()
        await feed.until(FileChange("modified", sub / "new.py"))
        await feed.until(FileChange("deleted", file))
        shutil.rmtree(sub)
        await feed.until(FileChange("deleted", sub / "new.py"))


@pytest.mark.parametrize("polling", [False, True])
async def test_file_that_a_link_leads_to_is_watched(tmp_path: Path, polling: bool) -> None:
    """Wherever it is: a link that was there, one that came later, and one that leads elsewhere now."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    for name in ("a", "b", "other"):
        (outside / name).write_text("1")
    (root / "a.py").symlink_to(outside / "a")
    async with watching(root, polling=polling) as feed:
        (outside / "a").write_text("2")
        assert await feed.next() == {FileChange("modified", outside / "a"), FileChange("modified", root / "a.py")}
        (root / "b.py").symlink_to(outside / "b")
        await feed.until(FileChange("added", root / "b.py"))
        (outside / "b").unlink()
        await feed.until(FileChange("deleted", outside / "b"))
        (outside / "other").write_text("22")
        (outside / "staged").symlink_to(outside / "other")
        (outside / "staged").replace(root / "a.py")
        await feed.until(FileChange("modified", outside / "other"))
        assert feed.watcher.folders == 1


async def test_limits_of_the_system_lead_to_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel watches no more directories the user is told, and saves are found all the same."""

    def limited(*_arguments: Any) -> RustNotify:
        raise OSError('OS file watch limit reached. about ["/x"] (Error { kind: MaxFilesWatch })')

    monkeypatch.setattr("fastapi_hmr.watcher.RustNotify", limited)
    notices: list[str] = []
    watcher = Watcher([tmp_path], ignore=lambda _path: False, notice=notices.append)
    assert notices == ["polling for changes: 1 directories can't be watched (OS file watch limit reached)"]
    feed = Feed(watcher)
    (tmp_path / "main.py").write_text("1")
    assert await feed.next() == {FileChange("added", tmp_path / "main.py")}
    watcher.close()
    await feed.batches.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its protocol
