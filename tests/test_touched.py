"""What a call touched, against modules that run again."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_hmr import audit
from fastapi_hmr.touched import TOOL, Touched
from tests.generations import Generations, generations
from tests.utils import Project


@pytest.fixture
def modules(project: Project) -> Iterator[Generations]:
    """The project's modules."""
    with generations(project) as driver:
        yield driver


def record(modules: Generations, call: Callable[[], Any]) -> Touched:
    """The record of a call made now."""
    with Touched(modules.owns).about(call, "the factory") as touched:
        call()
    return touched


def after(modules: Generations, module: str, old: str, new: str, *again: str, call: str = "start.begin") -> str | None:
    """Load, record `call`, edit `module`, run `again`; the judgement."""
    name, _, function = call.partition(".")
    modules.load("start")
    touched = record(modules, getattr(sys.modules[name], function))
    modules.project.edit(module, old, new)
    modules.again(*again)
    return touched.changed(getattr(sys.modules[name], function))


BASE = {
    "start.py": """
        import helpers
        from settings import SIZE, Kind, limits

        def begin():
            return [helpers.work(SIZE), limits["a"], Kind().name()]

        def unrelated():
            return 1
        """,
    "helpers.py": """
        FACTOR = 2

        def work(n):
            return n * FACTOR + inner()

        def inner():
            return 1

        def unrelated():
            return 5
        """,
    "settings.py": """
        SIZE = 3
        OTHER = 4
        limits = {"a": 1, "b": (2, 3)}

        class Kind:
            LABEL = "kind"
            def name(self):
                return self.LABEL
        """,
}


@pytest.fixture
def base(modules: Generations) -> Generations:
    """A project of three modules."""
    for name, text in BASE.items():
        modules.project[name] = text
    return modules


@pytest.mark.parametrize(
    ("module", "old", "new", "reason"),
    [
        ("start.py", "def unrelated():\n    return 1", "def unrelated():\n    return 2", None),
        ("start.py", "def begin():", "\n\n# moved down\ndef begin():", None),
        ("helpers.py", "return 5", "return 6", None),
        ("settings.py", "OTHER = 4", "OTHER = 5", None),
        ("start.py", 'limits["a"]', 'limits["b"]', "begin() in start.py changed"),
        ("helpers.py", "+ inner()", "- inner()", "work() in helpers.py changed"),
        ("helpers.py", "return 1", "return 2", "inner() in helpers.py changed"),
        ("helpers.py", "return 1", "return True", "inner() in helpers.py changed"),
        ("helpers.py", "FACTOR = 2", "FACTOR = 2.0", "FACTOR in helpers.py changed"),
        ("settings.py", "SIZE = 3", "SIZE = 9", "SIZE in settings.py changed"),
        ("settings.py", "(2, 3)", "(2, 4)", "limits in settings.py changed"),
        ("settings.py", 'LABEL = "kind"', 'LABEL = "sort"', "Kind.LABEL in settings.py changed"),
        ("settings.py", "return self.LABEL", "return self.LABEL * 2", "Kind.name() in settings.py changed"),
        ("helpers.py", "def inner():", "def inner(x=1):", "inner() in helpers.py changed"),
        ("helpers.py", "def inner()", "def outer()", "inner() is gone from helpers.py"),
    ],
)
def test_touched_judges_an_edit(base: Generations, module: str, old: str, new: str, reason: str | None) -> None:
    """An edit counts where the call ran or read what it changes, and the reason names that."""
    assert after(base, module, old, new, "settings", "helpers", "start") == reason


def test_touched_lambda_is_compared_by_content(modules: Generations) -> None:
    """A factory without a name is compared itself, and what it calls by name."""
    modules.project["start.py"] = "def load(n): return n\nfactory = lambda: load(1)\n"
    modules.load("start")
    touched = record(modules, sys.modules["start"].factory)
    modules.again("start")
    assert touched.changed(sys.modules["start"].factory) is None
    modules.project.edit("start.py", "load(1)", "load(2)")
    modules.again("start")
    assert touched.changed(sys.modules["start"].factory) == "the factory changed"


def test_touched_decorated_function_changes_with_its_decorator(modules: Generations) -> None:
    """A wrapper's own code and arguments count as much as what it wraps."""
    modules.project["start.py"] = """
        import functools

        def times(n):
            def decorate(function):
                @functools.wraps(function)
                def wrapper():
                    return [function() for _ in range(n)]
                return wrapper
            return decorate

        @times(2)
        def begin():
            return 1
        """
    assert after(modules, "start.py", "@times(2)", "@times(3)", "start") == "begin() in start.py changed"


