"""What a bench says of the machine it ran on."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if "model name" in line).split(": ")[1]
    except (OSError, StopIteration):
        return platform.processor()
