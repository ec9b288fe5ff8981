"""A module that is edited live, and programs of random pieces: for the patch tests."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi_hmr.engine.patch import NotPatchable, Patch, plan
from fastapi_hmr.engine.patch_holders import Index
from fastapi_hmr.engine.patch_record import RunRecord
from fastapi_hmr.engine.patch_source import Source, compile_whole
from tests.engine.patch_pieces import PIECES


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


type Load = Callable[[str], Live]
_in_request: ContextVar[bool] = ContextVar("_in_request", default=False)


@contextmanager
def loading(folder: Path) -> Iterator[Load]:
    """Give a function that runs a text as a module; calls in this context are requests, others the app's own."""
    record = RunRecord(_in_request.get)
    record.install()
    assert record.available
    count = iter(range(1000))
    token = _in_request.set(True)
    try:
        yield lambda text: Live(folder / f"live{next(count)}.py", text, record)
    finally:
        _in_request.reset(token)
        record.close()


def applied(outcome: Patch | NotPatchable) -> tuple[str, ...]:
    """The functions that were patched."""
    assert isinstance(outcome, Patch), outcome.reason
    return outcome.functions


def refused(outcome: Patch | NotPatchable) -> str:
    """Why there was no patch."""
    assert isinstance(outcome, NotPatchable)
    return outcome.reason


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
