"""Finding the app: strings, paths, nothing at all, a running script."""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_hmr.discover import discover, likely, main_source
from fastapi_hmr.exceptions import AppNotFound, ConfigError
from tests.utils import Project

APP = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project as the working directory, on sys.path as under `python -m`, and nothing imported from it."""
    monkeypatch.chdir(project.root)
    monkeypatch.syspath_prepend(str(project.root))
    before = set(sys.modules)
    yield project
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(project.root)):
            del sys.modules[name]


def found(
    argument: str | None, project: Project, *, app_dir: str | None = None, factory: bool = False
) -> tuple[str, str | None, str]:
    """Module, attribute and search path (relative to the project) of what `argument` means."""
    source = discover(argument, app_dir=app_dir, factory=factory)
    assert source.factory is factory
    assert source.file is not None
    assert source.file.exists()
    return source.module, source.attribute, str(source.search_path.relative_to(project.root))


def fill(project: Project, *names: str) -> None:
    """Make files: apps, and empty `__init__.py`."""
    for name in names:
        project[name] = "" if name.endswith("__init__.py") else APP


@pytest.mark.parametrize(
    ("files", "argument", "expected"),
    [
        (["main.py"], "main:app", ("main", "app", ".")),
        (["main.py"], "main:app.inner", ("main", "app.inner", ".")),
        (["main.py"], "main", ("main", None, ".")),
        (["main.py"], "main.py", ("main", None, ".")),
        (["main.py"], "./main.py", ("main", None, ".")),
        (["main.py"], "main.py:api", ("main", "api", ".")),
        (["pkg/__init__.py", "pkg/main.py"], "pkg.main:app", ("pkg.main", "app", ".")),
        (["pkg/__init__.py", "pkg/main.py"], "pkg/main.py", ("pkg.main", None, ".")),
        (["pkg/__init__.py", "pkg/main.py"], "pkg/main.py:app", ("pkg.main", "app", ".")),
        (["pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/m.py"], "pkg/sub/m.py", ("pkg.sub.m", None, ".")),
        (["pkg/main.py"], "pkg.main:app", ("pkg.main", "app", ".")),
        (["app/main.py"], "app/main.py", ("main", None, "app")),
        (["src/main.py"], "src/main.py", ("main", None, "src")),
        (["src/pkg/__init__.py", "src/pkg/main.py"], "src/pkg/main.py", ("pkg.main", None, "src")),
        (["src/pkg/__init__.py", "src/pkg/main.py"], "pkg.main:app", ("pkg.main", "app", "src")),
        (["pkg/__init__.py", "pkg/main.py"], "pkg", ("pkg.main", None, ".")),
        (["pkg/__init__.py", "pkg/main.py"], "pkg/", ("pkg.main", None, ".")),
        (["pkg/__init__.py", "pkg/app.py"], "./pkg", ("pkg.app", None, ".")),
        (["pkg/__init__.py"], "pkg", ("pkg", None, ".")),
        (["pkg/__init__.py"], "pkg:app", ("pkg", "app", ".")),
        (["pkg/__init__.py", "pkg/main.py"], "pkg:app", ("pkg", "app", ".")),
        (["app.py", "app/x.py"], "app", ("app", None, ".")),
        (["service/main.py"], "service", ("main", None, "service")),
        (["main.py"], ".", ("main", None, ".")),
        (["main.py"], None, ("main", None, ".")),
        (["app.py", "app/main.py"], None, ("app", None, ".")),
        (["api.py"], None, ("api", None, ".")),
        (["app/__init__.py", "app/main.py"], None, ("app.main", None, ".")),
        (["app/__init__.py", "app/api.py", "app/app.py"], None, ("app.app", None, ".")),
        (["src/main.py"], None, ("main", None, "src")),
        (["src/app/__init__.py", "src/app/main.py"], None, ("app.main", None, "src")),
        (["src/shop/__init__.py", "src/shop/main.py"], None, ("shop.main", None, "src")),
    ],
)  # fmt: skip
def test_app_is_found(
    here: Project, files: list[str], argument: str | None, expected: tuple[str, str | None, str]
) -> None:
    """The module's real name, and the folder that it is imported from."""
    fill(here, *files)
    assert found(argument, here) == expected


