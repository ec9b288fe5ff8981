"""The engine by itself: what its outcomes say, what it remembers, what it lets go of and what it leaves alone."""

import asyncio
import gc
import logging
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fastapi_hmr.engine import Broken, Built, Engine, Mechanisms, NeedsRestart, Outcome, Unchanged
from fastapi_hmr.events import FileChange, ReloadLevel

pytestmark = pytest.mark.timeout(240)

UPDATES = Mechanisms(patch=False)


class App:
    """A folder of modules under an engine in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.engine: Engine | None = None

    def write(self, **files: str) -> list[FileChange]:
        """Write files, dots for slashes in their names and `.py` added; return the changes."""
        changes = []
        for name, text in files.items():
            path = self.root / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = "modified" if path.exists() else "added"
            path.write_text(text)
            changes.append(FileChange(kind, path))  # type: ignore[arg-type]
        return changes

    def start(self, **options: Any) -> Outcome:
        """Start the engine on main.app."""
        resolve: Callable[[ModuleType], object] = lambda module: module.app  # noqa: E731 - short
        options = {"resolve": resolve, "mechanisms": UPDATES, **options}
        self.engine = Engine(roots=[self.root], module="main", **options)
        outcome = asyncio.run(self.engine.start())
        self.engine.commit()
        return outcome

    def save(self, *, commit: bool = True, **files: str) -> Outcome:
        """Save files and apply that."""
        assert self.engine is not None
        outcome = asyncio.run(self.engine.apply(self.write(**files)))
        if commit:
            self.engine.commit()
        return outcome

    @property
    def target(self) -> Any:
        """What the engine says is to be served."""
        assert self.engine is not None
        return self.engine.target


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An empty app; its modules, hooks and paths are gone afterwards."""
    root = tmp_path.resolve()
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root))
    before = set(sys.modules)
    app = App(root)
    yield app
    if app.engine is not None:
        app.engine.close()
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(root)):
            del sys.modules[name]


def test_update_says_what_ran_and_why(app: App) -> None:
    """An outcome names the modules that ran, in order, and gives a reason that a person can use."""
    app.write(main="import a\napp = [a.A]\n", a="A = 1\n", pkg__b="B = 1\n")
    assert isinstance(app.start(), Built)
    outcome = app.save(a="A = 2\n")
    assert isinstance(outcome, Built)
    assert outcome.level is ReloadLevel.UPDATE
    assert outcome.modules == ("main", "a")
    assert outcome.reason == "a.py changed; 1 module depends on it"
    assert app.target == [2]


def test_module_that_comes_is_why_others_are_not_patched(app: App) -> None:
    """A new file in a batch: the reason says so, for the line of the update would not."""
    main = "try:\n    from extra import X\nexcept ImportError:\n    X = 1\ndef app():\n    return X\n"
    app.write(main=main)
    app.start(mechanisms=Mechanisms())
    outcome = app.save(main=main.replace("return X", "return -X"), extra="X = 2\n")
    assert isinstance(outcome, Built)
    assert outcome.reason.endswith("not in place: extra.py is new")
    assert app.target() == -2
    (app.root / "extra.py").unlink()
    changes = [*app.write(main=main), FileChange("deleted", app.root / "extra.py")]
    assert app.engine is not None
    outcome = asyncio.run(app.engine.apply(changes))
    assert isinstance(outcome, Built)
    assert outcome.reason.endswith("not in place: extra.py is gone")
    assert app.target() == 1


def test_patch_keeps_the_target(app: App) -> None:
    """A body that had no part in the start is patched: the same app goes on, with the new code."""
    app.write(main="def app():\n    return 1\n")
    app.start(mechanisms=Mechanisms())
    served: Any = app.target
    outcome = app.save(main="def app():\n    return 2\n")
    assert isinstance(outcome, Built)
    assert outcome.level is ReloadLevel.PATCH
    assert outcome.target is app.target
    assert app.target is served
    assert app.target() == 2


