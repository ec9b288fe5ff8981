"""Patching: levels 0 and 1 of the ladder, tried before modules run again."""

import weakref
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING

from fastapi_hmr.engine.patch_record import RunRecord
from fastapi_hmr.engine.record import FILE, Record, Records

if TYPE_CHECKING:  # what only an edit needs is imported by the first edit: a start is waited for
    from fastapi_hmr.engine.patch import Patch
    from fastapi_hmr.engine.patch_holders import Index
    from fastapi_hmr.engine.patch_source import Source


class Patching:
    """Knows what ran while the app started, and gives functions new code where that makes no difference to it."""

    def __init__(self, records: Records, in_request: Callable[[], bool] | None) -> None:
        self._records = records
        self._ran = RunRecord(in_request)
        self._reads = self._ran.cache_reads
        self._index: Index | None = None
        self._sources: weakref.WeakKeyDictionary[Record, Source] = weakref.WeakKeyDictionary()
        self._starting = False

    def install(self, counts: Callable[[str], bool]) -> None:
        """Listen to what runs; before the first import. `counts` says of which files it matters that they are read."""
        self._ran.install()
        self._reads.listen(counts)

    def close(self) -> None:
        """Stop listening."""
        self._reads.close()
        self._ran.close()

    def watch(self, code: CodeType) -> None:
        """A module's code is about to run."""
        self._ran.watch(code)

    def pin(self, codes: Iterable[CodeType]) -> None:
        """Take these functions for ones that ran in a start."""
        self._ran.pin(codes)

    def begin(self) -> None:
        """A start begins: imports, the building of the app, and its lifespan."""
        if not self._starting:
            self._starting = True
            self._ran.begin()

    def end(self) -> None:
        """The start is over, for better or worse."""
        if self._starting:
            self._starting = False
            self._ran.end()

    def concerns(self, path: Path) -> bool:
        """Whether results that functions of ours keep come from this file."""
        return self._reads.concerns(path)

    def forget_stale(self, going: Container[str]) -> list[str]:
        """Clear the caches of our functions whose files changed; their names. Others may have got results from them.

        Those of modules that are `going`, to run again for that very change, stay: it may be the change that is wrong.
        """
        names = self._reads.forget_stale(going)
        if names:
            for cache in self._ran.caches()[0]:
                if getattr(cache, "__module__", "") not in going:
                    cache.cache_clear()
        return list(dict.fromkeys(names))

    def attempt(self, paths: Iterable[Path]) -> "list[Patch] | str":
        """Patch all these files or none; the patches, or the reason why not."""
        planned: list[tuple[Record, Patch]] = []
        for path in paths:
            found = self._plan(path)
            if isinstance(found, str):
                return found
            planned.append(found)
        done: list[tuple[Record, Patch]] = []
        for record, patch in planned:
            try:
                patch.apply()
            except Exception as error:  # noqa: BLE001 - a function that refuses: the next level takes the edit
                for _, earlier in reversed(done):
                    earlier.undo()
                return f"a function refused its new code: {error}"
            done.append((record, patch))
        for record, patch in done:
            self._sources[record] = patch.source
            record.source, record.code = patch.source.content, patch.source.code
        return [patch for _, patch in done]

    def _plan(self, path: Path) -> "tuple[Record, Patch] | str":
        from fastapi_hmr.engine.patch import NotPatchable, plan
        from fastapi_hmr.engine.patch_holders import Index
        from fastapi_hmr.engine.patch_source import adopt

        records = self._records.from_file(path)
        if len(records) != 1 or self._records.dependents(FILE, path):
            return f"{path.name} is more than the source of one module"
        record = next(iter(records))
        if record.failed or record.code is None:
            return f"{record.name} did not load"
        if record.changed_by:
            return f"{record.changed_by} changes the code of {record.name}"
        try:
            now = path.read_bytes()
        except OSError as error:
            return f"{path.name} can't be read: {error.strerror}"
        source = self._sources.get(record)
        if source is None:
            source = self._sources[record] = adopt(record.code.co_filename, record.source, record.code)
        if self._index is None:
            self._index = Index()
        others = [each.globals for each in self._records.values()]
        found = plan(source, now, record.globals, self._ran, self._index, others)
        return found.reason if isinstance(found, NotPatchable) else (record, found)
