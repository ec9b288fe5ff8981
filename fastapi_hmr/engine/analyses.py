"""Analyses: FastAPI analyses an endpoint at its first request, where it is known that it will not refuse it.

FastAPI's analysis of an endpoint (its parameters, their schemas, the schema of what it returns) takes a quarter of a
millisecond, and a reload of a module that all others import defines every endpoint anew.  What it finds is needed by a
request for that endpoint, or by whoever asks the route; whether it raises must show when the module runs.  So it is put
off only for endpoints of a shape that was analysed before in this process, and was accepted.  Whether this version of
FastAPI can do without is tried at the first of them that has types: to look at one, FastAPI imports all of pydantic.v1.

What is used beyond FastAPI's documented API stands in the ledger of `routes`.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import is_
from threading import get_ident
from typing import Any, Final, NamedTuple

from fastapi_hmr.engine.shapes import Shape, Shapes

LATER: Final = "_fastapi_hmr_later"
ANALYSED: Final = (
    "response_fields",
    "dependant",
    "_embed_body_fields",
    "body_field",
    "is_sse_stream",
    "is_json_stream",
    "stream_item_type",
    "response_model",
    "response_field",
    "stream_item_field",
    "app",
)
"""The attributes of a route that come from the analysis."""
KNOWN: Final = 50_000
"""Shapes to remember: more are not one app's."""


class Unanalysed(NamedTuple):
    """Stands for FastAPI's `Dependant` while a route is made without one."""

    call: Any


INSTEAD: Final[dict[str, Callable[..., Any]]] = {
    "_build_dependant_with_parameterless_dependencies": lambda **given: (Unanalysed(given["call"]), [], False),
    "_get_body_field": lambda **_: None,
    "create_model_field": lambda **_: None,
    "get_request_handler": lambda **_: None,
    "get_typed_return_annotation": lambda _: None,
    "_is_async_gen_callable": lambda _: False,
    "_is_gen_callable": lambda _: False,
}
"""What FastAPI analyses with, and what is there instead while a route is made without."""
MAKING: Final = ("_populate_api_route_state", "request_response")
"""What else a route is made with.  Tools that trace requests put functions of their own in these places."""


class Analyses:
    """Takes the place of `APIRoute.__init__`."""

    def __init__(self, routing: Any, shapes: Shapes, replace: Callable[[Any, str, Any], None]) -> None:
        self._routing = routing
        self._route: Any = routing.APIRoute
        self._make: Callable[..., None] = self._route.__init__
        self._handler = self._route.get_route_handler
        self._shapes = shapes
        self._accepted: set[Shape] = set()
        self._without = 0
        """The thread that is making a route without an analysis."""
        self._active = False
        self._plain = {name: getattr(routing, name) for name in INSTEAD}
        self._either = {name: self._switched(self._plain[name], instead) for name, instead in INSTEAD.items()}
        self._names = (*INSTEAD, *MAKING)
        self._functions = [*self._either.values(), *(getattr(routing, name) for name in MAKING)]
        self._works: bool | None = None
        """Whether this version can do without; None until that was tried."""
        replace(self._route, "__init__", self._init())

    def run(self, running: bool) -> None:
        """Modules run, or have run: only meanwhile is anything put off, and requests call FastAPI's own functions."""
        self._active = running
        here, there = (self._plain, self._either) if running else (self._either, self._plain)
        for name, function in here.items():
            if getattr(self._routing, name) is function:  # nobody came after us
                setattr(self._routing, name, there[name])

    def _switched(self, function: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def either(*args: Any, **kwargs: Any) -> Any:
            return (instead if self._without and self._without == get_ident() else function)(*args, **kwargs)

        return either

    def _undisturbed(self) -> bool:
        """Whether no tool has put a function of its own in between, to look at what is analysed."""
        return all(map(is_, map(vars(self._routing).get, self._names), self._functions))

    def _can_wait(self, endpoint: Callable[..., Any]) -> bool:
        if self._works is None and endpoint.__annotations__:
            try:
                self._works = self._tried()
            except Exception:  # noqa: BLE001 - a version that works in another way, and whatever comes of that
                self._works = False
            for name in ANALYSED if self._works else ():
                setattr(self._route, name, Later(name))  # stays: a route that is still to be analysed needs it
        return bool(self._works)

    def _tried(self) -> bool:
        """Whether a route made without is a route made with, but for what the analysis finds."""
        whole, bare = self._route.__new__(self._route), self._route.__new__(self._route)
        self._make(whole, "/{one}", _sample, methods=["POST"])
        self._without = get_ident()
        try:
            self._make(bare, "/{one}", _sample, methods=["POST"])
        finally:
            self._without = 0
        found = vars(whole).keys() >= {*ANALYSED} and vars(whole).keys() == vars(bare).keys()
        return found and all(vars(bare)[name] == value for name, value in vars(whole).items() if name not in ANALYSED)

    def _init(self) -> Callable[..., None]:
        make, plain, handler = self._make, self._route, self._handler

        @functools.wraps(make)
        def init(route: Any, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
            shape = None
            if self._active and type(route) is plain and plain.get_route_handler is handler and self._undisturbed():
                shape = self._shapes.of(path, endpoint, options)
            if shape is None or shape not in self._accepted or not self._can_wait(endpoint):
                make(route, path, endpoint, **options)
                if shape is not None and len(self._accepted) < KNOWN:
                    self._accepted.add(shape)
                return
            self._without = get_ident()
            try:
                make(route, path, endpoint, **options)
            finally:
                self._without = 0
            state = vars(route)
            for name in ANALYSED:
                state.pop(name, None)
            state[LATER] = functools.partial(_analysed, plain, make, path, Endpoint(endpoint), options)

        return init


class Endpoint:
    """An endpoint, and what its signature said when its route was made: a decorator above may change that."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Any = function
        self._said = self._says()
        self._annotations = dict(self.function.__annotations__)

    def _says(self) -> tuple[Any, ...]:
        return self.function.__defaults__, self.function.__kwdefaults__, vars(self.function).get("__signature__")

    def _say(self, said: tuple[Any, ...], annotations: dict[str, Any]) -> None:
        self.function.__defaults__, self.function.__kwdefaults__, signature = said
        self.function.__annotations__ = annotations
        vars(self.function).pop("__signature__", None)
        if signature is not None:
            self.function.__signature__ = signature

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """While inside, its signature says what it said."""
        now, annotations = self._says(), self.function.__annotations__
        same = now == self._said and annotations == self._annotations
        if not same:
            self._say(self._said, self._annotations)
        try:
            yield
        finally:
            if not same:
                self._say(now, annotations)


def _analysed(
    plain: Any, make: Callable[..., None], path: str, endpoint: Endpoint, options: dict[str, Any]
) -> dict[str, Any]:
    """What the analysis of a route finds."""
    whole: Any = plain.__new__(plain)
    with endpoint.as_it_was():
        make(whole, path, endpoint.function, **options)
    found: dict[str, Any] = vars(whole)
    return found


class Later:
    """An attribute that the analysis finds.  No data descriptor: what is in the instance comes first."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, route: Any, owner: type) -> Any:
        if route is None:
            raise AttributeError(self._name)
        state = vars(route)
        analyse = state.get(LATER)
        if analyse is not None:
            whole = analyse()
            for name in ANALYSED:
                state.setdefault(name, whole[name])
            state.pop(LATER, None)
        try:
            return state[self._name]  # found, perhaps by another thread
        except KeyError:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}") from None


def _sample(one: int, two: list[str]) -> dict[str, int]:
    """An endpoint with something of each kind."""
    return dict.fromkeys(two, one)