def test_unchanged_bytes_run_nothing(app: App) -> None:
    """A save without a difference, and a file that nobody knows, are no reason to run anything."""
    app.write(main="app = object()\n")
    app.start()
    served = app.target
    assert isinstance(app.save(main="app = object()\n"), Unchanged)
    assert isinstance(app.save(stranger="x = 1\n"), Unchanged)
    assert app.target is served


def test_broken_edit_leaves_everything_as_it_was(app: App) -> None:
    """The serving app, its modules and its kept registries are the same objects with the same contents."""
    app.write(
        main="import reg, a\napp = [reg.R]\n", reg="R = []\n", a="import reg\nreg.R.append('a')\n", spare="x = 1\n"
    )
    app.start()
    served, module = app.target, sys.modules["a"]
    outcome = app.save(a="import reg, spare\nreg.R.append('half')\nraise RuntimeError('half done')\n")
    assert isinstance(outcome, Broken)
    assert str(outcome.error) == "half done"
    assert app.target is served
    assert served == [["a"]]
    assert sys.modules["a"] is module
    assert "spare" not in sys.modules


def test_broken_start_heals(app: App) -> None:
    """After a broken start the missing module is awaited, and its arrival starts the app."""
    app.write(main="import later\napp = later.X\n")
    assert isinstance(app.start(), Broken)
    assert app.engine is not None
    assert app.engine.concerns(app.root / "later.py")
    assert isinstance(app.save(later="X = 5\n"), Built)
    assert app.target == 5


def test_bystander_of_a_failed_save_does_not_concern_later(app: App) -> None:
    """A database that requests wrote in the same moment: each start that fails writes it too, and would be tried again."""
    app.write(main="import part\napp = part.X\n", part="X = 1\n")
    app.start()
    database, new = app.root / "app.db", app.root / "new.py"
    database.touch()
    changes = [*app.write(main="import part\nimport new\napp = (\n", new="Y = 1\n"), FileChange("modified", database)]
    assert app.engine is not None
    assert isinstance(asyncio.run(app.engine.apply(changes)), Broken)
    assert not app.engine.concerns(database)
    assert app.engine.concerns(new)
    assert app.engine.concerns(app.root / "main.py")


def test_data_that_is_as_it_was_is_said_to_be(app: App) -> None:
    """The way back from a broken env file: a module reads it, and nothing has changed."""
    (app.root / "data").write_text("1")
    app.write(main=f"import pathlib\napp = int(pathlib.Path({str(app.root / 'data')!r}).read_text())\n")
    app.start()
    assert app.engine is not None
    (app.root / "data").write_text("x")
    assert isinstance(asyncio.run(app.engine.apply([FileChange("modified", app.root / "data")])), Broken)
    (app.root / "data").write_text("1")
    outcome = asyncio.run(app.engine.apply([FileChange("modified", app.root / "data")]))
    assert isinstance(outcome, Unchanged)
    assert outcome.reason == "every file is as it was loaded"


def test_rollback_keeps_the_edit_pending(app: App) -> None:
    """If the new app can't be started, the old modules are back, and the edit comes with the next save."""
    app.write(main="from a import A\nfrom b import B\napp = [A, B]\n", a="A = 1\n", b="B = 1\n")
    app.start()
    served = app.target
    assert isinstance(app.save(commit=False, a="A = 2\n"), Built)
    assert app.engine is not None
    app.engine.rollback()
    assert app.target is served
    assert sys.modules["a"].A == 1
    assert app.engine.concerns(app.root / "a.py")
    app.save(b="B = 2\n")
    assert app.target == [2, 2]


def test_concerns_what_was_imported_read_or_missed(app: App) -> None:
    """Sources, data and failed attempts concern the app; anything else does not."""
    app.write(
        main="import json, pathlib\ntry:\n    import optional\nexcept ImportError:\n    optional = None\n"
        "N = json.loads(pathlib.Path('data.json').read_text())\nHAS = pathlib.Path('flag').exists()\napp = [N]\n"
    )
    (app.root / "data.json").write_text("1")
    app.start()
    assert app.engine is not None
    wanted = {name: app.engine.concerns(app.root / name) for name in ("main.py", "data.json", "optional.py", "flag")}
    assert all(wanted.values()), wanted
    assert not app.engine.concerns(app.root / "other.py")
    assert not app.engine.concerns(app.root / "README.md")


