"""Compare spectra and hybrid images with NumPy, SciPy and torch, in one run.

Usage: python benches/frequency.py [--repeats 7] [--quick]

Contestants take turns, so that changes in the machine's speed affect all of them. Raw
times go to benches/results/<date>-<n>cores/, one file per case, and the tables into
docs/results/bench-frequency.md. Extra memory is the peak of resident memory during
one run in its own process, minus the memory before the run (the data) and the result
(Linux only).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
import scipy.fft
import torch
from pages import fill

import neurofreq as nf
from neurofreq._shared.runtime import processor

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
CHUNK = 256
# Mixing frequencies as in the paper for ImageNet, in units of Nyquist.
FREQUENCIES = (
    0, 0.03, 0.04, 0.05, 0.06, 0.08, 0.09, 0.11, 0.13, 0.15, 0.17, 0.19, 0.22, 0.27,
    0.33, 0.42, 0.57, 1,
)  # fmt: skip
# Number of images for timing the per-image way, whose loop is linear in them.
N_AUTHORS = {32: 200, 224: 10}


def disc(size: int, a: float, half: bool) -> np.ndarray:
    across = np.fft.rfftfreq(size) if half else np.fft.fftfreq(size)
    return np.hypot(np.fft.fftfreq(size)[:, None], across) <= 0.5 * a


# --- spectra: each returns the mean power, DC included, unshifted or shifted ---


def spectrum_fft2(images: np.ndarray, fft2: Callable[..., Any]) -> np.ndarray:
    total = np.zeros(images.shape[2:])
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK]
        chunk = chunk - chunk.mean((2, 3), keepdims=True)
        total += (np.abs(fft2(chunk)) ** 2).sum((0, 1))
    return np.fft.fftshift(total / images[:, :, 0, 0].size)


def in_cache(images: np.ndarray) -> int:
    """Return images per chunk of a million values: smaller chunks suit large images."""
    return max(1, 2**20 // images[0].size)


def power_clever(spectrum: torch.Tensor) -> torch.Tensor:
    """Sum over images first: over all axes in one go is 15 times slower."""
    return torch.view_as_real(spectrum).square_().sum((0, 1)).sum(-1)


def power_plain(spectrum: torch.Tensor) -> torch.Tensor:
    """Sum over all axes in the simplest way."""
    return spectrum.abs().square().sum((0, 1))


def spectrum_torch(
    images: np.ndarray,
    chunk: int = CHUNK,
    power: Callable[[torch.Tensor], torch.Tensor] = power_clever,
) -> np.ndarray:
    """rfft2 in chunks, mirrored once at the end."""
    tensor = torch.from_numpy(images)
    size = images.shape[-1]
    half = torch.zeros(size, size // 2 + 1, dtype=torch.float64)
    for part in tensor.split(chunk):
        part = part - part.mean((2, 3), keepdim=True)
        half += power(torch.fft.rfft2(part))
    rows = (-torch.arange(size)) % size
    rest = half[rows][:, 1 : size - size // 2].flip(1)
    return np.fft.fftshift(torch.cat([half, rest], 1) / images[:, :, 0, 0].size)


SPECTRA = {
    "neurofreq": nf.power_spectrum,
    "neurofreq, tensors": lambda x: nf.power_spectrum(torch.from_numpy(x)).numpy(),
    "torch, the clever way": spectrum_torch,
    "torch, chunks in cache": lambda x: spectrum_torch(x, in_cache(x)),
    "torch, abs and square": lambda x: spectrum_torch(x, power=power_plain),
    "scipy.fft, all cores": lambda x: spectrum_fft2(
        x, lambda c: scipy.fft.fft2(c, workers=CORES)
    ),
    "numpy.fft": lambda x: spectrum_fft2(x, np.fft.fft2),
}

# Contestants whose memory is measured.
WEIGHED = ("neurofreq", "neurofreq, tensors", "torch, the clever way")

# --- hybrids: each returns (frequencies, images, channels, height, width) ---


def hybrids_rfft2(low: np.ndarray, high: np.ndarray, fft: Any) -> np.ndarray:
    out = np.empty((len(FREQUENCIES), *low.shape), low.dtype)
    masks = [disc(low.shape[-1], a, half=True) for a in FREQUENCIES]
    for start in range(0, len(low), CHUNK):
        at = slice(start, start + CHUNK)
        difference = fft.rfft2(low[at] - high[at])
        for f, mask in enumerate(masks):
            np.clip(
                fft.irfft2(difference * mask, s=low.shape[2:]) + high[at],
                0, 1, out=out[f, at],
            )  # fmt: skip
    return out


def hybrids_torch(low: np.ndarray, high: np.ndarray, chunk: int = CHUNK) -> np.ndarray:
    """One rfft2 per chunk, one irfft2 per frequency, the rest in place."""
    out = np.empty((len(FREQUENCIES), *low.shape), low.dtype)
    a, b, result = map(torch.from_numpy, (low, high, out))
    size = low.shape[2:]
    masks = [
        torch.from_numpy(disc(size[0], f, half=True)).to(a.dtype) for f in FREQUENCIES
    ]
    for start in range(0, len(low), chunk):
        at = slice(start, start + chunk)
        difference = torch.fft.rfft2(a[at] - b[at])
        for f, mask in enumerate(masks):
            mixed = torch.fft.irfft2(difference * mask, s=size).add_(b[at])
            torch.clamp(mixed, 0, 1, out=result[f, at])
    return out


def hybrids_authors(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Image by image, frequency by frequency, full complex transforms."""
    out = np.empty((len(FREQUENCIES), *low.shape), low.dtype)
    for f, a in enumerate(FREQUENCIES):
        for i in range(len(low)):
            mask = disc(low.shape[-1], a, half=False)
            for c in range(low.shape[1]):
                mixed = np.where(
                    mask, scipy.fft.fft2(low[i, c]), scipy.fft.fft2(high[i, c])
                )
                out[f, i, c] = np.clip(scipy.fft.ifft2(mixed).real, 0, 1)
    return out


