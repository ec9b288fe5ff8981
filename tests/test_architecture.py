"""The floor plan, read from the source: imports point down, each dependency has one door, importing is free."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fastapi_hmr

PACKAGE = Path(fastapi_hmr.__file__).parent
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(floor.split())
    for floor in (
        "exceptions tracebacks audit codes modules collector later pace poll kept exchange interop loop doorbell access waiting watchdog interrupt workers",
        "config events facts hot interface listen written blocked",
        "resolve ignore tree lifespan touched leaks settings",
        "watcher engine discover terminal generation browser carry coldstart",
        "switch",
        "reload server",
        "main",
        "cli",
        "__main__",
    )
)
"""Lowest first. A module imports from lower floors only; `engine` and `browser` count as one module each."""
LAZY = {
    ("__init__", "__getattr__", "main"),  # `import fastapi_hmr` stays free
    ("__init__", "dev", "main"),
    ("__main__", "main", "cli"),  # the collector is put off first
    ("main", "_carry", "carry"),  # only with --keep-lifespan
    ("main", "_record", "touched"),  # only where something is kept
    ("cli", "_serve", "main"),  # `--help` and wrong options need no server
    ("main", "_uvicorn_config", "browser"),  # without --reload there is no browser part
    ("main", "_render", "browser.guard"),  # an app that starts needs no error page
    ("main", "_render", "browser.pages"),
    ("engine.engine", "evict_preloaded", "engine.eviction"),  # only for dev()
    ("engine.patching", "_plan", "engine.patch"),  # nothing is patched before the first edit
    ("engine.patching", "_plan", "engine.patch_holders"),
    ("engine.patching", "_plan", "engine.patch_source"),
}
"""Function, and what of ours it imports when it is called. They point down like all others."""
DOORS = {
    "reactivity": {"engine.hmr"},
    "watchfiles": {"watcher"},
    "sse_starlette": {"browser.channel"},
    "click": {"cli"},
    "uvicorn": {"access", "cli", "main", "server", "config", "interface"},
    "starlette": set[str](),
    "fastapi": set[str](),
    "anyio": set[str](),
}
"""Which modules may import a dependency. FastAPI and Starlette are the user's: whatever version is there serves."""
LAZY_DOORS = {("config", "uvicorn"), ("interface", "uvicorn")}
"""Low floors that ask uvicorn something, in a function, so that importing them stays cheap."""


@dataclass(frozen=True)
class Import:
    """One import statement: who, what, in which function, and whether only type checkers see it."""

    module: str
    target: str
    function: str
    typing: bool


def dotted(path: Path) -> str:
    """A file's module name below the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports() -> Iterator[Import]:
    """Every import statement of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from _imports(dotted(path), ast.parse(path.read_text()), "", typing=False)


