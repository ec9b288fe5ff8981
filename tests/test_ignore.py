"""What is never watched, by name, by content and by the user's globs."""

import time
from pathlib import Path

import pytest

from fastapi_hmr.ignore import Ignore, compile_globs

IGNORED = """
.git/HEAD .git .venv/x.py a/node_modules/lib/index.js __pycache__ app/__pycache__/main.cpython-313.pyc app/main.pyc
.mypy_cache/x .ruff_cache/x .pytest_cache/x .idea/workspace.xml .vscode/settings.json lib/site-packages/x.py
app/.main.py.swp app/.main.py.swo app/main.py~ app/.#main.py app/#main.py# app/4913 app/main.py.tmp app/x.tmp12
app/main.py.tmp.4711.17 app/main.py___jb_tmp___ app/main.py___jb_old___ app/.goutputstream-AB12 app/sedA1b2C3
app/main.py.bak .DS_Store test.db-wal test.db-shm test.sqlite3-journal server.log logs/server.log.1 x.pid .coverage
.coverage.host.123
""".split()
WATCHED = """
main.py app/main.py app/data.json .env .env.local templates/index.html static/site.css static/.well-known/x.json
dist/bundle.js build/x.css log.py catalog.html journal.py static/food-journal food-journal/page.html test.db swap.py
.gitignore tmp.py tmp/x.py env.py logger/__init__.py 4913.py blog/a.py
""".split()


@pytest.fixture
def ignore(tmp_path: Path) -> Ignore:
    """The defaults, for one root."""
    return Ignore([tmp_path])


@pytest.mark.parametrize("name", IGNORED)
def test_leftovers_and_tools_are_ignored(tmp_path: Path, ignore: Ignore, name: str) -> None:
    """Editors, interpreters, databases, version control and package managers."""
    assert ignore(tmp_path / name)


@pytest.mark.parametrize("name", WATCHED)
def test_source_and_assets_are_watched(tmp_path: Path, ignore: Ignore, name: str) -> None:
    """Names that look a little like leftovers are watched, or an edit would be lost."""
    assert not ignore(tmp_path / name)


def test_a_root_is_watched_wherever_it_is(tmp_path: Path) -> None:
    """Somebody who works in a folder called node_modules means it."""
    root = tmp_path / ".venv" / "node_modules"
    ignore = Ignore([root])
    assert not ignore(root)
    assert not ignore(root / "main.py")
    assert ignore(root / "node_modules" / "main.py")


@pytest.mark.parametrize("name", ["environment", "py3.12"])
def test_a_virtualenv_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    """Whatever it is called, and also if it is made while the server runs."""
    ignore = Ignore([tmp_path])
    inside = tmp_path / name / "lib" / "x.py"
    assert not ignore(inside)
    (tmp_path / name).mkdir()
    (tmp_path / name / "pyvenv.cfg").touch()
    assert ignore(tmp_path / name / "pyvenv.cfg")
    assert ignore(inside)


