"""The command: uvicorn's options plus ours, made into a Config; prints what is wrong with them and exits."""

import copy
import os
import platform
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvicorn
from click.core import ParameterSource

from fastapi_hmr import __version__
from fastapi_hmr.config import Config, build, did_you_mean, read_pyproject
from fastapi_hmr.discover import discover
from fastapi_hmr.exceptions import HmrError

STARTUP_FAILURE = 3
"""uvicorn's exit code for what can't be started; click's own is 2, for wrong usage."""
GIVEN = "fastapi_hmr.given"
"""Where a context keeps the command line that it was made of."""
PREFIX = "FASTAPI_HMR"
TABLE = "fastapi-hmr"
HELP = """Serve APP, and put each saved change into the running app: same process, same socket, no restart.

APP is an import string (package.module:app), a path (app/main.py), or nothing: then it is [tool.fastapi] entrypoint
of pyproject.toml, or the app in main.py, app.py, api.py, app/ or src/.

Every option of uvicorn is accepted. Each can also be set as FASTAPI_HMR_<OPTION> or UVICORN_<OPTION> in the
environment, or in [tool.fastapi-hmr] of pyproject.toml."""
HELPS = {
    "reload": "Refresh open pages in the browser after each save. (The server itself reloads always.)",
    "reload_dirs": "Watch this directory, or those that this glob matches, instead of the working directory. "
    "May be repeated.",
    "reload_includes": "Reload also for files that this glob matches, whatever their suffix. May be repeated.",
    "reload_excludes": "Never reload for files or directories that this glob matches, as in .gitignore. "
    "May be repeated.",
    "reload_delay": "Accepted and not needed: files are not polled, and a save is taken when it is complete.",
    "workers": "Refused if more than 1: one process is what is being kept alive.",
}


def our_options() -> list[click.Option]:
    """The options that uvicorn does not have; each becomes a keyword argument of `config.build`."""
    return [
        click.Option(
            ["--allowed-host", "allowed_hosts"],
            multiple=True,
            metavar="NAME",
            help="A host name by which pages may be opened, besides localhost, IP addresses and --host. "
            "May be repeated.",
        ),
        click.Option(
            ["--keep-lifespan"],
            is_flag=True,
            default=False,
            help="Let the app's lifespan go on over reloads that touch nothing of what it ran or read.",
        ),
        click.Option(
            ["--strict"],
            is_flag=True,
            default=False,
            help="Run all of the app's modules for each reload: what requests have left in them is forgotten.",
        ),
    ]


def _parameters() -> list[click.Parameter]:
    """uvicorn's own parameters, as copies; those whose meaning differs here say so."""
    parameters = [_adapted(copy.copy(parameter)) for parameter in uvicorn.main.params if parameter.name != "version"]
    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Display the versions of fastapi-hmr and uvicorn, and exit.",
    )
    return [*parameters, *our_options(), version]


def _adapted(parameter: click.Parameter) -> click.Parameter:
    name = parameter.name or ""
    if name == "app":
        parameter.required = False
    if isinstance(parameter, click.Option):
        parameter.help = HELPS.get(name, parameter.help)
        if name == "reload":
            parameter.opts = ["--reload", "--refresh"]
        if name == "reload_dirs":
            parameter.type = click.Path()  # uvicorn's must exist, which a glob does not; build() looks at it
        if name == "reload_delay":
            parameter.show_default = False
        if name == "workers":
            parameter.callback = _refuse_workers
    # As in uvicorn, less its prefix: ours goes first.
    parameter.envvar = [f"{PREFIX}_{name.upper()}", f"UVICORN_{name.upper()}"]
    return parameter


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        python = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
        click.echo(f"fastapi-hmr {__version__} with uvicorn {uvicorn.__version__} and {python}")
        context.exit()


def _refuse_workers(_context: click.Context, _parameter: click.Parameter, workers: int | None) -> None:
    if workers is not None and workers > 1:
        raise click.BadParameter(
            f"{workers} is more than one process, and one is what is kept alive here: leave --workers out, "
            "and use it with `uvicorn` in production."
        )


