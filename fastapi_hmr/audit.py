"""The process's one audit hook: tells listeners of an event, and costs one dictionary look-up where there is none.

To be called takes Python longer than that, and it can't be taken back, but it can come late.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any

type Listener = Callable[[tuple[Any, ...]], None]

_listeners: dict[str, tuple[Listener, ...]] = {}
_installed = _put_off = False
_inside = threading.local()


def listen(event: str, listener: Listener) -> None:
    """Call `listener` with the arguments of each such event; what it does itself is not reported."""
    _listeners[event] = (*_listeners.get(event, ()), listener)
    if not _put_off:
        take_up()


def put_off() -> None:
    """Tell nobody anything from now on until `take_up`: nothing that happens concerns them."""
    global _put_off  # noqa: PLW0603 - the hook is the process's
    _put_off = True


def take_up() -> None:
    """Tell them of what happens."""
    global _installed, _put_off  # noqa: PLW0603 - an audit hook can't be taken back: one for the life of the process
    _put_off = False
    if _listeners and not _installed:
        _installed = True
        sys.addaudithook(_on_event)


def unlisten(event: str, listener: Listener) -> None:
    """Stop calling this listener."""
    left = tuple(known for known in _listeners.get(event, ()) if known != listener)
    if left:
        _listeners[event] = left
    else:
        _listeners.pop(event, None)


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _listeners:  # most: a dozen in each request
        return
    if getattr(_inside, "busy", False):
        return
    _inside.busy = True
    try:
        for listener in _listeners.get(event, ()):
            listener(arguments)
    finally:
        _inside.busy = False
