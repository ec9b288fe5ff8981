"""A doorbell: sleeps, without ever looking, until the kernel says that something in these folders has changed.

watchfiles' native core has to be asked for news, and each time it is takes the interpreter from the thread that
serves. Linux can wake us instead. What has changed is the native core's business; this only says when to ask it.
"""

import contextlib
import errno
import os
import select
import sys
import threading
from collections.abc import Iterable

_MASK = 0x00000002 | 0x00000004 | 0x000000C0 | 0x00000300 | 0x00000C00
"""IN_MODIFY, IN_ATTRIB, IN_MOVE, IN_CREATE | IN_DELETE, IN_DELETE_SELF | IN_MOVE_SELF, from linux/inotify.h."""
_CHUNK = 65536


class Doorbell:
    """Waits in one thread; may be rung from any. It has rung when it is new: who knows what came before."""

    def __init__(self, folders: Iterable[str]) -> None:
        """Raises OSError where the kernel does not do it, or not for so many folders."""
        self._lock = threading.Lock()
        self._open = True
        self._button = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._kernel = _watch(folders)
        except BaseException:
            os.close(self._button)
            raise
        self._poll = select.poll()
        for descriptor in (self._button, self._kernel):
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Sleep until it rings; whether it has."""
        ringing = [descriptor for descriptor, _ in self._poll.poll(seconds * 1000)]
        for descriptor in ringing:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(descriptor, _CHUNK)) > _CHUNK // 2:
                    pass
        return bool(ringing)

    def ring(self) -> None:
        """Wake who waits."""
        with self._lock:
            if self._open:
                os.eventfd_write(self._button, 1)

    def close(self) -> None:
        """Give the descriptors back; by who waits."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._button)
                os.close(self._kernel)


def doorbell(folders: Iterable[str]) -> Doorbell | None:
    """One for these folders, where there is such a thing."""
    if sys.platform != "linux":
        return None
    try:
        return Doorbell(folders)
    except (OSError, AttributeError):  # a limit of the system; a C library without it
        return None


def _watch(folders: Iterable[str]) -> int:
    import ctypes  # not while the server starts

    library = ctypes.CDLL(None, use_errno=True)
    kernel: int = library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if kernel < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1() failed")
    for folder in folders:
        if library.inotify_add_watch(kernel, os.fsencode(folder), ctypes.c_uint32(_MASK)) < 0:
            number = ctypes.get_errno()
            if number != errno.ENOENT:  # gone meanwhile: whoever watches the folder above will say so
                os.close(kernel)
                raise OSError(number, f"inotify_add_watch() failed for {folder}")
    return kernel
