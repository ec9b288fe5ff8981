"""A running watcher whose batches are waited for with a deadline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi_hmr.events import FileChange
from fastapi_hmr.watcher import Watcher

DEADLINE_S = 20


class Feed:
    """The batches of a running watcher, waited for with a deadline."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.batches = watcher.watch()
        self.seen: list[FileChange] = []

    async def next(self) -> frozenset[FileChange]:
        """The next batch."""
        batch = await asyncio.wait_for(anext(self.batches), DEADLINE_S)
        self.seen += batch
        return batch

    async def until(self, change: FileChange) -> None:
        """Take batches until this change is in one."""
        while change not in self.seen:
            await self.next()


@asynccontextmanager
async def watching(
    root: Path, *, ignored: str = "ignored", files: tuple[Path, ...] = (), polling: bool = False
) -> AsyncIterator[Feed]:
    """Watch a folder while the block runs."""
    watcher = Watcher([root], ignore=lambda path: ignored in path.parts, files=files, polling=polling)
    feed = Feed(watcher)
    try:
        yield feed
    finally:
        watcher.close()
        await feed.batches.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its protocol
