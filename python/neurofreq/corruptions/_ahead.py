"""Compute the next batches in the background while the current one is used."""

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
    """Yield ``make(request)`` for each request in order, computed in one thread.

    `depth` is the largest number of results that are prepared ahead. An exception of
    `make` is raised in place of its result. If the code that uses the iterator may
    fail, close the iterator (``contextlib.closing``): closing waits for the current
    call and cancels the later calls.
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
