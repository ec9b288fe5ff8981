"""Straight: the process is looked at once between two imports in a row, and twice where anything may have run."""

import os
from types import ModuleType

import pytest

from fastapi_hmr.engine import Engine
from fastapi_hmr.engine.process import Process
from fastapi_hmr.engine.straight import BEGINNING, imports_in_a_row
from tests.engine.test_engine import App, app

__all__ = ["app"]


def rows(text: str) -> list[bool]:
    """For each import that is found in a row: whether it is the first."""
    return [last == BEGINNING for last in imports_in_a_row(compile(text, "shop.py", "exec")).leads.values()]


def test_imports_follow_each_other_and_the_docstring() -> None:
    """However they are written."""
    text = '"""Shop."""\nimport os, sys as s\nimport os.path as p\nfrom a import (\n    b,\n    c as d,\n)\nfrom .e import f\n'
    assert rows(text) == [True, False, False, False, False]


@pytest.mark.parametrize("between", ["f()", "x = y", "x = [1]", "@f\ndef g(): ...", "class A: ...", "del a", "a.b = 1"])
def test_what_could_act_ends_the_row(between: str) -> None:
    """Also where an attribute or a class is made: its metaclass may do anything."""
    assert rows(f"import a\n{between}\nimport b\nimport c\n") == [True]


def test_an_import_after_one_that_may_fail_is_in_no_row() -> None:
    """It may be reached from where the failure was dealt with."""
    assert len(rows("import a\ntry:\n    import b\nexcept ImportError:\n    f()\nimport c\nimport d\n")) <= 2


def test_a_loop_is_no_row() -> None:
    """The second time round something else has been in between."""
    assert rows("for i in 1, 2:\n    import a\n    import b\n") == []


def looks(app: App, between: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the process is looked at while three modules run again."""
    count = 0
    look = Process.mark

    def counted(process: Process, *only: object) -> None:
        nonlocal count
        count += 1
        look(process, *only)  # type: ignore[arg-type]

    monkeypatch.setattr(Process, "mark", counted)
    app.save(main=f"import a\n{between}import b\napp = 1\n", a=f"x = {between!r}\n", b=f"x = {between!r}\n")
    return count


def effects(app: App, name: str) -> list[str]:
    """What a module did."""
    assert isinstance(app.engine, Engine)
    return [effect.what for effect in app.engine.records[name].effects]


def test_between_imports_in_a_row_nobody_looks(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """For nothing can have changed."""
    app.write(main="import a\nimport b\napp = 1\n", a="", b="")
    app.start()
    with monkeypatch.context() as patch:
        straight = looks(app, "", patch)
    with monkeypatch.context() as patch:
        assert looks(app, "y = [a]\n", patch) == straight + 1


def test_what_a_module_does_between_its_imports_is_its_own(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the next module's."""
    monkeypatch.setenv("SHOP", "0")
    app.write(main="import os\nimport a\nos.environ['SHOP'] = '1'\nimport b\napp = 1\n", a="", b="")
    app.start()
    assert (effects(app, "main"), effects(app, "b")) == (["os.environ['SHOP']"], [])


def test_what_a_function_does_in_an_import_statement_is_seen(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's `__getattr__` runs where a name is taken from it."""
    monkeypatch.setenv("SHOP", "0")
    lazy = "import os\ndef __getattr__(name):\n    if name != 'x': raise AttributeError(name)\n    os.environ['SHOP'] = '1'\n"
    app.write(main="import b\nfrom a import x\nimport c\napp = 1\n", a=lazy, b="", c="")
    app.start()
    assert os.environ["SHOP"] == "1"
    assert effects(app, "c") == []
    assert effects(app, "main") == ["os.environ['SHOP']"]


def test_what_a_factory_does_is_seen(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """It imports when its module has long run."""
    monkeypatch.setenv("SHOP", "0")
    app.write(main="import os\ndef make():\n    os.environ['SHOP'] = '1'\n    import a\n    return 1\n", a="")

    def make(module: ModuleType) -> object:
        return module.make()

    app.start(resolve=make)
    assert (effects(app, "main"), effects(app, "a")) == (["os.environ['SHOP']"], [])
