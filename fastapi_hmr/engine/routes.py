"""The one door to FastAPI's internals: what a route needs for its first answer is built when that answer is due.

FastAPI keeps the routers that an app includes as they are, and at the app's first request builds every route of every
included router once more, for the path, dependencies and defaults that it was included with: a third of a millisecond a
route, of 2,000 routes when one is asked for.  Here a route gets at once what matching needs, and the rest at its first
use.  The analysis of an endpoint is put off likewise (`analyses`), and a router none of whose paths begins like the
request's is passed over (`heads`).  While modules run, fields of one type share a pydantic TypeAdapter, of which FastAPI
makes one for each parameter and each response.

Ledger of what is used beyond FastAPI's documented API.  Last version checked: 0.165.  Each entry has a test of the same
number in tests/engine/test_routes.py; where a version lacks one, FastAPI does as it always does.

 1. `fastapi.routing._IncludedRouter._build_effective_context(route)`: makes the context of one route.
 2. `fastapi.routing._EffectiveRouteContext`: a dataclass; `from_api_route(original_route=, include_context=)` builds one.
 3. its fields in `MATCHING`, which are all that `matches()` and `url_path_for()` read.
 4. `_RouterIncludeContext`: `path_for(route)`, and the fields in `BROUGHT`, whose errors FastAPI finds at the first request.
 5. `fastapi.routing.compile_path`: Starlette's, pure but for `starlette.convertors.CONVERTOR_TYPES`.
 6. `fastapi._compat.v2.ModelField.__post_init__`, which sets `_type_adapter` and nothing else, from `config` and from what
    `fastapi._compat.v2.asdict(field_info)` gives: `annotation`, `metadata`, `attributes`.
 7. For a model without settings and of which the field says nothing but a name, that TypeAdapter has the model's schema.
 8. `APIRoute(path, endpoint, **options)`: its attributes are those in `analyses.ANALYSED` and others, which are the same
    without an analysis; so they are for every version that puts off anything, for that is tried before.
 9. the functions in `analyses.INSTEAD` are what `fastapi.routing` analyses with, and it finds them by these names.
10. `fastapi.params.Depends`, `fastapi.datastructures.DefaultPlaceholder`, and of pydantic `__pydantic_complete__` and
    `__pydantic_root_model__`: what `shapes` tells endpoints apart by.
11. `_IncludedRouter.matches(scope)` asks the contexts in `effective_candidates()`, and nobody else; it makes them anew
    when `APIRouter._routes_version` has changed (`_effective_candidates_version`), and adds `_FASTAPI_SCOPE_KEY` to the
    scope; `get_route_path(scope)` is what a context compares its path with.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from fastapi_hmr.engine.analyses import Analyses
from fastapi_hmr.engine.heads import Asking
from fastapi_hmr.engine.models import Models
from fastapi_hmr.engine.shapes import Shapes

MATCHING: Final = (
    "original_route",
    "path",
    "path_regex",
    "path_format",
    "param_convertors",
    "endpoint",
    "name",
    "methods",
)
"""What a context has from the start."""
BROUGHT: Final = ("dependencies", "responses", "callbacks")
"""What an inclusion adds to each route of a router."""
INCLUDED: Final = "_fastapi_hmr_included"
SIMPLE: Final = frozenset((str, int, float, bool, bytes, type(None)))
SIMPLE_IDS: Final = frozenset(map(id, SIMPLE))
PATHS: Final = 50_000
"""Compiled paths to remember: more are not one app's."""

type Undo = Callable[[], None]


