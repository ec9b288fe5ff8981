"""Where code is interrupted, and where it is not."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fastapi_hmr.interrupt import Interrupted, Interrupter

owns = __file__.__eq__
"""Only this file is the app's. No function of it: that would be interrupted too."""


@contextmanager
def interrupting(interrupter: Interrupter, **how: bool) -> Iterator[None]:
    """Again and again, while inside."""
    done = threading.Event()

    def again() -> None:
        while not done.wait(0.02):
            interrupter.interrupt(**how)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        with interrupter:
            yield
    finally:
        done.set()
        thread.join()


def library(name: str) -> None:
    """Sleeps in the code of a module of this name, called by the app."""
    exec("import time\nfor _ in range(20): time.sleep(0.01)", {"__name__": name})


def test_what_the_app_calls_is_interrupted() -> None:
    """At a blocking call, which ends."""
    interrupter = Interrupter(owns)
    with pytest.raises(Interrupted), interrupting(interrupter):
        time.sleep(60)
    with pytest.raises(Interrupted), interrupting(Interrupter(owns)):
        library("requests.sessions")


@pytest.mark.parametrize("name", ["fastapi_hmr.switch", "reactivity.primitives", "importlib._bootstrap"])
def test_our_own_code_and_the_import_system_are_not(name: str) -> None:
    """They leave everything in order first."""
    interrupter = Interrupter(owns)
    with interrupting(interrupter):
        library(name)
        interrupter._open = False  # here the app would be next
    assert not interrupter.raised


def test_debugger_is_not_disturbed_but_by_the_end() -> None:
    """Whoever has stopped there takes the time that it takes."""
    interrupter = Interrupter(owns)
    with interrupting(interrupter, debugging=False):
        library("pdb")
        interrupter._open = False
    assert not interrupter.raised
    with pytest.raises(Interrupted), interrupting(Interrupter(owns)):
        library("pdb")
