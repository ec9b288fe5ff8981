"""What a start of the app is known to have done stands against a patch: what ran, was left, cached or read."""

import functools
import linecache
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from fastapi_hmr.engine.patch_caches import Caches
from fastapi_hmr.engine.patch_record import RunRecord
from tests.engine.patch_cases import Live, Load, applied, loading, refused


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Runs a text as a module that can be edited."""
    with loading(tmp_path) as load:
        yield load


def test_patch_of_function_that_ran_at_import_is_refused(load: Load) -> None:
    """Its result is in the module."""
    live = load("def f():\n    return 1\nX = f()\n")
    assert refused(live.edit("return 1", "return 2")) == "`f` ran while the app started"


def test_patch_of_function_that_ran_in_lifespan_is_refused(load: Load) -> None:
    """A start goes on until the lifespan is up, and what requests called before counts if a later start calls it."""
    live = load("def f():\n    return 1\n\ndef g():\n    return 2\n")
    live["f"]()
    live["g"]()
    with live.record.starting():
        live["f"]()
    assert refused(live.edit("return 1", "return 3")) == "`f` ran while the app started"
    applied(live.edit("return 2", "return 4"))


def test_patch_of_moved_function_remembers_that_it_ran(load: Load) -> None:
    """New line numbers are new code; what is known of the old holds for it."""
    live = load("def a():\n    return 0\ndef f():\n    return 1\nX = f()\n")
    applied(live.edit("def a", "\ndef a"))
    applied(live.edit("return 0", "x = 0\n    return x"))
    refused(live.edit("return 1", "return 2"))


def test_patch_of_background_work_is_refused(load: Load) -> None:
    """What runs outside requests after a start is the app's own: a task or a thread that its lifespan began."""
    live = load("def work():\n    return 1\n\ndef handler():\n    return 2\n")
    live["handler"]()
    thread = threading.Thread(target=live["work"])
    thread.start()
    thread.join()
    assert refused(live.edit("return 1", "return 3")) == "`work` ran while the app started"
    applied(live.edit("return 2", "return 4"))


@pytest.mark.parametrize("begun", [False, True])
def test_patch_of_generator_left_by_start_is_refused(load: Load, begun: bool) -> None:
    """It would go on with the old code; also after the code has moved under it."""
    live = load(f"def ids():\n    yield 1\n    yield 2\n\nIDS = ids()\nFIRST = {begun} and next(IDS)\n")
    applied(live.edit("def ids", "\ndef ids"))
    applied(live.edit("\ndef ids", "def ids"))
    refused(live.edit("yield 2", "yield 3"))
    assert next(live["IDS"]) == 1 + begun


def test_patch_in_suspended_lifespan_is_refused(load: Load) -> None:
    """The part of a lifespan after its `yield` has yet to run, with the functions it makes."""
    live = load("def lifespan():\n    yield 1\n    def stop():\n        return 'old'\n    yield stop()\n")
    with live.record.starting():
        lifespan = live["lifespan"]()
        next(lifespan)
    assert (
        refused(live.edit("'old'", "'new'"))
        == "a call of `lifespan` is still in progress that may be of the app's start"
    )
    assert next(lifespan) == "old"


def test_patch_clears_caches_of_requests(load: Load) -> None:
    """A cached result may have come from the old body."""
    live = load(
        "import functools\n\ndef rate():\n    return 1\n\n@functools.cache\ndef price():\n    return rate() * 10\n"
    )
    assert live["price"]() == 10
    applied(live.edit("return 1", "return 2"))
    assert live["price"]() == 20


def test_patch_keeps_caches_of_start(load: Load) -> None:
    """What a start cached is held elsewhere too; the cache must go on giving that very object."""
    live = load(
        "import functools\n\n@functools.lru_cache\ndef settings():\n    return object()\n\n@functools.lru_cache\ndef get(n):\n"
        "    return n\n\nSETTINGS = settings()\nget(1)\n\ndef f():\n    return 1\n"
    )
    assert live["settings"]() is live["SETTINGS"]
    applied(live.edit("def f():\n    return 1", "def f():\n    return 2"))
    assert live["settings"]() is live["SETTINGS"]
    live["get"](2)
    reason = refused(live.edit("def f():\n    return 2", "def f():\n    return 3"))
    assert reason == "the cache of `get` has results of the app's start and of requests"