def test_old_generation_dies_after_commit(app: App) -> None:
    """Modules, classes and the app of a generation that is no longer served can be collected."""
    app.write(
        main="from fastapi import Depends, FastAPI\nfrom m import Item, dep\napp = FastAPI()\n"
        "@app.post('/')\ndef f(item: Item, d=Depends(dep)) -> Item: return item\napp.openapi()\n",
        m="from pydantic import BaseModel\nclass Item(BaseModel):\n    n: int = 1\ndef dep(): return 1\n",
    )
    app.start()
    dying = [weakref.ref(thing) for thing in (app.target, sys.modules["main"], sys.modules["m"], sys.modules["m"].Item)]
    app.save(m="from pydantic import BaseModel\nclass Item(BaseModel):\n    n: int = 2\ndef dep(): return 2\n")
    gc.collect()
    assert [reference() for reference in dying] == [None] * 4


def test_failed_attempt_is_collected_soon(app: App) -> None:
    """As the old generation after a good one: without waiting for Python's own collection, which may be far off."""
    app.write(base="class Base: ...\n", main="from base import Base\nclass app(Base): ...\n")
    app.start()
    thresholds = gc.get_threshold()

    async def heirs_after_a_failure() -> None:
        assert app.engine is not None
        changes = app.write(main="from base import Base\nclass Heir(Base): ...\n1 / 0\n")
        assert isinstance(await app.engine.apply(changes), Broken)
        async with asyncio.timeout(30):
            while len(app.target.__base__.__subclasses__()) > 1:
                await asyncio.sleep(0.01)

    gc.set_threshold(1_000_000)
    try:
        asyncio.run(heirs_after_a_failure())
    finally:
        gc.set_threshold(*thresholds)
    assert app.target.__base__.__subclasses__() == [app.target]


def test_threads_get_whole_answers_during_updates(app: App) -> None:
    """A thread that serves while modules are exchanged sees one generation or another, never a mixture."""
    make = "N = {n}\ndef pair():\n    return [N, inner()]\ndef inner():\n    return N\n"
    app.write(main="import svc\napp = svc.pair\n", svc=make.format(n=0))
    app.start()
    torn: list[object] = []
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                first, second = app.target()
            except Exception as error:
                torn.append(error)
            else:
                if first != second:
                    torn.append((first, second))

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(1, 30):
        assert isinstance(app.save(svc=make.format(n=n)), Built)
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []
    assert app.target() == [29, 29]


def test_reads_in_other_threads_are_not_the_importers(app: App) -> None:
    """What another thread reads while a module is imported is no dependency of that module."""
    app.write(
        main="import other, slow\napp = [1]\n",
        other="X = 1\n",
        slow="import threading\ndef read():\n    import sys\n    for _ in range(1000): sys.modules['other'].X\n"
        "t = threading.Thread(target=read)\nt.start()\nt.join()\n",
    )
    app.start()
    assert app.engine is not None
    assert app.engine.records.importers("other") == {"main"}


@pytest.mark.parametrize("optional", [False, True])
def test_package_without_a_file_comes_with_its_first_module(app: App, optional: bool) -> None:
    """Who looked for it in vain sees it: by then it has no more than a module somewhere below."""
    new = "maybe" if optional else "surely"
    plea = f"from {new}.deep.x import X\n"
    plea = f"try:\n    {plea}except ImportError:\n    X = 0\n" if optional else plea
    app.write(main="app = [0]\n")
    app.start()
    app.save(main=f"{plea}app = [X]\n", commit=optional)
    assert app.target == [0]
    (app.root / new / "deep").mkdir(parents=True)
    created = app.root / new / "deep" / "x.py"
    created.write_text("X = 1\n")
    assert app.engine is not None
    assert app.engine.concerns(created)
    asyncio.run(app.engine.apply([FileChange("added", created)]))
    assert app.target == [1]


