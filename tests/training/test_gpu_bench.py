"""The script that measures a GPU runs without one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benches" / "gpu.py"


def ran(*options):
    command = [sys.executable, str(SCRIPT), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure this device")
def test_without_a_device_the_script_says_so():
    found = ran()
    assert found.returncode == 0
    assert found.stdout == "There is no CUDA device, so nothing is measured.\n"


def test_every_measurement_runs_in_tiny_sizes_on_the_cpu():
    found = ran("--cpu-dry-run")
    assert found.returncode == 0, found.stderr[-2000:]
    assert "failed" not in found.stdout
    assert "| joint step, recorded / plain eager |" in found.stdout
    for part in ("steps", "loss", "spectra", "hybrids", "large", "attack", "variants"):
        assert f"| {part}: " in found.stdout
