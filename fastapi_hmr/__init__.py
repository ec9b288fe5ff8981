"""The FastAPI dev server with hot module reload: importing this package costs nothing and does nothing."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi_hmr.main import dev, run

__version__ = "0.1.0"
__all__ = ["__version__", "dev", "run"]


def __getattr__(name: str) -> Any:
    """Load the server only when somebody asks for it: an app may import this package in production."""
    if name in {"dev", "run"}:
        from fastapi_hmr import main

        return getattr(main, name)
    raise AttributeError(f"module 'fastapi_hmr' has no attribute {name!r}")
