"""The command: it takes every option that uvicorn takes, knows where values come from, and says errors in one line."""

import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
import uvicorn

from fastapi_hmr import __version__
from fastapi_hmr.cli import command, config_from_context, our_options
from fastapi_hmr.config import Config
from tests.conftest import Serve
from tests.utils import Project, hmr_argv

DIFFERENT = {"reload", "reload_dirs", "workers", "version"}
"""uvicorn's options whose declaration differs here, on purpose."""

type Parse = Callable[..., Config]


@pytest.fixture
def parse(project: Project, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Make the Config of a command line, in a project with an app in main.py, as the process would."""
    for name in list(os.environ):
        if name.startswith(("UVICORN_", "FASTAPI_HMR_")) or name == "WEB_CONCURRENCY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(project.root)
    project["main.py"] = "app = 1\n"

    def parsed(*arguments: str) -> Config:
        with command.make_context("fastapi-hmr", list(arguments)) as context:
            return config_from_context(context)

    return parsed


def refused(project: Project, *arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and error output of the real command, which must end by itself."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("UVICORN", "FASTAPI_HMR"))}
    done = subprocess.run(
        hmr_argv(*arguments), cwd=project.root, env={**env, **environment}, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def named(parameters: list[click.Parameter]) -> dict[str, click.Parameter]:
    """Parameters by name."""
    return {parameter.name or "": parameter for parameter in parameters}


def test_every_option_of_uvicorn_is_accepted_with_the_same_meaning() -> None:
    """Names, types, defaults and kinds are uvicorn's own, but for those that are ours on purpose."""
    ours, theirs = named(command.params), named(uvicorn.main.params)
    assert theirs.keys() <= ours.keys() | {"version"}
    for name in theirs.keys() - DIFFERENT:
        mine, other = ours[name], theirs[name]
        assert (mine.opts, mine.secondary_opts) == (other.opts, other.secondary_opts)
        assert mine.type is other.type
        assert (mine.nargs, mine.multiple) == (other.nargs, other.multiple)
        assert mine.default == other.default
        assert mine.is_eager == other.is_eager
    assert {"--reload", "--refresh"} == set(ours["reload"].opts)
    assert set(theirs["reload_dirs"].opts) == set(ours["reload_dirs"].opts)


def test_uvicorns_own_command_is_left_as_it_was() -> None:
    """Parameters are copied before they are changed: `uvicorn` in the same process still is `uvicorn`."""
    theirs = named(uvicorn.main.params)
    assert theirs["reload"].opts == ["--reload"]
    assert theirs["app"].required
    assert theirs["workers"].callback is None


def test_no_option_of_ours_hides_one_of_uvicorns() -> None:
    """A name that uvicorn takes later would show here."""
    theirs = {option for parameter in uvicorn.main.params for option in parameter.opts}
    assert not theirs & {option for parameter in our_options() for option in parameter.opts}


def test_config_builds_what_uvicorn_run_would_build(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every argument that uvicorn's command hands to uvicorn.Config is handed on with the same value."""
    arguments = ["main:app", "--port", "81", "--header", "A:b:c", "--header", "D: e", "--no-access-log", "--ws", "none"]
    theirs: dict[str, object] = {}
    monkeypatch.setattr(sys.modules["uvicorn.main"], "run", lambda app, **options: theirs.update(options))
    uvicorn.main.main(arguments, standalone_mode=False)
    config = parse(*arguments)
    ours = dict(config.uvicorn)
    assert ours.pop("workers") == 1
    assert ours["headers"] == [["A", "b:c"], ["D", " e"]]
    left_out = (
        "lifespan interface reload reload_dirs reload_includes reload_excludes reload_delay workers factory app_dir"
    )
    for name in left_out.split():
        theirs.pop(name)
    assert theirs.pop("log_config") == uvicorn.config.LOGGING_CONFIG  # its default: said by leaving it out
    assert ours == theirs
    built = uvicorn.Config("main:app", **config.uvicorn)
    assert (built.port, built.access_log, built.workers, built.should_reload) == (81, False, 1, False)


@pytest.mark.parametrize("option", ["--reload", "--refresh"])
def test_reload_is_about_the_page_and_never_reaches_uvicorn(parse: Parse, option: str) -> None:
    """uvicorn's reloader, which is another process, can't be switched on."""
    assert not parse("main:app").refresh
    config = parse("main:app", option, "--reload-delay", "3", "--reload-dir", ".")
    assert config.refresh
    assert not [name for name in config.uvicorn if name.startswith("reload")]


def test_web_concurrency_is_not_for_a_dev_server(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable may be set for production: one process serves all the same."""
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert uvicorn.Config("main:app", **parse("main:app").uvicorn).workers == 1


def test_precedence_is_command_line_environment_pyproject_default(
    parse: Parse, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source overrides the next, and our environment prefix overrides uvicorn's."""
    assert parse().uvicorn["host"] == "127.0.0.1"
    project["pyproject.toml"] = '[tool.fastapi-hmr]\nhost = "pyproject"\n'
    assert parse().uvicorn["host"] == "pyproject"
    monkeypatch.setenv("UVICORN_HOST", "uvicorn")
    assert parse().uvicorn["host"] == "uvicorn"
    monkeypatch.setenv("FASTAPI_HMR_HOST", "ours")
    assert parse().uvicorn["host"] == "ours"
    assert parse("--host", "line").uvicorn["host"] == "line"


def test_pyproject_takes_options_by_their_names(parse: Parse, project: Project) -> None:
    """Dashes or underscores, a single string where several are possible, flags as booleans, and the app too."""
    project["other.py"] = "app = 1\n"
    (project.root / "src").mkdir()
    project["pyproject.toml"] = (
        '[tool.fastapi-hmr]\napp = "other:app"\nreload = true\nreload-dir = "src"\nreload_exclude = ["a", "b"]\n'
        'access-log = false\nport = 99\nallowed-host = "dev.test"\n'
    )
    config = parse()
    assert (config.source.module, config.source.origin) == ("other", "[tool.fastapi-hmr] in pyproject.toml")
    assert config.refresh
    assert config.watched == (project.root / "src",)
    assert config.excludes == ("a", "b")
    assert config.allowed_hosts == ("dev.test",)
    assert (config.uvicorn["access_log"], config.uvicorn["port"], config.port_given) == (False, 99, True)


def test_environment_of_uvicorn_means_what_it_means_there(
    parse: Parse, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several directories are separated as in PATH, patterns by blanks, and the app may come from there."""
    for folder in ("a", "b c"):
        (project.root / folder).mkdir()
    monkeypatch.setenv("UVICORN_RELOAD_DIRS", "a:b c")
    monkeypatch.setenv("UVICORN_RELOAD_EXCLUDES", "*.x *.y")
    monkeypatch.setenv("UVICORN_APP", "main:app")
    monkeypatch.setenv("UVICORN_PROXY_HEADERS", "0")
    config = parse()
    assert config.watched == (project.root / "a", project.root / "b c")
    assert config.excludes == ("*.x", "*.y")
    assert (config.source.attribute, config.source.origin) == ("app", "UVICORN_APP")
    assert config.uvicorn["proxy_headers"] is False


def test_port_is_given_only_where_somebody_gave_it(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default port may be replaced by a free one; a chosen one never, though it be the same number."""
    assert not parse().port_given
    assert parse("--port", "8000").port_given
    monkeypatch.setenv("UVICORN_PORT", "8000")
    assert parse().port_given


def test_what_is_watched_can_be_chosen(parse: Parse, project: Project) -> None:
    """Globs of directories are expanded, includes and excludes are kept as they are."""
    for folder in ("one/app", "two/app", "three"):
        (project.root / folder).mkdir(parents=True)
    config = parse("--reload-dir", "*/app", "--reload-include", "*.sql", "--reload-include", "three")
    assert set(config.watched) == {project.root / name for name in ("one/app", "two/app", "three")}
    assert config.roots == (project.root,)
    assert config.includes == ("*.sql",)


def test_version_names_both(project: Project) -> None:
    """`--version` is asked when something is wrong: it says what is installed."""
    done = subprocess.run(hmr_argv("--version"), cwd=project.root, capture_output=True, text=True, check=True)
    assert __version__ in done.stdout
    assert uvicorn.__version__ in done.stdout


def test_help_says_what_reload_means(project: Project) -> None:
    """A user of uvicorn must not wonder why the server reloads without it."""
    done = subprocess.run(hmr_argv("--help"), cwd=project.root, capture_output=True, text=True, check=True)
    text = " ".join(done.stdout.split())
    assert "--reload, --refresh Refresh open pages in the browser" in text
    assert "The server itself reloads always" in text


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nothere:app"], 3, ["'nothere'", "--app-dir"]),
        (["man:app"], 3, ["'man'", "did you mean 'main'"]),
        (["main.app"], 3, ["`main:app`"]),
        (["main:"], 3, ["'main:'", "package.module:app"]),
        (["nothere.py"], 3, ["'nothere.py'", "does not exist"]),
        (["src/nothere/"], 3, ["'src/nothere/'", "does not exist"]),
        (["main:app", "--app-dir", "nowhere"], 3, ["'nowhere'", "not a directory"]),
        (["main:app", "--reload-dir", "nowhere"], 3, ["'nowhere'", "does not exist"]),
        (["main:app", "--reload-dir", "no*where"], 3, ["'no*where'", "does not exist"]),
        (["main:app", "--reload-dir", "main.py"], 3, ["'main.py'", "not a directory"]),
        (["main:app", "--workers", "2"], 2, ["--workers", "one is what is kept alive"]),
        (["main:app", "--prot", "1"], 2, ["--prot", "--port", "--help"]),
        (["main:app", "--port", "x"], 2, ["--port", "'x'"]),
        (["main:app", "other:app"], 2, ["other:app"]),
        (["main:app", "--log-config", "nowhere.json"], 2, ["'nowhere.json'"]),
        (["main:app", "--log-config", "main.py"], 3, ["main.py", "can't be used"]),
        (["main:app", "--header", "bad"], 3, ["'bad'", "Name:Value"]),
        (["main:app", "--http", "no.such:Protocol"], 3, ["'no.such:Protocol'"]),
        (["main:app", "--ws", "no.such:Protocol"], 3, ["'no.such:Protocol'"]),
        (["main:app", "--loop", "no.such:loop"], 3, ["'no.such:loop'"]),
        (["main:app", "--ssl-certfile", "no.pem"], 3, ["'no.pem'", "No such file"]),
        (["main:app", "--ssl-keyfile", "no.pem"], 3, ["'no.pem'", "ssl_certfile"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_uvicorns_exit_code(
    project: Project, arguments: list[str], code: int, says: list[str]
) -> None:
    """It names the thing, quotes the value and ends with the remedy; a traceback is never shown."""
    project["main.py"] = "app = 1\n"
    got, output = refused(project, *arguments)
    assert output.count("\n") == 1, output
    assert output.startswith("Error: ")
    assert got == code
    for text in says:
        assert text in output


@pytest.mark.parametrize(
    ("pyproject", "code", "says"),
    [
        ("[tool.fastapi-hmr\n", 3, ["pyproject.toml is not valid TOML", "line 1"]),
        ("tool = 3\n[project]\n", 3, ["tool.fastapi-hmr", "3"]),
        ("[tool]\nfastapi-hmr = 3\n", 3, ["tool.fastapi-hmr", "3"]),
        ("[tool.fastapi-hmr]\nprot = 1\n", 3, ["'prot'", "did you mean 'port'"]),
        ('[tool.fastapi-hmr]\nport = "x"\n', 2, ["--port", "'x'", "pyproject.toml"]),
        ("[tool.fastapi-hmr]\nworkers = 2\n", 2, ["workers", "pyproject.toml"]),
        ("[tool.fastapi]\nentrypoint = 3\n", 3, ["tool.fastapi.entrypoint", "3"]),
    ],
)
def test_a_wrong_pyproject_is_one_line_too(project: Project, pyproject: str, code: int, says: list[str]) -> None:
    """The file, the key and the value are named."""
    project["main.py"] = "app = 1\n"
    project["pyproject.toml"] = pyproject
    got, output = refused(project)
    assert output.count("\n") == 1, output
    assert got == code
    for text in says:
        assert text in output


def test_a_wrong_value_from_the_environment_names_the_variable(project: Project) -> None:
    """Nobody finds it on the command line."""
    project["main.py"] = "app = 1\n"
    code, output = refused(project, UVICORN_WORKERS="4")
    assert code == 2
    assert "UVICORN_WORKERS" in output
    assert output.count("\n") == 1


def test_nothing_to_serve_says_where_it_looked(project: Project) -> None:
    """Without an argument and without an app in a usual place."""
    code, output = refused(project)
    assert code == 3
    assert "app/main.py" in output
    assert str(project.root) in output


def test_an_app_that_fails_to_import_is_served_as_an_error(project: Project, serve: Serve) -> None:
    """It exists, so it is not 'not found': the server starts, and explains."""
    project["main.py"] = "from fastapi import FastAPI\nimport nothere\napp = FastAPI()\n"
    server = serve("main:app")
    server.wait_for_line("ModuleNotFoundError.*nothere")
    assert server.get("/").status_code == 503


def test_an_attribute_that_is_missing_is_served_as_an_error(project: Project, serve: Serve) -> None:
    """The module is there: the name may come with the next save, so the server starts, and says which names there are."""
    project["main.py"] = "from fastapi import FastAPI\napp = FastAPI()\n"
    server = serve("main:api")
    server.wait_for_line("AppNotFound: no 'api' in module 'main'.*did you mean 'app'")
    assert "did you mean 'app'" in server.get("/").text


def test_the_module_runs_as_a_command(project: Project) -> None:
    """`python -m fastapi_hmr` is the same as `fastapi-hmr`."""
    done = subprocess.run(
        [sys.executable, "-m", "fastapi_hmr", "--help"], cwd=project.root, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: fastapi-hmr ")
