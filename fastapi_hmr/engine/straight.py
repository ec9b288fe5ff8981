"""Straight: knows when only import statements have run since the process was looked at, so that nothing can have changed.

Nearly every module begins with its imports, and the process is looked at before and after each module that these run.
Between two of them runs nothing but what is told here: functions of first-party modules, which sys.monitoring reports,
and the code of the importing module itself, of which every import statement says how far it has come.
"""

import dis
from types import CodeType, FrameType
from typing import Final

from fastapi_hmr.engine.record import Record

BEGINNING: Final = -1
IMPORT: Final = dis.opmap["IMPORT_NAME"]
HARMLESS: Final = frozenset(
    dis.opmap[name]
    for name in "RESUME NOP EXTENDED_ARG LOAD_CONST IMPORT_NAME IMPORT_FROM STORE_NAME SWAP POP_TOP".split()
)
"""What import statements and docstrings are made of."""


def imports_in_a_row(code: CodeType) -> dict[int, int]:
    """Of the imports that a module's code begins with: where one is, by where the one is that leads straight to it."""
    found: dict[int, int] = {}
    text = code.co_code
    # There may be another way to an import: from where one that failed was dealt with.
    targets = frozenset(dis.findlabels(text)) if code.co_exceptiontable else frozenset()  # type: ignore[arg-type]
    last = BEGINNING
    for offset in range(0, len(text), 2):
        if text[offset] not in HARMLESS or offset in targets:
            break
        if text[offset] == IMPORT:
            found[offset], last = last, offset
    return found


class Straight:
    """Tells before a module runs whether everything is as it was when the process was last looked at."""

    def __init__(self) -> None:
        self.now = False
        """Nothing can have changed."""
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

    def enters(self, record: Record, frame: FrameType) -> bool:
        """An import statement of a module begins; whether it stands among the module's own statements."""
        if frame.f_code is not record.code:
            return False
        module, at = self._left
        self.now = module is record and record.rows.get(frame.f_lasti) == at
        return True

    def leaves(self, record: Record, frame: FrameType) -> None:
        """It is over."""
        self._left = (record, frame.f_lasti) if self.now else (None, BEGINNING)
        self.now = False
