"""What several test files share."""

import os
import subprocess
import sys
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


@pytest.fixture(scope="session")
def cifar10_dir(data_dir, tmp_path_factory) -> Path:
    """CIFAR-10 in both official layouts, unpacked from the real data."""
    folder = tmp_path_factory.mktemp("cifar10")
    unpack = [sys.executable, str(data_dir / "unpack_cifar10.py"), str(folder)]
    subprocess.run(unpack, check=True, capture_output=True)
    return folder
