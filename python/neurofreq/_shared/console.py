"""Handle Ctrl-C while the ``neurofreq`` command is still importing.

Importing torch takes seconds. Until the command installs its own handler, Ctrl-C ends
the ``neurofreq`` program with one line and exit code 130. Other programs that import
neurofreq keep their own handler.
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
    """Make Ctrl-C end the program at once; does nothing outside the main thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _end)


def raise_on_interrupt() -> None:
    """Restore Python's handler, which raises KeyboardInterrupt on Ctrl-C."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: Any) -> None:
    os.write(2, b"neurofreq: interrupted\n")
    os._exit(INTERRUPTED)


# A parent process such as nohup may make this process ignore interrupts: keep this.
if is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    end_on_interrupt()