class _SciPy:
    rfft2 = staticmethod(lambda x: scipy.fft.rfft2(x, workers=CORES))
    irfft2 = staticmethod(lambda x, s: scipy.fft.irfft2(x, s=s, workers=CORES))


def hybrids_tensors(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    low_tensor, high_tensor = torch.from_numpy(low), torch.from_numpy(high)
    return nf.hybrid_images(low_tensor, high_tensor, FREQUENCIES).numpy()


HYBRIDS = {
    "neurofreq": lambda low, high: nf.hybrid_images(low, high, FREQUENCIES),
    "neurofreq, tensors": hybrids_tensors,
    "torch, the clever way": hybrids_torch,
    "torch, chunks in cache": lambda low, high: hybrids_torch(low, high, in_cache(low)),
    "scipy.fft, all cores": lambda low, high: hybrids_rfft2(low, high, _SciPy),
    "numpy.fft": lambda low, high: hybrids_rfft2(low, high, np.fft),
    "per image (authors)": hybrids_authors,
}


# --- measuring -------------------------------------------------------------------

# Contestants, images, size, number of batches (spectra take one, hybrids two).
CASES: dict[str, tuple[dict[str, Callable[..., np.ndarray]], int, int, int]] = {
    "spectra, 10000 x 3 x 32 x 32": (SPECTRA, 10000, 32, 1),
    "spectra, 1000 x 3 x 224 x 224": (SPECTRA, 1000, 224, 1),
    "hybrids, 10000 x 3 x 32 x 32, 18 frequencies": (HYBRIDS, 10000, 32, 2),
    "hybrids, 500 x 3 x 224 x 224, 18 frequencies": (HYBRIDS, 500, 224, 2),
}


def batches(case: str, shrink: int) -> list[np.ndarray]:
    _, n, size, count = CASES[case]
    rng = np.random.default_rng(0)
    shape = (n // shrink, 3, size, size)
    return [rng.random(shape, dtype=np.float32) for _ in range(count)]


def share(case: str, name: str, whole: list[np.ndarray]) -> list[np.ndarray]:
    """Return the inputs for timing a contestant."""
    few = N_AUTHORS[CASES[case][2]] if "per image" in name else len(whole[0])
    return [batch[:few] for batch in whole]


def check(case: str, inputs: dict[str, list[np.ndarray]]) -> None:
    """Warm up, and require that all contestants agree."""
    expected: np.ndarray | None = None
    for name, call in CASES[case][0].items():
        result = call(*inputs[name])
        expected = result if expected is None else expected
        part = expected[:, : result.shape[1]] if result.ndim == 5 else expected
        scale = np.nanmax(part)
        # DC, NaN in ours, is left out.
        error = max(np.nanmax(np.abs(a - b)) for a, b in zip(result, part, strict=True))
        assert error <= 2e-5 * scale, (case, name, error, scale)


def race(case: str, repeats: int, shrink: int) -> dict[str, dict[str, Any]]:
    """Time all contestants of a case in turns."""
    contestants = CASES[case][0]
    whole = batches(case, shrink)
    inputs = {name: share(case, name, whole) for name in contestants}
    factors = {name: len(whole[0]) / len(own[0]) for name, own in inputs.items()}
    check(case, inputs)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, call in contestants.items():
            start = time.perf_counter()
            result = call(*inputs[name])
            times[name].append(factors[name] * (time.perf_counter() - start))
            del result
    return {
        name: {
            "seconds": times[name],
            "timed_images": len(inputs[name][0]),
            "extra_mb": extra_memory(case, name, shrink) if name in WEIGHED else None,
        }
        for name in contestants
    }


def extra_memory(case: str, name: str, shrink: int) -> float | None:
    """Return the peak memory of a call in its own process, without data and result."""
    command = [sys.executable, __file__, "--memory", case, name, str(shrink)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def measure_memory(case: str, name: str, shrink: int) -> float | None:
    """Run one contestant in that process; return MB."""
    inputs = share(case, name, batches(case, shrink))
    call = CASES[case][0][name]
    # Libraries start threads and make plans in the first call, so make a small one.
    call(*[batch[:2] for batch in inputs])
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = resident("VmRSS")
        result = call(*inputs)
        return (resident("VmHWM") - before - result.nbytes) / 2**20
    except (OSError, StopIteration):
        return None


def resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def table(record: dict[str, Any]) -> str:
    lines = [
        f"**{record['case']}**",
        "",
        f"{record['date']}, {record['processor']}, {record['cores']} cores, "
        f"{record['repeats']} interleaved runs; neurofreq {record['neurofreq']}, "
        f"torch {record['torch']}, NumPy {record['numpy']}, SciPy {record['scipy']}; "
        f"threads: neurofreq {record['threads']['neurofreq']}, "
        f"torch {record['threads']['torch']}.",
        "",
        "| | median s | min | max | x neurofreq (median) | (min) | extra MB |",
        "|---|---|---|---|---|---|---|",
    ]
    ours = record["results"]["neurofreq"]["seconds"]
    for name, result in record["results"].items():
        t = result["seconds"]
        median, memory = statistics.median(t), result["extra_mb"]
        lines.append(
            f"| {name} | {median:.4g} | {min(t):.4g} | {max(t):.4g} "
            f"| {median / statistics.median(ours):.1f} | {min(t) / min(ours):.1f} "
            f"| {'-' if memory is None else format(memory, '.0f')} |"
        )
    return "\n".join([*lines, "", ""])


def measure(case: str, repeats: int, shrink: int) -> dict[str, Any]:
    """Time a case; return times, machine and versions."""
    return {
        "case": case,
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": CORES,
        "threads": {"neurofreq": nf.num_threads(), "torch": torch.get_num_threads()},
        "neurofreq": nf.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "repeats": repeats,
        "results": race(case, repeats, shrink),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a tenth, nothing written")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        case, name, shrink = options.memory
        print(json.dumps(measure_memory(case, name, int(shrink))))
        return
    folder = ROOT / f"benches/results/{datetime.date.today()}-{CORES}cores"
    page = ROOT / "docs/results/bench-frequency.md"
    for case in CASES:
        if options.only not in case:
            continue
        record = measure(case, options.repeats, 10 if options.quick else 1)
        print(table(record), flush=True)
        if options.quick:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        slug = "".join(letter if letter.isalnum() else "-" for letter in case)
        (folder / f"{slug}.json").write_text(json.dumps(record, indent=1) + "\n")
        # The latest record of each case, from any day.
        kept = sorted(folder.parent.glob("*/hybrids-*")) + sorted(
            folder.parent.glob("*/spectra-*")
        )
        latest = {path.name: path for path in kept}
        records = [json.loads(path.read_text()) for path in latest.values()]
        fill(page, "table", "".join(map(table, records)))


if __name__ == "__main__":
    main()