class Routes:
    """Puts FastAPI's building of routes off, from the moment that FastAPI is loaded until `uninstall`."""

    def __init__(self) -> None:
        self._undo: list[Undo] = []
        self._adapters: dict[Any, Any] = {}
        self._shapes: Shapes | None = None
        self._analyses: Analyses | None = None
        self._models: Models | None = None
        self._sharing = False
        self._installed = False

    def install(self) -> None:
        """Take the places of FastAPI's functions, once it is loaded; called again and again until then."""
        routing = sys.modules.get("fastapi.routing")
        if self._installed or routing is None or not hasattr(routing, "APIRouter"):  # or still being imported
            return
        self._installed = True
        with suppress(AttributeError, TypeError):  # a version that works in another way
            self._defer(routing)
        with suppress(AttributeError):
            self._share(sys.modules["fastapi._compat"].v2)
        with suppress(Exception):  # a version that works in another way, and whatever comes of that
            self._shapes = shapes = Shapes()
            self._analyses = self._tried(lambda: Analyses(routing, shapes, self._replace))
            construction = sys.modules["pydantic._internal._model_construction"]
            self._models = self._tried(lambda: Models(construction, shapes, self._replace))
        self._tell(self._sharing)

    def _tried[Late](self, make: Callable[[], Late]) -> Late | None:
        done = len(self._undo)
        try:
            return make()
        except Exception:  # noqa: BLE001 - as above
            self._take_back(done)
            return None

    def uninstall(self) -> None:
        """Give the places back."""
        self._tell(False)
        self._take_back(0)
        self._shapes = self._analyses = self._models = None
        self._adapters.clear()
        self._installed = False

    def _take_back(self, done: int) -> None:
        while len(self._undo) > done:
            self._undo.pop()()

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """While inside, modules run, and what they define does not change under their routes."""
        self.install()
        self._running(True)
        try:
            yield
        finally:
            self._running(False)
            self._adapters.clear()

    def _running(self, running: bool) -> None:
        self._sharing = running
        self._tell(running)

    def _tell(self, running: bool) -> None:
        if self._shapes is not None:
            self._shapes.forget()
        for late in (self._analyses, self._models):
            if late is not None:
                late.run(running)

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        before = vars(owner)[name]
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before) if vars(owner).get(name) is value else None)

    def _defer(self, routing: Any) -> None:
        included, route_class = routing._IncludedRouter, routing.APIRoute  # noqa: SLF001 - ledger 1
        build = included._build_effective_context  # noqa: SLF001 - ledger 1
        deferred, handler = deferred_class(routing._EffectiveRouteContext), route_class.get_route_handler  # noqa: SLF001 - ledger 2
        compile_path = remembering(routing.compile_path, sys.modules["starlette.convertors"].CONVERTOR_TYPES)

        def build_later(self: Any, route: Any) -> Any:
            if not isinstance(route, route_class) or type(route).get_route_handler is not handler:
                return build(self, route)  # a route class of the app's own may count on being asked now
            context = self.include_context
            if any(getattr(context, name) for name in BROUGHT) and first_of(self.original_router, route_class) is route:
                return build(self, route)  # what is wrong with them shows at the app's first request
            return deferred_context(deferred, route, context, compile_path)

        self._replace(routing, "compile_path", compile_path)
        self._replace(included, "_build_effective_context", build_later)
        self._replace(included, "matches", Asking(routing, BROUGHT).matches)

    def _share(self, compat: Any) -> None:
        field_class, adapter_class = compat.ModelField, compat.TypeAdapter
        complete = field_class.__post_init__
        unset = compat.asdict(compat.FieldInfo(annotation=int))["attributes"]
        fields = Fields(compat.asdict, unset, compat.BaseModel.__get_pydantic_core_schema__.__func__)

        def complete_shared(field: Any) -> None:
            found = fields.look(field) if self._sharing else None
            if found is None:
                complete(field)
                return
            key, validator, bare = found
            known = self._adapters.get(key)
            if known is None:
                if bare:
                    field._type_adapter = adapter_class(field.field_info.annotation)  # noqa: SLF001 - ledger 6
                else:
                    complete(field)
                known = field._type_adapter, validator  # noqa: SLF001 - ledger 6; the validator is kept, and so is its id
                if getattr(known[0], "pydantic_complete", False):  # 2.10 has it
                    self._adapters[key] = known
            field._type_adapter = known[0]  # noqa: SLF001 - ledger 6

        self._replace(field_class, "__post_init__", complete_shared)


