"""Patches of live functions, case by case: what is served, what is refused and why, what stays right around it."""

import asyncio
import gc
import inspect
import linecache
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType

import pytest
from fastapi import FastAPI

from fastapi_hmr.engine.patch import NotPatchable, Patch
from fastapi_hmr.events import ReloadLevel
from tests.engine.patch_cases import Load, applied, loading, refused


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Runs a text as a module that can be edited."""
    with loading(tmp_path) as load:
        yield load


def test_patch_of_positions_is_level_nothing(load: Load) -> None:
    """Moved functions have the new lines in tracebacks and `inspect.getsource`, whether they ran or not."""
    live = load("def ran():\n    return 1\n\n\nX = ran()\n\n\ndef fails():\n    return 1 / 0\n")
    outcome = live.edit("def ran", "# a\n# comment\ndef ran")
    assert isinstance(outcome, Patch)
    assert outcome.level is ReloadLevel.NOTHING
    assert live["ran"].__code__.co_firstlineno == 3
    with pytest.raises(ZeroDivisionError) as caught:
        live["fails"]()
    (frame,) = traceback.extract_tb(caught.value.__traceback__)[-1:]
    assert (frame.lineno, frame.line) == (11, "return 1 / 0")
    assert inspect.getsource(live["fails"]) == "def fails():\n    return 1 / 0\n"


def test_patch_of_body_shows_new_source(load: Load) -> None:
    """A traceback and `inspect.getsource` show the file as it is, though the old text was shown before."""
    live = load("def f():\n    return 'old'\n")
    assert "old" in inspect.getsource(live["f"])
    patch = live.edit("'old'", "'new'")
    assert applied(patch) == ("f",)
    assert isinstance(patch, Patch)
    assert patch.level is ReloadLevel.PATCH
    assert live["f"]() == "new"
    assert "new" in inspect.getsource(live["f"])


def test_patch_that_moves_class_keeps_what_it_knows_of_its_source(load: Load) -> None:
    """Since 3.13 a class knows its line, for `inspect.getsource`, and the attributes that its methods set."""
    live = load("class C:\n    def m(self):\n        self.a = 1\n\n\nclass D:\n    x = 6\n")
    applied(live.edit("        self.a = 1", "        self.a = 1\n        self.b = 2\n"))
    if sys.version_info >= (3, 13):
        assert (live["D"].__firstlineno__, live["D"].x) == (8, 6)
        assert sorted(live["C"].__static_attributes__) == ["a", "b"]
    assert (live["C"]().m(), vars(live["C"]).get("b")) == (None, None)


def test_patch_in_app_factory_reaches_registered_handlers(load: Load) -> None:
    """Handlers that only the app has are found though the function around them ran; its next call makes new ones."""
    live = load(
        "from fastapi import FastAPI\n\n\ndef create_app():\n    app = FastAPI()\n\n    @app.get('/a')\n    async def a():\n"
        "        return 'a'\n\n    @app.get('/b')\n    def b():\n        return 'b'\n\n    return app\n\n\napp = create_app()\n"
    )
    assert applied(live.edit("return 'b'", "return 'new'")) == ("create_app.<locals>.b",)
    assert served(live["app"], "/b") == "new"
    assert served(live["create_app"](), "/b") == "new"
    assert applied(live.edit("return 'a'", "return 'other'")) == ("create_app.<locals>.a",)
    endpoint = next(route.endpoint for route in live["app"].routes if route.path == "/a")
    assert asyncio.run(endpoint()) == "other"


def served(app: FastAPI, path: str) -> object:
    """What the handler at a path returns."""
    route = next(route for route in app.routes if getattr(route, "path", "") == path)
    return route.endpoint()  # type: ignore[attr-defined]


def test_patch_of_dependency_and_overrides_keeps_identity(load: Load) -> None:
    """Function objects stay the same, so dictionaries and overrides keyed by them go on working."""
    live = load("def dependency():\n    return 1\n\nOVERRIDES = {dependency: lambda: 5}\n")
    function = live["dependency"]
    applied(live.edit("return 1", "return 2"))
    applied(live.edit("lambda: 5", "lambda: 6"))
    assert live["dependency"] is function
    assert live["OVERRIDES"][function]() == 6


def test_patch_finds_functions_that_only_foreign_objects_have(load: Load) -> None:
    """A function in reach of no name of its module is found in the heap."""
    live = load("def make():\n    def inner():\n        return 1\n    return inner\n")
    with live.record.starting():
        kept = [object(), {"key": (live["make"](),)}]
    applied(live.edit("return 1", "return 2"))
    assert kept[1]["key"][0]() == 2  # type: ignore[index]
    again = live["make"]()
    applied(live.edit("return 2", "return 3"))
    assert (kept[1]["key"][0](), again()) == (3, 3)  # type: ignore[index]


def test_patch_of_code_that_something_invisible_holds_is_refused(load: Load) -> None:
    """A frozen heap can't be searched: the reference count tells that somebody has the code."""
    live = load("def make():\n    def inner():\n        return 1\n    return inner\n")
    kept = iter([live["make"]()])
    gc.freeze()
    try:
        reason = refused(live.edit("return 1", "return 2"))
    finally:
        gc.unfreeze()
    assert reason == "something unknown holds the code of `make.<locals>.inner`"
    assert next(kept)() == 1


