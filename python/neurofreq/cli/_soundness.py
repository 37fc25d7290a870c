"""Examine an installation: versions, hardware, and a self-test of each part."""

from __future__ import annotations

import math
import platform
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import neurofreq as nf
from neurofreq import _neurofreq
from neurofreq._shared import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

# Optional packages, and their use in neurofreq.
OPTIONAL = {
    "torchvision": "networks torchvision:NAME",
    "robustbench": "networks robustbench:NAME",
    "rsatoolbox": "responses from and to rsatoolbox",
}


class Check(NamedTuple):
    """The outcome of one self-test."""

    name: str
    device: str
    passed: bool
    detail: str  # expected and found values, or the error


def facts() -> dict[str, str]:
    """Return versions and hardware, by name."""
    cuda = "no device"
    if torch.version.cuda is None:
        cuda = "torch is built without CUDA"
    elif torch.cuda.is_available():
        names = (
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        )
        cuda = f"{torch.version.cuda}, {', '.join(names)}"
    return {
        "neurofreq": runtime.VERSION,
        "built for torch": _neurofreq.built_for(),
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": platform.platform(),
        "SIMD": torch.backends.cpu.get_cpu_capability(),
        "threads": f"{runtime.num_threads()} (neurofreq), {torch.get_num_threads()} "
        "(torch)",
        "fastest precision": runtime.fast_precision(),
        "CUDA": cuda,
    }


def optional_packages() -> dict[str, str]:
    """Return the version of each optional package, "" if it is not installed."""
    return {name: _version(name) for name in OPTIONAL}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def self_test() -> list[Check]:
    """Run each self-test on the CPU, and on the first CUDA device if there is one."""
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return [
        _run(name, test, device) for device in devices for name, test in TESTS.items()
    ]


def _run(name: str, test: Callable[[torch.device], float], device: str) -> Check:
    """Run a test, which returns the error of its result."""
    try:
        with torch.random.fork_rng([]):
            error = test(torch.device(device))
    except Exception as problem:
        text = " ".join(str(problem).split())
        return Check(name, device, False, f"{type(problem).__name__}: {text}")
    return Check(name, device, error < TOLERANCE, f"error {error:.1e}")


# Largest error of a test that passes. All results below are near 1.
TOLERANCE = 1e-3


def _wave(frequency: float, device: torch.device) -> Tensor:
    """Return an image of a plane wave; `frequency` is in cycles/pixel."""
    phase = 2 * math.pi * frequency * torch.arange(32, device=device)
    return (0.5 + 0.25 * phase.cos()).expand(1, 1, 32, 32).contiguous()


def _spectrum(device: torch.device) -> float:
    """Compare the spectrum of a plane wave with two peaks at its frequency."""
    images = _wave(4 / 32, device)
    expected = np.zeros((32, 32))
    # A cosine of amplitude a has the transform a N / 2 at two frequencies.
    expected[16, [12, 20]] = (0.25 * 32 * 32 / 2) ** 2
    on_device = torch.as_tensor(nf.power_spectrum(images)).cpu().numpy()
    on_host = nf.power_spectrum(images.cpu().numpy())
    return max(_relative(found, expected) for found in (on_device, on_host))


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error relative to the largest expected value."""
    return float(np.nanmax(np.abs(found - expected)) / expected.max())


def _hybrid(device: torch.device) -> float:
    """Compare the hybrid of a slow and a fast wave, which keeps both waves."""
    slow, fast = _wave(2 / 32, device), _wave(9 / 32, device)
    kept = nf.hybrid_images(slow, fast, 0.3)
    lost = nf.hybrid_images(fast, slow, 0.3)  # only the mean brightness remains
    errors = [(kept - (slow + fast - 0.5)).abs().max(), (lost - 0.5).abs().max()]
    return max(float(error) for error in errors)


class _Plane(nn.Module):
    """A linear classifier of two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.linspace(-1.0, 1.0, 64).reshape(1, 8, 8))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of both classes."""
        side = ((images - 0.5) * self.direction).sum(dim=(1, 2, 3))
        return torch.stack([side, -side], dim=1)


def _attack(device: torch.device) -> float:
    """Compare a minimal L2 perturbation with the distance from a plane."""
    model = _Plane().to(device)
    direction = model.direction.detach()
    image = 0.5 + 0.1 * direction.sign().unsqueeze(0)
    labels = torch.zeros(1, dtype=torch.int64, device=device)
    attack = nf.attacks.BrendelBethge(norm="l2", steps=50)
    found = attack(model, image, labels)
    # The distance is |w . (x - 1/2)| / |w|, and here w . (x - 1/2) = 0.1 |w|_1.
    expected = 0.1 * float(direction.abs().sum() / direction.norm())
    return abs(float(found.distance[0]) / expected - 1.0)


def _similarity(device: torch.device) -> float:
    """Compare the similarities of three vectors, on the host and in the loss."""
    responses = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], device=device)
    half = -math.sqrt(0.5)
    expected = np.array([[1.0, 0.0, half], [0.0, 1.0, half], [half, half, 1.0]])
    found = nf.response_similarity(responses.cpu().numpy())
    features = responses.clone().requires_grad_()
    loss = nf.similarity_loss([features], torch.tensor(expected).to(responses))
    (gradient,) = torch.autograd.grad(loss, features)  # zero at the target
    errors = [np.abs(found - expected).max(), loss.detach(), gradient.abs().max()]
    return max(float(error) for error in errors)


def _corruption(device: torch.device) -> float:
    """Compare a brightened image with CIFAR-10-C, severity 1: plus 0.05."""
    images = torch.full((1, 3, 32, 32), 0.5, device=device)
    found = nf.corrupt(images, "brightness", 1, seed=0, layout="nchw")
    return float((found - 0.55).abs().max())


def _training_step(device: torch.device) -> float:
    """Compare the loss of a model of zeros with ln 2, and its first step."""
    linear = nn.Linear(64, 2)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    model = nn.Sequential(nn.Flatten(), linear).to(device)
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]).to(device)
    labels = torch.tensor([0, 1], device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    losses = nf.training_step(model, optimizer, images, labels)
    # The gradient of a weight of class 1 is the mean of (p - y) x over images: -1/4.
    step = float((linear.weight[1].detach() - 0.25).abs().max())
    return max(abs(losses["loss"] - math.log(2.0)), step)


TESTS: dict[str, Callable[[torch.device], float]] = {
    "spectrum": _spectrum,
    "hybrid image": _hybrid,
    "attack": _attack,
    "similarity": _similarity,
    "corruption": _corruption,
    "training step": _training_step,
}