def test_package_with_an_app_in_its_init_is_the_app(here: Project) -> None:
    """`fastapi-hmr pkg`: the package's own app goes before one in pkg/main.py."""
    fill(here, "pkg/main.py")
    here["pkg/__init__.py"] = APP
    assert found("pkg", here) == ("pkg", None, ".")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("from app.routers import items", ("app.main", None, ".")),
        ("import app.routers", ("app.main", None, ".")),
        ("from .routers import items", ("app.main", None, ".")),
        ("from routers import items", ("main", None, "app")),
        ("from application import x", ("main", None, "app")),
    ],
)
def test_package_without_init_is_known_by_its_imports(
    here: Project, statement: str, expected: tuple[str, str | None, str]
) -> None:
    """`app/main.py` that imports `app.routers` only works as `app.main`; the others would break by it."""
    here["app/main.py"] = f"{statement}\n{APP}"
    assert found("app/main.py", here) == expected


def test_app_dir_is_where_modules_are_looked_for(here: Project) -> None:
    """As uvicorn's --app-dir; a path below it gets its name from there."""
    fill(here, "backend/service/main.py")
    assert found("service.main:app", here, app_dir="backend") == ("service.main", "app", "backend")
    assert found("backend/service/main.py", here, app_dir="backend") == ("service.main", None, "backend")
    assert found("service/main.py", here, app_dir="backend") == ("service.main", None, "backend")
    fill(here, "backend/main.py", "backend/service/inner/other.py")
    assert found(None, here, app_dir="backend") == ("main", None, "backend")
    with pytest.raises(AppNotFound, match="no module 'main'"):
        discover("main:app", app_dir="backend/service/inner")


def test_entrypoint_of_pyproject_goes_before_the_usual_places(here: Project) -> None:
    """`[tool.fastapi] entrypoint`, with or without an attribute; an argument goes before it."""
    fill(here, "main.py", "other.py")
    here["pyproject.toml"] = '[tool.fastapi]\nentrypoint = "other:api"\n'
    assert found(None, here) == ("other", "api", ".")
    assert "pyproject.toml" in discover(None).origin
    assert found("main:app", here) == ("main", "app", ".")


