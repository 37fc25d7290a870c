"""Checks of what a report is given: settings, models, and whether they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from neurofreq import _model, _store, _validate
from neurofreq.report._measure import Settings, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from neurofreq.data import ImageSet
    from neurofreq.report._measure import Running

# Images attacked unless another number is asked for.
N_ATTACK = 200


def make_settings(
    data: ImageSet,
    *,
    n_attack: int | None,
    n_hybrid: int | None,
    n_corruption: int | None,
    frequencies: Sequence[float],
    seeds: Iterable[int],
    **others: Any,
) -> Settings:
    """Return the checked settings of a report on these data."""
    n_images = len(_validate.images(np.asarray(data.images), unit_range=True))
    _validate.labels(data.labels, count=n_images)
    settings = Settings(
        n_attack=min(N_ATTACK, n_images) if n_attack is None else n_attack,
        n_hybrid=n_images if n_hybrid is None else n_hybrid,
        n_corruption=n_images if n_corruption is None else n_corruption,
        frequencies=tuple(float(value) for value in frequencies),
        seeds=tuple(_validate.seed(value, "seeds") for value in seeds),
        **others,
    )
    for name in ("n_attack", "n_hybrid", "n_corruption"):
        value = getattr(settings, name)
        if not 1 <= value <= n_images:
            raise ValueError(
                f"{name}: got {value}, expected 1 to {n_images}, the number of images"
            )
    if settings.attack_steps < 1:
        raise ValueError(
            f"attack_steps: got {settings.attack_steps}, expected 1 or more"
        )
    if settings.n_thresholds < 2:
        raise ValueError(
            f"n_thresholds: got {settings.n_thresholds}, expected 2 or more"
        )
    if not settings.seeds:
        raise ValueError("seeds: got none, expected at least one")
    _validate.seed(settings.seed)
    steps = np.diff(settings.frequencies)
    if len(settings.frequencies) < 2 or not (steps > 0.0).all():
        raise ValueError("frequencies: got these in no order, expected increasing ones")
    if settings.gray not in ("auto", "always", "never"):
        raise ValueError(
            f"gray: got {settings.gray!r}, expected 'auto', 'always' or 'never'"
        )
    return settings


def make_subjects(
    models: Mapping[str, nn.Module],
    data: ImageSet,
    settings: Settings,
    running: Running,
) -> list[Subject]:
    """Pair each model with the images it is shown, and try it on two of them.

    Raises
    ------
    TypeError
        If a model is no ``nn.Module``.
    ValueError
        If there is no model, or one does not fit the images or the labels.
    """
    if not models:
        raise ValueError("models: got none, expected at least one")
    images = np.ascontiguousarray(data.images)
    labels = _validate.labels(data.labels)
    gray = data.gray().images if images.shape[1] == 3 else images
    subjects = []
    for name, model in models.items():
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"models: got {type(model).__name__} for {name!r}, expected nn.Module"
            )
        wanted = _model.input_channels(model)
        is_gray = images.shape[1] == 3 and (
            settings.gray == "always" or (settings.gray == "auto" and wanted == 1)
        )
        shown = gray if is_gray else images
        if wanted is not None and wanted != shown.shape[1]:
            raise ValueError(
                f"models: got {name!r} for images of {wanted} channels, "
                f"expected {shown.shape[1]} as in the data"
            )
        digest = _store.model_digest(model)
        subject = Subject(name, model, shown, labels, is_gray, digest)
        _try(subject, running)
        subjects.append(subject)
    return subjects


def _try(subject: Subject, running: Running) -> None:
    """Run two images through a model before hours are spent on it."""
    images: NDArray[Any] = subject.images[:2]
    logits = _model.predict(
        subject.model, images, batch_size=running.batch_size, device=running.device
    )
    n_classes, highest = logits.shape[1], int(subject.labels.max())
    if highest >= n_classes:
        raise ValueError(
            f"models: got {subject.name!r} with {n_classes} classes, expected more "
            f"than {highest}, the highest label of the data"
        )
