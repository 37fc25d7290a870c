"""Making the next batch in the background while the last one is used."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    Request = TypeVar("Request")
    Made = TypeVar("Made")


def ahead(
    make: Callable[[Request], Made], requests: Iterable[Request], *, depth: int = 2
) -> Generator[Made, None, None]:
    """Yield ``make(request)`` for each request, in order, made in one thread.

    Parameters
    ----------
    make : callable
        Gains where it releases the interpreter. What it raises is raised where
        its result would have come.
    requests : iterable
    depth : int
        The most results that wait to be used, at least 1.

    Notes
    -----
    Close the iterator (``contextlib.closing``) where its user may fail: it waits
    for the one call under way and makes no more.
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="neurofreq-ahead") as pool:
        try:
            for request in requests:
                waiting.append(pool.submit(make, request))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
