"""Interpreter: which parts of the process itself are looked at around every module, each with its probe."""

import atexit
import codecs
import gc
import locale
import os
import socket
import sys
import warnings
from contextlib import suppress

from fastapi_hmr.engine.effects import Calls, Environ, Probe, Scalar, Sequence, Signals, Tasks, Threads
from fastapi_hmr.engine.loggers import Logging


def interpreter() -> dict[str, Probe]:
    """The probes for the process itself."""
    return {
        "environ": Environ(),
        "sys.path": Sequence("sys.path", lambda: sys.path),
        "sys.argv": Sequence("sys.argv", lambda: sys.argv, "argv", "parse_args"),
        "sys.meta_path": Sequence("sys.meta_path", lambda: sys.meta_path, "meta_path"),
        "sys.path_hooks": Sequence(
            "sys.path_hooks", lambda: sys.path_hooks, "path_hooks", touched=sys.path_importer_cache.clear
        ),
        "warnings": Sequence(
            "the warning filters",
            lambda: warnings.filters,  # type: ignore[arg-type,return-value]
            *("filters", "warn", "warn_explicit", "catch_warnings"),
            touched=_filters_changed,
        ),
        "logging": Logging(),
        "atexit": Calls(atexit, "register", atexit.unregister),
        "codecs": Calls(codecs, "register", codecs.unregister),
        "signals": Signals(),
        "threads": Threads(),
        "tasks": Tasks(),
        "cwd": Scalar("the working directory", _cwd, _chdir, "chdir", "getcwd", "cwd"),
        "recursion": Scalar(
            "the recursion limit",
            sys.getrecursionlimit,
            sys.setrecursionlimit,
            "setrecursionlimit",
            "getrecursionlimit",
        ),
        "switching": Scalar(
            "the switch interval",
            sys.getswitchinterval,
            sys.setswitchinterval,
            "setswitchinterval",
            "getswitchinterval",
        ),
        "digits": Scalar(
            "the limit of digits",
            sys.get_int_max_str_digits,
            sys.set_int_max_str_digits,
            "set_int_max_str_digits",
            "get_int_max_str_digits",
        ),
        "gc": Scalar(
            "the garbage collector", gc.isenabled, lambda on: gc.enable() if on else gc.disable(), "", "isenabled"
        ),
        "locale": Scalar("the locale", lambda: locale.setlocale(locale.LC_ALL), _set_locale, "setlocale", "getlocale"),
        "socket": Scalar(
            "the default socket timeout",
            socket.getdefaulttimeout,
            socket.setdefaulttimeout,
            "setdefaulttimeout",
            "getdefaulttimeout",
        ),
    }


def _filters_changed() -> None:
    with warnings.catch_warnings():  # the public way to tell the C code that the filters changed
        pass


def _cwd() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - hot path
    except OSError:  # it was deleted
        return None


def _chdir(path: str | None) -> None:
    if path is not None:
        os.chdir(path)


def _set_locale(value: str) -> None:
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, value)
