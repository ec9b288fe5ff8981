"""Adapters: ours are there, an app's own are used, and a broken one of a package is no harm."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.middleware.exceptions import ExceptionMiddleware

from fastapi_hmr.engine import adapters, process
from fastapi_hmr.engine.adapters import OURS, Adapter, Effect, apscheduler, offers, sqlalchemy_events, tortoise
from fastapi_hmr.engine.hmr import Module, SourceFile
from fastapi_hmr.engine.mechanisms import ALL
from fastapi_hmr.engine.record import Record


class Shelf:
    """A probe for the made-up library `shelf`."""

    def __init__(self, shelf: Any) -> None:
        self.shelf = shelf

    def take(self) -> tuple[str, ...]:
        """What is on it."""
        return tuple(self.shelf.books)

    def effects(self, before: tuple[str, ...], now: tuple[str, ...]) -> Iterator[Effect]:
        """What came."""
        for book in now:
            if book not in before:
                yield Effect(book, partial(self.shelf.books.remove, book), partial(self.shelf.books.append, book))


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A library with a registry, loaded."""
    library: Any = ModuleType("shelf")
    library.books = ["kept"]
    monkeypatch.setitem(sys.modules, "shelf", library)
    monkeypatch.setattr(adapters, "_registered", [])
    return library


def record(tmp_path: Path) -> Record:
    """A record of nothing yet."""
    module = Module("owner", SourceFile(tmp_path / "owner.py"))
    return Record("owner", tmp_path / "owner.py", module, 1, b"")


def test_registered_adapter_undoes_and_redoes(shelf: Any, tmp_path: Path) -> None:
    """The documented way: a registry of an app's own is undone with the module that filled it."""
    adapters.register(Adapter("shelf", lambda: Shelf(shelf)))
    tracked = process.Process(ALL)
    try:
        owner = record(tmp_path)
        tracked.mark()
        shelf.books.append("new")
        tracked.charge(owner)
        assert [effect.what for effect in owner.effects] == ["new"]
        tracked.undo([owner])
        assert shelf.books == ["kept"]
        tracked.redo([owner])
        assert shelf.books == ["kept", "new"]
    finally:
        tracked.close()


def test_adapter_of_a_library_that_is_not_loaded_is_not_made(shelf: Any) -> None:
    """An adapter costs nothing, and imports nothing, until its library is there."""
    made: list[int] = []
    adapters.register(Adapter("shelf_that_nobody_imports", lambda: made.append(1)))
    tracked = process.Process(ALL)
    tracked.mark()
    tracked.close()
    assert made == []


def test_effect_that_refuses_does_not_end_the_reload(shelf: Any, tmp_path: Path) -> None:
    """A library may refuse to forget: the other effects are undone all the same."""
    adapters.register(Adapter("shelf", lambda: Shelf(shelf)))
    tracked = process.Process(ALL)
    try:
        owner = record(tmp_path)
        tracked.mark()
        shelf.books += ["one", "two"]
        tracked.charge(owner)
        shelf.books.remove("two")
        tracked.undo([owner])
        assert shelf.books == ["kept"]
    finally:
        tracked.close()


def test_listeners_of_requests_are_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that listens in every request: old listeners are let go of, and a module's are still undone."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.event import api

    monkeypatch.setattr(api, "listen", api.listen)
    monkeypatch.setattr(event, "listen", event.listen)
    events = sqlalchemy_events.Events()
    engine = create_engine("sqlite://")
    for _ in range(sqlalchemy_events.REMEMBERED + 10):
        event.listen(engine, "begin", lambda _connection: None)
    before = events.take()
    listeners = [lambda _connection: None, lambda _connection: None]
    for listener in listeners:
        event.listen(engine, "begin", listener)
    done = list(events.effects(before, events.take()))
    assert len(events.log) == sqlalchemy_events.REMEMBERED
    for effect in done:
        effect.undo()
    assert [event.contains(engine, "begin", listener) for listener in listeners] == [False, False]


