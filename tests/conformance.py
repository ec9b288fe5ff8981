"""The engine under the conformance suite: hot must equal cold."""

import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi_hmr.engine import Broken, Built, Mechanisms, NeedsRestart, Outcome, Overtaken, Unchanged
from fastapi_hmr.engine import Engine as Real
from fastapi_hmr.events import FileChange

CHILD = (
    "import sys, importlib; sys.path.insert(0, {root!r}); getattr(importlib.import_module({module!r}), {attribute!r})"
)


class Engine:
    """What the suite expects of an engine, on the real one."""

    # Level 1 runs no file again, which is what some scenarios ask for; it is compared with cold starts by itself.
    mechanisms = Mechanisms(patch=False)

    def __init__(self, root: Path, entry: str) -> None:
        module, _, self.attribute = entry.partition(":")
        code = CHILD.format(root=str(root), module=module, attribute=self.attribute)
        self.engine = Real(
            roots=[root],
            module=module,
            resolve=self.resolve,
            cold=[sys.executable, "-W", "ignore", "-c", code],
            import_timeout=5.0,
            mechanisms=self.mechanisms,
        )

    def resolve(self, module: ModuleType) -> object:
        """The app, or the function to observe."""
        return getattr(module, self.attribute)

    @property
    def target(self) -> object | None:
        """What is to be served now."""
        return self.engine.target

    async def start(self) -> dict[str, Any]:
        """The first import."""
        return self.report(await self.engine.start())

    async def apply(self, changes: list[tuple[str, Path]]) -> dict[str, Any]:
        """One save."""
        return self.report(await self.engine.apply(FileChange(kind, path) for kind, path in changes))  # type: ignore[arg-type]

    def switched(self) -> None:
        """The new target is being served."""
        self.engine.commit()

    def switch_failed(self) -> None:
        """Its lifespan failed."""
        self.engine.rollback()

    @staticmethod
    def report(outcome: Outcome) -> dict[str, Any]:
        """An outcome in the suite's words."""
        match outcome:
            case Built():
                return {"rung": outcome.level.name, "why": outcome.reason, "modules": outcome.modules}
            case Unchanged():
                return {"rung": "nothing", "why": outcome.reason}
            case Broken():
                text = "".join(traceback.format_exception_only(outcome.error)).strip().splitlines()[-1]
                return {
                    "rung": "broken",
                    "error": text,
                    "trace": "".join(traceback.format_exception(outcome.error))[-3000:],
                }
            case NeedsRestart():
                return {"rung": "process", "why": outcome.reason}
            case Overtaken():
                raise AssertionError("there is nobody here who could overtake an attempt")


class WithoutState(Engine):
    """Nobody notices that a module changes another's state."""

    mechanisms = Mechanisms(patch=False, state=False, ladder=False)


class WithoutProcess(Engine):
    """Nothing that was done to the process is undone."""

    mechanisms = Mechanisms(patch=False, process=False, ladder=False)


class WithoutAdapters(Engine):
    """Registries of libraries keep what they have."""

    mechanisms = Mechanisms(patch=False, adapters=False, ladder=False)


class WithoutForeign(Engine):
    """Objects of libraries stay patched."""

    mechanisms = Mechanisms(patch=False, foreign=False, ladder=False)


class WithoutProbes(Engine):
    """Questions to disk and environment are no dependencies."""

    mechanisms = Mechanisms(patch=False, probes=False)


class WithoutReach(Engine):
    """Modules that nothing imports any more stay."""

    mechanisms = Mechanisms(patch=False, reach=False)


class WithoutOrder(Engine):
    """The order of effects on kept modules does not matter."""

    mechanisms = Mechanisms(patch=False, order=False)


class WithoutLadder(Engine):
    """A failed update is the end."""

    mechanisms = Mechanisms(patch=False, ladder=False)


class WithPatches(Engine):
    """The product's whole ladder."""

    mechanisms = Mechanisms()