@pytest.mark.parametrize(
    "hang",
    ["while True: pass", "import time; time.sleep(1000)", "while True:\n    try: 1/0\n    except Exception: pass"],
)
def test_hanging_import_is_interrupted(app: App, hang: str) -> None:
    """An import that does not end, busy or blocked, is the edit's fault, and the old app goes on."""
    app.write(main="import a\napp = [a.A]\n", a="A = 1\n")
    app.start(import_timeout=0.5)
    begun = time.monotonic()
    outcome = app.save(a=f"{hang}\n")
    assert isinstance(outcome, Broken)
    assert "did not end" in str(outcome.error)
    assert time.monotonic() - begun < 60
    assert app.target == [1]
    assert isinstance(app.save(a="A = 2\n"), Built)


def test_slow_import_is_not_a_hanging_one(app: App) -> None:
    """While nothing else can be served it has its time, and as much of it again at each later save."""
    app.write(main="import time, a\ntime.sleep(0.7)\napp = [a.A]\n", a="A = 1\n")
    assert isinstance(app.start(import_timeout=0.2), Built)
    assert isinstance(app.save(a="A = 2\n"), Built)
    assert app.target == [2]


def test_running_thread_needs_a_new_process(app: App) -> None:
    """A module whose thread still runs first-party code can't be run again here, and the reason says so."""
    body = (
        "import threading\ngo = threading.Event()\nthreading.Thread(target=go.wait, name='pump', daemon=True).start()\n"
    )
    ours = "def loop():\n    go.wait()\nthreading.Thread(target=loop, name='loop', daemon=True).start()\n"
    app.write(main="import w\napp = w\n", w=body + ours)
    app.start(cold=[sys.executable, "-c", "pass"])
    old = app.target
    outcome = app.save(w="go = 1\n")
    old.go.set()
    assert isinstance(outcome, NeedsRestart)
    assert "w started the thread 'loop'" in outcome.reason


def test_no_restart_for_a_broken_edit(app: App) -> None:
    """Where a cold start fails too, nothing that runs is given up."""
    app.write(main="import w\napp = w\n", w="A = 1\n")
    app.start(cold=[sys.executable, "-c", "raise SystemExit(1)"])
    outcome = app.save(w="import nowhere_to_be_found\n")
    assert isinstance(outcome, Broken)
    assert isinstance(outcome.error, ModuleNotFoundError)


def test_probe_does_not_block_the_loop(app: App) -> None:
    """While a child process tries a cold start, the event loop goes on."""
    app.write(main="import w\napp = w\n", w="A = 1\n")
    app.start(cold=[sys.executable, "-c", "import time; time.sleep(1)"])
    assert app.engine is not None
    engine = app.engine
    ticks = 0

    async def scenario() -> Outcome:
        nonlocal ticks
        applying = asyncio.ensure_future(engine.apply(app.write(w="1/0\n")))
        while not applying.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return await applying

    assert isinstance(asyncio.run(scenario()), NeedsRestart)
    assert ticks > 10


def test_probe_may_take_longer_than_an_import(app: App) -> None:
    """A cold start brings up all libraries, on a busy machine too: the limit of an import here is not its limit."""
    app.write(main="import w\napp = w\n", w="A = 1\n")
    app.start(cold=[sys.executable, "-c", "import time; time.sleep(1.5)"], import_timeout=0.5)
    assert isinstance(app.save(w="1/0\n"), NeedsRestart)


