"""Attack a whole loader: a long table, resumable and split among ranks."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

from neurofreq._shared import runtime
from neurofreq._shared.files import locks, storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling, fingerprint
from neurofreq._shared.progress import bar
from neurofreq.attacks import _loader
from neurofreq.attacks._call import Attack
from neurofreq.attacks._result import PER_IMAGE
from neurofreq.attacks._wrapped import Wrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    import pandas as pd

    from neurofreq._shared.files.storage import Arrays

PATIENCE = timedelta(days=30)  # a finished rank waits for the others


def evaluate(
    attack: Attack | Callable[..., Any],
    model: calling.Model,
    loader: Iterable[Any],
    *,
    targets: Any = None,
    out: str | PathLike[str] | None = None,
    keep_images: bool = False,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Attack every image of a loader.

    Parameters
    ----------
    attack : Attack or callable
        For example ``nf.attacks.BrendelBethge("l2")``, or an attack of foolbox or
        torchattacks, as in `Wrapped`.
    model : callable
        As in the call of an attack (`Attack`).
    loader : iterable of (images, labels)
        For example a ``DataLoader`` that does not shuffle: images of shape (n, C, H, W)
        in [0, 1]. The batch size of the loader does not change the results. A batch may
        also be a triple, whose third part is ignored, or a mapping with one of the keys
        "images", "image", "img" and "pixel_values", and one of "labels" and "label".
    targets : array_like of int, shape (N,), optional
        The target classes, in the loader's order; see `shuffled_targets`.
    out : path, optional
        A folder that keeps each finished batch. A stopped run continues from there:
        batches with the same settings, model, images, labels and targets are read
        instead of attacked. `studies.run` explains how models are told apart.
    keep_images : bool
        Keep the adversarial images in `out` too.
    seed : int
        Selects the random streams, one per image.
    progress : bool
        Show a progress bar over batches.
    **options
        Further arguments of the attack's call: `candidates`, `margin`,
        `batch_size` and so on. `starting_points` and the `index` of a `criterion` refer
        to the images of the whole loader.

    Returns
    -------
    pandas.DataFrame
        One row per image in the loader's order: "index", "label", "target" (-1
        without), "distance", "success", "n_queries", "n_gradients", "status".

    Raises
    ------
    TypeError
        If an argument or a batch has another type, and as the attack.
    ValueError
        If the loader is empty; if a batch has no images or no labels; if `targets` or
        `starting_points` do not fit the loader; if the loader's order changes between
        passes, with `targets`, `starting_points` or several ranks; if images should be
        kept without a folder; and as the attack. Options are checked before any image
        is read.

    Notes
    -----
    Under ``torchrun`` (or in an initialized process group) each rank attacks
    every n-th batch, and all ranks return the whole table. Ranks may share `out`.
    Without a process group, `evaluate` initializes one (gloo) and keeps it to the
    end of the process: initialize your own group before, if you need one.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = torch.from_numpy(nf.data.load_data("synthetic", n=8).images)
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> data = torch.utils.data.TensorDataset(images, model(images).argmax(1))
    >>> loader = torch.utils.data.DataLoader(data, batch_size=4)
    >>> attack = nf.attacks.PGD(epsilon=8 / 255, steps=10)
    >>> table = nf.attacks.evaluate(attack, model, loader)
    >>> table["index"].tolist(), bool(table["success"].all())
    ([0, 1, 2, 3, 4, 5, 6, 7], True)
    """
    attack = _attack(attack)
    validate.model(model)
    _loader.check(loader)
    seed, progress = validate.seed(seed), validate.flag("progress", progress)
    if validate.flag("keep_images", keep_images) and out is None:
        raise ValueError("keep_images: got True without out, expected a folder")
    if "first_index" in options:
        raise TypeError("first_index: not an option here: a loader always begins at 0")
    targets = None if targets is None else validate.labels(targets, "targets")
    folder = None if out is None else validate.path("out", out)
    batch_size = attack._options(**options).batch_size
    kept = None if folder is None else _Kept(folder, attack, model, seed, options)
    given = _loader.PerImage(
        targets=targets, starting_points=options.pop("starting_points", None)
    )
    given.check_most(loader)
    parts: dict[int, Arrays] = {}
    count = 0
    rank, n_ranks = _ranks()
    batches = _loader.in_order(
        loader,
        bar(loader, unit="batch", progress=progress),
        is_one_order=n_ranks > 1 or bool(given),
    )
    for number, (images, labels) in enumerate(batches):
        first, count = count, count + len(images)
        part = given.part(first, count)
        if kept and number == 0:
            kept.identify(model, images, batch_size)
        if number % n_ranks != rank:
            continue

        def attacked(
            images: Any = images, labels: Any = labels, part: Any = part,
            first: int = first,
        ) -> Arrays:  # fmt: skip
            result = attack(
                model, images, labels, **part, first_index=first, seed=seed,
                **options,
            )  # fmt: skip
            names = (*PER_IMAGE, "adversarial") if keep_images else PER_IMAGE
            return {name: np.asarray(_host(getattr(result, name))) for name in names}

        if kept:
            record = _identity_of(images, labels, part["targets"], first)
            found = kept.batch(record, attacked, keep_images)
        else:
            found = attacked()
        found.pop("adversarial", None)  # kept on disk only
        found["label"] = validate.labels(labels)
        found["target"] = (
            np.full(len(images), -1) if targets is None else part["targets"]
        )
        found["index"] = np.arange(first, count)
        parts[number] = found
    parts = _gathered(parts, n_ranks)
    if count == 0:
        raise ValueError("loader: got no batches, expected at least one")
    given.check(count)
    return _table(parts)