class Fields:
    """Tells which fields get equal TypeAdapters."""

    def __init__(self, asdict: Callable[[Any], dict[str, Any]], unset: dict[str, Any], schema: object) -> None:
        self._asdict = asdict
        self._schema = schema
        """How pydantic makes the schema of a model that does not make its own."""
        self._unset = unset
        """The attributes of a field of which nothing was said."""
        self._nameless = {name: value for name, value in unset.items() if "alias" in name}

    def look(self, field: Any) -> tuple[Any, Any, bool] | None:
        """What decides about a field's TypeAdapter, the validator of its model, and whether it is the model's own.

        None where it may depend on more than can be compared.  A model is told by its validator too, for
        `model_rebuild()` makes another.  A name makes no difference: the field that has it is not within a model.
        """
        annotation = field.field_info.annotation
        validator = getattr(annotation, "__pydantic_validator__", None) if isinstance(annotation, type) else None
        if field.config is not None or not (validator is not None or id(annotation) in SIMPLE_IDS):
            return None
        info = self._asdict(field.field_info)
        metadata, attributes = info["metadata"], {**info["attributes"], **self._nameless}
        values = tuple(attributes.values())
        kinds = tuple(map(type, values))
        if not SIMPLE.issuperset(kinds) or any(type(one).__module__ != "annotated_types" for one in metadata):
            return None
        key = (id(annotation), id(validator), *metadata, *attributes, *values, *kinds)
        try:
            hash(key)
        except TypeError:
            return None
        bare = validator is not None and not metadata and attributes == self._unset and self._is_own(annotation)
        return key, validator, bare

    def _is_own(self, model: Any) -> bool:
        """Whether FastAPI's TypeAdapter of a model would have the very schema, and settings, of the model."""
        return not model.model_config and model.__get_pydantic_core_schema__.__func__ is self._schema


class Later:
    """A field of a context that is not built yet.  No data descriptor: what is in the instance comes first."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, context: Any, owner: type) -> Any:
        if context is None:
            return self
        build(context)
        return getattr(context, self._name)


def deferred_class(context_class: Any) -> Any:
    """A subclass of FastAPI's context class, whose instances turn into plain ones when they are built."""
    fields = [field.name for field in dataclasses.fields(context_class) if field.name not in MATCHING]
    namespace = {name: Later(name) for name in fields if name != "starlette_route"}  # None for FastAPI's own routes
    return type(context_class.__name__, (context_class,), {"__module__": context_class.__module__, **namespace})


def deferred_context(deferred: Any, route: Any, included: Any, compile_path: Callable[[str], Any]) -> Any:
    """The context of one route, with what matching needs."""
    context = object.__new__(deferred)
    path = included.path_for(route)
    regex, path_format, convertors = compile_path(path)
    methods = {method.upper() for method in route.methods}
    values = (route, path, regex, path_format, convertors, route.endpoint, route.name, methods)
    context.__dict__.update(zip(MATCHING, values, strict=True))
    context.__dict__[INCLUDED] = included
    return context


def build(context: Any) -> None:
    """Build the rest of a context, in place."""
    deferred = type(context)
    included = context.__dict__.get(INCLUDED)
    if included is None:  # another thread was first
        return
    plain: Any = deferred.__mro__[1]
    whole = plain.from_api_route(original_route=context.original_route, include_context=included)
    for name, value in whole.__dict__.items():
        context.__dict__.setdefault(name, value)
    context.__class__ = plain
    context.__dict__.pop(INCLUDED, None)


def first_of(router: Any, route_class: type) -> Any:
    """The first route of a router that FastAPI would build."""
    return next((route for route in router.routes if isinstance(route, route_class)), None)


def remembering(compile_path: Callable[[str], Any], convertors: dict[str, Any]) -> Callable[[str], Any]:
    """Starlette's `compile_path`, which compiles each path once, as long as the convertors are the same."""
    known: dict[str, Any] = {}
    valid = dict(convertors)

    def compile_path_once(path: str) -> Any:
        nonlocal valid
        if convertors != valid or len(known) > PATHS:
            known.clear()
            valid = dict(convertors)
        found = known.get(path)
        if found is None:
            found = known[path] = compile_path(path)
        regex, path_format, of_path = found
        return regex, path_format, dict(of_path)

    return compile_path_once
