"""Uses: where the code of a module uses a name that it imported: to hold a thing is not to look at it."""

import dis
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from types import CodeType
from typing import Final

LOADS: Final = frozenset(("LOAD_NAME", "LOAD_GLOBAL"))
STORES: Final = frozenset(("STORE_NAME", "STORE_GLOBAL"))
IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")
UNSEEN: Final = frozenset(("globals", "locals", "vars", "eval", "exec", "dir"))
"""With these, code gets at a name without naming it."""


class Uses:
    """Of the names in the module-level code of one module."""

    def __init__(self, code: CodeType) -> None:
        self._unseen = looks_unseen(code)
        self._loads: defaultdict[str, list[int]] = defaultdict(list)
        self._mentions: defaultdict[str, list[int]] = defaultdict(list)
        self._stored: dict[int, str | None] = {}
        """Import statements by where they are, with the name that they store; None: under its own."""
        self._loops: list[tuple[int, int]] = []
        """Where each begins and ends."""
        steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
        for step, following in pairwise(steps):
            if isinstance(step.argval, str):
                (self._loads if step.opname in LOADS else self._mentions)[step.argval].append(step.offset)
            if step.opname == "LOAD_CONST" and following.opname != "IMPORT_NAME" and following.argval != "__doc__":
                for word in identifiers(step.argval):
                    self._loads[word].append(step.offset)
            if step.opname == "IMPORT_FROM" and following.opname in STORES:
                self._stored[step.offset] = following.argval
            elif step.opname == "CALL_INTRINSIC_1" and step.argrepr == "INTRINSIC_IMPORT_STAR":
                self._stored[step.offset] = None
            elif step.opname.startswith("JUMP_BACKWARD"):
                self._loops.append((step.argval, step.offset))

    def held_as(self, at: int, name: str) -> str | None:
        """What the import statement under way calls `name` from now on; None where it is used at once."""
        if self._unseen or at not in self._stored:
            return None
        return self._stored[at] or name

    def used(self, name: str, by: int | None) -> bool:
        """Whether the name may have been used by the time the code has come to a place; None: to its end."""
        return self._before(self._loads.get(name, []), by)

    def mentioned(self, name: str, by: int | None) -> bool:
        """Whether an attribute or whatever of this name may have been: any word counts."""
        return self.used(name, by) or self._before(self._mentions.get(name, []), by)

    def _before(self, places: list[int], by: int | None) -> bool:
        if by is not None:
            by = max([by, *(end for begin, end in self._loops if begin <= by)])
        return any(by is None or at < by for at in places)


def looks_unseen(code: CodeType) -> bool:
    """Whether some code may use what it does not name."""
    return not UNSEEN.isdisjoint(code.co_names)


def words(code: CodeType) -> set[str]:
    """The names in one piece of code, and in its texts."""
    return {*code.co_names, *(word for const in code.co_consts for word in identifiers(const))}


def identifiers(const: object) -> Iterator[str]:
    """What may be names in a text: annotations are texts that libraries evaluate."""
    for text in const if isinstance(const, tuple) else (const,):
        if isinstance(text, str):
            yield from IDENTIFIER.findall(text)