@pytest.mark.parametrize(
    ("glob", "matches", "differs"),
    [
        ("*.txt", ["a.txt", "x/a.txt", "x/a.txt/b.py"], ["a.txt.py", "txt"]),
        ("data", ["data", "data/a.py", "x/data/a.py"], ["data.py", "xdata/a.py"]),
        ("data/", ["data/a.py"], ["data.py"]),
        ("./data", ["data/a.py"], ["data.py"]),
        ("/data", ["data/a.py"], ["x/data/a.py"]),
        ("app/data", ["app/data/a.py"], ["x/app/data/a.py"]),
        ("app/*.py", ["app/a.py"], ["app/x/a.py", "a.py"]),
        ("**/gen/*.py", ["gen/a.py", "x/gen/a.py", "x/y/gen/a.py"], ["gen/a.txt"]),
        ("app/**/x.py", ["app/x.py", "app/a/b/x.py"], ["x.py"]),
        ("app/**", ["app/a.py", "app/b/c.py"], ["b/app.py"]),
        ("test_?.py", ["test_1.py"], ["test_12.py", "test_/.py"]),
        ("[a-c]*.py", ["b.py"], ["d.py"]),
        ("[!a-c].py", ["d.py"], ["b.py"]),
        ("[]].py", ["].py"], ["a.py"]),
        ("a+b(1).py", ["a+b(1).py"], ["aab1.py"]),
        ("[x.py", ["[x.py"], ["x.py"]),
    ],
)
def test_globs_are_those_of_gitignore(tmp_path: Path, glob: str, matches: list[str], differs: list[str]) -> None:
    """Any depth without a slash, from the root with one; a directory takes its content along."""
    excluded = compile_globs([glob], [tmp_path])
    assert [name for name in matches if not excluded(str(tmp_path / name))] == []
    assert [name for name in differs if excluded(str(tmp_path / name))] == []


def test_an_absolute_path_is_what_it_says(tmp_path: Path) -> None:
    """`--reload-exclude $PWD/data`."""
    excluded = compile_globs([str(tmp_path / "data"), f"{tmp_path}/x*/gen"], [tmp_path])
    assert excluded(str(tmp_path / "data" / "a.py"))
    assert excluded(str(tmp_path / "x1" / "gen" / "a.py"))
    assert not excluded(str(tmp_path / "other" / "data" / "a.py"))


def test_globs_are_relative_to_the_working_directory_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell completes names from there, also where the root is above or beside."""
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    assert compile_globs(["gen/x.py"], [tmp_path])(str(tmp_path / "inner/gen/x.py"))
    assert compile_globs(["../beside"], [tmp_path])(str(tmp_path / "beside/x.py"))


def test_the_last_glob_decides(tmp_path: Path) -> None:
    """`!` takes a file back."""
    excluded = compile_globs(["*.py", "!keep.py"], [tmp_path])
    assert excluded(str(tmp_path / "a.py"))
    assert not excluded(str(tmp_path / "keep.py"))
    assert compile_globs(["!keep.py", "*.py", ""], [tmp_path])(str(tmp_path / "keep.py"))


def test_excludes_of_the_user_come_on_top(tmp_path: Path) -> None:
    """The defaults stay."""
    ignore = Ignore([tmp_path], ["data", "*.gen.py"])
    assert ignore(tmp_path / "data")
    assert ignore(tmp_path / "data" / "x" / "y.json")
    assert ignore(tmp_path / "a.gen.py")
    assert ignore(tmp_path / "a.pyc")
    assert not ignore(tmp_path / "a.py")


def test_includes_take_back_a_default(tmp_path: Path) -> None:
    """`--reload-include '*.log'`, as in uvicorn; an exclude of the user stays."""
    ignore = Ignore([tmp_path], excludes=["secret.log"], includes=["*.log"])
    assert not ignore(tmp_path / "x.log")
    assert ignore(tmp_path / "secret.log")
    assert ignore(tmp_path / "x.pyc")


def test_a_file_outside_all_roots_is_judged_by_its_name(tmp_path: Path) -> None:
    """Single files elsewhere are watched as well (an env file)."""
    ignore = Ignore([tmp_path / "root"])
    assert not ignore(tmp_path / "elsewhere" / ".env")
    assert ignore(tmp_path / "elsewhere" / "x.pyc")


def test_a_question_costs_next_to_nothing(tmp_path: Path) -> None:
    """It is asked for every event of the file system: folders are judged once, names by one expression."""
    ignore = Ignore([tmp_path], ["data/*.x", "*.y"])
    paths = [tmp_path / f"package{n % 50}" / f"module{n}.py" for n in range(5000)]
    began = time.process_time()
    assert not any(ignore(path) for path in paths)
    assert time.process_time() - began < 2.5  # 0.02 s on an idle machine
