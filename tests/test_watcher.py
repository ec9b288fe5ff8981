"""The watcher against real files: what is reported, what is not, and that nothing is lost."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watchfiles import Change
from watchfiles._rust_notify import RustNotify

from fastapi_hmr.events import FileChange
from fastapi_hmr.watcher import Watcher
from tests.conftest import Serve
from tests.feed import DEADLINE_S, Feed, watching
from tests.utils import Project


@pytest.fixture(autouse=True, params=[0.0, 3600.0], ids=["rung for", "asked"])
def bell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it holds where the kernel rings for news, and where the native core is asked at every step."""
    monkeypatch.setattr("fastapi_hmr.watcher.BELL_AFTER_S", request.param)
    monkeypatch.setattr("fastapi_hmr.watcher.BELL_CHECK_S", 3600.0)  # nothing is found by chance


def save(path: Path, text: str) -> Path:
    """An editor's atomic save."""
    staged = path.with_name(f".{path.name}.ignored")
    staged.write_text(text)
    staged.replace(path)
    return path


async def test_a_save_is_one_modified_file(tmp_path: Path) -> None:
    """Write to a temporary name and rename over the file: the file is modified, not deleted and added."""
    file = tmp_path / "main.py"
    file.write_text("1")
    async with watching(tmp_path) as feed:
        save(file, "2")
        await feed.until(FileChange("modified", file))
        assert not any(change.path == file and change.kind != "modified" for change in feed.seen)


async def test_new_and_deleted_files_are_told_apart(tmp_path: Path) -> None:
    """A file that comes is added, one that goes is deleted."""
    async with watching(tmp_path) as feed:
        new = tmp_path / "new.py"
        new.write_text("1")
        await feed.until(FileChange("added", new))
        new.unlink()
        await feed.until(FileChange("deleted", new))


async def test_files_in_a_new_folder_are_seen(tmp_path: Path) -> None:
    """A folder made while watching is watched, with what was put into it before anybody could look."""
    async with watching(tmp_path) as feed:
        deep = tmp_path / "pkg" / "sub"
        deep.mkdir(parents=True)
        (deep / "a.py").write_text("1")
        (tmp_path / "pkg" / "__init__.py").write_text("")
        await feed.until(FileChange("added", deep / "a.py"))
        await feed.until(FileChange("added", tmp_path / "pkg" / "__init__.py"))
        save(deep / "a.py", "2")
        await feed.until(FileChange("modified", deep / "a.py"))


async def test_a_deleted_folder_takes_its_files_along(tmp_path: Path) -> None:
    """`rm -r` and `mv` of a folder report every file that was in it."""
    inside = tmp_path / "pkg" / "sub" / "a.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("1")
    outside = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    async with watching(tmp_path) as feed:
        (tmp_path / "pkg").rename(outside)
        await feed.until(FileChange("deleted", inside))
        outside.rename(tmp_path / "pkg")
        await feed.until(FileChange("added", inside))
        shutil.rmtree(tmp_path / "pkg")
        await feed.until(FileChange("deleted", inside))


async def test_ignored_folders_are_not_watched(tmp_path: Path) -> None:
    """What is ignored costs no kernel watch and reports nothing."""
    (tmp_path / "ignored" / "deep").mkdir(parents=True)
    async with watching(tmp_path) as feed:
        assert feed.watcher.folders == 1
        (tmp_path / "ignored" / "deep" / "a.py").write_text("1")
        (tmp_path / "seen.py").write_text("1")
        await feed.until(FileChange("added", tmp_path / "seen.py"))
        assert not any("ignored" in change.path.parts for change in feed.seen)


async def test_a_checkout_of_a_hundred_files_is_one_batch(tmp_path: Path) -> None:
    """Many files in quick succession are one edit."""
    files = [tmp_path / f"m{n}.py" for n in range(100)]
    for file in files:
        file.write_text("1")
    async with watching(tmp_path) as feed:
        started = asyncio.ensure_future(feed.next())
        await asyncio.sleep(0)
        for file in files:
            file.write_text("22")
        batch = await started
        assert {change.path for change in batch} == set(files)


