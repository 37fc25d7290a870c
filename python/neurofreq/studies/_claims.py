"""Claims on items: held by one process, and by none once it is dead.

A claim is a lock of the operating system on a file beside the item. The system
releases it when its process ends, however it ends, so that a killed process
leaves nothing claimed. It holds over a shared folder that keeps locks.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Yield whether this process has the claim; it does not wait for it.

    Parameters
    ----------
    path : Path
        The file of the lock. Whoever has finished the item removes it: one who
        gets a claim afterwards finds the item finished.
    """
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
