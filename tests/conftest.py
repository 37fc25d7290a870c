"""Fixtures that several test files use."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest import capture
from PIL import Image

FROST = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")


def pytest_configure() -> None:
    """Let child processes import `helpers` and receive Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a background job
        signal.signal(signal.SIGINT, signal.default_int_handler)
    here = str(Path(__file__).resolve().parent)
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if here not in known:
        paths = filter(None, [here, *known])
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `cuda` if there is no device to compare with the host."""
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("compares a CUDA device with the host, and torch sees no device")


@pytest.fixture(autouse=True)
def no_figure_left():
    """Close the pyplot figures of a test, so that the next test starts with none."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data, outside the repository; skip the test without it."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEUROFREQ_DATA", beside))
    if not folder.is_dir():
        pytest.skip(
            f"real data is not in the repository, and {folder} is missing: "
            "set NEUROFREQ_DATA to its folder"
        )
    return folder


@pytest.fixture(scope="session")
def cifar10_dir(data_dir, tmp_path_factory) -> Path:
    """CIFAR-10 in both official layouts, unpacked from the real data."""
    folder = tmp_path_factory.mktemp("cifar10")
    unpack = [sys.executable, str(data_dir / "unpack_cifar10.py"), str(folder)]
    subprocess.run(unpack, check=True, capture_output=True)
    return folder


@pytest.fixture
def terminal(capsys, monkeypatch):
    """Let progress bars believe that stderr is a terminal; return what was printed."""
    for kind in (capture.CaptureIO, capture.EncodedFile):  # pytest's own files
        monkeypatch.setattr(kind, "isatty", lambda self: True, raising=False)
    return capsys


@pytest.fixture
def frost_folder(tmp_path_factory) -> Path:
    """Five pictures with the file names of the published photographs of frost."""
    folder = tmp_path_factory.mktemp("frost")
    rng = np.random.default_rng(0)
    for index, name in enumerate(FROST):
        levels = np.full((40, 50, 3), 40 * (index + 1), np.uint8)
        levels[..., 2] += rng.integers(0, 2, (40, 50), dtype=np.uint8)
        Image.fromarray(levels).save(folder / name, quality=95)
    return folder