class Unusable(click.ClickException):
    """What can't be started, as one line and uvicorn's exit code."""

    exit_code = STARTUP_FAILURE


class Command(click.Command):
    """A click command whose defaults come from pyproject.toml and whose errors are one line."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read pyproject.toml before the arguments: what it says are defaults."""
        given = list(args)  # click takes them out
        if "default_map" not in extra:
            try:
                extra["default_map"] = _defaults(read_pyproject(Path.cwd(), TABLE), self.params)
            except HmrError as error:
                raise Unusable(str(error)) from None
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[GIVEN] = given
        return context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say in one line what is wrong, and where a wrong value came from if that is not the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            origin = _origin(ctx, error.param) if isinstance(error, click.BadParameter) else ""
            # Without a context click leaves out the two lines of usage that would come first.
            origin = f" (from {origin})" if origin else ""
            raise click.UsageError(f"{error.format_message()}{origin} See `fastapi-hmr --help`.") from None


def _origin(context: click.Context, parameter: click.Parameter | None) -> str:
    """Where a value came from, if that is not the command line."""
    source = context.get_parameter_source(parameter.name or "") if parameter else None
    if parameter is not None and source is ParameterSource.ENVIRONMENT:
        names = [parameter.envvar] if isinstance(parameter.envvar, str) else list(parameter.envvar or ())
        return next((name for name in names if os.environ.get(name)), "the environment")
    return f"[tool.{TABLE}] in pyproject.toml" if source is ParameterSource.DEFAULT_MAP else ""


def _defaults(table: Mapping[str, Any], parameters: list[click.Parameter]) -> dict[str, Any]:
    """click's default_map from the pyproject table, whose keys are named as the options are.

    Raises HmrError for a key that is no option.
    """
    names: dict[str, click.Parameter] = {}
    for parameter in parameters:
        for option in (parameter.name or "", *parameter.opts):
            names[option.lstrip("-").replace("_", "-")] = parameter
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        found = names.get(key.replace("_", "-"))
        if found is None:
            hint = did_you_mean(key.replace("_", "-"), names)
            raise HmrError(
                f"[tool.{TABLE}] in pyproject.toml has {key!r}, which is no option{hint}: correct or remove it"
            )
        several = isinstance(found, click.Option) and found.multiple
        # click would take a single string for a list of letters.
        defaults[found.name or ""] = [value] if several and isinstance(value, str) else value
    return defaults


def config_from_context(context: click.Context) -> Config:
    """The Config that the parsed command line means.

    Raises HmrError for values that can't work.
    """
    options = dict(context.params)
    own = {option.name: options.pop(option.name) for option in our_options() if option.name}
    source = discover(options.pop("app"), app_dir=options.pop("app_dir"), factory=options.pop("factory"))
    app = next(parameter for parameter in context.command.params if parameter.name == "app")
    source = source._replace(origin=_origin(context, app) or source.origin)
    options["headers"] = [header.split(":", 1) for header in options["headers"]]
    if options["log_config"] is None:
        del options["log_config"]  # uvicorn's default is its own configuration, and None means none at all
    given = context.get_parameter_source("port") is not ParameterSource.DEFAULT
    return build(source, options, refresh=options["reload"], port_given=given, **own)


def _config_again(given: list[str]) -> Config:
    """The Config of the same command line with what pyproject.toml says now.

    Raises HmrError for what can't be used.
    """
    try:
        return config_from_context(command.make_context("fastapi-hmr", list(given)))
    except click.ClickException as error:
        raise HmrError(error.format_message()) from None


@click.pass_context
def _serve(context: click.Context, /, **_options: Any) -> None:
    try:
        config = config_from_context(context)
        from fastapi_hmr.main import run  # wrong input is answered without loading the server

        run(config, again=partial(_config_again, context.meta[GIVEN]))
    except HmrError as error:
        raise Unusable(str(error)) from None


command = Command(
    "fastapi-hmr",
    params=_parameters(),
    callback=_serve,
    help=HELP,
    context_settings={"auto_envvar_prefix": PREFIX},
)
