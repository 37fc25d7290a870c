"""Locks of the operating system: held by one process, and by none once it is dead.

The system releases a lock when its process ends, however it ends, so that a
killed process leaves nothing claimed. It holds over a shared folder that keeps
locks.
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

PATIENCE_SECONDS = 5.0  # before a process says what it waits for
_LOOK_SECONDS = 0.1  # between two looks at a lock, and at Ctrl-C


@contextlib.contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Yield whether this process has the claim; it does not wait for it.

    Parameters
    ----------
    path : Path
        The file of the lock. Whoever has finished the item removes it: one who
        gets a claim afterwards finds the item finished.
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
    """Hold a lock, waiting for it; Ctrl-C ends the wait.

    Parameters
    ----------
    path : Path
        The file of the lock.
    purpose : str
        What the lock is for, said where the wait is long.
    """
    waiting = Waiting(f"{purpose} (lock {path})")
    with contextlib.ExitStack() as stack:
        while not stack.enter_context(claim(path)):
            stack.close()
            waiting.look()
            time.sleep(_LOOK_SECONDS)
        yield


class Waiting:
    """Says once, after some seconds, what this process waits for.

    Parameters
    ----------
    purpose : str
        What another process has.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._since = time.monotonic()
        self._is_said = False

    def look(self) -> None:
        """Tell that the wait goes on."""
        if self._is_said or time.monotonic() - self._since < PATIENCE_SECONDS:
            return
        self._is_said = True
        text = f"neurofreq: waiting for another process: {self._purpose}"
        print(text, file=sys.stderr, flush=True)
