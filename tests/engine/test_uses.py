"""Where module-level code uses what it imports, and where it only holds it."""

import sys
from collections.abc import Iterator

import pytest

from fastapi_hmr.engine.uses import Uses, words

CODE = """\
from html import escape as e, unescape
from json import *
import os
first = 1
e('<')
for each in (1, 2):
    second = 2
    unescape('<')
third = os.path
dumps
"""


@pytest.fixture
def uses() -> Uses:
    """Of the code above."""
    return Uses(compile(CODE, "x", "exec"))


def places() -> Iterator[tuple[int, int]]:
    """The lines of the code above and where they begin."""
    for start, _, line in compile(CODE, "x", "exec").co_lines():
        if line is not None:
            yield line, start


def start(line: int) -> int:
    """Where a line begins."""
    return min(start for at, start in places() if at == line)


@pytest.mark.parametrize(
    ("name", "line", "used"),
    [
        ("e", 4, False),
        ("e", 6, True),
        ("unescape", 5, False),
        ("unescape", 7, True),  # in the second round
        ("dumps", 9, False),
        ("escape", 10, False),
    ],
)
def test_use_comes_before_a_place(uses: Uses, name: str, line: int, used: bool) -> None:
    """What stands further down has not been used yet, unless a loop has come by it."""
    assert uses.used(name, start(line)) is used


def test_use_anywhere(uses: Uses) -> None:
    """At the end everything has been used that is named at all."""
    assert uses.used("dumps", None)
    assert not uses.used("escape", None)
    assert uses.mentioned("path", None)
    assert not uses.mentioned("path", start(9))


def test_use_in_a_text() -> None:
    """An annotation may be a text; what a module says of itself is none."""
    code = '"""Of html and escape."""\nfrom __future__ import annotations\nfrom html import escape\n{}'
    assert not Uses(compile(code.format(""), "x", "exec")).used("escape", None)
    assert Uses(compile(code.format("def f(x: list[escape]): ...\n"), "x", "exec")).used("escape", None)


def test_held_as_tells_imports_from_reads() -> None:
    """Only what an import statement stores is held, by the name under which it is stored."""
    code = compile(CODE, "x", "exec")
    uses = Uses(code)
    held = {uses.held_as(at, "own") for at in range(0, len(code.co_code), 2)}
    assert held == {None, "e", "unescape", "own"}


def test_held_as_nothing_where_names_can_be_got_at_unseen() -> None:
    """`globals()["x"]` uses a name without naming it."""
    code = compile("from html import escape\nglobals()\n", "x", "exec")
    assert {Uses(code).held_as(at, "escape") for at in range(0, len(code.co_code), 2)} == {None}


def test_words_of_a_function() -> None:
    """Attributes, globals and strings, as far as they stand in the code itself."""
    code = sys._getframe().f_code
    assert {"_getframe", "f_code", "sys", "words"} <= words(code)
