"""Identify a model by its state and its outputs, never by its source code.

Two models are the same if their tensors are equal, and if their logits for the probe
images and the gradients of these logits agree within rounding. Source code does not
identify a model: closures, hooks and private attributes change its outputs without a
change of the source code, and a new comment changes only the source code.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq._neurofreq import ModelError
from neurofreq._shared import runtime
from neurofreq._shared.files import locks, storage
from neurofreq._shared.inputs.pixel import luma, to_unit
from neurofreq._shared.networks import calling, probe_gradients
from neurofreq._shared.networks.features import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_N_IMAGES = 16  # probe images from the data; synthetic ones are added
_N_FIRST = 1000  # use only the first images, so that larger runs use the same ones
_BATCH = 16
_EVERY = 4  # every fourth probe image is passed again
# Tolerance of a gradient, relative to its size: the larger of `_LEAST_TURN` and
# `_TURN` times the tolerance of the logits.
_LEAST_TURN, _TURN = 0.02, 4.0


class Behaviour(NamedTuple):
    """State and outputs that identify a model."""

    state: str  # SHA-256 of its tensors
    probes: str  # SHA-256 of the probe images
    # Logits (P, n_classes); no rows if equal calls give different logits.
    answers: NDArray[np.float64]
    # Norms of gradients (G, 5) from `probe_gradients.found`; no rows if equal calls
    # give different gradients.
    slopes: NDArray[np.float64]
    tolerance: float  # between logits of one model, relative to the largest logit


class Probes(NamedTuple):
    """Probe images, floats in [0, 1], shape (P, C, H, W)."""

    data: torch.Tensor  # some images of the data
    made: torch.Tensor  # synthetic images that the data do not cover, such as noise


def probes(images: Any, *, gray: bool = False) -> Probes:
    """Return the probe images of a data set (uint8, or floats in [0, 1]).

    The probe images depend only on the data, not on the measurement. With `gray`,
    they are converted to luma.
    """
    last = min(len(images), _N_FIRST) - 1
    index = np.unique(np.linspace(0, last, _N_IMAGES).astype(int))
    kind = None
    if isinstance(images, torch.Tensor):
        kind = images.dtype if images.is_floating_point() else None
        few = images[torch.from_numpy(index).to(images.device)].detach().cpu()
        is_coarse = kind in (torch.float16, torch.bfloat16)
        some = (few.float() if is_coarse else few).numpy()
    else:
        some = np.asarray(images[index])
    some = to_unit(some)
    both = [some, _made(some)]
    if gray:
        both = [luma(one) for one in both]
    data, made = (torch.from_numpy(np.ascontiguousarray(one)) for one in both)
    return Probes(data.to(kind or data.dtype), made.to(kind or made.dtype))


def _made(images: NDArray[Any]) -> NDArray[Any]:
    """Return changed images, noise, checkerboards and ramps."""
    one, shape, draws = images[:2], images.shape[1:], np.random.default_rng(0)
    height, width = shape[1:]
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    plain = np.zeros(shape)
    made = [
        *(1 - one), *(one / 8), *(1 - one / 8), *one[..., ::-1], *one[:, ::-1],
        *np.clip(2 * one - 0.5, 0, 1),
        draws.random(shape), draws.integers(0, 2, shape),
        draws.random(shape) / 16, 1 - draws.random(shape) / 16,
        0.5 + (draws.random(shape) - 0.5) / 8,
        *((rows + columns) // side % 2 + plain for side in (1, 4)),
        rows / height + plain, columns / width + plain,
    ]  # fmt: skip
    return np.stack(made).astype(images.dtype)


def behaviour(
    model: torch.nn.Module,
    shown: Probes,
    *,
    name: str,
    batch_size: int | None = _BATCH,
    device: torch.device | str | None = None,
) -> Behaviour:
    """Return a model's state and its outputs for probe images; the model is unchanged.

    Warns if the outputs are random, because results are then one random draw. Raises
    ModelError if `calling.predict` does so for images of the data.
    """
    size = min(batch_size or _BATCH, _BATCH)
    place = torch.device(device or calling.device_of(model))

    def answers(images: torch.Tensor, seed: int = 0) -> torch.Tensor:
        with runtime.seeded(seed, place), _exact_products():
            return calling.predict(model, images, batch_size=size, device=device)

    def slopes_of(images: torch.Tensor) -> NDArray[np.float64]:
        with runtime.seeded(0, place), _exact_products():
            return probe_gradients.found(model, images, batch_size=size, device=place)

    images = torch.cat(shown)
    try:
        found = answers(images)
    except ModelError:  # logits of synthetic images may be infinite: use the data alone
        images = shown.data
        found = answers(images)
    before = _tensors(model)
    tolerance = rounding(model, found)
    some = images[::_EVERY]
    first, again, other = [_numbers(answers(some, seed)) for seed in (0, 0, 1)]
    is_repeated = agree(first, again, tolerance)
    slopes, same = (slopes_of(shown.data) for _ in range(2))
    is_smooth = is_repeated and agree_slopes(slopes, same, tolerance, _numbers(found))
    if not (is_repeated and agree(first, other, tolerance)):
        warnings.warn(
            f"model {name!r} gives different logits for the same images from call to "
            "call: the results are one random draw",
            stacklevel=2,
        )
    after = _tensors(model)
    # Tensors that a forward pass changes, such as a call counter, are not state.
    state = {key: value for key, value in after.items() if before.get(key) == value}
    numbers = _numbers(found)
    return Behaviour(
        hashlib.sha256(str(sorted(state.items())).encode()).hexdigest(),
        f"{storage.data_digest(images, [])} {found.dtype}",
        numbers if is_repeated else numbers[:0],
        slopes if is_smooth else slopes[:0],
        tolerance,
    )


class Known:
    """The models whose results a folder keeps, in its subfolder ``models``.

    Each model is one item with its logits and gradients. The item's name is a hash of
    the logits, the gradients and the state. A model whose outputs agree with a kept
    item gets that item's name, so that its results are also found on a machine with
    different rounding. Models with equal states but different outputs or gradients are
    separate items.
    """

    def __init__(self, folder: Path) -> None:
        self._store = storage.Store(folder / "models")
        self._names = folder / "models" / "names.json"

    def digest(self, name: str, found: Behaviour) -> str:
        """Return the name of this model's item; add the item if it is new.

        Warns if the model of this name had the same state but different outputs before.
        `name` is used for this warning only.
        """
        folder = self._store.folder
        with locks.held(folder / ".known", f"the list of models in {folder}"):
            digest, others = self._match(found)
            names = self._read_names()
            if digest is None:
                digest = self._add(found)
                if names.get(name) in others:
                    warnings.warn(
                        f"model {name!r} has other logits or gradients than when the "
                        f"results in {folder.parent} were kept: it is measured again",
                        stacklevel=2,
                    )
            if names.get(name) != digest:
                storage.write_json(self._names, names | {name: digest})
        return digest

    def _match(self, found: Behaviour) -> tuple[str | None, list[str]]:
        """Return the kept item of this model, and all items of its state."""
        digest, nearest, others = None, np.inf, []
        for path in sorted(self._store.folder.glob("model-*.json")):
            with contextlib.suppress(ValueError, FileNotFoundError):  # damaged: skip
                record = storage.read_json(path)
                if (record["state"], record["probes"]) != (found.state, found.probes):
                    continue
                arrays = self._store.load(record)
                others.append(path.stem)
                if arrays is None or not _is_one(arrays, found):
                    continue
                away = float(np.abs(arrays["answers"] - found.answers).sum())
                if away < nearest:
                    digest, nearest = path.stem, away
        return digest, others

    def _add(self, found: Behaviour) -> str:
        record = {
            "measurement": "model",
            "state": found.state,
            "probes": found.probes,
            "answers": storage.data_digest(found.answers, []),
            "slopes": storage.data_digest(found.slopes, []),
        }
        self._store.save(record, {"answers": found.answers, "slopes": found.slopes})
        return self._store.path(record, "").name

    def _read_names(self) -> dict[str, Any]:
        try:
            return storage.read_json(self._names)
        except (FileNotFoundError, ValueError):
            return {}  # names matter for a warning only, not for results


def _is_one(kept: Mapping[str, NDArray[Any]], found: Behaviour) -> bool:
    """Return whether kept logits and gradients agree with those in `found`."""
    if "slopes" not in kept:
        return False
    near = agree(kept["answers"], found.answers, found.tolerance)
    return near and agree_slopes(
        kept["slopes"], found.slopes, found.tolerance, found.answers
    )


def _tensors(model: torch.nn.Module) -> dict[str, str]:
    """Return the hashes of all tensors of a model, including non-persistent buffers."""
    inner = unwrapped(model)
    found: dict[str, str] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            form = f"{value.dtype}{tuple(value.shape)}"
            found[name] = form + hashlib.sha256(storage.tensor_bytes(value)).hexdigest()
        elif isinstance(value, dict):
            for key, one in value.items():
                add(f"{name}.{key}", one)
        elif isinstance(value, (list, tuple)):
            for index, one in enumerate(value):
                add(f"{name}.{index}", one)

    for name, value in (dict(inner.named_buffers()) | inner.state_dict()).items():
        add(name, value)
    return found


def rounding(model: torch.nn.Module, answers: torch.Tensor) -> float:
    """Return the square root of the machine epsilon of the coarsest type involved."""
    eps = [torch.finfo(answers.dtype).eps]
    eps += [
        torch.finfo(p.dtype).eps for p in model.parameters() if p.is_floating_point()
    ]
    # A network with its own autocast may return coarse values as float32.
    eps += [
        torch.finfo(kind).eps
        for kind in (torch.float32, torch.float16, torch.bfloat16)
        if bool((answers.to(kind).to(answers.dtype) == answers).all())
    ]
    return float(max(eps)) ** 0.5


def agree_slopes(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    tolerance: float,
    answers: NDArray[np.float64],
) -> bool:
    """Return whether gradients are equal within rounding.

    Rounding changes gradients more than logits, because it may switch a unit on or off.
    Gradients smaller than the rounding of the logits count as zero. Rows with NaN
    (differentiation failed) are skipped, because attacks on such a model have no kept
    results.
    """
    if first.shape == second.shape:
        known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        first, second = first[known], second[known]
    least = tolerance * float(abs(answers).max(initial=0.0))
    return agree(first, second, max(_LEAST_TURN, _TURN * tolerance), least)


def agree(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    tolerance: float,
    least: float = 0.0,
) -> bool:
    """Return whether logits of the same images are equal within rounding.

    The tolerance of a row is relative to its largest absolute value, or to `least` if
    that is larger.
    """
    if first.shape != second.shape:
        return False
    size = np.maximum(abs(first), abs(second)).max(axis=1, initial=least)[:, None]
    return bool((abs(first - second) <= tolerance * size).all())


def _numbers(answers: torch.Tensor) -> NDArray[np.float64]:
    return answers.detach().cpu().double().numpy()


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Multiply float32 without TF32 on CUDA devices, as CPUs do."""
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before[0]
        torch.set_float32_matmul_precision(before[1])
