"""The ledger of FastAPI's private names (fastapi_hmr/engine/routes.py): one test per entry, failing when FastAPI changes."""

import dataclasses
import inspect
import re
import sys
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi import routing as fastapi_routing
from fastapi._compat import v2
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, RootModel, computed_field

from fastapi_hmr.engine import routes as door
from fastapi_hmr.engine.analyses import ANALYSED, INSTEAD, LATER
from fastapi_hmr.engine.routes import BROUGHT, MATCHING, Routes
from tests.engine.test_routes import Part, Thing, answer, build, contexts

routing: Any = fastapi_routing
compat: Any = v2


def test_ledger_has_a_test_for_each_entry() -> None:
    """Entries and tests have the same numbers."""
    entries = {int(number) for number in re.findall(r"^ ?(\d+)\. ", door.__doc__ or "", re.MULTILINE)}
    tests = {int(name.split("_")[2]) for name in globals() if re.fullmatch(r"test_entry_\d+_\w+", name)}
    assert entries == tests == set(range(1, len(entries) + 1))


def test_entry_1_an_included_router_builds_contexts() -> None:
    """1: `_IncludedRouter._build_effective_context(route)`."""
    assert routing._IncludedRouter._build_effective_context.__code__.co_varnames[:2] == ("self", "route")


def test_entry_2_a_context_is_a_dataclass() -> None:
    """2: `_EffectiveRouteContext.from_api_route(original_route=, include_context=)`."""
    make: Any = vars(routing._EffectiveRouteContext)["from_api_route"]
    assert dataclasses.fields(routing._EffectiveRouteContext)
    assert {"original_route", "include_context"} <= set(make.__func__.__code__.co_varnames)


def test_entry_3_matching_reads_only_these() -> None:
    """3: a context with the fields of MATCHING, and no others, matches and makes URLs."""
    app = build()
    context = next(one for one in contexts(app) if getattr(one, "name", "") == "thing")
    bare = object.__new__(routing._EffectiveRouteContext)
    bare.__dict__.update({name: getattr(context, name) for name in MATCHING})
    scope = {"type": "http", "method": "GET", "path": "/api/outer/a/inner/things/1", "headers": []}
    assert bare.matches(scope) == context.matches(scope)
    assert bare.url_path_for("thing", tenant="t", thing_id="2") == "/api/outer/t/inner/things/2"


def test_entry_4_an_inclusion_knows_what_it_brings() -> None:
    """4: the fields of `_RouterIncludeContext`, and `path_for`."""
    included = next(route for route in build().router.routes if isinstance(route, routing._IncludedRouter))
    assert all(isinstance(getattr(included.include_context, name), (list, dict)) for name in BROUGHT)
    assert callable(included.include_context.path_for)


def test_entry_5_paths_are_compiled_in_fastapis_namespace() -> None:
    """5: `fastapi.routing.compile_path` is Starlette's."""
    assert routing.compile_path is sys.modules["starlette.routing"].compile_path


def test_entry_6_a_field_makes_its_adapter_after_init() -> None:
    """6: `ModelField.__post_init__` sets `_type_adapter` and nothing else."""
    field = v2.ModelField(field_info=v2.FieldInfo(annotation=int), name="x")
    assert vars(field).keys() - {one.name for one in dataclasses.fields(field)} == {"_type_adapter"}
    assert {"annotation", "metadata", "attributes"} == set(compat.asdict(field.field_info))


class Tree(BaseModel):
    """A recursive model."""

    parts: list["Tree"] = []


class Counted(Thing):
    """A docstring, and what is computed."""

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def count(self) -> int:
        """How many."""
        return len(self.parts)


class Listing(RootModel[list[Part]]):
    """A model that is a list."""


class Box[T](BaseModel):
    """A generic model."""

    content: T


class Configured(BaseModel):
    """A model with settings."""

    model_config = ConfigDict(hide_input_in_errors=True)


class Custom(BaseModel):
    """A model that makes its schema."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """The usual one."""
        return handler(source)


@pytest.mark.parametrize("model", [Part, Thing, Tree, Counted, Listing, Box[int], Box[Part]])
@pytest.mark.parametrize("given", [{}, {"alias": "body"}])
def test_entry_7_adapter_of_a_bare_field_has_the_models_schema(model: Any, given: Any) -> None:
    """7: what FastAPI's own TypeAdapter has, and validates and serialises the same."""

    def adapter() -> Any:
        return v2.ModelField(field_info=v2.FieldInfo(annotation=model, **given), name="x")._type_adapter

    routes = Routes()
    with routes.sharing():
        ours = adapter()
    routes.uninstall()
    fastapis = adapter()
    assert ours.validator is model.__pydantic_validator__
    assert ours.core_schema == fastapis.core_schema
    assert ours.json_schema() == fastapis.json_schema()


def test_entry_8_a_route_has_the_known_attributes() -> None:
    """8: what the analysis finds, and what is there without it."""
    routes = Routes()
    with routes.sharing():
        APIRoute("/", answer)
        waiting = APIRoute("/", answer)
    routes.uninstall()
    assert LATER in vars(waiting)
    assert vars(APIRoute("/", answer)).keys() == (vars(waiting).keys() - {LATER}) | {*ANALYSED}


@pytest.mark.parametrize("name", INSTEAD)
def test_entry_9_routing_analyses_with_these(name: str) -> None:
    """9: each is a global of `fastapi.routing` that making a route calls."""
    code = [routing._populate_api_route_state.__code__, APIRoute.get_route_handler.__code__]
    assert callable(getattr(routing, name))
    assert any(name in each.co_names for each in code)


def test_entry_10_what_endpoints_are_told_apart_by() -> None:
    """10: dependencies, defaults, and what a model says of itself."""
    assert vars(Depends(answer)).keys() >= {"dependency", "use_cache", "scope"}
    assert isinstance(inspect.signature(APIRoute).parameters["response_model"].default, DefaultPlaceholder)
    assert Part.__pydantic_complete__
    assert not Part.__pydantic_root_model__
    assert Listing.__pydantic_root_model__


def test_entry_11_an_included_router_asks_its_candidates() -> None:
    """11: those and nobody else, by their paths; a version tells when they are made anew."""
    router = APIRouter()
    router.get("/x")(answer)
    app = FastAPI()
    app.include_router(router, prefix="/p")
    included: Any = app.router.routes[-1]
    assert included._effective_candidates_version is None
    (candidate,) = included.effective_candidates()
    assert included._effective_candidates_version == router._routes_version
    asked = []
    candidate.__class__ = type(
        "Asked", (type(candidate),), {"matches": lambda _, scope: (asked.append(scope), (0, {}))[1]}
    )
    scope = {"type": "http", "path": "/p/x", "method": "GET"}
    included.matches(scope)
    assert asked == [scope]
    assert scope.keys() == {"type", "path", "method", routing._FASTAPI_SCOPE_KEY}
    before = router._routes_version
    router.get("/y")(answer)
    assert router._routes_version > before
    assert routing.get_route_path({"path": "/root/p/x", "root_path": "/root"}) == "/p/x"


@pytest.mark.parametrize("model", [Configured, Custom])
def test_model_that_says_more_gets_fastapis_adapter(model: Any) -> None:
    """Settings of a model count at the top of a TypeAdapter of its own only."""
    routes = Routes()
    with routes.sharing():
        field = v2.ModelField(field_info=v2.FieldInfo(annotation=model), name="x")
    routes.uninstall()
    assert field._type_adapter.validator is not model.__pydantic_validator__
