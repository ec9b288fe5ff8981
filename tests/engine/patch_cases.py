"""Pieces of modules whose numbers are edited, and what shows the result: for the patch tests."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi_hmr.engine.patch import NotPatchable, Patch, plan
from fastapi_hmr.engine.patch_holders import Index
from fastapi_hmr.engine.patch_record import RunRecord
from fastapi_hmr.engine.patch_source import Source, compile_whole


class Live:
    """One module as an engine would hold it: source, namespace, and the record of what ran."""

    def __init__(self, path: Path, text: str, record: RunRecord) -> None:
        self.path = path
        self.record = record
        self.index = Index()
        self.namespace: dict[str, Any] = {}
        self.source = self.load(text)

    def load(self, text: str) -> Source:
        """Run the text in a fresh namespace, as a start does."""
        self.path.write_text(text)
        self.source = compile_whole(str(self.path), text.encode())
        self.namespace = {"__name__": self.path.stem}
        self.record.watch(self.source.code)
        with self.record.starting():
            exec(self.source.code, self.namespace)
        return self.source

    def plan(self, text: str) -> Patch | NotPatchable:
        """Ask whether the text can be served by a patch."""
        return plan(self.source, text.encode(), self.namespace, self.record, self.index)

    def save(self, text: str) -> Patch | NotPatchable:
        """Write the text, and patch it in if that can be done."""
        self.path.write_text(text)
        patch = self.plan(text)
        if isinstance(patch, Patch):
            patch.apply()
            self.source = patch.source
        return patch

    def undo(self, patch: Patch, before: Source) -> None:
        """Take a patch back, in the file too."""
        patch.undo()
        self.source = before
        self.path.write_bytes(before.content)

    def edit(self, before: str, after: str) -> Patch | NotPatchable:
        """Save with one replacement."""
        text = self.source.content.decode()
        assert text.count(before) == 1, (before, text)
        return self.save(text.replace(before, after))

    def __getitem__(self, name: str) -> Any:
        return self.namespace[name]


def cold(path: Path, text: str) -> dict[str, Any]:
    """Run the text as a cold start would, and nothing is recorded."""
    namespace: dict[str, Any] = {"__name__": path.stem}
    exec(compile(text.encode(), str(path), "exec", dont_inherit=True), namespace)
    return namespace


@dataclass(frozen=True)
class Piece:
    """Text with numbers: `$i` tells pieces apart, `$b` are in bodies that a patch can change, `$x` are elsewhere."""

    text: str
    observe: tuple[str, ...]
    bodies: int = 0
    others: int = 0


def _pieces() -> list[Piece]:
    found: list[Piece] = []
    for part in PIECES.split("=====\n")[1:]:
        text, _, observe = part.partition("-----\n")
        numbers = {kind: sum(f"${kind}{n}" in text for n in range(6)) for kind in "bx"}
        found.append(Piece(text, tuple(observe.splitlines()), numbers["b"], numbers["x"]))
    return found


@dataclass
class Program:
    """A module of random pieces, and its numbers."""

    rng: random.Random
    pieces: list[Piece] = field(default_factory=list)
    numbers: list[dict[str, int]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, rng: random.Random, count: int) -> "Program":
        """Choose pieces."""
        program = cls(rng, rng.sample(_pieces(), count))
        for piece in program.pieces:
            names = [f"b{n}" for n in range(piece.bodies)] + [f"x{n}" for n in range(piece.others)]
            program.numbers.append({name: rng.randrange(2, 90) for name in names})
            program.gaps.append("\n")
        return program

    def text(self) -> str:
        """The module's source."""
        parts = ["import functools, asyncio, contextlib, dataclasses, typing\n"]
        for i, (piece, numbers, gap) in enumerate(zip(self.pieces, self.numbers, self.gaps, strict=True)):
            text = piece.text.replace("$i", str(i))
            for name, value in numbers.items():
                text = text.replace(f"${name}", str(value))
            parts += [gap, text]
        return "".join(parts)

    def observations(self) -> list[str]:
        """Expressions that show what the module does."""
        return [line.replace("$i", str(i)) for i, piece in enumerate(self.pieces) for line in piece.observe]

    def edit(self) -> str:
        """Change one or two numbers, and sometimes lines between; say the kind: nothing, bodies or more."""
        kind = "nothing"
        if self.rng.random() < 0.3:
            self.gaps[self.rng.randrange(len(self.gaps))] = "\n" * self.rng.randrange(1, 4) + "# gap\n"
        for _ in range(self.rng.choice((0, 1, 1, 1, 1, 1, 2))):
            numbers = self.numbers[self.rng.randrange(len(self.numbers))]
            name = self.rng.choice(list(numbers))
            numbers[name] += self.rng.randrange(1, 300)
            kind = "more" if name[0] == "x" or kind == "more" else "bodies"
        return kind


