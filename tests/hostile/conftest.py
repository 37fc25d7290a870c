"""Fixtures of hostile tests: processes to kill, and counts printed at the end."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hostile_server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = pytest.StashKey[Counter]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTS] = Counter()


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counter:
    """Numbers of calls, refusals, kills and so on, by name."""
    return request.config.stash.setdefault(COUNTS, Counter())


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(COUNTS, Counter())
    if found:
        parts = ", ".join(f"{number} {name}" for name, number in found.items())
        terminalreporter.write_line(f"hostile: {parts}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not hasattr(os, "fork") or not Path("/proc/self/stat").exists():
        pytest.skip("jobs are forked and timed by /proc, and this system lacks one")
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.close()
