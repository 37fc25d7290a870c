"""The measurements of a study, each as raw values per image.

Values per image allow intervals and paired differences later without running a model
again.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import attacks, frequency
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq.corruptions import grid
from neurofreq.corruptions.folder import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from neurofreq._shared.files.storage import Arrays
    from neurofreq.data import ImageSet
    from neurofreq.studies.settings import Settings

N_EXAMPLES = 6
N_CANDIDATES = 1000  # images that an attack may use as starting points
ATTACK_PART = 100  # images attacked between two writes to disk


@dataclasses.dataclass
class Subject:
    """One model with its images (N, C, H, W) in [0, 1] and labels (N,).

    `is_gray` says whether `images` were made from color images; `n_outputs` is the
    number of classes of the model.
    """

    name: str
    model: torch.nn.Module
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    is_gray: bool
    digest: str
    n_outputs: int


@dataclasses.dataclass(frozen=True)
class Running:
    """How the models are run. These settings affect the time, not the numbers."""

    batch_size: int = 256
    device: torch.device | str | None = None
    progress: bool = True
    step: Callable[[int], object] = lambda n: None

    def __post_init__(self) -> None:
        """Check the values before any model is loaded."""
        batch_size = validate.count("batch_size", self.batch_size)
        object.__setattr__(self, "batch_size", batch_size)
        progress = validate.flag("progress", self.progress)
        object.__setattr__(self, "progress", progress)
        if self.device is not None:
            validate.device(self.device)

    def classes(self, model: Any, images: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class that the model predicts for every image."""
        logits = calling.predict(
            model, images, batch_size=self.batch_size, device=self.device
        )
        return logits.argmax(dim=1).cpu().numpy()


def clean(subject: Subject, settings: Settings, running: Running) -> Arrays:
    """Return whether each image is classified correctly: correct (N,)."""
    named = running.classes(subject.model, subject.images)
    running.step(1)
    return {"correct": named == subject.labels}


def hybrids(subject: Subject, settings: Settings, running: Running) -> Arrays:
    """Return which image of each hybrid the model predicts, averaged over pairings.

    ``difference`` (N, F) is per low image; ``p_low`` and ``p_high`` (F,) are means over
    images.
    """
    n = settings.n_hybrid
    curves = []
    for seed in settings.seeds:
        curves.append(
            frequency.hybrid_curve(
                subject.model,
                subject.images[:n],
                subject.labels[:n],
                frequencies=settings.frequencies,
                seeds=[seed],
                batch_size=running.batch_size,
                device=running.device,
            )
        )
        running.step(1)
    return {
        "frequency": curves[0].frequency,
        "difference": np.mean([curve.difference for curve in curves], axis=0),
        "p_low": np.mean([curve.p_low for curve in curves], axis=0),
        "p_high": np.mean([curve.p_high for curve in curves], axis=0),
    }


def attack(
    subject: Subject, settings: Settings, running: Running, rows: range
) -> Arrays:
    """Return minimal Linf perturbations of some of the images, and their power.

    Distances are infinite if the attack found nothing. ``adversarial`` (n, C, H, W) has
    the last point of every image, ``radial`` (n, T) the cumulative power of every
    image, and ``power`` the mean spectrum. The numbers do not depend on how the images
    are split into calls.
    """
    part = slice(rows.start, rows.stop)
    images, labels = subject.images[part], subject.labels[part]
    targets = attacks.shuffled_targets(subject.labels, seed=settings.seed)[part]
    result = settings.attack(
        subject.model,
        images,
        labels,
        targets=targets if settings.targeted else None,
        candidates=subject.images[:N_CANDIDATES],
        seed=settings.seed,
        first_index=rows.start,
        batch_size=running.batch_size,
        progress=running.progress,
    )
    success = np.asarray(result.success, dtype=bool)
    adversarial = np.asarray(result.adversarial, dtype=images.dtype)
    change = np.where(success[:, None, None, None], adversarial - images, 0.0)
    running.step(len(images))
    arrays = {
        "distance": np.where(success, np.asarray(result.distance), np.inf),
        "success": success,
        "status": np.asarray(result.status).astype(str),
        "n_queries": np.asarray(result.n_queries),
        "targets": targets if settings.targeted else np.full(len(images), -1),
        "adversarial": adversarial,
    }
    return arrays | perturbation_power(change.astype(images.dtype), settings)


def attack_parts(n_attack: int) -> list[range]:
    """Split the attacked images into the parts that are stored one by one."""
    return [
        range(start, min(start + ATTACK_PART, n_attack))
        for start in range(0, n_attack, ATTACK_PART)
    ]


def joined(parts: list[Arrays]) -> Arrays:
    """Join the parts of an attack in their order."""
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    counts = [len(part["success"]) for part in parts]
    power = np.average([part["power"] for part in parts], axis=0, weights=counts)
    return arrays | {
        "power": power,
        "frequency": parts[0]["frequency"],
        "adversarial": parts[0]["adversarial"],
    }


def perturbation_power(change: NDArray[Any], settings: Settings) -> Arrays:
    """Return the power of perturbations: mean map (H, W), cumulative per image (n, T).

    A perturbation of zero has power zero and counts as an image.
    """
    total = np.zeros(change.shape[2:])
    radial = np.zeros((len(change), settings.n_thresholds))
    flat = frequency.radial_profile(
        np.ones(change.shape[2:]), n_thresholds=settings.n_thresholds
    )
    for row, one in enumerate(change):
        power = np.asarray(frequency.power_spectrum(one[None]))
        total += power
        whole = float(np.nansum(power))
        if whole > 0.0:
            profile = frequency.radial_profile(
                power, n_thresholds=settings.n_thresholds
            )
            radial[row] = np.asarray(profile.cumulative) * whole
    return {
        "power": total / len(change),
        "radial": radial,
        "frequency": flat.frequency,
    }


def corruption(
    name: str,
    data: ImageSet,
    subjects: list[Subject],
    settings: Settings,
    running: Running,
) -> dict[str, Arrays]:
    """Return which corrupted images are classified correctly: correct (5, N) per model.

    Each corruption is made once, in color, and shown to every model.
    """
    n = settings.n_corruption
    source = grid.Corrupting(data.take(n), settings.seed)
    models = {s.name: grid.Shown(s.model, s.is_gray) for s in subjects}
    work = [(grid.Part(name, s, 0, n), list(models)) for s in SEVERITIES]
    correct = {key: np.zeros((len(SEVERITIES), n), dtype=bool) for key in models}

    def take(part: grid.Part, key: str, right: NDArray[np.bool_], _: int) -> None:
        correct[key][part.severity - 1] = right
        running.step(1)

    grid.judge(
        work, source, models, take,
        batch_size=running.batch_size, device=running.device,
    )  # fmt: skip
    return {key: {"correct": value} for key, value in correct.items()}