def observe(namespace: dict[str, Any], expressions: list[str]) -> dict[str, str]:
    """Evaluate expressions in a module."""
    scope = namespace | {"run": run, "collect": collect}
    return {expression: repr(eval(expression, scope)) for expression in expressions}


def run(coroutine: Any) -> Any:
    """Run a coroutine to its end."""
    return asyncio.run(coroutine)


def collect(stream: Any) -> list[Any]:
    """All that an asynchronous generator yields."""

    async def all_of() -> list[Any]:
        return [item async for item in stream]

    return asyncio.run(all_of())


def shape(namespace: dict[str, Any], find: Callable[[dict[str, Any]], list[Any]]) -> dict[str, Any]:
    """Lines, docstrings and positions of every function in reach."""
    return {
        f"{function.__qualname__}:{n}": (
            function.__code__.co_firstlineno,
            list(function.__code__.co_positions()),
            function.__doc__,
        )
        for n, function in enumerate(sorted(find(namespace), key=lambda f: (f.__qualname__, f.__code__.co_firstlineno)))
    }


PIECES = '''
=====
def plain$i(x):
    total = [n * $b0 for n in range(x)]
    return sum(total) + (lambda y: y + $b1)(x) + sum(v for v in (x, $b2))
-----
plain$i(3)
=====
def ran$i(x):
    return x + $x0
T$i = ran$i(1)
-----
T$i
ran$i(5)
=====
class Base$i:
    def m(self): return $b0
    @property
    def p(self): return self.m() + $b1
    @classmethod
    def c(cls): return (cls.__name__, $b2)
    @staticmethod
    def s(x): return x * $b3
class Sub$i(Base$i):
    limit = $x0
    def m(self):
        self.seen = $b4
        return super().m() + self.seen + __class__.limit
-----
(Sub$i().m(), Sub$i().p, Sub$i.c(), Sub$i.s(2), Base$i().p)
=====
def make$i(n):
    n = n + $x0
    def inner(x):
        def deep():
            return n * $b0
        return x * n + $b1 + deep()
    return inner
A$i = make$i(2)
B$i = [make$i(3), {"k": make$i(4)}]
-----
(A$i(1), B$i[0](2), B$i[1]["k"](3), make$i(5)(1))
=====
def deco$i(fn):
    extra = $x0
    @functools.wraps(fn)
    def wrapper(*args):
        return [fn(*args), $b0, extra]
    return wrapper
@deco$i
def decorated$i(x):
    """A docstring."""
    return x - $b1
-----
(decorated$i(9), decorated$i.__wrapped__(9))
=====
def rate$i():
    return $b0
@functools.cache
def price$i(n):
    return rate$i() * n + $b1
@functools.lru_cache(maxsize=3)
def other$i(n):
    return price$i(n) - 1
-----
(price$i(2), other$i(3))
=====
@functools.cache
def setting$i():
    return {"value": $x0}
FIRST$i = setting$i()
def show$i():
    return setting$i() is FIRST$i, FIRST$i["value"] + $b0
-----
show$i()
=====
def source$i(x): return x + $b0
def user$i(x, fn=source$i, key=lambda v: v * $b1):
    return fn(x) + key(x) + $b2
K$i = user$i.__defaults__
-----
(user$i(4), K$i[1](2))
=====
def three$i(x=$x0): return x + $b0
P$i = functools.partial(three$i, 7)
class Box$i:
    def get(self): return $b1
M$i = Box$i().get
-----
(P$i(), M$i(), three$i())
=====
def ids$i():
    while True:
        yield $x0
IDS$i = ids$i()
-----
next(IDS$i)
=====
async def one$i(x):
    await asyncio.sleep(0)
    return x + $b0
async def many$i(n):
    for k in range(n):
        yield await one$i(k) * $b1
@contextlib.contextmanager
def managed$i():
    yield $b2
def use$i():
    with managed$i() as value:
        return value
-----
(run(one$i(1)), collect(many$i(3)), use$i())
=====
@functools.singledispatch
def show_any$i(x): return "any", $b0
@show_any$i.register
def _(x: int): return "int", $b1
@show_any$i.register
def _(x: str): return "str", $b2
-----
(show_any$i(1), show_any$i("s"), show_any$i(1.5))
=====
if len("x" * $x0) % 2:
    def choice$i(): return $b0
else:
    def choice$i(): return -$b1
-----
choice$i()
=====
def local_class$i():
    class Inner:
        value = $b0
        def m(self): return self.value + $b1
    return Inner
def first_class$i():
    class Other:
        value = $x0
        def m(self): return self.value + $b2
    return Other
O$i = first_class$i()
-----
(local_class$i()().m(), O$i().m(), O$i.value)
=====
def generic$i[T](x: T) -> list[T]:
    return [x] * ($b0 % 7)
class Generic$i[T]:
    def first(self, x: T) -> T:
        self.last = x
        return self.last or $b1
type Alias$i = list[int]
-----
(generic$i(1), Generic$i().first(0))
=====
class Secret$i:
    def __init__(self): self.__x = $b0
    def __hidden(self): return self.__x + $b1
    def open(self): return self.__hidden()
-----
Secret$i().open()
=====
class Lazy$i:
    @functools.cached_property
    def value(self): return $b0
L$i = Lazy$i()
-----
(Lazy$i().value,)
=====
class Keeper$i:
    @functools.cached_property
    def value(self): return $b0
KEEPER$i = Keeper$i()
-----
KEEPER$i.value
=====
@dataclasses.dataclass
class Point$i:
    x: int
    y: int = $x0
    def size(self): return self.x * $b0
    @property
    def area(self): return self.x * self.y
    @area.setter
    def area(self, value): self.x = value + $b1
    def set(self, value):
        self.area = value
        return self.x
-----
(Point$i(2), Point$i(3).size(), Point$i(1).set(5))
=====
def counter$i():
    n = $b0
    def add():
        nonlocal n
        n += 1
        return n
    return [add(), add()]
-----
counter$i()
=====
def documented$i():
    """Documentation number $b0."""
    return 1
-----
documented$i.__doc__
=====
def described$i():
    """Description number $x0."""
D$i = {"get": described$i}
-----
D$i["get"].__doc__
=====
def gone$i(): return $b0
del gone$i
def twice$i(): return $b1
def twice$i(): return $b2
-----
twice$i()
=====
def body$i(x):
    try:
        match x:
            case {"k": k}: return k + $b0
            case [a, *_] if (b := a + $b1): return b
        return f"{x!r:>{10}} {$b2}"
    finally:
        (lambda: $b3)()
-----
(body$i({"k": 1}), body$i([1]), body$i(3))
=====
REG$i = {}
def register$i(fn): REG$i[fn.__name__] = fn
@register$i
def registered$i(): return $b0
-----
REG$i["registered$i"]()
=====
TABLE$i = {"a": lambda x: x + $b0, "b": lambda x: x + $b1, "c": $x0}
HIDDEN$i = iter([lambda: $b2])
class Holder$i:
    __slots__ = ("call",)
H$i = Holder$i()
H$i.call = lambda: [$b3, *(q for q in range(3))]
-----
(TABLE$i["a"](1), TABLE$i["b"](1), TABLE$i["c"], H$i.call())
=====
@typing.overload
def over$i(x: int) -> int: ...
@typing.overload
def over$i(x: str) -> str: ...
def over$i(x): return x * ($b0 % 5)
N$i = $x0
-----
(over$i("a"), over$i(2), N$i)
=====
def outer$i(flag):
    if flag:
        return [helper$i(n) for n in range($b0 % 9)]
    return None
def helper$i(n):
    return n, $b1
async def started$i():
    await asyncio.sleep(0)
    return $b2
PENDING$i = started$i()
PENDING$i.close()
-----
outer$i(True)
'''