async def test_a_file_being_written_is_waited_for(tmp_path: Path) -> None:
    """Truncated first and filled a moment later, as many editors save: the batch comes with the content."""
    file = tmp_path / "main.py"
    file.write_text("old")
    async with watching(tmp_path) as feed:
        started = asyncio.ensure_future(feed.next())
        await asyncio.sleep(0)
        with file.open("w") as half:
            await asyncio.sleep(0.03)
            half.write("new")
        await started
        assert file.read_text() == "new"


async def test_changes_while_the_consumer_is_busy_are_kept(tmp_path: Path) -> None:
    """Nothing is lost between two batches, and a waiting consumer can see that news is there."""
    (tmp_path / "a.py").write_text("1")
    async with watching(tmp_path) as feed:
        (tmp_path / "a.py").write_text("2")
        await feed.until(FileChange("modified", tmp_path / "a.py"))
        (tmp_path / "b.py").write_text("1")
        await asyncio.wait_for(feed.watcher.news(lambda path: path.name == "b.py"), DEADLINE_S)
        (tmp_path / "c.py").write_text("1")
        await feed.until(FileChange("added", tmp_path / "c.py"))
        assert FileChange("added", tmp_path / "b.py") in feed.seen


async def test_changes_before_the_first_batch_are_kept(tmp_path: Path) -> None:
    """A save while the app is being loaded for the first time counts."""
    file = tmp_path / "main.py"
    file.write_text("1")
    async with watching(tmp_path) as feed:
        file.write_text("2")
        await asyncio.sleep(0.1)
        await feed.until(FileChange("modified", file))


async def test_a_file_outside_the_roots_is_watched_by_name(tmp_path: Path) -> None:
    """An env file elsewhere is watched, its neighbours are not."""
    elsewhere = tmp_path / "elsewhere"
    root = tmp_path / "root"
    elsewhere.mkdir()
    root.mkdir()
    env = elsewhere / ".env"
    env.write_text("A=1")
    async with watching(root, files=(env,)) as feed:
        (elsewhere / "other").write_text("x")
        env.write_text("A=2")
        await feed.until(FileChange("modified", env))
        assert {change.path for change in feed.seen} == {env}


async def test_a_symlink_is_reported_by_both_names(tmp_path: Path) -> None:
    """The app may have read the file under its real name."""
    real = tmp_path / "ignored" / "real.toml"
    real.parent.mkdir()
    real.write_text("1")
    link = tmp_path / "link.toml"
    async with watching(tmp_path) as feed:
        link.symlink_to(real)
        await feed.until(FileChange("added", link))
        await feed.until(FileChange("added", real))


async def test_symlink_loops_end(tmp_path: Path) -> None:
    """A folder that links to its own parent is watched once; a link to itself is no folder."""
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    async with watching(tmp_path) as feed:
        assert feed.watcher.folders == 1


async def test_nobody_looks_while_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel rings, an idle server sleeps; and a busy one is not interrupted."""
    monkeypatch.setattr("fastapi_hmr.watcher.BELL_AFTER_S", 0.0)
    looks: list[int] = []

    class Counting:
        """A native core that counts how often it is asked."""

        def __init__(self, *arguments: Any) -> None:
            self._core = RustNotify(*arguments)

        def watch(self, *arguments: Any) -> Any:
            looks.append(1)
            return self._core.watch(*arguments)

        def close(self) -> None:
            self._core.close()

    monkeypatch.setattr("fastapi_hmr.watcher.RustNotify", Counting)
    async with watching(tmp_path) as feed:
        for n in range(2):
            (tmp_path / "main.py").write_text("1" * (n + 1))
            await feed.next()
        await asyncio.sleep(1.0)  # no news is late any more
        before = len(looks)
        await asyncio.sleep(0.5)
        assert len(looks) == before


async def test_news_that_comes_long_after_the_bell_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the native core may have nothing yet when it is asked, and nobody rings again."""
    monkeypatch.setattr("fastapi_hmr.watcher.BELL_AFTER_S", 0.0)
    deaf_until = time.monotonic()

    class Late:
        """A native core that takes its time."""

        def __init__(self, *arguments: Any) -> None:
            self._core = RustNotify(*arguments)

        def watch(self, *arguments: Any) -> Any:
            if time.monotonic() < deaf_until:
                time.sleep(0.03)
                return "timeout"
            return self._core.watch(*arguments)

        def close(self) -> None:
            self._core.close()

    monkeypatch.setattr("fastapi_hmr.watcher.RustNotify", Late)
    async with watching(tmp_path) as feed:
        (tmp_path / "main.py").write_text("1")
        await feed.next()
        await asyncio.sleep(1.0)
        deaf_until = time.monotonic() + 0.25
        (tmp_path / "main.py").write_text("22")
        await feed.next()


