"""What `gpu.py` measures of spectra, hybrid images and sensitivities, and how."""

from __future__ import annotations

import dataclasses
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

import neurofreq as nf
from neurofreq._shared.networks import batches, calling

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Sizes:
    """How large the measurements are."""

    device: torch.device
    repeats: int
    warm: int
    width: int
    images: int
    stimuli: int
    attacked: int
    large: int
    large_side: int
    steps: int
    spectra: tuple[tuple[int, int], ...]
    hybrids: int
    has_compiled: bool

    @classmethod
    def of(cls, device: torch.device, *, tiny: bool) -> Sizes:
        """Return the sizes of the goals, or tiny ones that show that all parts run."""
        if tiny:
            spectra = (20, 16), (4, 24)
            return cls(device, 1, 0, 4, 6, 4, 2, 2, 32, 2, spectra, 4, False)
        spectra = (10_000, 32), (1000, 224)
        return cls(device, 30, 6, 64, 64, 32, 1000, 256, 224, 60, spectra, 2000, True)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(
    contestants: dict[str, Callable[[], object]], sizes: Sizes
) -> dict[str, float]:
    """Return median seconds; contestants take turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(sizes.repeats + sizes.warm):
        for name, work in contestants.items():
            wait(sizes.device)
            start = time.perf_counter()
            work()
            wait(sizes.device)
            if turn >= sizes.warm:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def spectra(sizes: Sizes) -> dict[str, float]:
    """Seconds of a mean power spectrum, beside torch and a copy of the images."""
    found = {}
    for n, side in sizes.spectra:
        images = torch.rand(n, 3, side, side, device=sizes.device)
        found |= {
            f"{name}, {n}x3x{side}x{side}": seconds
            for name, seconds in timed(
                {
                    "neurofreq": lambda images=images: nf.power_spectrum(images),
                    "torch": lambda images=images: _torch_power(images),
                    "copy": lambda images=images: images.clone(),
                },
                sizes,
            ).items()
        }
    return found


def _torch_power(images: torch.Tensor) -> torch.Tensor:
    centred = images - images.mean((2, 3), keepdim=True)
    power = torch.fft.fft2(centred).abs().square().mean((0, 1), dtype=torch.float64)
    return torch.fft.fftshift(power)


def hybrids(sizes: Sizes) -> dict[str, float]:
    """Seconds of hybrid images at 18 mixing frequencies."""
    low, high = torch.rand(2, sizes.hybrids, 3, 32, 32, device=sizes.device)
    frequencies = np.linspace(0.05, 0.9, 18).tolist()
    return timed(
        {
            "neurofreq": lambda: nf.hybrid_images(low, high, frequencies),
            "torch": lambda: _torch_hybrids(low, high, frequencies),
            "copy": lambda: low.expand(18, *low.shape).clone(),
        },
        sizes,
    )


def _torch_hybrids(
    low: torch.Tensor, high: torch.Tensor, frequencies: list[float]
) -> torch.Tensor:
    difference = torch.fft.rfft2(low - high)
    rows = torch.fft.fftfreq(32, device=low.device)[:, None]
    radius = (rows**2 + torch.fft.rfftfreq(32, device=low.device) ** 2).sqrt()
    limits = torch.tensor(frequencies, device=low.device).view(-1, 1, 1) / 2
    masks = (radius <= limits)[:, None, None]
    return (torch.fft.irfft2(difference * masks, s=(32, 32)) + high).clamp(0, 1)


def curves(sizes: Sizes) -> dict[str, float]:
    """Seconds of a hybrid curve and of Fourier sensitivity, and of their passes."""
    torch.manual_seed(0)
    model = nf.models.resnet18_gray(base_width=sizes.width).to(sizes.device).eval()
    n = sizes.hybrids
    images = torch.rand(n, 1, 32, 32, device=sizes.device)
    few = images[: max(2, n // 20), :, ::2, ::2].contiguous()
    labels = np.arange(n) % 10
    size = batches.chosen(None, calling.Classifier(model), images[:1])
    n_pairs = 16 * 16 // 2 + 2 + 1  # frequencies and the clean images

    @torch.no_grad()
    def passes(what: torch.Tensor, total: int) -> None:
        for start in range(0, total, size):
            m = min(size, total - start)
            model(
                what[:m]
                if m <= len(what)
                else what.repeat(-(-m // len(what)), 1, 1, 1)[:m]
            )

    return timed(
        {
            "hybrid curve, 13 frequencies": lambda: nf.hybrid_curve(
                model, images, labels, seeds=[0]
            ),
            "hybrid curve, passes": lambda: passes(images, 13 * n),
            "sensitivity, 16x16": lambda: nf.fourier_sensitivity(
                model, few, labels[: len(few)]
            ),
            "sensitivity, passes": lambda: passes(few, n_pairs * len(few)),
        },
        dataclasses.replace(sizes, repeats=min(sizes.repeats, 5), warm=1),
    )


def accumulated(sizes: Sizes) -> dict[str, float]:
    """Seconds of 50 updates of a `SpectrumAccumulator`, and of the sums alone."""
    images = torch.rand(4 * sizes.images, 3, 32, 32, device=sizes.device)

    def updates() -> None:
        spectrum = nf.SpectrumAccumulator(32, 32)
        for _ in range(50):
            spectrum.update(images)
        _ = spectrum.power

    def read() -> None:
        for _ in range(50):
            nf.power_spectrum(images).cpu()

    return timed({"accumulated": updates, "read after each batch": read}, sizes)
