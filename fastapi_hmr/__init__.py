"""The FastAPI dev server with hot module reload: importing this package costs nothing and does nothing."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi_hmr.main import run

__version__ = "0.1.0"
__all__ = ["__version__", "dev", "run"]


def dev(app: Any, *, reload: bool = False, **options: Any) -> None:
    """Serve the app of the running script, reloading it at every save; call it under `if __name__ == "__main__"`.

    `app` is the app object or an import string, `reload` refreshes open pages, and `options` are those of
    `uvicorn.run()`.  The module is served under its real name, and its `__main__` block does not run again.
    Where the server is running already, because the served module has no such block, the call does nothing.

    Raises NotMain where the caller is not `__main__`; exits with code 3 and one line for other bad input.
    """
    # Loaded when called: `from fastapi_hmr import dev` stays in the module in production.
    from fastapi_hmr import main

    caller = sys._getframe(1).f_globals  # noqa: SLF001 - documented CPython; the only way to know who calls
    main.dev(app, caller, reload=reload, **options)


def __getattr__(name: str) -> Any:
    """Load the server only when somebody asks for it: an app may import this package in production."""
    if name == "run":
        from fastapi_hmr import main

        return main.run
    raise AttributeError(f"module 'fastapi_hmr' has no attribute {name!r}")
