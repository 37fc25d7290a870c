"""Decide which errors the command line shows as one sentence.

A refusal is an error that neurofreq raises with its own ``raise`` statement, such as a
failed check of an argument, a file or a model's logits. A refusal is shown as one
sentence. All other errors are bugs, in the user's model or in neurofreq, and keep their
traceback.
"""

from __future__ import annotations

import contextlib
import opcode
import os
import sys
import sysconfig
from typing import TYPE_CHECKING

import typer

from neurofreq._shared.console import INTERRUPTED
from neurofreq._shared.escapes import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_RAISE = opcode.opmap["RAISE_VARARGS"]
_REFUSALS = (ValueError, TypeError, OSError, ImportError, AttributeError)
_PIPE_CLOSED = 141  # the exit code of a program that SIGPIPE ended
_LIBRARIES = tuple(
    {sysconfig.get_path(one) + os.sep for one in ("stdlib", "purelib", "platlib")}
)


def say(text: str, *, err: bool = False) -> None:
    """Print a text with control characters escaped."""
    typer.echo(printable(text, keep="\n\t"), err=err)


@contextlib.contextmanager
def plainly(traceback: bool) -> Iterator[None]:
    """Turn a refusal into one sentence and exit code 2, Ctrl-C into exit code 130."""
    try:
        with quietly_without_reader():
            yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        say("neurofreq: interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if traceback or not is_refusal(error):
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        say(f"neurofreq: {text}", err=True)
        raise typer.Exit(2) from None


def is_refusal(error: Exception) -> bool:
    """Return whether this caught error is a refusal by neurofreq or the system."""
    from neurofreq import ModelError

    if isinstance(error, ModelError):
        return True
    if not isinstance(error, _REFUSALS):
        return False
    frames = _frames(error.__traceback__)
    if isinstance(error, OSError) and error.errno is not None:
        # Unwritable folders and full disks raise inside a library that we called.
        while len(frames) > 1 and _is_library(frames[-1]):
            frames.pop()
        return _is_ours(frames[-1])
    last = frames[-1]
    operation = last.tb_frame.f_code.co_code[last.tb_lasti]
    return _is_ours(last) and operation == _RAISE


def _frames(traceback: TracebackType | None) -> list[TracebackType]:
    found = []
    while traceback is not None:
        found.append(traceback)
        traceback = traceback.tb_next
    return found


def _is_ours(entry: TracebackType) -> bool:
    name = str(entry.tb_frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] == "neurofreq"


def _is_library(entry: TracebackType) -> bool:
    file = entry.tb_frame.f_code.co_filename
    return not _is_ours(entry) and file.startswith((*_LIBRARIES, "<frozen"))


@contextlib.contextmanager
def quietly_without_reader() -> Iterator[None]:
    """Exit silently if the reader of the output, such as ``head``, has ended."""
    try:
        yield
    except BrokenPipeError:
        with open(os.devnull, "w") as sink:
            os.dup2(sink.fileno(), sys.stdout.fileno())
        raise SystemExit(_PIPE_CLOSED) from None
