"""Lock files between processes with locks of the operating system.

The system releases a lock when its process ends, even if it was killed. This works on
a shared file system too, if the file system supports locks.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from neurofreq._shared.files.damage import no_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 5.0  # after this time, a process prints what it waits for
_LOOK_SECONDS = 0.1  # between two attempts to lock; Ctrl-C ends the wait this soon


@contextlib.contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Yield whether this process got the lock, without waiting for it.

    The process that finishes the work removes the lock file. A process that gets the
    lock later must check whether the work is finished.
    """
    no_folder(path)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextlib.contextmanager
def held(path: Path, purpose: str) -> Iterator[None]:
    """Hold a lock, and wait for it if necessary; Ctrl-C ends the wait."""
    waiting = Waiting(f"{purpose} (lock {path})")
    with contextlib.ExitStack() as stack:
        while not stack.enter_context(claim(path)):
            stack.close()
            waiting.look()
            time.sleep(_LOOK_SECONDS)
        yield


class Waiting:
    """Prints once, after some seconds, what this process waits for."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._since = time.monotonic()
        self._is_said = False

    def look(self) -> None:
        """Print the message if the wait is long and it was not printed before."""
        if self._is_said or time.monotonic() - self._since < PATIENCE_SECONDS:
            return
        self._is_said = True
        text = f"neurofreq: waiting for another process: {self._purpose}"
        print(text, file=sys.stderr, flush=True)
