"""Mechanisms: the engine's means, each of which a test can switch off to show what it is for."""

from typing import NamedTuple


class Mechanisms(NamedTuple):
    """What the engine uses to make hot equal cold; everything is on except in tests, and the first two with `--strict`."""

    patch: bool = True
    """Give functions new code where only bodies changed that had no part in the app's start (levels 0 and 1)."""
    keep: bool = True
    """Let modules stay that an edit does not touch, with what requests and the app's start have left in them."""
    state: bool = True
    """Notice when a module changes another module's state while it is imported."""
    process: bool = True
    """Undo what a module did to the process (environ, sys.path, handlers, ...) before it runs again."""
    adapters: bool = True
    """Undo what a module put into the registries of libraries."""
    foreign: bool = True
    """Undo attributes set on, and entries put into, objects of libraries that no adapter knows."""
    probes: bool = True
    """Take questions about the disk and the environment (does it exist? what is X?) for dependencies."""
    reach: bool = True
    """Let go of modules that nothing imports any more."""
    order: bool = True
    """Run modules again whose effects on a third would come in another order."""
    ladder: bool = True
    """After a failed update ask a cold start, then run everything again, then ask for a new process."""


ALL = Mechanisms()