def test_third_rung_when_an_update_raises_and_cold_does_not(app: App) -> None:
    """A library's registry that refuses a second entry is met with a fresh import of everything, and says why."""
    app.write(
        main="import reg, a, b\napp = [sorted(reg.seen())]\n",
        reg="import gc\nclass Mark: ...\n_m = []\ndef add(n):\n    if n in [x.n for x in keep]: raise ValueError('twice')\n"
        "    m = Mark(); m.n = n; keep.append(m)\nclass _L(list): __slots__ = ()\nkeep = memoryview and _L()\n"
        "def seen(): return [m.n for m in keep]\n",
        a="import reg\nreg.add('a')\n",
        b="import reg\nreg.add('b')\n",
    )
    app.start(cold=[sys.executable, "-c", "pass"], mechanisms=Mechanisms(patch=False, state=False))
    outcome = app.save(a="import reg\nreg.add('a')\nX = 1\n")
    assert isinstance(outcome, Built)
    assert outcome.level is ReloadLevel.REIMPORT
    assert "ValueError: twice" in outcome.reason
    assert app.target == [["a", "b"]]


def test_traceback_shows_the_new_lines(app: App) -> None:
    """After an update the lines in a traceback are those of the file as it is."""
    app.write(main="def app():\n    return 1\n")
    app.start()
    app.save(main="X = 1\n\n\ndef app():\n    raise ValueError('new line')\n")
    with pytest.raises(ValueError, match="new line") as caught:
        app.target()
    assert "raise ValueError('new line')" in "".join(traceback.format_exception(caught.value))


def test_factory_belongs_to_the_entry(app: App) -> None:
    """What a factory does when it is called counts as done by the module that it is in."""
    app.write(
        main="import logging\nhandler = logging.NullHandler()\ndef make():\n    from late import NAME\n"
        "    logging.getLogger('factory').addHandler(handler)\n    return [NAME]\n",
        late="NAME = 1\n",
    )
    resolve: Callable[[ModuleType], object] = lambda module: module.make()  # noqa: E731 - short
    app.start(resolve=resolve)
    app.save(late="NAME = 2\n")
    assert app.target == [2]
    assert len(logging.getLogger("factory").handlers) == 1
    logging.getLogger("factory").handlers.clear()


def test_wide_and_cyclic_graphs_are_walked_without_recursion(app: App) -> None:
    """Five hundred modules in cycles and in a chain: an edit of the deepest reaches the app."""
    count = 500
    files = {f"n{i}": f"import n{i - 1}\nV = {i}\n" for i in range(1, count)}
    imports = "".join(f"import n{i}\n" for i in range(count))
    app.write(
        main=f"{imports}n0.late()\napp = [n0.V, n{count - 1}.V]\n",
        n0=f"V = 0\ndef late():\n    import n{count - 1}\n",
        **files,
    )
    app.start()
    outcome = app.save(n0=f"V = 'new'\ndef late():\n    import n{count - 1}\n")
    assert isinstance(outcome, Built)
    assert len(outcome.modules) == count + 1
    assert app.target == ["new", count - 1]


def test_evicted_modules_are_imported_again_as_ours(app: App) -> None:
    """Modules that a script imported before the engine was there are forgotten, and so is what they registered."""
    app.write(
        main="import early\napp = early\n",
        early="import logging\nclass Mine(logging.Handler):\n    def emit(self, record): ...\n"
        "logging.getLogger('early').addHandler(Mine())\n",
    )
    import main as plain  # type: ignore[import-not-found]  # written a moment ago

    app.engine = Engine(roots=[app.root], module="main", resolve=lambda module: module.app, mechanisms=UPDATES)
    app.engine.evict_preloaded()
    assert "early" not in sys.modules
    assert isinstance(asyncio.run(app.engine.start()), Built)
    app.engine.commit()
    assert sys.modules["main"] is not plain
    assert len(logging.getLogger("early").handlers) == 1
    logging.getLogger("early").handlers.clear()


def test_close_takes_all_hooks_out(app: App) -> None:
    """After close() Python imports as it did before."""
    import builtins

    original, finders, tools = builtins.__import__, list(sys.meta_path), [sys.monitoring.get_tool(i) for i in range(6)]
    app.write(main="app = 1\n")
    app.start(mechanisms=Mechanisms())
    assert app.engine is not None
    app.engine.close()
    assert builtins.__import__ is original
    assert sys.meta_path == finders
    assert [sys.monitoring.get_tool(i) for i in range(6)] == tools
