"""Which model it is: told by its state and by its answers, never by its source.

Two models are one if their tensors are equal and their answers to the same
probe images agree within rounding, and the gradients of these. Source text
cannot tell: closures, hooks and private attributes decide what a model computes,
and a comment does not.
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

_N_IMAGES = 16  # of the data, beside made ones
_N_FIRST = 1000  # they come from the first images, which a longer run has too
_BATCH = 16
_EVERY = 4  # one probe in four is shown again
# Of a gradient's size: how far rounding turns it, at least and per that of answers.
_LEAST_TURN, _TURN = 0.02, 4.0


class Behaviour(NamedTuple):
    """What tells one model from another.

    Attributes
    ----------
    state : str
        SHA-256 of its tensors.
    probes : str
        SHA-256 of the images that it was shown.
    answers : ndarray, shape (P, n_classes)
        Its logits; without rows where they differ from call to call.
    slopes : ndarray, shape (G, 5)
        Sizes of the gradients of a sum of its logits in a few images, and of parts
        of them; zeros where it has none, without rows where they differ from call
        to call.
    tolerance : float
        How far two answers of one model are apart, of the largest logit.
    """

    state: str
    probes: str
    answers: NDArray[np.float64]
    slopes: NDArray[np.float64]
    tolerance: float


class Probes(NamedTuple):
    """Images that show what a model does, floats in [0, 1], (P, C, H, W).

    Attributes
    ----------
    data : Tensor
        Some of those that are measured.
    made : Tensor
        Noise, extremes and changes of the data, which show what those do not.
    """

    data: torch.Tensor
    made: torch.Tensor


def probes(images: Any, *, gray: bool = False) -> Probes:
    """Return probe images, the same for the same data, whatever is measured on them.

    Parameters
    ----------
    images : ndarray, ImageFiles or Tensor, shape (N, C, H, W)
        The data, as uint8 or as floats in [0, 1].
    gray : bool
        Return the luma, as the model is shown it.
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
    batch_size: int = _BATCH,
    device: torch.device | str | None = None,
) -> Behaviour:
    """Return a model's state and its answers to probe images.

    Says so where the model draws at random: its numbers are those of one draw.

    Parameters
    ----------
    model : nn.Module
        Left as found.
    shown : Probes
    name : str
        Of the model, for what is said of it.
    batch_size : int
        The most images per call of the model.
    device : torch.device or str, optional
        As of `calling.predict`.

    Raises
    ------
    ModelError
        As `calling.predict`, for the images of the data.
    """
    size = min(batch_size, _BATCH)
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
    except ModelError:  # made images may have no finite answer, those of the data do
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
            f"model {name!r} answers the same images differently from call to call: "
            "what is measured and kept is one draw of its numbers",
            stacklevel=2,
        )
    after = _tensors(model)
    # What the model changes while it answers, such as a count of calls, is no state.
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
    """The models whose results a folder keeps.

    Each has an item with its answers and their slopes, under a name made of its
    state and of these. A model that answers as one that is kept is this one, and
    has its name: so results are read again on another machine, where answers round
    otherwise. Models of one state that answer differently, or whose gradients
    differ, stand side by side.

    Parameters
    ----------
    folder : path
        Of the results; the models are in ``models`` inside.
    """

    def __init__(self, folder: Path) -> None:
        self._store = storage.Store(folder / "models")
        self._names = folder / "models" / "names.json"

    def digest(self, name: str, found: Behaviour) -> str:
        """Return what tells this model from others here.

        Says so where another model had this name before, with the same state
        and other answers.

        Parameters
        ----------
        name : str
            Decides nothing but what is said.
        found : Behaviour
        """
        folder = self._store.folder
        with locks.held(folder / ".known", f"the list of models in {folder}"):
            digest, others = self._match(found)
            names = self._read_names()
            if digest is None:
                digest = self._add(found)
                if names.get(name) in others:
                    warnings.warn(
                        f"model {name!r} answers differently than when the results "
                        f"in {folder.parent} were kept, or has other gradients: "
                        "it is measured again",
                        stacklevel=2,
                    )
            if names.get(name) != digest:
                storage.write_json(self._names, names | {name: digest})
        return digest

    def _match(self, found: Behaviour) -> tuple[str | None, list[str]]:
        """Return the kept model that this is, and those of the same state."""
        digest, nearest, others = None, np.inf, []
        for path in sorted(self._store.folder.glob("model-*.json")):
            with contextlib.suppress(ValueError, FileNotFoundError):  # damaged: unknown
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
            return {}  # they decide what is said, no number


def _is_one(kept: Mapping[str, NDArray[Any]], found: Behaviour) -> bool:
    """Return whether what is kept of a model is what was found."""
    if "slopes" not in kept:
        return False
    near = agree(kept["answers"], found.answers, found.tolerance)
    return near and agree_slopes(
        kept["slopes"], found.slopes, found.tolerance, found.answers
    )


def _tensors(model: torch.nn.Module) -> dict[str, str]:
    """Return the digests of all tensors of a model, buffers that are not kept too."""
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
    """Return half the digits of the coarsest type that decides the answers."""
    eps = [torch.finfo(answers.dtype).eps]
    eps += [
        torch.finfo(p.dtype).eps for p in model.parameters() if p.is_floating_point()
    ]
    # A network under an autocast of its own returns coarse values in a fine type.
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
    """Return whether gradients of the same answers are equal within rounding.

    It changes them more than the answers: it may switch a unit on or off. A slope
    that changes the answers by less than their rounding is none. Where a model
    refused to have gradients nothing is known, and no attack was kept.
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
    """Return whether answers to the same images are equal within rounding.

    Rows that are smaller than `least` throughout are taken to be so large.
    """
    if first.shape != second.shape:
        return False
    size = np.maximum(abs(first), abs(second)).max(axis=1, initial=least)[:, None]
    return bool((abs(first - second) <= tolerance * size).all())


def _numbers(answers: torch.Tensor) -> NDArray[np.float64]:
    return answers.detach().cpu().double().numpy()


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Multiply float32 in float32 on CUDA devices, as hosts do."""
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before[0]
        torch.set_float32_matmul_precision(before[1])