def _imports(module: str, node: ast.AST, function: str, *, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(module, child, child.name, typing=typing)
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from _imports(module, child, function, typing=True)
            continue
        if isinstance(child, ast.Import):
            yield from (Import(module, name.name, function, typing) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module} has a relative import"
            yield from (Import(module, target, function, typing) for target in _targets(child))
        yield from _imports(module, child, function, typing=typing)


def _targets(statement: ast.ImportFrom) -> Iterator[str]:
    base = statement.module or ""
    for name in statement.names:
        inner = base.replace(".", "/").removeprefix("fastapi_hmr").lstrip("/")
        is_module = base.partition(".")[0] == "fastapi_hmr" and (
            (PACKAGE / inner / f"{name.name}.py").is_file() or (PACKAGE / inner / name.name).is_dir()
        )
        yield f"{base}.{name.name}" if is_module else base


ALL = tuple(imports())
INTERNAL = tuple(each for each in ALL if each.target.startswith("fastapi_hmr."))


def inner(target: str) -> str:
    """The name below the package."""
    return target.removeprefix("fastapi_hmr.")


def floor(module: str) -> int:
    """The floor that a module is on."""
    top = module.partition(".")[0]
    found = [number for number, names in enumerate(FLOORS) if top in names]
    assert len(found) == 1, f"{module} is on {len(found)} floors: give it one in FLOORS"
    return found[0]


def test_every_module_has_a_floor_and_every_floor_its_modules() -> None:
    """A new module is placed on purpose; a deleted one leaves the plan."""
    there = {dotted(path).partition(".")[0] for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert there == frozenset[str]().union(*FLOORS)


def test_imports_point_down() -> None:
    """Never up, never sideways; what only type checkers see does not count."""
    wrong = [
        f"{each.module} (floor {floor(each.module)}) imports {inner(each.target)} (floor {floor(inner(each.target))})"
        for each in INTERNAL
        if not each.typing
        and each.module != "__init__"
        and each.module.partition(".")[0] != inner(each.target).partition(".")[0]
        and floor(inner(each.target)) >= floor(each.module)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["engine", "browser"])
def test_inside_a_package_nothing_imports_in_a_circle(package: str) -> None:
    """So that each file can be read knowing only those that it names."""
    graph: dict[str, set[str]] = {}
    for each in INTERNAL:
        target = inner(each.target)
        if each.module.startswith(f"{package}.") and target.startswith(f"{package}.") and not each.typing:
            graph.setdefault(each.module, set()).add(target)
    finished: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join((*path, module))}"
        if module not in finished:
            for target in graph.get(module, ()):
                walk(target, (*path, module))
            finished.add(module)

    for module in list(graph):
        walk(module, ())


def test_imports_in_functions_are_the_named_ones() -> None:
    """A lazy import hides a dependency: each has its reason above."""
    lazy = {(each.module, each.function, inner(each.target)) for each in INTERNAL if each.function}
    assert lazy == LAZY


def test_browser_knows_nothing_of_the_engine() -> None:
    """It is handed values and callables: its security can be read by itself."""
    known = {inner(each.target).partition(".")[0] for each in INTERNAL if each.module.partition(".")[0] == "browser"}
    assert known <= {"browser", "events", "tracebacks", "exceptions", "audit", "exchange"}


def test_engine_knows_nothing_of_serving() -> None:
    """It builds targets, and never hears of sockets, pages or terminals."""
    known = {inner(each.target).partition(".")[0] for each in INTERNAL if each.module.partition(".")[0] == "engine"}
    assert not known & {"browser", "switch", "generation", "lifespan", "server", "terminal", "watcher", "config"}


def test_each_dependency_has_its_door() -> None:
    """Where a library changes, one file changes."""
    wrong = [
        f"{each.module} imports {each.target}"
        for each in ALL
        if not each.typing
        and each.module not in DOORS.get(each.target.partition(".")[0], {each.module})
        and not each.module.startswith("engine.adapters.")  # those know libraries that the app may use
    ]
    assert wrong == []
    eager = {
        (each.module, each.target.partition(".")[0])
        for each in ALL
        if (each.module, each.target.partition(".")[0]) in LAZY_DOORS and not (each.function or each.typing)
    }
    assert eager == set()


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after this statement and has not without it."""
    code = "import sys, json; before = set(sys.modules); {}; print(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run(
        [sys.executable, "-c", code.format(statement)], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_else() -> None:
    """An app may import it in production: no server, no watcher, no asyncio, not even a module of ours."""
    loaded = loaded_by("from fastapi_hmr import dev")
    assert {name for name in loaded if name.startswith("fastapi_hmr")} == {"fastapi_hmr"}
    heavy = {"uvicorn", "watchfiles", "reactivity", "fastapi", "starlette", "sse_starlette", "click", "asyncio"}
    assert not loaded & heavy


def test_the_command_loads_the_server_only_to_serve() -> None:
    """`--help` and a wrong option answer without hmr, FastAPI or the user's app."""
    loaded = {name.partition(".")[0] for name in loaded_by("import fastapi_hmr.cli")}
    assert "uvicorn" in loaded
    assert not loaded & {
        "reactivity",
        "sse_starlette",
        "fastapi",
        "starlette",
    }  # watchfiles is imported by uvicorn itself


def test_a_start_loads_nothing_that_only_some_starts_need() -> None:
    """Patching, pages, kept values and adapters come with their first use: every start is waited for."""
    loaded = loaded_by(
        "import fastapi_hmr.main; from fastapi_hmr.engine import Engine; Engine(roots=[], module='x', resolve=id)"
    )
    assert "fastapi_hmr.engine.engine" in loaded
    unneeded = (
        "browser carry touched facts codes engine.syntax engine.patch engine.patch_source engine.adapters.sqlmodel"
    )
    assert not loaded & {f"fastapi_hmr.{name}" for name in unneeded.split()}
    assert not loaded & {"ctypes", "tomllib", "difflib", "sqlmodel", "anyio._backends._asyncio"}