def test_patch_leaves_caches_of_libraries_alone(load: Load) -> None:
    """Only caches of the app's own functions are cleared."""
    live = load("def f():\n    return 1\n")

    @functools.lru_cache
    def library() -> object:
        return object()

    result = library()
    applied(live.edit("return 1", "return 2"))
    assert library() is result


def test_patch_of_cached_property_depends_on_use(load: Load) -> None:
    """Objects may have kept its results."""
    live = load(
        "import functools\n\nclass C:\n    @functools.cached_property\n    def value(self):\n        return 1\n"
    )
    applied(live.edit("return 1", "return 2"))
    assert live["C"]().value == 2
    assert refused(live.edit("return 2", "return 3")) == "objects may have kept results of `C.value`"


def test_patch_of_docstring_depends_on_who_may_have_read_it(load: Load) -> None:
    """FastAPI takes a handler's description from it; a plain function's is set."""
    live = load(
        'def deco(f):\n    return f\n\ndef plain():\n    """One."""\n\n@deco\ndef decorated():\n    """Two."""\n\n'
        'def held():\n    """Three."""\n\nTABLE = [held]\n'
    )
    applied(live.edit("One.", "New."))
    assert live["plain"].__doc__ == "New."
    assert "its decorators may have read it" in refused(live.edit("Two.", "New two."))
    assert "others that hold the function may have read it" in refused(live.edit("Three.", "New three."))


def test_patch_of_docstring_after_docstrings_were_read_is_refused(load: Load) -> None:
    """A function of the app that reads docstrings ran in its start."""
    live = load(
        'def texts(names):\n    return [f.__doc__ for f in names]\n\ndef f():\n    """One."""\n\nTEXTS = texts([f])\n'
    )
    assert refused(live.edit("One.", "Two.")) == "the docstring of `f` changed, and `texts` may have read it"


def test_patch_of_source_that_was_read_is_refused(load: Load) -> None:
    """Even a comment counts for who reads the source at import."""
    live = load("import inspect\n\ndef f():\n    return 1\n\nTEXT = inspect.getsource(f)\n")
    assert refused(live.edit("return 1", "return 1  # one")) == "the source of this file was read while the app started"


def test_patch_after_bytecode_was_read_is_refused(load: Load) -> None:
    """A function of the app that looks at functions' constants ran in its start."""
    live = load("def size(f):\n    return f.__code__.co_consts\n\ndef f():\n    return 1\n\nSIZE = size(f)\n")
    assert refused(live.edit("return 1", "return 2")) == "`size` read bytecode while the app started"


def test_record_costs_one_event_per_function(load: Load) -> None:
    """After its first call a function is not reported again until the next start."""
    live = load("def f():\n    return 1\n")
    calls: list[CodeType] = []
    record = live.record
    on_call = record._on_call

    def counting(code: CodeType, offset: int) -> object:
        if code is live["f"].__code__:
            calls.append(code)
        return on_call(code, offset)

    assert record._tool is not None
    sys.monitoring.register_callback(record._tool, sys.monitoring.events.PY_START, counting)
    for _ in range(100):
        live["f"]()
    assert len(calls) == 1
    with record.starting():
        live["f"]()
    assert len(calls) == 2


def test_record_without_a_place_allows_no_patch(load: Load) -> None:
    """If debuggers and profilers hold all of sys.monitoring's places, nothing is known and nothing is patched."""
    monitoring = sys.monitoring
    taken = [tool for tool in range(6) if monitoring.get_tool(tool) is None]
    for tool in taken:
        monitoring.use_tool_id(tool, "other")
    try:
        record = RunRecord()
        record.install()
    finally:
        for tool in taken:
            monitoring.free_tool_id(tool)
    live = load("def f():\n    return 1\n")
    live.record = record
    assert not record.available
    assert "sys.monitoring" in refused(live.plan("def f():\n    return 2\n"))