def test_installed_module_is_found_where_it_is(here: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install is on sys.path, outside the working directory."""
    (tmp_path / "elsewhere/shop").mkdir(parents=True)
    (tmp_path / "elsewhere/shop/__init__.py").write_text("")
    (tmp_path / "elsewhere/shop/main.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    source = discover("shop.main:app")
    assert source.file == tmp_path / "elsewhere/shop/main.py"
    assert source.search_path == here.root


def test_nothing_is_imported(here: Project) -> None:
    """Finding the app must not run it: only the engine may."""
    here["pkg/__init__.py"] = "raise RuntimeError('imported')\n"
    here["pkg/main.py"] = "raise RuntimeError('imported')\n"
    for argument in ("pkg.main:app", "pkg/main.py", "pkg"):
        assert discover(argument).module == "pkg.main"
    assert not [name for name in sys.modules if name.partition(".")[0] == "pkg"]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("nothere:app", "no module 'nothere'.*--app-dir"),
        ("mian:app", "did you mean 'main'"),
        ("pkg.mian:app", "did you mean 'pkg.main'"),
        ("main.app", "write `main:app`"),
        ("main:", "not complete"),
        (":app", "not complete"),
        ("main:app-x", "'app-x'"),
        ("ma in:app", "neither a path"),
        ("nothere.py", "'nothere.py' does not exist"),
        ("mian.py", "did you mean 'main.py'"),
        ("pkg/mian.py:app", "did you mean 'main.py'"),
        ("folder", "has none of main.py"),
        ("folder:app", "has no __init__.py: name a module in it"),
        ("plain:app", "did you mean `plain.main:app`"),
        ("./data.txt", "not a Python file"),
    ],
)
def test_what_does_not_exist_is_named_with_the_remedy(here: Project, argument: str, says: str) -> None:
    """Bad input is found before anything starts."""
    fill(here, "main.py", "pkg/__init__.py", "pkg/main.py", "plain/main.py", "folder/x.py")
    here["data.txt"] = ""
    with pytest.raises(AppNotFound, match=says):
        discover(argument)


def test_app_dir_that_is_none_is_refused(here: Project) -> None:
    """A typing error in the option is not an unknown module."""
    fill(here, "main.py")
    with pytest.raises(ConfigError, match="--app-dir 'nowhere'"):
        discover("main:app", app_dir="nowhere")


def script(project: Project, name: str) -> dict[str, Any]:
    """Globals of a file run as `python file` runs it."""
    return runpy.run_path(str(project.root / name), run_name="__main__") | {"__spec__": None}


def test_main_source_of_a_script_is_its_module(here: Project) -> None:
    """`python main.py`: the object is found again by the name that it has in the script."""
    here["main.py"] = APP
    space = script(here, "main.py")
    source = main_source(space["app"], space)
    assert (source.module, source.attribute, source.search_path) == ("main", "app", here.root)


def test_main_source_prefers_the_usual_name(here: Project) -> None:
    """One app under several names."""
    here["main.py"] = APP + "application = app\nfirst = app\n"
    space = script(here, "main.py")
    assert main_source(space["app"], {"zzz": space["app"], **space}).attribute == "app"


def test_main_source_of_a_file_in_a_package_is_the_packages_module(here: Project) -> None:
    """`python pkg/sub/main.py`, and from inside the folder with a relative file name."""
    fill(here, "pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/main.py")
    space = script(here, "pkg/sub/main.py")
    for name in (space["__file__"], "pkg/sub/main.py", "./pkg/sub/../sub/main.py"):
        source = main_source(space["app"], {**space, "__file__": name})
        assert (source.module, source.search_path) == ("pkg.sub.main", here.root)


def test_main_source_under_python_m_is_what_was_run(here: Project) -> None:
    """`python -m folder.main` needs no `__init__.py`: the spec has the name; `python -m pkg` runs `pkg.__main__`."""
    fill(here, "folder/main.py", "pkg/__init__.py", "pkg/__main__.py")
    for name in ("folder.main", "pkg.__main__"):
        space = runpy.run_module(name, run_name="__main__")
        source = main_source(space["app"], space)
        assert (source.module, source.attribute, source.search_path) == (name, "app", here.root)


def test_main_source_of_an_import_string(here: Project) -> None:
    """Found as an import in the script would be."""
    fill(here, "pkg/__init__.py", "pkg/main.py")
    source = main_source("pkg.main:create", {})
    assert (source.module, source.attribute, source.search_path) == ("pkg.main", "create", here.root)
    assert main_source("pkg.main", {}).attribute is None
    with pytest.raises(AppNotFound, match="no module 'nothere'"):
        main_source("nothere:app", {})
    with pytest.raises(AppNotFound, match="not an import string"):
        main_source("pkg/main.py:app", {})
    fill(here, "lib/deep.py")
    assert main_source("deep:app", {}, app_dir="lib").search_path == here.root / "lib"


def test_main_source_of_an_object_without_a_name_says_what_to_do(here: Project) -> None:
    """`dev(create_app())` can't be made again after a save."""
    here["main.py"] = "x = 1\n"
    with pytest.raises(AppNotFound, match=r"not a global of main\.py.*import string"):
        main_source(FastAPI(), script(here, "main.py"))


def test_main_source_of_an_app_made_in_the_main_block_says_what_to_do(here: Project) -> None:
    """The block does not run again; a name that is bound above it as well, or imported, is all right."""
    block = "if __name__ == '__main__':\n    app = make()\n"
    here["main.py"] = f"from fastapi import FastAPI as make\n{block}"
    space = script(here, "main.py")
    with pytest.raises(AppNotFound, match="'app' is made inside the `if __name__"):
        main_source(space["app"], space)
    here["main.py"] = f"from fastapi import FastAPI as make\nother = app = None\n{block}    other = app\n"
    space = script(here, "main.py")
    assert main_source(space["app"], space).attribute == "app"
    here["lib.py"] = APP
    here["main.py"] = "from lib import app as lib_app\nif __name__ == '__main__':\n    app = lib_app\n"
    space = script(here, "main.py")
    assert main_source(space["app"], space).attribute == "lib_app"


def test_main_source_without_a_file_says_so() -> None:
    """`python -c` and the interactive prompt have nothing to reload."""
    app = FastAPI()
    with pytest.raises(AppNotFound, match="needs a script in a file"):
        main_source(app, {"__name__": "__main__", "app": app})


@pytest.mark.parametrize(
    ("text", "factory", "shown"),
    [
        ("app = FastAPI()", False, "main:app"),
        ("other = FastAPI()\napi: FastAPI = fastapi.FastAPI(title='x')", False, "main:api"),
        ("shop = Starlette(routes=[])", False, "main:shop"),
        ("one = FastAPI()\ntwo = FastAPI()", False, "main"),
        ("from shop import app", False, "main"),
        ("def helper(): ...\ndef create_app(): ...", True, "main:create_app"),
    ],
)
def test_attribute_that_will_be_found_is_shown(here: Project, text: str, factory: bool, shown: str) -> None:
    """Before the module has run: where its text does not tell, nothing is claimed."""
    here["main.py"] = text
    assert str(likely(discover("main.py", factory=factory))) == shown