@pytest.mark.parametrize("library", OURS)
def test_each_library_has_the_adapter_that_its_name_leads_to(library: str) -> None:
    """Adapters are imported when their library is: by that name it is found, and it says the same."""
    offer = dict(offers())[library]
    assert offer().library == library


def test_requests_ask_opentelemetry_itself(tmp_path: Path) -> None:
    """FastAPI asks for the providers in each request: they are counted only while modules run."""
    from opentelemetry import trace

    own = trace.get_tracer_provider
    running = process.Process(ALL)
    running.mark()
    assert trace.get_tracer_provider is not own
    trace.get_tracer_provider()
    one = record(tmp_path)
    running.charge(one)
    running.rest()
    assert trace.get_tracer_provider is own
    assert [effect.what for effect in one.effects] == ["a part of a provider"]


def test_handlers_that_tortoise_puts_around_starlette_go_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """With each start of an app it wraps the middleware once more; what somebody else wrapped is left alone."""
    handlers, plain = tortoise.Handlers(), ExceptionMiddleware.__call__

    async def wrapped(*_: object) -> None: ...

    monkeypatch.setattr(ExceptionMiddleware, "__call__", wrapped)
    assert not list(handlers.effects(plain, handlers.take()))
    wrapped.__module__ = "tortoise.contrib.fastapi"
    [effect] = handlers.effects(plain, handlers.take())
    effect.undo()
    assert handlers.take() is plain
    effect.redo()
    assert handlers.take() is wrapped
    monkeypatch.setattr(ExceptionMiddleware, "__call__", plain)
    effect.undo()
    assert handlers.take() is plain


def test_models_that_tortoise_made_of_ours_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its index knows them by the names of model and fields: another model of these names would get the old one."""
    made: Any = ModuleType("tortoise.contrib.pydantic.creator")
    models: Any = ModuleType("tortoise.models")
    executor: Any = ModuleType("tortoise.backends.base.executor")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setitem(sys.modules, models.__name__, models)
    monkeypatch.setitem(sys.modules, executor.__name__, executor)
    models.Model = type("Model", (), {})
    old, new = type("Old", (), {}), type("New", (), {})
    made._MODEL_INDEX = {"a": old}
    probe, defined = tortoise.Made(), tortoise.Defined()
    before, none = probe.take(), defined.take()
    card = type("Card", (models.Model,), {"__module__": "cards"})
    made._MODEL_INDEX |= {"a": new, "b": new}
    undone = list(probe.effects(before, probe.take()))
    assert [effect.touches for effect in undone] == [{card.__module__}] * 2
    for effect in undone:
        effect.undo()
    assert sorted(made._MODEL_INDEX.items()) == [("a", old)]
    for effect in undone:
        effect.redo()
    assert sorted(made._MODEL_INDEX) == ["a", "b"]
    executor.EXECUTOR_CACHE = {"card": "insert"}
    [effect] = defined.effects(none, defined.take())
    effect.undo()
    assert not executor.EXECUTOR_CACHE


async def test_scheduler_is_at_once_what_it_was_before_its_start() -> None:
    """Its own shutdown only comes about in a while, and ends its pool and its jobs."""
    from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]  # it has none
    from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # it has none

    schedulers = apscheduler.Schedulers()
    try:
        scheduler = AsyncIOScheduler(executors={"pool": ThreadPoolExecutor(3)})
        scheduler.add_job(print, "interval", hours=1, id="a")
        before = schedulers.take()
        scheduler.start()
        (effect,) = schedulers.effects(before, schedulers.take())
        for _ in range(2):
            effect.undo()
            assert not scheduler.running
            assert not hasattr(scheduler.get_job("a"), "next_run_time")
            effect.redo()
            assert scheduler.running
            assert scheduler.get_job("a").next_run_time is not None
            assert scheduler._executors["pool"]._pool.submit(max, 1, 2).result() == 2
        effect.undo()
    finally:
        schedulers.close()
