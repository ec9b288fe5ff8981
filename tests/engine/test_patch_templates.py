"""A template's filter is found wherever its environment is kept, and quickly where modules name the environment."""

import gc
from collections.abc import Callable
from types import FunctionType

import jinja2
import pytest
from starlette.templating import Jinja2Templates

from fastapi_hmr.engine.patch_templates import rendered_by


def loud(text: str) -> str:
    """A filter of the app's."""
    return text.upper()


def shout(text: str) -> str:
    """Reaches the filter by its name."""
    return loud(text)


def other() -> None:
    """No filter."""


@pytest.fixture
def elsewhere() -> dict[str, object]:
    """The environments that are alive already, whatever made them, under names."""
    gc.collect()
    alive = [thing for thing in gc.get_objects() if issubclass(type(thing), jinja2.Environment)]
    return {f"environment{n}": thing for n, thing in enumerate(alive)}


def found(function: Callable[..., object], *namespaces: dict[str, object]) -> str | None:
    """The filter that may be in templates."""
    assert isinstance(function, FunctionType)
    return rendered_by(function.__code__, [shout.__code__], namespaces)


def test_filters_of_environments_with_names_are_found_without_a_search(
    elsewhere: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment itself, in Starlette's wrapper, and an overlay, which has its environment's tables."""

    def search(*_: object) -> list[object]:
        raise AssertionError("the heap was searched")

    monkeypatch.setattr(gc, "get_referrers", search)
    assert found(loud, elsewhere) is None
    environment = jinja2.Environment()
    named: dict[str, object] = {"n": 1, "environment": environment}
    assert found(loud, elsewhere, named) is None
    environment.tests["shouted"] = loud
    assert found(loud, elsewhere, named) == "shouted"
    assert found(other, elsewhere, named) is None
    environment.tests.pop("shouted")
    templates = Jinja2Templates(env=jinja2.Environment())
    templates.env.filters["upper_once"] = shout
    named |= {"templates": templates, "overlay": environment.overlay(trim_blocks=True)}
    assert found(loud, elsewhere, named) == "upper_once"  # it reaches what was asked for


def test_filter_of_an_environment_that_no_module_names_is_found(elsewhere: dict[str, object]) -> None:
    """Kept in a closure, in a library: the reference counts tell that one is missing."""
    named: dict[str, object] = {"environment": jinja2.Environment()}
    hidden = [jinja2.Environment()]
    hidden[0].filters["loud"] = loud
    assert found(loud, elsewhere, named) == "loud"
    hidden.clear()
    gc.collect()
    assert found(loud, elsewhere, named) is None
