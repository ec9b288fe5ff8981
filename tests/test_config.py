"""Config: what `dev()` and the command make of options, and which directories are first-party."""

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from fastapi_hmr.config import AppSource, Config, build, config_from_kwargs, find_roots, read_pyproject
from fastapi_hmr.exceptions import ConfigError
from tests.utils import Project


@pytest.fixture
def source(project: Project, monkeypatch: pytest.MonkeyPatch) -> AppSource:
    """An app in main.py of the working directory."""
    monkeypatch.chdir(project.root)
    project["main.py"] = "app = 1\n"
    return AppSource("main", "app", project.root, file=project.root / "main.py")


def test_kwargs_of_uvicorn_run_reach_uvicorn_but_for_ours(source: AppSource) -> None:
    """What was given is handed on; what means something else here is not."""
    config = config_from_kwargs(
        source, reload=True, host="0.0.0.0", port=81, lifespan="on", interface="wsgi", factory=True, log_config=None,
        reload_dirs=".", reload_delay=3, workers=1, allowed_hosts=["dev.test"], timeout_notify=3,
    )  # fmt: skip
    assert config.refresh
    assert config.uvicorn == {"host": "0.0.0.0", "port": 81, "workers": 1, "log_config": None, "timeout_notify": 3}
    assert (config.lifespan, config.interface, config.source.factory) == ("on", "wsgi", True)
    assert (config.port_given, config.allowed_hosts) == (True, ("dev.test",))
    assert not uvicorn.Config("main:app", **config.uvicorn).should_reload


def test_kwargs_have_uvicorns_defaults(source: AppSource) -> None:
    """Nothing given: nothing said to uvicorn, but that there is one process."""
    config = config_from_kwargs(source)
    assert config == Config(
        source=source, roots=(source.search_path,), watched=(source.search_path,), uvicorn={"workers": 1}
    )


def test_every_argument_of_uvicorn_is_taken_by_dev(source: AppSource) -> None:
    """With its default as the value, as a script that spells all of them out would."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(uvicorn.run).parameters.items()
        if name not in {"app", "reload"}
    }
    config = config_from_kwargs(source, **defaults)
    uvicorn.Config("main:app", **config.uvicorn)
    assert set(config.uvicorn) >= {"host", "headers", "ssl_version", "ws_max_size"}


@pytest.mark.parametrize(
    ("name", "near"), [("prot", "'port'"), ("reload_dir", "'reload_dirs'"), ("allowed_host", "'allowed_hosts'")]
)
def test_unknown_option_names_the_nearest(source: AppSource, name: str, near: str) -> None:
    """A keyword that nobody looks at would be lost in silence."""
    options: dict[str, Any] = {name: 1}
    with pytest.raises(ConfigError, match=f"no option '{name}'.*did you mean {near}"):
        config_from_kwargs(source, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 2}, "workers=2"),
        ({"http": "no.such:thing"}, "http 'no.such:thing' can't be used"),
        ({"ws": "no.such:thing"}, "ws 'no.such:thing'"),
        ({"loop": "no.such:thing"}, "loop 'no.such:thing' can't be used"),
        ({"ssl_keyfile": "main.py"}, "needs its certificate"),
        ({"ssl_certfile": "main.py"}, "ssl_certfile 'main.py' can't be used"),
        ({"ssl_certfile": "no.pem", "ssl_keyfile_password": "hush"}, r"^ssl_certfile 'no\.pem' can't be used"),
        ({"log_config": "no.yaml"}, "log_config 'no.yaml' does not exist"),
        ({"log_config": "main.py"}, "log_config 'main.py' can't be used"),
        ({"env_file": "no.env"}, "env_file 'no.env' does not exist"),
        ({"headers": [("A",)]}, "header 'A' has no value"),
        ({"reload_dirs": ["nowhere"]}, "reload directory 'nowhere' does not exist"),
        ({"reload_dirs": "main.py"}, "reload directory 'main.py' is not a directory"),
        ({"reload_dirs": "no*"}, "reload directory 'no\\*' does not exist"),
    ],
)
def test_value_that_can_not_work_is_named_before_anything_starts(
    source: AppSource, options: dict[str, Any], says: str
) -> None:
    """uvicorn would raise out of the middle of its start."""
    with pytest.raises(ConfigError, match=says):
        config_from_kwargs(source, **options)


@pytest.mark.parametrize(
    ("option", "file", "module"), [("env_file", ".env", "dotenv"), ("log_config", "l.yml", "yaml")]
)
def test_package_that_a_file_needs_is_named(
    source: AppSource, monkeypatch: pytest.MonkeyPatch, option: str, file: str, module: str
) -> None:
    """uvicorn imports these only when it is too late for one clear line."""
    (source.search_path / file).touch()
    options: dict[str, Any] = {option: file}
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(ConfigError, match=f"{option} '{file}' needs a package.*pip install"):
        config_from_kwargs(source, **options)


def test_a_password_is_never_in_a_message(source: AppSource) -> None:
    """It would end in a log."""
    with pytest.raises(ConfigError) as caught:
        config_from_kwargs(source, ssl_certfile="no.pem", ssl_keyfile_password="hush")
    assert "hush" not in str(caught.value)


def test_roots_are_here_and_where_the_app_comes_from(project: Project, source: AppSource, tmp_path: Path) -> None:
    """Resolved, and none inside another."""
    (project.root / "src").mkdir()
    outside = tmp_path / "outside"
    (outside / "pkg").mkdir(parents=True)
    (outside / "pkg/__init__.py").touch()
    (tmp_path / "link").symlink_to(outside)
    inner = AppSource("main", None, project.root / "src")
    assert find_roots(inner) == (project.root,)
    assert find_roots(AppSource("main", None, outside / "pkg")) == (project.root, outside / "pkg")
    assert set(find_roots(inner, [tmp_path / "link", outside / "pkg"])) == {project.root, outside}
    editable = AppSource("pkg.main", None, project.root, file=outside / "pkg/main.py")
    assert find_roots(editable) == (project.root, outside)


def test_an_installed_package_is_no_root(project: Project, source: AppSource) -> None:
    """An app that was installed is a library: its environment is not the project."""
    file = Path(uvicorn.__file__)
    assert find_roots(AppSource("uvicorn", None, project.root, file=file)) == (project.root,)


def test_the_home_directory_is_not_watched(
    project: Project, source: AppSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cd; fastapi-hmr work/main.py`: there are hundreds of thousands of files at home."""
    monkeypatch.setenv("HOME", str(project.root))
    app = project.root / "work"
    assert find_roots(AppSource("main", None, app, file=app / "main.py")) == (app,)


