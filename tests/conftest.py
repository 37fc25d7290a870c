"""What several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real data, outside the repository; the test is skipped where absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEUROFREQ_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set NEUROFREQ_DATA")
    return folder
