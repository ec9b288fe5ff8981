"""What pyproject.toml says about the server: whether a change of it needs a new process."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi_hmr.config import Config
from fastapi_hmr.exceptions import HmrError

ADDRESS = frozenset("host port port_given fd uds".split())
"""Options that a new process can't follow: it goes on with the sockets of the one before."""
_NAMES = {
    "source": "app",
    "refresh": "reload",
    "roots": "reload_dirs",
    "watched": "reload_dirs",
    "includes": "reload_includes",
    "excludes": "reload_excludes",
}


class Settings:
    """The configuration of this process, and how to find out what it would be now."""

    def __init__(self, config: Config, again: Callable[[], Config], notice: Callable[[str], None]) -> None:
        """`again` reads command line, environment and pyproject.toml as at the start; `notice` tells the user."""
        self._config, self._again, self._notice = config, again, notice
        self._folder = Path.cwd()
        self.file = self._folder / "pyproject.toml"

    def why_restart(self) -> str | None:
        """Why a new process is needed, or None where the file changes nothing, can't be used or can't be followed."""
        try:
            with contextlib.chdir(self._folder):  # the app may have gone elsewhere
                changed = _changes(self._config, self._again())
        except HmrError as error:
            self._notice(f"{error} (until then the settings before stay in use)")
            return None
        if unmoved := ", ".join(sorted(changed & ADDRESS - {"port_given"})):
            self._notice(f"pyproject.toml changes {unmoved}: stop the server and start it again to see that")
        named = ", ".join(sorted(changed - ADDRESS))
        return f"pyproject.toml changes {named}" if named else None


def _changes(before: Config, now: Config) -> set[str]:
    """The names of the options that differ, as in `uvicorn.run()`."""
    old, new = _options(before), _options(now)
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _options(config: Config) -> Mapping[str, Any]:
    options: dict[str, Any] = dict(config.uvicorn)
    for field, value in config._asdict().items():
        if field != "uvicorn":
            name = _NAMES.get(field, field)
            options[name] = (*options.get(name, ()), value)
    return options