async def test_folders_beyond_the_bound_are_followed_on_demand(tmp_path: Path) -> None:
    """Among very many files the nearest are watched; others from when the app is known to use them."""
    deep = tmp_path / "pkg" / "sub" / "a.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("1")
    (tmp_path / "near.py").write_text("1")
    watcher = Watcher([tmp_path], ignore=lambda _path: False, entries=3)
    feed = Feed(watcher)
    assert watcher.partial
    assert watcher.folders == 2
    watcher.follow([deep.parent, tmp_path, tmp_path.parent, tmp_path / "missing"])
    near = asyncio.ensure_future(feed.until(FileChange("modified", tmp_path / "near.py")))
    await wait_for(lambda: watcher.folders == 3, lambda: (tmp_path / "near.py").write_text("2"))
    await near
    assert not [change for change in feed.seen if change.path == deep]
    await wait_for(lambda: FileChange("modified", deep) in feed.seen, lambda: deep.write_text("2"), feed)
    watcher.close()
    await feed.batches.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its protocol


async def wait_for(condition: Callable[[], bool], act: Callable[[], object], feed: Feed | None = None) -> None:
    """Act, and wait until the condition holds."""
    act()
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await (feed.next() if feed is not None else asyncio.sleep(0.01))


async def test_watch_that_fails_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the native core raises, later saves are found, and the user knows."""

    class Failing:
        """A native core whose first watch ends in an error."""

        def __init__(self, *arguments: Any) -> None:
            pass

        def watch(self, *_arguments: Any) -> Any:
            monkeypatch.undo()
            raise RuntimeError("error in underlying watcher")

        def close(self) -> None:
            pass

    monkeypatch.setattr("fastapi_hmr.watcher.RustNotify", Failing)
    notices: list[str] = []
    watcher = Watcher([tmp_path], ignore=lambda _path: False, notice=notices.append)
    feed = Feed(watcher)
    started = asyncio.ensure_future(feed.until(FileChange("modified", tmp_path / "main.py")))
    while not started.done():
        await asyncio.wait({started}, timeout=0.1)
        (tmp_path / "main.py").write_text("1")
    await started
    assert notices == [
        "watching for changes failed (error in underlying watcher): it begins anew, save again what is not served"
    ]
    watcher.close()
    await feed.batches.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its protocol


def test_a_folder_of_very_many_files_is_watched_where_the_app_is(project: Project, serve: Serve) -> None:
    """Started in something like a home directory: what the app imports is watched, however far down, and it says so."""
    for number in range(310):
        folder = project.root / f"pictures{number}"
        folder.mkdir()
        for name in range(100):
            (folder / f"{name}.dat").touch()
    project["main.py"] = (
        "from fastapi import FastAPI\n"
        "from far.away.below.values import VALUE\n"
        "app = FastAPI()\n"
        "@app.get('/')\n"
        "def root(): return VALUE\n"
    )
    project["far/away/below/values.py"] = "VALUE = 1\n"
    server = serve("main:app")
    server.wait_for("/", 1)
    server.wait_for_line("note .*only the nearest and the app's own are watched")
    project["far/away/below/values.py"] = "VALUE = 2\n"
    server.wait_for("/", 2)


def test_ledger_1_the_native_core(tmp_path: Path) -> None:
    """RustNotify takes the arguments that we pass and can be closed."""
    native = RustNotify([str(tmp_path)], False, False, 0, False, True)
    assert native.watch(10, 1, 5, None) == "timeout"
    native.close()


def test_ledger_2_the_numbers_of_events() -> None:
    """The native core reports the values of the public enum."""
    assert [int(kind) for kind in (Change.added, Change.modified, Change.deleted)] == [1, 2, 3]
