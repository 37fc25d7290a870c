"""What must hold before anything else is imported, and the thread count."""

import torch

TORCH = "2.11"

if not torch.__version__.startswith(f"{TORCH}."):
    raise ImportError(
        f"neurofreq is built for torch {TORCH}.*, but torch {torch.__version__} is "
        f"installed; install torch=={TORCH}.* or the neurofreq release for your torch"
    )

from neurofreq import _neurofreq  # noqa: E402  (needs libtorch loaded)

VERSION: str = _neurofreq.version()


def set_num_threads(n_threads: int) -> None:
    """Set the number of threads of neurofreq's own loops on the host.

    Torch's threads are set by ``torch.set_num_threads``. The default is
    ``RAYON_NUM_THREADS`` where set, otherwise the number of processors.

    Parameters
    ----------
    n_threads : int
        At least 1.

    Raises
    ------
    ValueError
        If `n_threads` is less than 1.
    """
    if n_threads < 1:
        raise ValueError(f"n_threads: got {n_threads}, expected at least 1")
    _neurofreq.set_num_threads(n_threads)


def num_threads() -> int:
    """Return the number of threads of neurofreq's own loops on the host.

    Returns
    -------
    int
    """
    return _neurofreq.num_threads()
