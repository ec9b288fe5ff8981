"""Order: what a cold start would import, and in which order, by the import statements that were seen to run."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from fastapi_hmr.engine.record import Record


def parents(name: str) -> list[str]:
    """The packages around a module, outermost first."""
    return [name[:index] for index, char in enumerate(name) if char == "."]


def cold_order(records: Mapping[str, Record], entry: str) -> dict[str, int]:
    """The modules in the order in which a cold start would begin to run them; what it would not reach is missing."""
    found: dict[str, int] = {}
    todo = [entry]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        missing = [parent for parent in parents(name) if parent in records and parent not in found]
        if missing and name in records:
            todo += [name, *reversed(missing)]
            continue
        if name in records:
            found[name] = len(found)
            todo += reversed(records[name].statements)
        else:  # not ours, but what asked for it may have meant a package of ours around it
            todo += [parent for parent in parents(name) if parent in records and parent not in found]
    return found


def alike(before: Mapping[str, Record], now: Mapping[str, Record]) -> bool:
    """Whether the same modules made the same import statements in the same order."""
    return before.keys() == now.keys() and all(
        record is before[name] or list(record.statements) == list(before[name].statements)
        for name, record in now.items()
    )


def reordered(
    before: Mapping[str, Record],
    now: Mapping[str, Record],
    entry: str,
    kept: Iterable[str],
    writers: Iterable[Iterable[str]] = (),
    depends: Callable[[Record, Record], bool] = lambda _reader, _writer: False,
) -> set[str]:
    """Kept modules of which a cold start in the present order would make something else.

    Either others change their state and ask for it, and these come in another order than when it was filled; or they
    write the same thing of the process (`writers`), of which the last one's stays; or one `depends` on whether what
    another changed was there already.
    """
    if alike(before, now):
        return set()
    kept = set(kept)
    filled, written = _filled(now, kept), [kept.intersection(names) for names in writers]
    marking = [name for name in kept if now[name].marks or now[name].effects]
    if not filled and not any(written) and not marking:
        return set()
    old, new = cold_order(before, entry), cold_order(now, entry)

    def moved(names: Iterable[str]) -> bool:
        both = [name for name in names if name in old and name in new]
        return sorted(both, key=old.__getitem__) != sorted(both, key=new.__getitem__)

    found = {name for name, names in filled.items() if moved(names)}
    found = found.union(*(names for names in written if moved(names)))
    both = [name for name in new if name in old and name in kept]
    if moved(both):
        for writer in old.keys() & new.keys() & set(marking):
            for reader in both:
                crossed = (old[reader] < old[writer]) != (new[reader] < new[writer])
                if crossed and depends(now[reader], now[writer]):
                    found |= {reader, writer}
    return found


def _filled(now: Mapping[str, Record], kept: set[str]) -> dict[str, list[str]]:
    """Kept modules whose state others change, each with all that change it or ask for it, where those are several."""
    changed: set[str] = set()
    parties: defaultdict[str, list[str]] = defaultdict(list)
    for record in now.values():
        changed |= record.changed & kept
        for name in (record.changed | {owner for owner, name in record.asked if name is None}) & kept:
            parties[name].append(record.name)
    return {name: names for name, names in parties.items() if name in changed and len(names) > 1}
