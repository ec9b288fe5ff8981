"""Straight: knows when only import statements have run since the process was looked at: nothing can have changed.

Nearly every module begins with its imports, and the process is looked at before and after each module that these run.
Between two of them runs nothing but what is told here: functions of first-party modules, which sys.monitoring reports,
and the code of the importing module itself, of which every import statement says how far it has come.

Before anything else has run there is not even a function that could: until then nobody need listen to calls and to
what they ask of the disk, while an app imports its framework, by the thousand.
"""

import dis
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Final

from fastapi_hmr.engine.record import Record, Row

BEGINNING: Final = -1
IMPORT: Final = dis.opmap["IMPORT_NAME"]
HARMLESS: Final = frozenset(
    dis.opmap[name]
    for name in "RESUME NOP EXTENDED_ARG LOAD_CONST IMPORT_NAME IMPORT_FROM STORE_NAME SWAP POP_TOP".split()
)
"""What import statements and docstrings are made of."""
RETURN: Final = frozenset(dis.opmap[name] for name in ("RETURN_CONST", "RETURN_VALUE") if name in dis.opmap)


def imports_in_a_row(code: CodeType) -> Row:
    """The imports that a module's code begins with."""
    found: dict[int, int] = {}
    text = code.co_code
    # There may be another way to an import: from where one that failed was dealt with.
    targets = frozenset(dis.findlabels(text)) if code.co_exceptiontable else frozenset()  # type: ignore[arg-type]
    last, whole = BEGINNING, False
    for offset in range(0, len(text), 2):
        if text[offset] not in HARMLESS or offset in targets:
            whole = text[offset] in RETURN and offset not in targets
            break
        if text[offset] == IMPORT:
            found[offset], last = last, offset
    return Row(found, last, whole)


class Straight:
    """Tells before a module runs whether everything is as it was when the process was last looked at."""

    def __init__(self, on_day: Callable[[], None]) -> None:
        """`on_day` is called when the dawn is over."""
        self.now = False
        """Nothing can have changed."""
        self.dawn = True
        """First-party modules have done nothing yet but import others."""
        self._on_day = on_day
        self._left: tuple[Record | None, int] = (None, BEGINNING)

    def looked(self) -> None:
        """A module has run, and the process was looked at."""
        self.now = True

    def begins(self, record: Record) -> None:
        """A module is about to run, and the process was looked at, or did not have to be."""
        self.now, self._left = False, (record, BEGINNING)

    def stirred(self) -> None:
        """Something else runs."""
        self.now, self._left = False, (None, BEGINNING)

    def day(self) -> None:
        """First-party code is about to do something else."""
        if self.dawn:
            self.dawn = False
            self._on_day()

    def runs(self, record: Record) -> None:
        """A module's code is known, and about to run."""
        if self.dawn and not (record.row.leads or record.row.whole):
            self.day()

    def enters(self, record: Record, frame: FrameType) -> bool:
        """An import statement of a module begins; whether it stands among the module's own statements."""
        if frame.f_code is not record.code:
            return False
        module, at = self._left
        self.now = module is record and record.row.leads.get(frame.f_lasti) == at
        return True

    def leaves(self, record: Record, frame: FrameType) -> None:
        """It is over."""
        if self.dawn and frame.f_lasti == record.row.last and not record.row.whole:
            self.day()
        self._left = (record, frame.f_lasti) if self.now else (None, BEGINNING)
        self.now = False
