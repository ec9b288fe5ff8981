"""Process: charges what happens to the process and to libraries to the module that was running."""

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from sys import modules
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Offer, Owned, offers
from fastapi_hmr.engine.effects import Environ, Probe
from fastapi_hmr.engine.interpreter import interpreter
from fastapi_hmr.engine.mechanisms import Mechanisms
from fastapi_hmr.engine.record import Effect, Record, nothing

logger = logging.getLogger(__name__)


class Process:
    """Looks at the process around each module and each import of a library.

    A library stays loaded, and so does what its own first import did: that is charged to nobody.
    """

    def __init__(self, mechanisms: Mechanisms) -> None:
        self._probes: dict[str, Probe] = interpreter() if mechanisms.process else {}
        self._offers: list[Offer] = offers() if mechanisms.adapters else []
        self._linking: list[Adapter] = []
        self._renewing: dict[str, Callable[[], None]] = {}
        self.adapted = frozenset(library for library, _ in self._offers)
        """Libraries that have an adapter."""
        self._mark: dict[str, Any] = {}
        self.importing_for: Record | None = None
        """The module on whose behalf a library is being imported."""
        self.looking = False
        """We are reading ourselves: that is no module's question."""
        self.on_effect: Callable[[Effect], None] = lambda _effect: None
        """Called with each effect when it is charged to a module."""
        self._serials = itertools.count(1)

    def close(self) -> None:
        """Take the interceptors out."""
        for probe in self._probes.values():
            getattr(probe, "close", nothing)()

    def environ_heard(self) -> None:
        """From now on the audit hook sees each variable that is set."""
        probe = self._probes.get("environ")
        if isinstance(probe, Environ):
            probe.heard = probe.dirty = True

    def environ_changed(self) -> None:
        """The audit hook saw a variable being set."""
        probe = self._probes.get("environ")
        if isinstance(probe, Environ):
            probe.dirty = True

    def forget(self, owned: Owned) -> None:
        """Drop from the registries of libraries what belongs to modules that are being forgotten."""
        for adapter in [load() for library, load in offers() if library in modules]:
            if adapter.forget is not None:
                try:
                    adapter.forget(owned)
                except Exception:
                    logger.debug("could not forget what is in %s", adapter.library, exc_info=True)

    def renewed(self) -> None:
        """Code was replaced."""
        self._adapt()
        for library, renew in self._renewing.items():
            try:
                renew()
            except Exception:
                logger.debug("could not renew what is in %s", library, exc_info=True)

    def mark(self, only: Iterable[str] | None = None) -> None:
        """What happened until now is charged to nobody (any more); `only`: of what these probes see."""
        if only is None:
            self._adapt()
        before, self.looking = self.looking, True  # twice for each module: no context manager
        try:
            taken = {name: self._probes[name].take() for name in (self._probes if only is None else only)}
        finally:
            self.looking = before
        self._mark = taken if only is None else {**self._mark, **taken}

    @contextmanager
    def _looking(self) -> Iterator[None]:
        before, self.looking = self.looking, True
        try:
            yield
        finally:
            self.looking = before

    def _adapt(self) -> None:
        for offer in [offer for offer in self._offers if is_loaded(offer[0])]:
            self._offers.remove(offer)
            adapter = offer[1]()
            if adapter.links is not None:
                self._linking.append(adapter)
            if adapter.renew is not None:
                self._renewing[adapter.library] = adapter.renew
            probe = adapter.probe()
            if probe is not None:
                self._probes[adapter.library] = probe

    def libraries(self, *, lasting: bool = False) -> dict[str, Any]:
        """What the registries of libraries look like now; `lasting`: of those that count requests' doings too."""
        self._adapt()
        return {
            name: probe.take()
            for name, probe in self._probes.items()
            if name in self.adapted and (not lasting or getattr(probe, "lasting", False))
        }

    def since(self, before: dict[str, Any]) -> Iterator[Effect]:
        """What was done to those libraries since then."""
        for name, was in before.items():
            now = self._probes[name].take()
            if was is not now and was != now:
                yield from self._probes[name].effects(was, now)

    def charge(self, record: Record | None, only: Iterable[str] | None = None) -> None:
        """What happened since the mark was done by this module; `only`: of what these probes see."""
        before = self._mark
        self.mark(only)
        if record is None:
            return
        for name, now in self._mark.items():
            was = before.get(name, now)
            if was is not now and was != now:
                self.note(record, self._probes[name].effects(was, now), name)

    def note(self, record: Record, effects: Iterable[Effect], probe: str = "") -> None:
        """A module did this, just now."""
        for effect in effects:
            effect.probe = probe
            self.number(effect)
            effect.after = record.at
            record.effects.append(effect)
            record.changed |= effect.touches - {record.name}
            self.on_effect(effect)

    def variable(self, key: str) -> str | None:
        """An environment variable, asked for by nobody."""
        with self._looking():
            return os.environ.get(key)

    def number(self, effect: Effect) -> None:
        """An effect is the latest of all."""
        effect.serial = next(self._serials)

    @contextmanager
    def aside(self, record: Record, effects: Iterable[Effect]) -> Iterator[None]:
        """While inside, these are turned back and forth, which is not this module's doing though it is under way."""
        probes = {effect.probe for effect in effects if effect.probe}
        self.charge(record, probes)
        try:
            yield
        finally:
            self.mark(probes)

    def links(self) -> Iterator[tuple[str, str]]:
        """Modules whose objects changed another module's, after both had been imported."""
        for adapter in self._linking:
            if adapter.links is not None and adapter.library in modules:
                try:
                    yield from adapter.links()
                except Exception:
                    logger.debug("could not ask %s for links", adapter.library, exc_info=True)

    @contextmanager
    def library_import(self, record: Record | None) -> Iterator[None]:
        """While inside, a library is being imported, and with it whatever it needs."""
        if self.importing_for is record:
            yield
            return
        outer, self.importing_for = self.importing_for, record
        self.charge(record)
        try:
            yield
        finally:
            self.mark()  # which may import an adapter: the module's statements are not concerned
            self.importing_for = outer

    def undo(self, records: Iterable[Record]) -> None:
        """Undo what these modules did, the last first."""
        self.turn_back(effect for record in records for effect in record.effects)

    def redo(self, records: Iterable[Record]) -> None:
        """Do it again, in the order in which it was done."""
        self.turn_forth(effect for record in records for effect in record.effects)

    def turn_back(self, effects: Iterable[Effect]) -> None:
        """Undo those of these effects that are not undone, the last first."""
        with self._looking():
            for effect in sorted(effects, key=lambda effect: -effect.serial):
                if effect.done:
                    effect.done = False
                    attempt(effect.undo, effect)

    def turn_forth(self, effects: Iterable[Effect]) -> None:
        """Redo those of these effects that are undone, in the order in which they were done."""
        with self._looking():
            for effect in sorted(effects, key=lambda effect: effect.serial):
                if not effect.done:
                    effect.done = True
                    attempt(effect.redo, effect)

    def rest(self) -> None:
        """No module will run for a while: let go of what was seen, such as tasks that have ended since."""
        self._mark = {}
        for probe in self._probes.values():
            getattr(probe, "rest", nothing)()

    def finish(self, records: Iterable[Record]) -> None:
        """What these modules did is gone for good."""
        for record in records:
            for effect in record.effects:
                attempt(effect.finish, effect)


def attempt(action: Any, effect: Effect) -> None:
    """A library that refuses must not end the reload."""
    try:
        action()
    except Exception:
        logger.debug("could not turn %s back or forth", effect.what, exc_info=True)


def is_loaded(library: str) -> bool:
    """Whether a library has been imported to its end: before that its registries may not be there."""
    module = modules.get(library)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)