def test_reload_dirs_choose_what_is_watched(project: Project, source: AppSource, tmp_path: Path) -> None:
    """Watched is what was named; first-party is also all the rest of the project."""
    for folder in ("a/x", "b/x"):
        (project.root / folder).mkdir(parents=True)
    beside = tmp_path / "beside"
    beside.mkdir()
    config = build(source, {"reload_dirs": ["*/x", "../beside"], "reload_includes": ["a", "*.sql"]})
    assert set(config.watched) == {project.root / "a", project.root / "b/x", beside}
    assert set(config.roots) == {project.root, beside}
    assert config.includes == ("*.sql",)
    absolute = build(source, {"reload_dirs": [f"{project.root}/*/x"]})
    assert len(absolute.watched) == 2


def test_a_single_string_is_one_pattern(source: AppSource) -> None:
    """uvicorn takes a string here; as a list of letters it would match half of the project."""
    config = config_from_kwargs(source, reload_excludes="data", reload_includes="*.sql")
    assert (config.excludes, config.includes) == (("data",), ("*.sql",))


def test_pyproject_table_is_read(project: Project) -> None:
    """Empty where there is no file or no such table."""
    assert read_pyproject(project.root, "fastapi-hmr") == {}
    project["pyproject.toml"] = "[tool.other]\nx = 1\n"
    assert read_pyproject(project.root, "fastapi-hmr") == {}
    project["pyproject.toml"] = "[tool.fastapi-hmr]\nport = 1\n"
    assert read_pyproject(project.root, "fastapi-hmr") == {"port": 1}


def test_pyproject_that_is_not_text_is_named(project: Project) -> None:
    """The file, and what to do."""
    (project.root / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"pyproject\.toml is not valid TOML"):
        read_pyproject(project.root, "x")
    (project.root / "pyproject.toml").unlink()
    (project.root / "pyproject.toml").mkdir()
    with pytest.raises(ConfigError, match=r"pyproject\.toml can't be read: Is a directory"):
        read_pyproject(project.root, "x")


def test_source_is_shown_as_an_import_string() -> None:
    """As one would write it."""
    assert str(AppSource("a.b", "c", Path())) == "a.b:c"
    assert str(AppSource("a.b", None, Path())) == "a.b"