def _attack(attack: Any) -> Attack:
    """Return an attack of neurofreq, and wrap those of other packages."""
    if isinstance(attack, Attack):
        return attack
    if isinstance(attack, (type, torch.nn.Module)) or not callable(attack):
        validate.instance("attack", attack, Attack)
    return Wrapped(attack)


def _table(parts: dict[int, Arrays]) -> pd.DataFrame:
    import pandas as pd

    names = ("index", "label", "target", *PER_IMAGE)
    ordered = [parts[number] for number in sorted(parts)]
    return pd.DataFrame(
        {name: np.concatenate([part[name] for part in ordered]) for name in names}
    )


class _Kept:
    """A folder of finished batches; processes that share it attack no batch twice."""

    def __init__(
        self, folder: Path, attack: Attack, model: Any, seed: int, options: Any
    ) -> None:
        if not isinstance(model, torch.nn.Module):
            raise TypeError(
                f"model: got {type(model).__name__}, expected an nn.Module when "
                "results are kept (`out`): a function cannot be identified"
            )
        if isinstance(attack, Wrapped):
            raise TypeError(
                "attack: got one of another package, expected one of neurofreq when "
                "results are kept (`out`): its settings are not known"
            )
        self._settings = _settings(attack, seed, options)
        self._store = storage.Store(folder)

    def identify(self, model: Any, images: Any, batch_size: int | None) -> None:
        """Identify the model by its outputs for some of the first images."""
        images = validate.images(images, unit_range=True)
        found = fingerprint.behaviour(
            model,
            fingerprint.probes(images),
            name="model",
            batch_size=batch_size,
        )
        known = fingerprint.Known(self._store.folder)
        self._settings["model"] = known.digest("model", found)

    def batch(
        self,
        identity: dict[str, Any],
        attacked: Callable[[], Arrays],
        keep_images: bool,
    ) -> Arrays:
        """Return a kept batch, or attack it and keep it."""
        record = self._settings | identity
        found = self._load(record, keep_images)
        if found is None:
            lock = self._store.path(record, ".lock")
            with locks.held(lock, f"it attacks a batch for {self._store.folder}"):
                found = self._load(record, keep_images)  # kept by the other process?
                if found is None:
                    found = attacked()
                    self._store.save(record, found)
                lock.unlink(missing_ok=True)
        return found

    def _load(self, record: dict[str, Any], keep_images: bool) -> Arrays | None:
        found = self._store.load(record)
        return None if found and keep_images and "adversarial" not in found else found


def _settings(attack: Attack, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the numbers, except model and images, as JSON values."""
    plain: dict[str, Any] = {}
    for name, value in options.items():
        if name in ("batch_size", "capture", "progress"):  # change time, not numbers
            continue
        if callable(value):
            raise TypeError(
                f"{name}: got a callable, expected none when results are kept (`out`): "
                "a callable cannot be identified"
            )
        if isinstance(value, np.generic):
            value = value.item()
        is_array = isinstance(value, (np.ndarray, torch.Tensor))
        plain[name] = storage.data_digest(_host(value), []) if is_array else repr(value)
    return {
        "measurement": type(attack).__name__.lower(),
        "attack": {"class": type(attack).__name__, **vars(attack)},
        "options": plain,
        "seed": seed,
        "neurofreq": runtime.VERSION,
    }


def _identity_of(images: Any, labels: Any, targets: Any, first: int) -> dict[str, Any]:
    """Return what identifies a batch."""
    labels = validate.labels(labels, count=len(images))
    marks = labels if targets is None else np.stack([labels, targets])
    return {"first": first, "data": storage.data_digest(_host(images), marks)}


def _host(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def _ranks() -> tuple[int, int]:
    """Return this process's rank and the number of ranks."""
    if not dist.is_available():
        return 0, 1
    if "RANK" in os.environ and not dist.is_initialized():
        # One group per process: a second group would read the keys of the first.
        dist.init_process_group("gloo", timeout=PATIENCE)
        atexit.register(_leave)
    if not dist.is_initialized():
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _gathered(parts: dict[int, Arrays], n_ranks: int) -> dict[int, Arrays]:
    """Return the parts of all ranks."""
    if n_ranks == 1:
        return parts
    everyone: list[Any] = [None] * n_ranks
    dist.all_gather_object(everyone, parts)
    return {number: part for one in everyone for number, part in one.items()}
