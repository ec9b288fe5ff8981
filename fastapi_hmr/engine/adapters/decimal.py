"""decimal: precision and rounding that a module set for everybody."""

import contextvars
import decimal
from collections.abc import Hashable, Iterator

from fastapi_hmr.engine.adapters import Adapter, Effect

type Settings = tuple[int, str, int, int, int, int]


class Context:
    """The settings of the current context."""

    def take(self) -> Settings:
        """The settings now."""
        # In a copy: where there is no context so far, asking makes one, which every request would be given.
        context = contextvars.copy_context().run(decimal.getcontext)
        return context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp

    def effects(self, before: Settings, now: Settings) -> Iterator[Effect]:
        """They were changed."""
        slots: frozenset[Hashable] = frozenset((("decimal",),))
        undo, redo = lambda: self._turn(now, before), lambda: self._turn(before, now)
        yield Effect("the decimal context", undo, redo, slots, shown={"getcontext": repr(now)})

    def _turn(self, old: Settings, new: Settings) -> None:
        if self.take() == old:
            context = decimal.getcontext()
            context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp = new


ADAPTER = Adapter("decimal", Context)