def test_patch_leaves_other_generation_alone(load: Load) -> None:
    """The same compiled code can run in two modules: only the one that is patched changes."""
    live = load("def f():\n    return 1\n")
    earlier: dict[str, object] = {"__name__": "earlier"}
    exec(live.source.code, earlier)
    applied(live.edit("return 1", "return 2"))
    assert live["f"]() == 2
    assert earlier["f"]() == 1  # type: ignore[operator]


def test_patch_while_request_is_in_progress_lets_it_finish(load: Load) -> None:
    """Calls finish on the code that they began with, in coroutines, generators and threads; new calls get the new."""
    live = load(
        "import asyncio\n\nasync def handler(event):\n    await event.wait()\n    return 'old'\n\n"
        "def stream():\n    yield 'old'\n    yield 'old'\n\n"
        "def blocking(entered, event):\n    entered.set()\n    event.wait()\n    return 'old'\n"
    )

    async def main() -> list[object]:
        event, entered, release = asyncio.Event(), threading.Event(), threading.Event()
        running = asyncio.create_task(live["handler"](event))
        thread = asyncio.create_task(asyncio.to_thread(live["blocking"], entered, release))
        stream = live["stream"]()
        first = next(stream)
        await asyncio.to_thread(entered.wait)
        text = live.source.content.decode().replace("'old'", "'new'")
        assert applied(live.save(text)) == ("handler", "stream", "blocking")
        event.set()
        release.set()
        return [await running, await thread, first, next(stream), await live["handler"](event), next(live["stream"]())]

    assert asyncio.run(main()) == ["old", "old", "old", "old", "new", "new"]


def test_patch_of_function_that_its_decorator_dropped_is_refused(load: Load) -> None:
    """Whatever the decorator made of the function, it is not the function any more."""
    live = load(
        "def translate(f):\n    return f.__name__\n\n@translate\ndef f():\n    return 1\n\ndef g():\n    return 3\ndel g\n"
    )
    assert refused(live.edit("return 1", "return 2")) == "the decorators of `f` did not keep it"
    assert applied(live.edit("return 3", "return 4")) == ("g",)


def test_patch_of_compiled_function_is_refused(load: Load) -> None:
    """Libraries that translate bodies once are known by name."""
    live = load("def jit(f):\n    return f\n\njit.__module__ = 'numba.core'\n\n@jit\ndef f():\n    return 1\n")
    assert refused(live.edit("return 1", "return 2")) == "numba has compiled `f`"


def test_patch_with_worker_process_is_refused(load: Load) -> None:
    """A process that was forked or has imported the app has the old code."""
    live = load(
        "import multiprocessing, time\n\ndef f():\n    return 1\n\nPROCESS = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(60,))\n"
    )
    live["PROCESS"].start()
    try:
        assert refused(live.edit("return 1", "return 2")) == "worker processes have the old code"
    finally:
        live["PROCESS"].terminate()
        live["PROCESS"].join()
    applied(live.edit("return 1", "return 2"))


def test_patch_of_broken_file_is_refused(load: Load) -> None:
    """A syntax error is for the next level to report."""
    live = load("def f():\n    return 1\n")
    outcome = live.plan("def f(:\n    return 2\n")
    assert isinstance(outcome, NotPatchable)
    assert outcome.source is None
    assert live["f"]() == 1


