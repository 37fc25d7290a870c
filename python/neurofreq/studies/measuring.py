"""The measurements of a study, each as raw values per image.

Values per image allow intervals and paired differences later without running a model
again.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurofreq import attacks, frequency
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import batches, calling
from neurofreq.corruptions import grid
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.frequency import BandMasking, FilteredAccuracy, FourierSensitivity
from neurofreq.measured import Attack, Clean, Corrupted, Hybrid

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from neurofreq.data import ImageSet
    from neurofreq.studies.settings import Settings

N_EXAMPLES = 6
N_CANDIDATES = 1000  # images that an attack may use as starting points
ATTACK_PART = 100  # images attacked between two writes to disk
_BACKWARD = 3  # cost of an attack step in image passes, to estimate the time left


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

    batch_size: int | None = None
    device: torch.device | str | None = None
    progress: bool = True
    step: Callable[[int], object] = lambda n: None

    def __post_init__(self) -> None:
        """Check the values before any model is loaded."""
        object.__setattr__(self, "batch_size", batches.check(self.batch_size))
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


def clean(subject: Subject, settings: Settings, running: Running) -> Clean:
    """Return whether each image is classified correctly."""
    named = running.classes(subject.model, subject.images)
    running.step(1)
    return Clean(named == subject.labels)


def hybrids(subject: Subject, settings: Settings, running: Running) -> Hybrid:
    """Return which image of each hybrid the model predicts, averaged over pairings."""
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
    return Hybrid(
        frequency=curves[0].frequency,
        difference=np.mean([curve.difference for curve in curves], axis=0),
        p_low=np.mean([curve.p_low for curve in curves], axis=0),
        p_high=np.mean([curve.p_high for curve in curves], axis=0),
    )


def _few(subject: Subject, settings: Settings, running: Running) -> dict[str, Any]:
    """Return the arguments that filters, bands and sensitivity share."""
    n = settings.n_filtered
    return {
        "model": subject.model, "images": subject.images[:n],
        "labels": subject.labels[:n], "seed": settings.seed,
        "batch_size": running.batch_size, "device": running.device,
    }  # fmt: skip


def filters(subject: Subject, settings: Settings, running: Running) -> FilteredAccuracy:
    """Return which filtered images are classified correctly."""
    kind: Any = settings.filter_kind
    found = frequency.filtered_accuracy(
        **_few(subject, settings, running), gray=False, kind=kind
    )
    running.step(1)
    return found


def bands(subject: Subject, settings: Settings, running: Running) -> BandMasking:
    """Return which images in noise of one octave are classified correctly."""
    found = frequency.band_masking(
        **_few(subject, settings, running),
        gray=False, contrast=settings.contrast, criterion=settings.criterion,
    )  # fmt: skip
    running.step(1)
    return found


def sensitivity(
    subject: Subject, settings: Settings, running: Running
) -> FourierSensitivity:
    """Return the error rate for images with one frequency added."""
    found = frequency.fourier_sensitivity(
        **_few(subject, settings, running),
        norm=settings.norm, per_octave=settings.per_octave,
    )  # fmt: skip
    running.step(1)
    return found


def single(measurement: str) -> Callable[[Subject, Settings, Running], Any]:
    """Return the function of a measurement that one model has in one piece."""
    return {
        "clean": clean, "hybrid": hybrids, "filters": filters, "bands": bands,
        "sensitivity": sensitivity,
    }[measurement]  # fmt: skip


def cost(measurement: str, settings: Settings, data: ImageSet, n_rows: int) -> int:
    """Return approximately how many images pass through the model."""
    height, width = data.images.shape[-2:]
    n = settings.n_filtered
    conditions = {
        "filters": 1 + 2 * len(frequency.CUTOFFS) + len(frequency.WIDTHS),
        "bands": len(frequency.NOISES) * int(np.log2(min(height, width))),
        "sensitivity": min(
            height * width // 2, settings.per_octave * int(np.log2(min(height, width)))
        ),
    }
    if measurement in conditions:
        return n * conditions[measurement]
    return {
        "clean": len(data),
        "hybrid": settings.n_hybrid * len(settings.frequencies) * len(settings.seeds),
        "attack": n_rows * settings.attack_steps * _BACKWARD,
        "corruption": settings.n_corruption * len(SEVERITIES),
    }[measurement]


def attack(
    subject: Subject, settings: Settings, running: Running, rows: range
) -> Attack:
    """Return minimal Linf perturbations of some of the images, and their power.

    `adversarial` has the final point of every image; the stored record keeps only the
    first few. The numbers do not depend on how the images are split into calls.
    """
    if settings.attack.shaped:
        raise ValueError(
            f"attack: got {settings.attack}, which prefers some frequencies, expected "
            "one that does not, because its spectra would be measured"
        )
    part = slice(rows.start, rows.stop)
    images, labels = subject.images[part], subject.labels[part]
    targets = None
    if settings.targeted:
        targets = attacks.shuffled_targets(subject.labels, seed=settings.seed)[part]
    result = settings.attack(
        subject.model,
        images,
        labels,
        targets=targets,
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
    spectra = perturbation_power(change.astype(images.dtype), settings.n_thresholds)
    return Attack(
        distance=np.where(success, np.asarray(result.distance), np.inf),
        success=success,
        status=np.asarray(result.status).astype(str),
        n_queries=np.asarray(result.n_queries),
        targets=np.full(len(images), -1) if targets is None else targets,
        adversarial=adversarial,
        **spectra._asdict(),
    )


def attack_parts(n_attack: int) -> list[range]:
    """Split the attacked images into the parts that are stored one by one."""
    return [
        range(start, min(start + ATTACK_PART, n_attack))
        for start in range(0, n_attack, ATTACK_PART)
    ]


def joined(parts: list[Attack]) -> Attack:
    """Join the parts of an attack in their order."""
    per_image = ("distance", "success", "status", "n_queries", "targets", "radial")
    counts = [part.n_images for part in parts]
    return dataclasses.replace(
        parts[0],
        power=np.average([part.power for part in parts], axis=0, weights=counts),
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in per_image
        },
    )


class Power(NamedTuple):
    """The mean power (H, W) of perturbations; cumulative power of each (n, T)."""

    power: NDArray[np.float64]
    radial: NDArray[np.float64]
    frequency: NDArray[np.float64]


def perturbation_power(change: NDArray[Any], n_thresholds: int) -> Power:
    """Return the power of perturbations (n, C, H, W).

    A perturbation of zero has zero power and enters the mean.
    """
    total = np.zeros(change.shape[2:])
    radial = np.zeros((len(change), n_thresholds))
    flat = frequency.radial_profile(
        np.ones(change.shape[2:]), n_thresholds=n_thresholds
    )
    for row, one in enumerate(change):
        power = np.asarray(frequency.power_spectrum(one[None]))
        total += power
        whole = float(np.nansum(power))
        if whole > 0.0:
            profile = frequency.radial_profile(power, n_thresholds=n_thresholds)
            radial[row] = np.asarray(profile.cumulative) * whole
    return Power(total / len(change), radial, flat.frequency)


def corruption(
    name: str,
    data: ImageSet,
    subjects: list[Subject],
    settings: Settings,
    running: Running,
) -> dict[str, Corrupted]:
    """Return which corrupted images each model classifies correctly.

    The corrupted images are made once, in color, and shown to every model.
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
    return {key: Corrupted(value) for key, value in correct.items()}