def test_touched_lazy_import_is_followed(modules: Generations) -> None:
    """What a function imports while it runs counts like any other name."""
    modules.project["start.py"] = """
        def begin():
            from pack.loader import load
            return load()
        """
    modules.project["pack/__init__.py"] = ""
    modules.project["pack/loader.py"] = "def load(): return 1\n"
    reason = after(modules, "pack/loader.py", "return 1", "return 2", "pack.loader")
    assert reason == "load() in pack/loader.py changed"


def test_touched_dynamic_call_is_recorded(modules: Generations) -> None:
    """A function that no name in the code leads to is recorded because it ran."""
    modules.project["start.py"] = """
        import sys
        import plugin

        def begin():
            return getattr(sys.modules["plu" + "gin"], "lo" + "ad")()
        """
    modules.project["plugin.py"] = "def load(): return 1\ndef other(): return 1\n"
    modules.load("start")
    touched = record(modules, sys.modules["start"].begin)
    modules.project.edit("plugin.py", "other(): return 1", "other(): return 2")
    modules.again("plugin")
    assert touched.changed() is None
    modules.project.edit("plugin.py", "load(): return 1", "load(): return 2")
    modules.again("plugin")
    assert touched.changed() == "load() in plugin.py changed"


def test_touched_object_made_anew_counts_as_changed(modules: Generations) -> None:
    """Of an object that cannot be compared, only the very same one is known to be unchanged."""
    modules.project["start.py"] = "from pool import pool\ndef begin(): return pool\n"
    modules.project["pool.py"] = "class Pool: pass\npool = Pool()\n"
    modules.load("start")
    touched = record(modules, sys.modules["start"].begin)
    modules.again("start")
    assert touched.changed() is None
    modules.again("pool", "start")
    assert touched.changed() == "pool in pool.py was made anew"


@pytest.mark.parametrize(
    "body",
    ["global ready\n    ready = 'yes'", "found.append(1)", "Holder.item = object()", "other.ready = object()"],
)
def test_touched_state_set_by_the_call_must_be_set_again(modules: Generations, body: str) -> None:
    """A call that left something in a module has to be made again when that module starts afresh."""
    modules.project["other.py"] = "ready = None\n"
    modules.project["start.py"] = f"""\
import other
ready = None
found = []
class Holder:
    item = None
def begin():
    {body}
"""
    modules.load("start")
    touched = record(modules, sys.modules["start"].begin)
    assert touched.changed(sys.modules["start"].begin) is None
    modules.again("other", "start")
    assert "was set while starting" in str(touched.changed(sys.modules["start"].begin))


@pytest.mark.parametrize("text", ["{}", "{'hits': 0}"])
def test_touched_container_that_is_filled_later_counts_as_changed(modules: Generations, text: str) -> None:
    """Two copies of a registry that requests fill would part ways, however equal they start."""
    modules.project["start.py"] = f"seen = {text}\ndef begin(): return seen\n"
    modules.load("start")
    touched = record(modules, sys.modules["start"].begin)
    sys.modules["start"].seen["hits"] = 7
    assert touched.changed() is None
    modules.again("start")
    assert touched.changed() == "seen in start.py holds state, and that module ran again"


def test_touched_data_file_counts_by_content(modules: Generations) -> None:
    """A file that was read counts, one that was written does not, and equal bytes are no change."""
    modules.project["words.txt"] = "one"
    modules.project["start.py"] = """
        from pathlib import Path

        def begin():
            Path(__file__).with_name("log.txt").write_text("started")
            return Path(__file__).with_name("words.txt").read_text()
        """
    modules.load("start")
    touched = record(modules, sys.modules["start"].begin)
    modules.project["words.txt"] = "one"
    modules.project["log.txt"] = "started again"
    assert touched.changed() is None
    modules.project["words.txt"] = "two"
    assert touched.changed() == "words.txt changed"


