"""Config: what to serve, what to watch and how, with every value checked."""

import importlib.util
import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from fastapi_hmr.exceptions import ConfigError

RELOAD_OPTIONS = frozenset("reload reload_dirs reload_includes reload_excludes reload_delay".split())
"""uvicorn's options about reloading: ours in meaning, so none of them ever reaches uvicorn."""
OURS = RELOAD_OPTIONS | frozenset("app app_dir factory lifespan interface workers".split())
"""uvicorn's options that are answered by us, by the switch or by there being one process."""
UNPROBED = frozenset("log_config env_file use_colors log_level access_log ssl_context_factory".split())


class AppSource(NamedTuple):
    """Where the app is: a module's real dotted name and an attribute path in it.

    `attribute` is None where it is to be found (`app`, `api`, else the only FastAPI in the module).
    `search_path` goes to the front of sys.path.  `origin` says in words where this came from.
    `file` is the module's file (a package's directory where it has no `__init__.py`), if it is known.
    """

    module: str
    attribute: str | None
    search_path: Path
    factory: bool = False
    origin: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        """The import string."""
        return f"{self.module}:{self.attribute}" if self.attribute else self.module


class Config(NamedTuple):
    """One run of the dev server."""

    source: AppSource
    refresh: bool = False
    """Refresh open pages (`--reload`)."""
    roots: tuple[Path, ...] = ()
    """Directories that hold first-party code and assets: absolute, resolved, none inside another."""
    watched: tuple[Path, ...] = ()
    """Directories to be watched: the roots, or less where `--reload-dir` says so."""
    includes: tuple[str, ...] = ()
    """Globs: also watched as data, whatever their suffix (`--reload-include`)."""
    excludes: tuple[str, ...] = ()
    """Globs or directories that are never watched (`--reload-exclude`)."""
    allowed_hosts: tuple[str, ...] = ()
    keep_lifespan: bool = False
    """Let a running lifespan go on over reloads that do not touch it (`--keep-lifespan`)."""
    strict: bool = False
    """Run all first-party modules for each reload (`--strict`)."""
    port_given: bool = False
    """Whether the user chose the port; if not, the next free one is taken when it is in use."""
    uvicorn: Mapping[str, Any] = MappingProxyType({})
    """Keyword arguments for uvicorn.Config, less `app`, `factory`, `lifespan`, `interface` and the reload options."""
    lifespan: str = "auto"
    """uvicorn's --lifespan, for the user's app."""
    interface: str = "auto"
    """uvicorn's --interface, for the user's app."""


def config_from_kwargs(
    source: AppSource,
    *,
    reload: bool = False,
    allowed_hosts: Sequence[str] | str = (),
    keep_lifespan: bool = False,
    strict: bool = False,
    **uvicorn_options: Any,
) -> Config:
    """The Config of `dev(app, reload=..., **options)`, the options being those of `uvicorn.run()`.

    Raises ConfigError for an option that does not exist, or whose value can't work.
    """
    known = _uvicorn_options()
    for name in uvicorn_options:
        if name not in known:
            hint = did_you_mean(name, [*known, "allowed_hosts", "keep_lifespan", "strict"])
            raise ConfigError(f"dev() has no option {name!r}{hint}: it takes those of uvicorn.run()")
    return build(
        source,
        uvicorn_options,
        refresh=reload,
        allowed_hosts=allowed_hosts,
        keep_lifespan=keep_lifespan,
        strict=strict,
        port_given="port" in uvicorn_options,
    )


def build(
    source: AppSource,
    options: Mapping[str, Any],
    *,
    refresh: bool = False,
    allowed_hosts: Sequence[str] | str = (),
    keep_lifespan: bool = False,
    strict: bool = False,
    port_given: bool = False,
) -> Config:
    """A Config from options that are named as in `uvicorn.run()`.

    Raises ConfigError for values that can't work.
    """
    workers = options.get("workers")
    if workers is not None and workers > 1:
        raise ConfigError(
            f"workers={workers}: one process serves and reloads in place; leave the option out here, "
            "and use it with `uvicorn` in production"
        )
    # WEB_CONCURRENCY is for production: uvicorn looks at it unless the number is given.
    passed = {name: value for name, value in options.items() if name not in OURS} | {"workers": 1}
    check_uvicorn(passed)
    source = source._replace(factory=bool(options.get("factory")) or source.factory)
    directories = _checked_directories(_listed(options.get("reload_dirs")))
    includes = _listed(options.get("reload_includes"))
    directories += [Path(glob).resolve() for glob in includes if Path(glob).is_dir()]
    roots = find_roots(source, directories)
    return Config(
        source=source,
        refresh=refresh,
        roots=roots,
        watched=_merged(directories) or roots,
        includes=tuple(glob for glob in includes if not Path(glob).is_dir()),
        excludes=tuple(_listed(options.get("reload_excludes"))),
        allowed_hosts=tuple(_listed(allowed_hosts)),
        keep_lifespan=keep_lifespan,
        strict=strict,
        port_given=port_given,
        uvicorn=passed,
        lifespan=options.get("lifespan") or "auto",
        interface=options.get("interface") or "auto",
    )


