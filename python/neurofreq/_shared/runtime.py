"""Load torch and the extension, check that they match, and set threads and seeds."""

from __future__ import annotations

import os
import platform
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from neurofreq._shared import installation

try:
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise  # torch is installed, but broken
    raise installation.no_torch() from error
try:
    from neurofreq import _neurofreq  # can load only after libtorch
except ImportError as error:
    raise installation.unloadable(torch.__version__, error) from error
if _neurofreq.built_for() != installation.minor(torch.__version__):
    raise installation.wrong_torch(_neurofreq.built_for(), torch.__version__)

from neurofreq._shared.inputs import scalars  # imports torch

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION: str = _neurofreq.version()


def _warn_of_limit(name: str, got: int, used: int) -> None:
    """Warn if fewer threads are used than requested."""
    if got > used:
        warnings.warn(
            f"{name}: got {got}, used {used} (at most four threads per processor)",
            RuntimeWarning,
            stacklevel=3,
        )


_requested = os.environ.get("RAYON_NUM_THREADS", "")
if _requested.isascii() and _requested.isdigit():
    _warn_of_limit("RAYON_NUM_THREADS", int(_requested), _neurofreq.thread_limit())


def set_num_threads(n_threads: int) -> None:
    """Set the number of CPU threads for neurofreq's own loops.

    ``torch.set_num_threads`` sets torch's threads. The default is the environment
    variable ``RAYON_NUM_THREADS`` if it is set, otherwise the number of processors.
    Both values are limited to four threads per processor; this limit is at least 16 and
    at most 1024. A larger value gives a warning.

    Parameters
    ----------
    n_threads : int
        At least 1.

    Raises
    ------
    TypeError
        If `n_threads` is not an integer.
    ValueError
        If `n_threads` is less than 1.

    Warns
    -----
    RuntimeWarning
        If fewer threads are used than `n_threads`.

    Examples
    --------
    >>> import neurofreq as nf
    >>> before = nf.num_threads()
    >>> nf.set_num_threads(2)
    >>> nf.num_threads()
    2
    >>> nf.set_num_threads(before)
    """
    count = scalars.count("n_threads", n_threads)
    used = _neurofreq.set_num_threads(min(count, _neurofreq.thread_limit()))
    _warn_of_limit("n_threads", count, used)


def num_threads() -> int:
    """Return the number of CPU threads for neurofreq's own loops.

    Returns
    -------
    int

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.num_threads() >= 1
    True
    """
    return _neurofreq.num_threads()


def fast_precision() -> Literal["float32", "bfloat16"]:
    """Return the precision in which this processor computes fastest.

    "bfloat16" needs the processor instructions AVX512-BF16 or AMX. Without them torch
    emulates bfloat16, which is ten times slower than float32.
    """
    has_bfloat16 = (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return "bfloat16" if has_bfloat16 else "float32"


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed the CPU and this device within the context, then restore the generators."""
    is_cuda = device is not None and device.type == "cuda"
    with torch.random.fork_rng([device] if is_cuda else []):
        seed_generators(seed, device)
        yield


def seed_generators(seed: int, device: torch.device | None = None) -> None:
    """Seed the CPU and one device only; ``torch.manual_seed`` seeds all devices."""
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def processor() -> str:
    """Return the processor's name, for records of timings."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if "model name" in line).split(": ")[1]
    except (OSError, StopIteration):
        return platform.processor()