def test_patch_that_a_function_refuses_changes_nothing(load: Load) -> None:
    """All functions are swapped, or none."""
    live = load(
        "def a():\n    return 1\n\ndef b(x):\n    def inner():\n        return x\n    return inner\n\nINNER = b(1)\n"
    )
    patch = live.plan(live.source.content.decode().replace("return 1", "return 2"))
    assert isinstance(patch, Patch)
    other = live.plan(live.source.content.decode().replace("return x", "return x + 1"))
    assert isinstance(other, Patch)
    (pair, holders), *_ = patch._moves
    patch._moves = [(pair, holders), *((p, h) for p, h in other._moves if p.old.co_freevars)]
    patch._moves[-1][0].new = pair.new  # a code without free names does not fit a closure
    with pytest.raises(ValueError, match="free vars"):
        patch.apply()
    assert (live["a"](), live["INNER"]()) == (1, 1)


def test_undo_of_patch_restores_code_lines_and_docstrings(load: Load) -> None:
    """After an undo the module is what it was, and can be patched again."""
    text = 'def f():\n    """One."""\n    return 1\n\ndef g():\n    return 3\n'
    live = load(text)
    before = live.source
    patch = live.save(text.replace("return 1", "x = 2\n    return x").replace("One", "Two"))
    assert isinstance(patch, Patch)
    assert (live["f"](), live["f"].__doc__, live["g"].__code__.co_firstlineno) == (2, "Two.", 6)
    live.undo(patch, before)
    assert (live["f"](), live["f"].__doc__) == (1, "One.")
    assert live["g"].__code__.co_firstlineno == 5
    applied(live.edit("return 3", "return 4"))
    assert live["g"]() == 4


def test_patched_function_reports_to_tracers(load: Load) -> None:
    """Breakpoints and coverage follow: trace functions and monitoring tools see the new lines of a hot function."""
    live = load("def f():\n    return 1\n")
    for _ in range(200):
        live["f"]()
    applied(live.save("\n\ndef f():\n    x = 5\n    return x\n"))
    seen: list[int] = []

    def trace(frame: object, event: str, arg: object) -> object:
        if event == "line" and frame.f_code is live["f"].__code__:  # type: ignore[attr-defined]
            seen.append(frame.f_lineno)  # type: ignore[attr-defined]
        return trace

    outer = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        assert live["f"]() == 5
    finally:
        sys.settrace(outer)
    assert seen == [4, 5]
    assert lines_by_monitoring(live["f"]) == [4, 5]


def lines_by_monitoring(function: Callable[[], object]) -> list[int]:
    """The lines of one call, as a monitoring tool sees them."""
    seen: list[int] = []

    def on_line(code: CodeType, line: int) -> None:
        if code is function.__code__:
            seen.append(line)

    monitoring = sys.monitoring
    tool = next(tool for tool in range(6) if monitoring.get_tool(tool) is None)
    monitoring.use_tool_id(tool, "test")
    monitoring.register_callback(tool, monitoring.events.LINE, on_line)
    monitoring.set_events(tool, monitoring.events.LINE)
    try:
        function()
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.free_tool_id(tool)
    return seen


def test_many_patches_leave_nothing_behind(load: Load) -> None:
    """Old code is freed with the patch that replaced it."""
    live = load("def f():\n    return 0\n\ndef g():\n    return 1\n")
    for n in range(50):
        applied(live.save(f"def f():\n    return {n + 1}\n" + "\n" * (n % 5 + 1) + "def g():\n    return 1\n"))
    gc.collect()
    alive = [code for code in live.record._watched if code.co_filename == str(live.path)]
    assert len(alive) <= 4
    assert str(live.path) not in linecache.cache


def test_patch_of_function_with_other_code_is_refused(load: Load) -> None:
    """Somebody rewrote the function's code at import: what the file says is not what runs."""
    live = load("def f():\n    return 1\n\nf.__code__ = f.__code__.replace(co_name='g')\n")
    assert refused(live.edit("return 1", "return 2")) == "`f` has other code than the file's"


def test_patch_of_type_alias_is_refused_once_it_was_evaluated(load: Load) -> None:
    """Python keeps what an alias, or the bound of a type parameter, came to; until then new code does."""
    live = load("type X = int\n\n\ndef make():\n    return int\n\n\ntype Y[T: int] = make()\n")
    assert applied(live.edit("type X = int", "type X = str")) == ("X",)
    assert live["X"].__value__ is str
    assert "the type `X` has been evaluated" in refused(live.edit("type X = str", "type X = bytes"))
    assert live["Y"].__value__ is int
    assert "`Y` has been evaluated" in refused(live.edit("    return int", "    return str"))
    assert applied(live.edit("T: int", "T: str")) != ()
    assert live["Y"].__type_params__[0].__bound__ is str
    assert "has been evaluated" in refused(live.edit("T: str", "T: bytes"))
