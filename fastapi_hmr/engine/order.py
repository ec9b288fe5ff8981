"""Order: what a cold start would import, and in which order, by the import statements that were seen to run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

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


def reordered(before: Mapping[str, Record], now: Mapping[str, Record], entry: str, kept: Iterable[str]) -> set[str]:
    """Kept modules whose state others change and ask for, and these in another order than when it was filled."""
    kept = set(kept)
    written: set[str] = set()
    parties: defaultdict[str, list[str]] = defaultdict(list)
    for record in now.values():
        written |= record.changed & kept
        for name in (record.changed | record.asked) & kept:
            parties[name].append(record.name)
    shared = {name: names for name, names in parties.items() if name in written and len(names) > 1}
    if not shared:
        return set()
    old, new = cold_order(before, entry), cold_order(now, entry)
    found = set()
    for name, names in shared.items():
        both = [other for other in names if other in old and other in new]
        if sorted(both, key=old.__getitem__) != sorted(both, key=new.__getitem__):
            found.add(name)
    return found