def test_patch_clears_caches_of_requests_after_another_start(load: Load) -> None:
    """What requests cached before a later start, of a reload, is still of requests."""
    live = load(
        "import functools\n\ndef rate():\n    return 1\n\n@functools.cache\ndef price():\n    return rate() * 10\n"
    )
    assert live["price"]() == 10
    with live.record.starting():
        pass
    applied(live.edit("return 1", "return 2"))
    assert live["price"]() == 20


def test_patch_clears_caches_around_other_wrappers(load: Load) -> None:
    """A cache may hold a partial, a bound method, a callable object or a library's wrapper around the app's function."""
    live = load(
        "import contextlib\nimport functools\n\ndef rate():\n    return 1\n\nclass C:\n    def m(self):\n        return rate()\n\n"
        "    def __call__(self):\n        return rate()\n\nclass Context(contextlib.ContextDecorator):\n"
        "    def __enter__(self): ...\n    def __exit__(self, *error): ...\n\n"
        "KINDS = functools.partial(rate), C().m, C(), Context()(rate), rate\nCACHES = [functools.lru_cache(f) for f in KINDS]\n"
    )
    assert [cache() for cache in live["CACHES"]] == [1] * 5
    applied(live.edit("    return 1", "    return 2"))
    assert [cache() for cache in live["CACHES"]] == [2] * 5


def test_patch_after_source_was_only_shown_is_applied(load: Load) -> None:
    """A warning in a start shows a line of source to people; that does not make the app depend on it."""
    live = load(
        "import sys\nimport warnings\n\nFILE = sys._getframe().f_code.co_filename\n"
        "print(warnings.formatwarning('old way', UserWarning, FILE, 2))\n\ndef f():\n    return 1\n"
    )
    assert str(live.path) in linecache.cache
    applied(live.edit("return 1", "return 2"))


MEMOS = {
    "dictionary": "known = {}\n\ndef use(k):\n    if k not in known:\n        known[k] = rate(k)\n    return known[k]\n",
    "of two keys": "known = {}\n\ndef use(k):\n    if (k, 1) not in known:\n        known[k, 1] = rate(k)\n    return known[k, 1]\n",
    "exception": "known = {}\n\ndef use(k):\n    try:\n        return known[k]\n    except KeyError:\n"
    "        known[k] = middle(k)\n        return known[k]\n\ndef middle(k):\n    return rate(k)\n",
    "global": "last = None\n\ndef use(k):\n    global last\n    if last is None:\n        last = rate(k)\n    return last\n",
    "setdefault": "known = {}\n\ndef use(k):\n    return known.setdefault(k, rate(k))\n",
    "object": "class Keeper:\n    value = None\n\n    def get(self, k):\n        if self.value is None:\n"
    "            self.value = rate(k)\n        return self.value\n\nKEEPER = Keeper()\n\ndef use(k):\n    return KEEPER.get(k)\n",
}


@pytest.mark.parametrize("memo", MEMOS)
def test_patch_of_function_with_results_kept_by_hand_is_refused(load: Load, memo: str) -> None:
    """A cache that the app made itself can't be told from other state, so it can't be cleared."""
    text = f"def rate(k):\n    return k + 1\n\n{MEMOS[memo]}"
    applied(load(text).edit("k + 1", "k + 2"))  # nothing has been called
    live = load(text)
    assert live["use"](1) == 2
    assert refused(live.edit("k + 1", "k + 2")).endswith("may have kept results of `rate`")


def test_patch_of_function_below_memo_decorator_is_refused(load: Load) -> None:
    """A decorator's wrapper that keeps results closes over the function."""
    live = load(
        "def memo(fn):\n    known = {}\n    def wrapper(k):\n        if k not in known:\n            known[k] = fn(k)\n"
        "        return known[k]\n    return wrapper\n\n@memo\ndef rate(k):\n    return k + 1\n"
    )
    assert live["rate"](1) == 2
    reason = refused(live.edit("k + 1", "k + 2"))
    assert reason == "`memo.<locals>.wrapper` may have kept results of `rate`"


