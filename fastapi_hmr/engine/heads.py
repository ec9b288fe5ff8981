"""Heads of paths: which included routers can't answer a request is told from how their routes' paths begin.

FastAPI asks every route of every included router, in order, until one answers: 2 µs a route, which of 2,000 routes is
more than all else that a request needs; and at an app's first request it makes something for each of them before.  A
path begins with what stands before its first parameter, and a router none of whose routes begins like the request's
path has no answer.  So it says so at once, where FastAPI would ask nobody but these routes.

What is used beyond FastAPI's documented API stands in the ledger of `routes`.
"""

import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple

HEADS: Final = "_fastapi_hmr_heads"
KEY: Final = "_FASTAPI_SCOPE_KEY"
ANY: Final = ""
"""How every path begins: the head of a route that has to be asked."""

type Seen = dict[str, tuple[list[str], tuple[str, ...]]]
"""Of one router, by the prefix that it was included with: the paths of its routes, and their heads."""


class Heads(NamedTuple):
    """How the paths of an included router begin, as long as FastAPI does not look at its routes anew."""

    version: int
    heads: tuple[str, ...]


class Asking:
    """Takes the place of `_IncludedRouter.matches`. `brought` are the names of what an inclusion adds to each route.

    Raises AttributeError where this version of FastAPI works in another way.
    """

    def __init__(self, routing: Any, brought: tuple[str, ...]) -> None:
        included, starlette = routing._IncludedRouter, routing.routing  # noqa: SLF001 - ledger 11
        self._nested, self._brought = included, brought
        self._route, self._route_matches = routing.APIRoute, routing.APIRoute.matches
        self._router_matches = routing.APIRouter.matches
        routing.APIRouter()._routes_version  # noqa: B018, SLF001 - ledger 11
        plain = (routing.APIWebSocketRoute, starlette.Route, starlette.WebSocketRoute, starlette.Mount)
        self._plain = {each: each.matches for each in plain}
        self._candidates: Callable[[Any], list[Any]] = included.effective_candidates
        self._seen: dict[int, tuple[weakref.ref[Any], Seen]] = {}
        self.matches = self._made(included.matches, routing.get_route_path, getattr(routing, KEY), routing.Match.NONE)

    def _made(self, ask: Callable[..., Any], path_of: Callable[[Any], str], key: str, none: Any) -> Callable[..., Any]:
        find = self._find

        def matches(self: Any, scope: Any) -> Any:
            """As FastAPI's, which adds its key to the scope the first time."""
            if key in scope:
                known = self.__dict__.get(HEADS)
                if known is None or known.version != self.original_router._routes_version:  # noqa: SLF001 - ledger 11
                    known = find(self)
                if not path_of(scope).startswith(known.heads):
                    return none, {}
            return ask(self, scope)

        return matches

    def _find(self, included: Any) -> Heads:
        """The heads of an included router. FastAPI makes its routes now, where they were not seen included like this.

        That shows at the app's first request what is wrong with them.
        """
        router, context = included.original_router, included.include_context
        version, seen = router._routes_version, self._seen_of(router)  # noqa: SLF001 - ledger 11
        paths = [route.path for route in router.routes if type(route) is self._route]
        before, heads = seen.get(context.prefix, (None, ()))
        if before != paths or len(paths) != len(router.routes) or any(getattr(context, name) for name in self._brought):
            heads = self._heads(included)
            seen[context.prefix] = paths, heads
        known = included.__dict__[HEADS] = Heads(version, heads)
        return known

    def _seen_of(self, router: Any) -> Seen:
        """What is known of a router, as long as it lives: it has no hash, and what it leads to must not be kept."""
        number = id(router)
        entry = self._seen.get(number)
        if entry is None:
            forget = weakref.ref(router, lambda _: self._seen.pop(number, None))
            entry = self._seen[number] = forget, {}
        return entry[1]

    def _heads(self, included: Any) -> tuple[str, ...]:
        candidates, router = self._candidates(included), included.original_router
        if type(router).matches is not self._router_matches or "matches" in vars(router):
            return (ANY,)
        return tuple({self._head(candidate) for candidate in candidates})

    def _head(self, candidate: Any) -> str:
        """How the path of a route begins."""
        if isinstance(candidate, self._nested):
            return ANY
        route = candidate.original_route
        own = isinstance(route, self._route)
        if not own:
            route = candidate = candidate.starlette_route
        known = self._route_matches if own else self._plain.get(type(route))
        if type(route).matches is not known or "matches" in vars(route):
            return ANY
        path: str = candidate.path
        return path.partition("{")[0]
