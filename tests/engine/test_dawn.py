"""Dawn: while first-party modules have only imported nobody listens, and whatever comes after is noticed as ever."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import asyncio, json, sys
from pathlib import Path
from fastapi_hmr import audit
audit.put_off()
from fastapi_hmr.engine import Engine
from fastapi_hmr.engine.record import FILE

heard = []
audit.listen("open", lambda arguments: heard.append(str(arguments[0])))
sys.path[:0] = [".", "site-packages"]
engine = Engine(roots=[Path.cwd()], module="main", resolve=lambda module: module)
asyncio.run(engine.start())
tracker = engine._tracker
read = {record.name: sorted(path.name for path in record.keys(FILE)) for record in engine.records.values()}
print(json.dumps({
    "read": {name: files for name, files in read.items() if files},
    "heard": [Path(name).name for name in heard if Path(name).suffix == ".txt"],
    "asked": {record.name: list(record.statements) for record in engine.records.values()},
    "effects": {record.name: [effect.what for effect in record.effects] for record in engine.records.values()},
    "hooked": __import__ is not engine._hook._original,
    "dawn": tracker.straight.dawn,
}))
"""
LIBRARY = "import json, tomllib\nopen('site-packages/own.txt').close()\n"


def start(root: Path, **files: str) -> dict[str, object]:
    """What an engine in a new process knows of an app made of these modules, and of a library `lib`."""
    (root / "site-packages").mkdir()
    for name, text in {"own": "", "a": "", "b": ""}.items():
        (root / ("site-packages" if name == "own" else "") / f"{name}.txt").write_text(text)
    (root / "site-packages" / "lib.py").write_text(files.pop("lib", LIBRARY))
    for name, text in files.items():
        path = root / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    child = subprocess.run([sys.executable, "-c", CHILD], cwd=root, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    found: dict[str, object] = json.loads(child.stdout)
    return found


def test_nobody_listens_while_a_library_is_imported(tmp_path: Path) -> None:
    """What it opens is not even heard of, for nothing of ours could have had a hand in it; the next line's file is."""
    found = start(tmp_path, main="'''Shop.'''\nimport os\nimport lib\nfrom os import path\nopen('a.txt').close()\n")
    assert found["heard"] == ["a.txt"]
    assert found["read"] == {"main": ["a.txt"]}
    assert (found["dawn"], found["hooked"]) == (False, True)


@pytest.mark.parametrize(
    "main",
    [
        "open('a.txt').close()\nimport lib\n",
        "import lib\nopen('a.txt').close()\n",
        "try:\n    import missing\nexcept ImportError:\n    open('a.txt').close()\nimport lib\n",
        "try:\n    import lib\n    import missing\nexcept ImportError:\n    open('a.txt').close()\n",
        "try:\n    import lib\nfinally:\n    open('a.txt').close()\n",
        "import contextlib\nwith contextlib.suppress(Exception):\n    import lib, missing\nopen('a.txt').close()\n",
        "if True:\n    import lib\nopen('a.txt').close()\n",
        "import lib\nfrom lib import *\nopen('a.txt').close()\n",
        "import lib; x = open('a.txt').close()\n",
        "def f(x=open('a.txt').close()): ...\nimport lib\n",
    ],
)
def test_what_is_read_is_known_wherever_it_is(tmp_path: Path, main: str) -> None:
    """Before, between and after imports, and where one failed."""
    assert start(tmp_path, main=main)["read"] == {"main": ["a.txt"]}


def test_modules_that_only_import_are_dawn_too(tmp_path: Path) -> None:
    """A package's empty __init__ and one that gathers names: it goes on until there is code."""
    found = start(
        tmp_path,
        main="import shop.goods\nimport tomllib\nopen('b.txt').close()\n",
        **{
            "shop/__init__": "'''All of it.'''\nfrom shop.names import lib, json\n",
            "shop/names": "import lib\nimport json\n",
            "shop/goods": "import lib\nimport csv\nX = open('a.txt').close()\n",
        },
    )
    assert found["read"] == {"shop.goods": ["a.txt"], "main": ["b.txt"]}
    assert found["heard"] == ["a.txt", "b.txt"]


def test_a_function_that_an_import_statement_calls_is_heard(tmp_path: Path) -> None:
    """The module that defines it has done something: its `def`."""
    lazy = "import lib\ndef __getattr__(name):\n    if name != 'x': raise AttributeError(name)\n    return open('a.txt').close()\n"
    read = start(tmp_path, main="import lib\nfrom lazy import x\n", lazy=lazy)["read"]
    assert isinstance(read, dict)
    assert read["main"] == ["a.txt"]


def test_ours_that_a_library_imports_is_known(tmp_path: Path) -> None:
    """While it is imported we stand aside, but not where it comes to a module of ours."""
    found = start(
        tmp_path,
        lib="import json\nimport plugin\nimport csv\n",
        main="import lib\n",
        plugin="import tomllib\nimport helper\nopen('a.txt').close()\n",
        helper="open('b.txt').close()\n",
    )
    assert found["read"] == {"plugin": ["a.txt"], "helper": ["b.txt"]}
    asked = found["asked"]
    assert isinstance(asked, dict)
    assert "plugin" in asked["main"]
    assert "helper" in asked["plugin"]


def test_an_app_that_never_gets_beyond_its_imports(tmp_path: Path) -> None:
    """The library that is missing may be ours to write."""
    found = start(tmp_path, main="import lib\nimport missing\nX = 1\n")
    assert (found["dawn"], found["hooked"]) == (False, True)
    assert found["read"] == {}


def test_a_library_that_wraps_import_stays_wrapped(tmp_path: Path) -> None:
    """We come back before it, and both hear of what ours import."""
    wrapping = (
        "import builtins\nreal = builtins.__import__\nnames = []\n"
        "def wrapped(name, *rest, **more):\n    names.append(name)\n    return real(name, *rest, **more)\n"
        "builtins.__import__ = wrapped\n"
    )
    found = start(
        tmp_path,
        lib=wrapping,
        main="import lib\nimport helper\nassert 'helper' in lib.names\nopen('a.txt').close()\n",
        helper="import json\n",
    )
    assert found["read"] == {"main": ["a.txt"]}
    asked = found["asked"]
    assert isinstance(asked, dict)
    assert "helper" in asked["main"]


@pytest.mark.parametrize("begin", ["threading.Thread(target=work).start()", "_thread.start_new_thread(work, ())"])
def test_a_thread_that_imports_meanwhile_is_heard(tmp_path: Path, begin: str) -> None:
    """We only stand aside where no other thread of the app's can import something."""
    found = start(
        tmp_path,
        lib="import events\nevents.begun.set()\nassert events.ended.wait(20)\n",
        main=(
            "import events, threading, _thread\n"
            "def work():\n    events.there.set()\n    events.begun.wait(20)\n    import helper\n    events.ended.set()\n"
            f"{begin}\nassert events.there.wait(20)\nimport lib\n"
        ),
        helper="",
        **{"site-packages/events": "import threading\nthere, begun, ended = (threading.Event() for _ in range(3))\n"},
    )
    asked = found["asked"]
    assert isinstance(asked, dict)
    assert "helper" in asked["main"]


@pytest.mark.parametrize("end", ["", "raise ImportError\n"])
def test_what_a_library_sets_is_not_taken_for_ours(tmp_path: Path, end: str) -> None:
    """A variable that was set while nobody listened is charged to nobody."""
    found = start(
        tmp_path,
        lib=f"import os\nos.environ['LIB'] = '1'\n{end}",
        main="import os\ntry:\n    import lib\nexcept ImportError: ...\nos.environ['SHOP'] = '1'\n",
    )
    assert found["effects"] == {"main": ["os.environ['SHOP']"]}


def test_what_a_library_sets_before_it_imports_ours_is_not_that_modules(tmp_path: Path) -> None:
    """The dawn ends within the import."""
    found = start(
        tmp_path,
        lib="import os\nos.environ['LIB'] = '1'\nimport plugin\n",
        main="import lib\n",
        plugin="import os\nos.environ['SHOP'] = '1'\n",
    )
    effects = found["effects"]
    assert isinstance(effects, dict)
    assert effects["plugin"] == ["os.environ['SHOP']"]
