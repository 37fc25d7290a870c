"""Ctrl-C while the command loads, before there is anything that could handle it.

Loading torch takes seconds. Until the command itself listens, an interrupt of the
``neurofreq`` program ends it with one line and the status of an interrupted program;
a program of another name that imports neurofreq is left alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

INTERRUPTED = 130


def is_command() -> bool:
    """Return whether this process is the ``neurofreq`` program."""
    program = getattr(sys.modules.get("__main__"), "__file__", None) or sys.argv[0]
    return Path(program).stem == "neurofreq"


def end_on_interrupt() -> None:
    """End the program at once where it is interrupted; for its main thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _end)


def raise_on_interrupt() -> None:
    """Raise KeyboardInterrupt again, as Python does."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: Any) -> None:
    os.write(2, b"neurofreq: interrupted\n")
    os._exit(INTERRUPTED)


# A parent that ignores interrupts, such as nohup, means it.
if is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    end_on_interrupt()
