"""Gets the app from its module once that has run: attribute lookup and factory call, as uvicorn does them."""

import functools
import inspect
import logging
import sys
from types import ModuleType
from typing import Any

from fastapi_hmr.config import AppSource, did_you_mean
from fastapi_hmr.exceptions import AppNotFound

PREFERRED = ("app", "api")
PREFERRED_FACTORIES = ("create_app", "make_app", "get_app", "build_app")


def resolve(source: AppSource, module: ModuleType) -> object:
    """The app that `source` means, from its module that has just run: attribute lookup and factory call.

    Raises AppNotFound where the attribute is missing or nothing that can be served; what a factory raises comes through.
    """
    name = source.attribute or _only_app(source, module)
    found: Any = module
    path: list[str] = []
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise AppNotFound(_no_attribute(source, module, found, path, part)) from None
        path.append(part)
    text = f"{source.module}:{name}"
    app = _made(found, text) if source.factory else _maybe_made(found, text)
    if not callable(app):
        made = "returned" if source.factory else "is"
        raise AppNotFound(
            f"{text!r} {made} {type(app).__name__!r}, which is not an ASGI app{_others(module)}: "
            "name the app, as in `package.module:app`"
        )
    return app


def _made(factory: Any, text: str) -> Any:
    if not callable(factory):
        raise AppNotFound(f"{text!r} is {type(factory).__name__!r}, not a factory: leave out --factory, or name one")
    if _zero_arguments(factory) is False:
        raise AppNotFound(f"factory {text!r} needs arguments, and is called without: give its parameters defaults")
    app = factory()
    if inspect.iscoroutine(app):
        app.close()
        raise AppNotFound(f"factory {text!r} is async: make it a plain function that returns the app")
    return app


def _maybe_made(found: Any, text: str) -> Any:
    """As uvicorn does it: what can be called without arguments is a factory, though nobody said so."""
    if not callable(found) or _is_coroutine_function(found) or _zero_arguments(found) is False:
        return found
    if _zero_arguments(found) is None:
        try:
            app = found()
        except TypeError:
            return found
    else:
        app = found()
    _say_factory(text)
    return app


@functools.cache
def _say_factory(text: str) -> None:
    """Once per process, not at every save."""
    logging.getLogger("uvicorn.error").warning("%s is an app factory: say so with --factory.", text)


def _is_coroutine_function(found: Any) -> bool:
    if inspect.isclass(found):
        return False
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None))  # noqa: B004 - the bound method is what matters


def _zero_arguments(found: Any) -> bool | None:
    """Whether it can be called without arguments; None where Python can't tell."""
    try:
        signature = inspect.signature(found)
    except (ValueError, TypeError):
        return None
    try:
        signature.bind()
    except TypeError:
        return False
    return True


def _only_app(source: AppSource, module: ModuleType) -> str:
    """The attribute that was not named: app, api, else the one FastAPI or Starlette app of the module."""
    apps = _apps(module)
    factories = [name for name in PREFERRED_FACTORIES if callable(getattr(module, name, None))]
    if source.factory:
        names = [*factories, *(name for name in PREFERRED if callable(getattr(module, name, None)))]
        if names:
            return names[0]
        raise AppNotFound(
            f"no factory in module {source.module!r} (looked for {', '.join(PREFERRED_FACTORIES)}): "
            f"name it, as in `{source.module}:my_factory --factory`"
        )
    for name in PREFERRED:
        if name in apps or (not apps and callable(getattr(module, name, None))):
            return name
    distinct = {id(getattr(module, name)): name for name in reversed(apps)}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if distinct:
        named = ", ".join(sorted(distinct.values()))
        raise AppNotFound(
            f"module {source.module!r} has {len(distinct)} apps ({named}): say which, as in "
            f"`{source.module}:{min(distinct.values())}`"
        )
    if factories:
        raise AppNotFound(
            f"no app in module {source.module!r}, but a factory: `{source.module}:{factories[0]} --factory`"
        )
    raise AppNotFound(
        f"no app in module {source.module!r}: name a global `app = FastAPI()` in it, or say where the app is, "
        f"as in `{source.module}:my_app`"
    )


def _apps(module: ModuleType) -> list[str]:
    """Names of the FastAPI apps among the module's globals, or of the Starlette apps where there is no FastAPI."""
    for library, kind in (("fastapi", "FastAPI"), ("starlette.applications", "Starlette")):
        known = getattr(sys.modules.get(library), kind, None)
        if isinstance(known, type):
            names = [name for name, value in list(vars(module).items()) if isinstance(value, known)]
            if names:
                return names
    return []


def _no_attribute(source: AppSource, module: ModuleType, owner: object, path: list[str], part: str) -> str:
    where = f"{'.'.join(path)!r} of module {source.module!r}" if path else f"module {source.module!r}"
    near = did_you_mean(part, [name for name in dir(owner) if not name.startswith("_")])
    return f"no {part!r} in {where}{near or _others(module)}: define it, or correct `{source}`"


def _others(module: ModuleType) -> str:
    apps = _apps(module)
    return f" (there is {', '.join(apps)})" if apps else ""
