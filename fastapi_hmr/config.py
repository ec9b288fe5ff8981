"""Config: what to serve, what to watch and how, with every value checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class AppSource:
    """Where the app is: a module's real dotted name and an attribute path in it.

    `attribute` is None where it is to be found (`app`, `api`, else the only FastAPI in the module).
    `search_path` goes to the front of sys.path.  `origin` says in words where this came from.
    """

    module: str
    attribute: str | None
    search_path: Path
    factory: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One run of the dev server."""

    source: AppSource
    refresh: bool = False
    """Refresh open pages (`--reload`)."""
    roots: tuple[Path, ...] = ()
    """Directories that hold first-party code and assets: absolute, resolved, none inside another."""
    includes: tuple[str, ...] = ()
    """Globs: also watched as data, whatever their suffix (`--reload-include`)."""
    excludes: tuple[str, ...] = ()
    """Globs or directories that are never watched (`--reload-exclude`)."""
    allowed_hosts: tuple[str, ...] = ()
    port_given: bool = False
    """Whether the user chose the port; if not, the next free one is taken when it is in use."""
    uvicorn: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments for uvicorn.Config, less `app`, `factory`, `lifespan`, `interface` and the reload options."""
    lifespan: str = "auto"
    """uvicorn's --lifespan, for the user's app."""
    interface: str = "auto"
    """uvicorn's --interface, for the user's app."""