def find_roots(source: AppSource, directories: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Where first-party code is: here, where the app is imported from, where its package is, and `directories`."""
    roots = [source.search_path, *directories]
    if not Path.home().is_relative_to(Path.cwd()):  # run from the home directory or above, the app is somewhere below
        roots.insert(0, Path.cwd())
    if source.file is not None and not _installed(source.file):
        # An editable install may live far from here; its package is first-party all the same.
        package = source.file if source.file.is_dir() else source.file.parent
        while (package / "__init__.py").is_file():
            package = package.parent
        roots.append(package)
    return _merged(roots)


def read_pyproject(directory: Path, table: str) -> dict[str, Any]:
    """`[tool.<table>]` of the pyproject.toml in `directory`; empty where there is none.

    Raises ConfigError where the file is not TOML, can't be read, or has something else there.
    """
    path = directory / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; correct that line") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}; make it readable") from None
    import tomllib  # not every project has the file, and a start is waited for

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; correct that line") from None
    tool = content.get("tool", {})
    found = tool.get(table, {}) if isinstance(tool, dict) else tool
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: `tool.{table}` is {found!r}; write a table `[tool.{table}]` with one key a line")
    return found


def check_uvicorn(options: Mapping[str, Any]) -> None:
    """Find out now whether uvicorn can work with these values: later it would end in a traceback.

    Raises ConfigError that names the option.
    """
    _need_package(options.get("env_file"), "", "dotenv", "python-dotenv", "env_file")
    _need_package(options.get("log_config"), (".yaml", ".yml"), "yaml", "pyyaml", "log_config")
    for header in options.get("headers") or ():
        if len(header) != 2:
            raise ConfigError(f"header {':'.join(header)!r} has no value: write it as `Name:Value`")
    defaults = _uvicorn_options()
    chosen = {
        name: value
        for name, value in options.items()
        if name in defaults and name not in UNPROBED and value != defaults[name].default
    }
    tls = {name: value for name, value in chosen.items() if name.startswith("ssl_")}
    if tls.get("ssl_keyfile") and not tls.get("ssl_certfile"):
        raise ConfigError(f"ssl_keyfile {str(tls['ssl_keyfile'])!r} needs its certificate: give ssl_certfile too")
    if not tls.get("ssl_certfile"):
        tls = {}
    protocol = {name: value for name, value in chosen.items() if name in {"http", "http2"}}
    for group in (protocol, {"ws": chosen.get("ws")}, {"loop": chosen.get("loop")}, tls):
        _probe({name: value for name, value in group.items() if value is not None})
    if options.get("log_config") is not None and not isinstance(options["log_config"], dict):
        _probe({"log_config": options["log_config"]})


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """The end of a message: the nearest names, or nothing."""
    import difflib  # only where something is wrong

    near = difflib.get_close_matches(name, list(candidates), n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""


def _probe(options: Mapping[str, Any]) -> None:
    """Let uvicorn load what these options name."""
    import uvicorn

    if not options:
        return
    try:
        config = uvicorn.Config(_no_app, **{"log_config": None, "interface": "asgi3", **options})
        config.load()
        if "loop" in options:
            config.get_loop_factory()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module that an option names raises
        named = ", ".join(f"{name} {str(value)!r}" for name, value in options.items() if "password" not in name)
        text = "it can't be imported" if isinstance(error, SystemExit) else _first_line(error)
        raise ConfigError(f"{named} can't be used: {text}; correct it or leave the option out") from None


async def _no_app(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the app while uvicorn's options are tried."""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _need_package(value: Any, suffixes: str | tuple[str, ...], module: str, package: str, option: str) -> None:
    if not isinstance(value, str | os.PathLike) or not str(value).endswith(suffixes):
        return
    if not Path(value).exists():
        raise ConfigError(f"{option} {str(value)!r} does not exist: correct the path, or create the file")
    if importlib.util.find_spec(module) is None:
        raise ConfigError(f"{option} {str(value)!r} needs a package that is not installed: `pip install {package}`")


def _uvicorn_options() -> Mapping[str, inspect.Parameter]:
    import uvicorn

    both = {**inspect.signature(uvicorn.Config).parameters, **inspect.signature(uvicorn.run).parameters}
    return {name: parameter for name, parameter in both.items() if name != "app"}


def _listed(value: Any) -> list[str]:
    """uvicorn takes a list or a single string here; a string must not be taken for a list of letters."""
    if value is None:
        return []
    return [str(value)] if isinstance(value, str | os.PathLike) else [str(item) for item in value]


def _checked_directories(names: Iterable[str]) -> list[Path]:
    """The directories that these names or globs stand for."""
    found: list[Path] = []
    for name in names:
        matches = [Path(name)] if Path(name).is_dir() else _glob(name)
        if not matches:
            what = "is not a directory" if Path(name).exists() else "does not exist"
            raise ConfigError(f"reload directory {name!r} {what}: give a directory that is there")
        found += [path.resolve() for path in matches]
    return found


def _glob(pattern: str) -> list[Path]:
    if not any(letter in pattern for letter in "*?["):
        return []
    anchor = Path(Path(pattern).anchor or ".")
    relative = str(Path(pattern).relative_to(Path(pattern).anchor)) if Path(pattern).anchor else pattern
    return [path for path in sorted(anchor.glob(relative)) if path.is_dir()]


def _installed(path: Path) -> bool:
    standard = Path(os.path.realpath(os.__file__)).parent
    return {"site-packages", "dist-packages"} & set(path.parts) != set() or path.resolve().is_relative_to(standard)


def _merged(directories: Iterable[Path]) -> tuple[Path, ...]:
    """Resolved, each once, and none inside another."""
    resolved = dict.fromkeys(path.resolve() for path in directories)
    return tuple(path for path in resolved if not any(other in path.parents for other in resolved))
