"""`python -m fastapi_hmr.coldstart`: imports an app as the server does and ends; exit status 0 if that works."""

import importlib
import sys
from pathlib import Path

from fastapi_hmr.config import AppSource
from fastapi_hmr.resolve import resolve


def command(source: AppSource) -> list[str]:
    """The command line that starts this app in a child process."""
    words = [source.module, source.attribute or "", str(source.search_path), "factory" if source.factory else ""]
    return [sys.executable, "-W", "ignore", "-m", "fastapi_hmr.coldstart", *words]


if __name__ == "__main__":
    module, attribute, search_path, factory = sys.argv[1:]
    sys.path.insert(0, search_path)
    resolve(AppSource(module, attribute or None, Path(search_path), bool(factory)), importlib.import_module(module))
