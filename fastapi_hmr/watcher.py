"""Watches the project and yields batches of FileChange; the one door to watchfiles.

watchfiles' native core is used directly, since its `awatch` can neither leave out directories (a virtualenv or
node_modules inside the project costs thousands of kernel watches) nor follow new ones.

Private names of watchfiles (checked: 1.0.0 to 1.3.0; a test holds each of them):
1. `watchfiles._rust_notify.RustNotify` - the native watcher; documented by watchfiles ("Rust backend"), but
   importable only under this name.
2. The numbers of its events: 1 added, 2 modified, 3 deleted (the values of the public `watchfiles.Change`).
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from watchfiles._rust_notify import RustNotify

from fastapi_hmr.doorbell import Doorbell, doorbell
from fastapi_hmr.events import FileChange
from fastapi_hmr.pace import Pace
from fastapi_hmr.poll import Poll
from fastapi_hmr.tree import ENTRIES, Tree, identity

STEP_MS, EAGER_STEP_MS, BUSY_STEP_MS = 10, 5, 25
"""How often the native core looks for news: 5 ms costs 0.4 % of a core and finds a save within 9 ms."""
PACE_MS = 200
"""How long one of these steps is kept."""
BELL_AFTER_S = 1.0
"""How long it is asked for news at every step before the kernel is to ring: by then the server has started."""
BELL_STEP_MS = 3
"""The native core takes two steps to be sure that a save is over."""
BELL_PACE_MS = 30
"""How long news usually takes from the bell to the native core."""
BELL_LATE_S = 0.5
"""How long it may take on a busy machine: it is asked often until then, or until there is some."""
BELL_CHECK_S = 2.0
"""How often it is asked for news that nobody has rung for. There should be none."""
BURST = 5
"""A batch of this many files is the start of a checkout or a formatter run: it is worth waiting for the rest."""
BURST_QUIET_S = 0.04
DEAF_S = 0.5
"""How long news may wait for the loop before that counts as blocked."""
OFTEN_S = 0.1
"""How often it is looked while the loop is blocked, a root is gone, or news is late."""
END_S = 1.0
"""For the thread to notice that it is to end: it looks at every step."""
RETRY_S = 0.5
"""Pause before a watch that failed begins anew."""
EMPTY_FILE_TRIES = 10
EMPTY_FILE_PAUSE_S = 0.01
GONE_FILE_TRIES = 3
"""Editors that keep the old file as a backup rename it before they write the new one."""

_KINDS: dict[int, Literal["added", "modified", "deleted"]] = {1: "added", 2: "modified", 3: "deleted"}


class Watcher:
    """Watches `roots` (absolute directories) and single `files`, less what `ignore` says.

    Use `async for batch in watcher.watch()`.  A batch is what one save did, however many events it made;
    changes are never lost while the consumer is busy: the next batch holds them all.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        ignore: Callable[[Path], bool],
        files: Sequence[Path] = (),
        polling: bool = False,
        notice: Callable[[str], None] = lambda _text: None,
        entries: int = ENTRIES,
    ) -> None:
        """`notice` is told where events can't be had any more, from whatever thread finds that out."""
        self._ignore, self._polling, self._notice = ignore, polling, notice
        self._files = set(files)
        self._added: frozenset[Path] = frozenset()
        self._tree = Tree(roots, ignore, entries)
        self._wanted: set[Path] = set()
        self._roots = {root: self._identity(root) for root in roots}
        self._bell = Path(tempfile.mkdtemp(prefix="fastapi-hmr-")) if self._tree.partial else None
        self._since = time.time()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._doorbell: Doorbell | None = None
        self._due = 0.0  # until when the news that was rung for may still come
        self._pending: dict[Path, FileChange] = {}
        self._news = asyncio.Event()  # there is something to take
        self._tick = asyncio.Event()  # something more has come
        self._on_news: Callable[[], None] = lambda: None
        self._on_deaf: Callable[[float], None] = lambda _seconds: None
        self._unheard: float | None = None  # since when news waits for the loop
        self._lock = threading.Lock()
        self._native: RustNotify | Poll = self._open(None)

    @property
    def folders(self) -> int:
        """How many directories are being watched."""
        return len(self._tree.folders)

    @property
    def partial(self) -> bool:
        """Whether there are more directories than are being watched."""
        return self._tree.partial

    def follow(self, folders: Iterable[Path]) -> None:
        """Watch these too where they were left out because there are so many."""
        wanted = {folder for folder in folders if self._tree.lacks(folder)}
        if wanted and self._bell is not None:
            self._wanted |= wanted
            with contextlib.suppress(OSError):  # the thread waits for files, and only it may change what is watched
                (self._bell / "rings").write_text("!")

    def add(self, file: Path) -> None:
        """Watch this single file too: the app turns out to use it. From any thread."""
        if file.parent in self._tree.folders or self._ignore(file):
            return
        with self._lock:
            self._added |= {file}
        bell = self._doorbell
        if bell is not None:
            bell.ring()  # only our thread may change what is watched

    def pending(self) -> list[Path]:
        """The files whose changes the consumer has not been given yet."""
        with self._lock:
            return list(self._pending)

    async def news(self, concerns: Callable[[Path], bool]) -> None:
        """Wait until a change that concerns the caller is to be had, without taking it."""
        while not any(concerns(path) for path in self.pending()):
            self._tick.clear()
            await self._tick.wait()

    def on_news(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the event loop as soon as changes are seen, before they are grouped into a batch."""
        self._on_news = callback

    def on_deaf(self, callback: Callable[[float], None]) -> None:
        """Call `callback` while the loop does not hear of changes, again and again, with for how long; in our thread."""
        self._on_deaf = callback

    def _announce(self) -> None:
        self._unheard = None
        self._news.set()
        self._tick.set()
        self._on_news()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have changes seen already before `watch()`, also while this loop is blocked. From any thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(loop,), name="fastapi-hmr watcher", daemon=True)
            self._thread.start()

    async def watch(self) -> AsyncIterator[frozenset[FileChange]]:
        """Yield batches of changes until closed."""
        self.listen(asyncio.get_running_loop())
        try:
            while not self._stop.is_set():
                await self._news.wait()
                batch = await self._settled()
                if batch:
                    yield batch
        finally:
            self.close()

    def close(self) -> None:
        """Stop watching; the thread ends within a step: in native code it must not outlive the interpreter."""
        self._stop.set()
        bell = self._doorbell
        if bell is not None:
            bell.ring()
        if self._thread is not None:
            self._thread.join(END_S)
        if self._bell is not None:
            shutil.rmtree(self._bell, ignore_errors=True)

    def _take(self) -> frozenset[FileChange]:
        with self._lock:
            batch = frozenset(self._pending.values())
            self._pending.clear()
            self._news.clear()
        return batch

    async def _settled(self) -> frozenset[FileChange]:
        """The pending changes, once a burst is over and no changed file is empty or gone as if half-written."""
        size = -1
        while len(self._pending) >= BURST and len(self._pending) != size:
            size = len(self._pending)
            await asyncio.sleep(BURST_QUIET_S)
        for tries in range(EMPTY_FILE_TRIES):
            if not any(_is_unfinished(path, gone=tries < GONE_FILE_TRIES) for path in list(self._pending)):
                break
            await asyncio.sleep(EMPTY_FILE_PAUSE_S)
        return self._take()

    def _folders(self) -> set[str]:
        own = () if self._bell is None else (self._bell,)
        files = (file.parent for file in self._files)
        return {str(folder) for folder in (*self._tree.folders, *self._tree.elsewhere, *files, *own)}

    def _open(self, before: RustNotify | Poll | None) -> RustNotify | Poll:
        folders = self._folders()
        while not self._polling:
            try:
                return RustNotify(sorted(folders), False, False, 0, False, True)
            except FileNotFoundError:  # a folder went while we listed them
                remaining = {folder for folder in folders if os.path.isdir(folder)}  # noqa: PTH112 - strings on purpose
                if remaining == folders:
                    raise
                folders = remaining
            except (OSError, RuntimeError) as error:  # the system's limit of watches, or of those who watch
                self._polling = True
                why = str(error).partition(" about [")[0].rstrip(".")
                self._notice(f"polling for changes: {len(folders)} directories can't be watched ({why})")
        if not isinstance(before, Poll):
            return Poll(folders)
        before.move(folders)
        return before

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        pace = Pace(idle_ms=STEP_MS, eager_ms=EAGER_STEP_MS, busy_ms=BUSY_STEP_MS)
        bell_at: float | None = time.monotonic() + BELL_AFTER_S
        while not self._stop.is_set():
            try:
                if self._doorbell is None and bell_at is not None and time.monotonic() > bell_at:
                    bell_at = None
                    self._hang_bell()
                self._look(loop, pace)
                if self._unheard is not None and time.monotonic() - self._unheard > DEAF_S:
                    self._on_deaf(time.monotonic() - self._unheard)
            except Exception as error:  # noqa: BLE001 - without this thread no save would be seen ever again
                self._notice(f"watching for changes failed ({error}): it begins anew, save again what is not served")
                self._stop.wait(RETRY_S)
                with contextlib.suppress(Exception):
                    self._reopen()
        self._native.close()
        if self._doorbell is not None:
            self._doorbell.close()

    def _hang_bell(self) -> None:
        before, self._doorbell = self._doorbell, None if self._polling else doorbell(self._folders())
        if before is not None:
            before.close()

    def _patience(self, pace: Pace) -> tuple[int, int]:
        """How long the native core may take between two looks, and over all of them; sleeps before, if it can."""
        if self._doorbell is None:
            return pace.step_ms(), PACE_MS
        often = self._unheard is not None or None in self._roots.values() or time.monotonic() < self._due
        rung = self._doorbell.wait(OFTEN_S if often else BELL_CHECK_S)
        if rung:
            self._due = time.monotonic() + BELL_LATE_S
        step = pace.step_ms()
        return step if step == BUSY_STEP_MS else BELL_STEP_MS, BELL_PACE_MS if rung else 1

    def _look(self, loop: asyncio.AbstractEventLoop, pace: Pace) -> None:
        """Wait for news, and keep what it means."""
        news = self._native.watch(1600, *self._patience(pace), self._stop)
        changes = self._followed() + self._joined()
        if isinstance(
            news, set
        ):  # "timeout": what the step is to be; "signal" is the main thread's business, "stop" the end
            pace.news()
            self._due = 0.0
            changes += self._translate(news)
        changes += self._replaced()
        if changes:
            with self._lock:
                for change in changes:
                    self._pending[change.path] = _merge(self._pending.get(change.path), change)
            self._unheard = self._unheard or time.monotonic()
            with contextlib.suppress(RuntimeError):  # the loop closed while we were busy: nobody to tell
                loop.call_soon_threadsafe(self._announce)

    def _followed(self) -> list[FileChange]:
        """Begin to watch what is wanted; what was saved there before anybody looked is a change too."""
        if not self._wanted:
            return []
        wanted, self._wanted = self._wanted, set()
        files = self._tree.follow(wanted)
        return [] if files is None else self._begun(files)

    def _joined(self) -> list[FileChange]:
        """Begin to watch single files that were added; likewise."""
        new = self._added - self._files
        self._files |= new
        return self._begun(new) if new else []

    def _begun(self, files: Iterable[Path]) -> list[FileChange]:
        self._reopen()
        return [FileChange("modified", file) for file in files if _modified(file) >= self._since]

    def _translate(self, news: set[tuple[int, str]]) -> list[FileChange]:
        """Events of the native core as changes of files; folders and links that came or went change what is watched."""
        changes: list[FileChange] = []
        came: list[Path] = []
        moved = False
        for number, name in sorted(news):
            path, kind = Path(name), _KINDS[number]
            if path in self._files:
                changes.append(FileChange(kind if path.exists() == (kind != "deleted") else "modified", path))
            elif path in self._tree.links and path.parent not in self._tree.folders:
                changes += self._led_to(path)
            elif self._ignore(path) or path.parent not in self._tree.folders:
                continue
            elif path in self._tree.folders:
                if kind != "modified":  # gone, or gone and made anew: the kernel's watch of it is dead in both cases
                    moved = True
                    changes += [FileChange("deleted", file) for file in self._tree.forget(path)]
                    came += [path] if path.is_dir() else []
            elif path.is_dir():
                came.append(path)
            else:
                changes += self._file_changed(path)
                moved = (path.is_symlink() and self._tree.link(path)) or moved
        if came:
            changes += self._adopt(came)
        elif moved:
            self._reopen()
        return changes

    def _replaced(self) -> list[FileChange]:
        """Roots that are gone or made anew. The kernel says nothing of one that we are in, nor of what comes later."""
        changes: list[FileChange] = []
        back: list[Path] = []
        for root, before in self._roots.items():
            now = self._roots[root] = self._identity(root)
            if now != before:
                changes += [FileChange("deleted", file) for file in self._tree.forget(root)]
                back += [root] if now else []
        return changes + self._adopt(back) if back else changes

    def _identity(self, root: Path) -> tuple[int, int] | None:
        now = identity(root)
        return now if now is None or not self._polling else (0, 0)  # such file systems may number them anew at any time

    def _file_changed(self, path: Path) -> list[FileChange]:
        """One file, judged by what is there now: an atomic save is `deleted` and `added` in any order."""
        names = self._tree.folders[path.parent]
        kind: Literal["added", "modified", "deleted"]
        if not os.path.lexists(path):
            kind = "deleted"
            names.discard(path.name)
        else:
            kind = "modified" if path.name in names else "added"
            names.add(path.name)
        real = Path(os.path.realpath(path))  # the app may know the file by its real name
        return [FileChange(kind, each) for each in dict.fromkeys((path, real))]

    def _led_to(self, path: Path) -> list[FileChange]:
        """A file elsewhere, under its own name and by the links that still lead to it."""
        links = [link for link in self._tree.links[path] if os.path.realpath(link) == str(path)]
        return [FileChange("modified" if path.exists() else "deleted", each) for each in (path, *links)]

    def _adopt(self, folders: list[Path]) -> list[FileChange]:
        """Watch new folders; what was put into them before the watch was up counts as added."""
        found: list[Path] = []
        while folders:
            for folder in folders:
                found += self._tree.scan([folder])
            self._reopen()
            folders = [new for folder in folders for new in self._tree.missed(folder, found)]
        return [FileChange("added", file) for file in found]

    def _reopen(self) -> None:
        """Watch the folders that there are now; the old watch ends only when the new one is up."""
        before = self._native
        self._native = self._open(before)
        before.close()
        if self._doorbell is not None:
            self._hang_bell()


def _merge(old: FileChange | None, new: FileChange) -> FileChange:
    """What two changes of one file amount to: a path that came or went stays so until the app has seen it."""
    if old is None or old.kind == "modified" or new.kind == "deleted":
        return new
    return FileChange("added", new.path)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone again: its folder is watched by now
        return 0.0


def _is_unfinished(path: Path, *, gone: bool) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return gone