def test_touched_environment_variable_counts(modules: Generations, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that the code names is part of what it read."""
    modules.project["start.py"] = 'import os\ndef begin(): return os.environ.get("MODEL_NAME")\n'
    modules.load("start")
    touched = record(modules, sys.modules["start"].begin)
    assert touched.changed() is None
    monkeypatch.setenv("MODEL_NAME", "large")
    assert touched.changed() == "the environment variable MODEL_NAME changed"


def test_touched_name_that_becomes_a_global_counts(modules: Generations) -> None:
    """A builtin that the module comes to shadow is a change of what the code reads."""
    modules.project["start.py"] = "def begin(): return len([1])\n"
    assert after(modules, "start.py", "def", "len = sum\ndef", "start") == "len is new in start.py"


def test_touched_costs_nothing_afterwards(base: Generations) -> None:
    """When no record is being taken, no tool is registered and no listener left."""
    base.load("start")
    record(base, sys.modules["start"].begin)
    assert TOOL not in [sys.monitoring.get_tool(tool) for tool in range(6)]
    assert audit._listeners.get("open") is None


def test_touched_without_a_free_tool_is_unsure(base: Generations) -> None:
    """Where nobody can say what ran, everything counts as changed."""
    base.load("start")
    free = [tool for tool in (3, 4, 2, 5) if sys.monitoring.get_tool(tool) is None]
    for tool in free:
        sys.monitoring.use_tool_id(tool, "somebody else")
    try:
        touched = record(base, sys.modules["start"].begin)
    finally:
        for tool in free:
            sys.monitoring.free_tool_id(tool)
    assert "sys.monitoring" in str(touched.changed())


def test_touched_accept_compares_with_the_latest_modules(base: Generations) -> None:
    """After several reloads that touched nothing, an edit is still found, and old modules are let go."""
    base.load("start")
    touched = record(base, sys.modules["start"].begin)
    for value in (5, 6, 7):
        base.project.edit("settings.py", "OTHER = ", f"OTHER = {value}")
        base.again("settings", "helpers", "start")
        assert touched.changed() is None
        touched.accept()
    held = [fact.same.get() for fact in touched._facts.values() if fact.same is not None]
    assert sys.modules["settings"].limits in held
    base.project.edit("helpers.py", "return 1", "return 3")
    base.again("helpers", "start")
    assert touched.changed() == "inner() in helpers.py changed"


def test_touched_patched_function_counts_where_it_ran(base: Generations) -> None:
    """A function whose code was swapped in place is found without its module having run again."""
    base.load("start")
    touched = record(base, sys.modules["start"].begin)
    sys.modules["helpers"].inner.__code__ = (lambda: 8).__code__
    assert touched.changed() == "inner() in helpers.py changed"


METHODS = """
    class Kind:
        def __init__(self):
            self.made = True

        def later(self):
            return 1

    def begin():
        return Kind()
    """


def test_touched_patched_method_that_did_not_run_is_patched_for_all(modules: Generations) -> None:
    """What the call made has the patched class: nothing to make anew."""
    modules.project["start.py"] = METHODS
    modules.load("start")
    touched = record(modules, sys.modules["start"].begin)
    sys.modules["start"].Kind.later.__code__ = (lambda self: 8).__code__
    assert touched.changed() is None


def test_touched_pins_what_patches_would_not_reach(modules: Generations) -> None:
    """What was made by an equal older class is not of the new one: its functions count as having run."""
    modules.project["start.py"] = METHODS
    modules.load("start")
    pinned: list[str] = []
    touched = Touched(modules.owns, pin=lambda codes: pinned.extend(code.co_qualname for code in codes))
    with touched.about(sys.modules["start"].begin, "begin"):
        sys.modules["start"].begin()
    assert touched.changed() is None
    touched.accept()
    assert pinned == []
    modules.again("start")
    assert touched.changed(sys.modules["start"].begin) is None
    touched.accept()
    assert {"begin", "Kind.__init__", "Kind.later"} == set(pinned)
    sys.modules["start"].Kind.later.__code__ = (lambda self: 8).__code__
    assert touched.changed() == "Kind.later() in start.py changed"


def test_touched_method_of_an_older_equal_class_is_known(modules: Generations) -> None:
    """A value from an earlier generation may be used: its functions count by the current ones."""
    modules.project["start.py"] = METHODS
    modules.load("start")
    kept = sys.modules["start"].begin()
    modules.again("start")
    touched = record(modules, kept.later)
    assert touched.changed() is None
    modules.project.edit("start.py", "return 1", "return 2")
    modules.again("start")
    assert touched.changed() == "Kind.later() in start.py changed"


def test_touched_holds_no_code_of_its_own(base: Generations) -> None:
    """Others count the references to a function's code to see whether it is in use."""
    base.load("start")
    code = sys.modules["helpers"].inner.__code__
    before = sys.getrefcount(code)
    touched = record(base, sys.modules["start"].begin)
    assert touched.changed() is None
    touched.accept()
    assert sys.getrefcount(code) == before


def test_touched_file_by_relative_path_is_known_by_its_absolute_one(modules: Generations) -> None:
    """The working directory may change meanwhile: files are known by their absolute path."""
    modules.project["words.txt"] = "one"
    modules.project["start.py"] = 'def begin(): return open("words.txt").read()\n'
    modules.load("start")
    before = Path.cwd()
    os.chdir(modules.root)
    try:
        touched = Touched(modules.owns)
        with touched, Path("words.txt").open() as file:
            file.read()
    finally:
        os.chdir(before)
    assert touched.changed() is None
    modules.project["words.txt"] = "two"
    assert touched.changed() == "words.txt changed"