KEPT_BY_LIBRARIES = {
    "the function itself": "from libcached import *\n\n\n@cached(ttl=3,\n    key='k')\ndef use(k):\n    return k + 1\n",
    "a caller": "import libcached\n\ndef rate(k):\n    return k + 1\n\n@libcached.region.cache_on_arguments()\n"
    "async def later(k):\n    return rate(k)\n\ndef use(k):\n    try:\n        later(k).send(None)\n    except StopIteration as end:\n"
    "        return end.value\n",
    "a property": "import functools\n\ndef rate(k):\n    return k + 1\n\nclass C:\n    @functools.cached_property\n"
    "    def value(self):\n        return rate(1)\n\ndef use(k):\n    return C().value\n",
}
LIBRARY = """
class Kept:
    def __init__(self, function):
        self._function, self._known = function, {}
    def __call__(self, *args):
        return self._known.setdefault(args, self._function(*args))

def cached(**options):
    return Kept

class Region:
    def cache_on_arguments(self):
        return lambda function: function

region = Region()
"""


@pytest.mark.parametrize("kept", KEPT_BY_LIBRARIES)
def test_patch_of_function_whose_results_a_library_keeps_is_refused(
    load: Load, kept: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its decorators' names say so; nobody knows how to clear what they keep."""
    libraries = tmp_path_factory.mktemp("libraries")
    (libraries / "libcached.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(libraries)
    live = load(KEPT_BY_LIBRARIES[kept])
    applied(live.edit("k + 1", "k + 2"))  # nothing has been called
    applied(live.edit("return k + 2", "\n    return k + 3"))  # nor does it matter on which line it is now
    assert live["use"](1) == 4
    assert " may have kept results of `" in refused(live.edit("k + 3", "k + 4"))


def test_patch_of_function_below_functools_caches_is_not_refused(load: Load) -> None:
    """They are cleared, wherever they are."""
    live = load(
        "from functools import cache, lru_cache\n\ndef rate(k):\n    return k + 1\n\n@lru_cache(maxsize=3)\ndef one(k):\n    return rate(k)\n\n"
        "def make():\n    @cache\n    def two(k):\n        return rate(k)\n    return two\n\nmade = []\n\n"
        "def use(k):\n    made[:] = made or [make()]\n    return one(k), made[0](k)\n"
    )
    assert live["use"](1) == (2, 2)
    applied(live.edit("k + 1", "k + 2"))
    assert live["use"](1) == (3, 3)


def test_patch_keeps_state_that_requests_made(load: Load) -> None:
    """Items and counters are no results of the function that changes: they stay."""
    live = load(
        "ITEMS = []\nHITS = {'n': 0}\n\ndef add(item):\n    HITS['n'] += 1\n    ITEMS.append(item)\n    return len(ITEMS)\n\n"
        "def show(q=None):\n    result = {'items': ITEMS}\n    if q is not None:\n        result['q'] = q\n    return result\n"
    )
    live["add"](1)
    live["show"]("x")
    applied(live.edit("{'items': ITEMS}", "{'all': ITEMS}"))
    applied(live.edit("return len(ITEMS)", "return -len(ITEMS)"))
    assert (live["add"](2), live["HITS"], live["show"]()) == (-2, {"n": 2}, {"all": [1, 2]})


def test_patch_of_call_in_progress_without_knowing_requests_is_refused(tmp_path: Path) -> None:
    """Where nobody tells requests from background tasks, a suspended call may be of either."""
    record = RunRecord()
    record.install()
    live = Live(tmp_path / "live.py", "def stream():\n    yield 1\n    yield 2\n", record)
    stream = live["stream"]()
    next(stream)
    reason = refused(live.edit("yield 2", "yield 3"))
    record.close()
    assert reason == "a call of `stream` is still in progress that may be of the app's start"


def test_result_that_a_start_finds_in_a_cache_is_of_the_start() -> None:
    """A cache that a request filled and a start asked may not be cleared: the start has got the result."""
    caches = Caches()

    @functools.lru_cache
    def asked() -> int:
        return 1

    caches.add(asked)
    asked()
    assert caches.with_requests(lambda code: code is asked.__wrapped__.__code__) == ([asked], None)
    caches.count(start=False)
    asked()
    caches.count(start=True)
    assert caches.with_requests(lambda code: code is asked.__wrapped__.__code__) == ([], asked.__qualname__)
