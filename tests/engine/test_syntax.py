"""What counts as an edit of positions, of bodies, and of more."""

from types import CodeType

import pytest

from fastapi_hmr.engine.patch_source import compile_whole, recompile
from fastapi_hmr.engine.scopes import nested
from fastapi_hmr.engine.syntax import Bodies, Same, Structural, compare, same_code, same_tree

MODULE = '''import functools
from os import path as p

CONSTANT = 1

def first(a, b=2, *args, key: int = 3, **kwargs):
    """Docstring."""
    return a + b


class Shop:
    name = "shop"

    def price(self, item):
        self.last = item
        return functools.reduce(max, [item, 5])

    @property
    def label(self):
        return f"{self.name}!"


def last():
    def inner():
        return first(1)
    total = [n for n in range(3)]
    return inner, (lambda: 7), p.join("a", "b")
'''


def changed(before: str, after: str) -> list[str] | str:
    """Names of the changed functions after one replacement in MODULE, or the reason why that is no answer."""
    assert MODULE.count(before) == 1
    result = verdict(MODULE, MODULE.replace(before, after))
    if isinstance(result, Structural):
        return result.reason
    return [pair.old.co_qualname for pair in result.pairs if pair.changed]


def verdict(before: str, after: str) -> Same | Bodies | Structural:
    """Compare two texts."""
    old, new = (compile_whole("m.py", text.encode()).code for text in (before, after))
    return compare(old, new, same_syntax=lambda: same_tree(before.encode(), after.encode()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("CONSTANT = 1\n", "\n\n# a comment\nCONSTANT = (\n    1\n)\n"),
        ("    return a + b\n", "    return (a + b)  # sum\n"),
        ('return f"{self.name}!"', "return f'{self.name}!'"),
        ("[item, 5]", "[item, 2 + 3]"),
        ("class Shop:\n", "class Shop:\n\n\n"),
    ],
)
def test_compare_of_equal_meaning_is_same(before: str, after: str) -> None:
    """Comments, line breaks, quotes and folded constants are level 0."""
    assert isinstance(verdict(MODULE, MODULE.replace(before, after)), Same)


def test_compare_of_line_breaks_in_fixed_function_is_same() -> None:
    """Line breaks alone can change instructions (3.13 joins loads on one line): no reason to run anything again."""
    before, after = "def f(a, b):\n    return a + b\n", "def f(a, b):\n    return (\n        a\n        + b\n    )\n"
    old, new = (compile_whole("m.py", text.encode()).code for text in (before, after))

    def same_syntax() -> bool:
        return same_tree(before.encode(), after.encode())

    assert isinstance(compare(old, new, fixed=lambda _code: "ran", same_syntax=same_syntax), Same)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("x = 1", "x=(1)  # one", True),
        ("x = 1", "x = True", False),
        ("x = 1", "x = 1.0", False),
        ("f(a)", "f(a, b)", False),
    ],
)
def test_same_tree_compares_all_but_positions(before: str, after: str, same: bool) -> None:
    """Constants count with their types."""
    assert same_tree(before.encode(), after.encode()) is same


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("return a + b", "return a - b", ["first"]),
        ("return a + b", "import json\n    return json.dumps(a)", ["first"]),
        ('"""Docstring."""', '"""Other."""', ["first"]),
        ("self.last = item", "self.newest = item", ["Shop.price"]),
        ('f"{self.name}!"', 'f"{self.name}?"', ["Shop.label"]),
        ("return first(1)", "return first(2)", ["last.<locals>.inner"]),
        ("lambda: 7", "lambda: 8", ["last.<locals>.<lambda>"]),
        ("lambda: 7", "lambda x: 7", ["last"]),
        ("n for n", "n + 1 for n", ["last"]),
        ("return a + b", "return a + True", ["first"]),
    ],
)
def test_compare_of_bodies_names_them(before: str, after: str, names: list[str]) -> None:
    """An edit inside functions names the innermost whose own part differs."""
    assert changed(before, after) == names


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("CONSTANT = 1", "CONSTANT = True", "code that runs at import changed"),
        ("b=2", "b=3", "code that runs at import changed"),
        ("key: int", "key: float", "code that runs at import changed"),
        ("(a, b=2", "(x, b=2", "the arguments of `first` changed"),
        ("def last():", "async def last():", "`last` became another kind of function (generator, coroutine or nested)"),
        ("return a + b", "yield a", "`first` became another kind of function (generator, coroutine or nested)"),
        ('name = "shop"', 'name = "other"', "more than bodies of methods changed in class `Shop`"),
        ("@property\n    def label", "def label", "more than bodies of methods changed in class `Shop`"),
        ("def first(", "def second(", "`second` is new"),
        ("CONSTANT = 1", "", "code that runs at import changed"),
        (
            "return functools.reduce(max, [item, 5])",
            "return super().x",
            "more than bodies of methods changed in class `Shop`",
        ),
    ],
)
def test_compare_of_more_than_bodies_says_what(before: str, after: str, reason: str) -> None:
    """Whatever runs at import, or is seen by callers, is no edit of a body."""
    assert changed(before, after) == reason


def test_compare_of_future_import_is_structural() -> None:
    """`from __future__ import annotations` changes how everything compiles."""
    assert isinstance(verdict(MODULE, "from __future__ import annotations\n" + MODULE), Structural)


def test_compare_with_fixed_function_gives_its_reason() -> None:
    """A function whose own part must not differ refuses the edit; one nested in it does not."""
    old = compile_whole("m.py", MODULE.encode()).code

    def fixed(code: CodeType) -> str | None:
        return "ran" if code.co_name == "last" else None

    outer = compile_whole("m.py", MODULE.replace("range(3)", "range(4)").encode()).code
    inner = compile_whole("m.py", MODULE.replace("first(1)", "first(9)").encode()).code
    assert compare(old, outer, fixed=fixed) == Structural("ran")
    assert isinstance(compare(old, inner, fixed=fixed), Bodies)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return a + b", "return a + b + 1"),
        ("return a + b", "x = p.join('a')\n\n    # more\n    return x"),
        ("self.last = item", "self.last = item\n        self.other = p.exists('x')"),
        ("    def inner():\n", "    def inner():\n        '''text\nat the margin\ndef not_a_def():\n'''\n"),
        ("def first(", "@functools.cache\ndef first("),
        ("CONSTANT = 1", "CONSTANT = 2"),
        ("class Shop:", "class Shop(object):"),
        ("return f", "return 'é', f"),
    ],
)
def test_recompile_equals_whole_compilation(before: str, after: str) -> None:
    """Compiling only what was edited gives the code, and the positions, of compiling all."""
    old = compile_whole("m.py", MODULE.encode())
    new = MODULE.replace(before, after).encode()
    part, whole = recompile(old, new).code, compile_whole("m.py", new).code
    assert list(map(positions, functions(part))) == list(map(positions, functions(whole)))
    assert all(map(same_code, functions(part), functions(whole)))


def functions(code: CodeType) -> list[CodeType]:
    """All code objects below a module, in the order of constants."""
    return [found for one in nested(code) for found in (one, *functions(one))]


def positions(code: CodeType) -> tuple[object, ...]:
    """What tracebacks show of a code object."""
    return code.co_qualname, code.co_firstlineno, list(code.co_positions())
