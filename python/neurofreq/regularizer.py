"""Pull the similarities of a user's own network towards a target."""

from __future__ import annotations

import difflib
import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from neurofreq import _neurofreq, _validate
from neurofreq.similarity import SimilarityLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self


class SimilarityRegularizer(nn.Module):
    """Similarity loss of a model on stimuli whose target similarities are known.

    Each call of `loss` draws some stimuli, passes them through the model once,
    and compares the similarities of the named layers' outputs with the target:
    add it to the loss of your own training loop.

    Parameters
    ----------
    model : nn.Module
        Your model. It is not registered here (its parameters are not among
        `parameters`), not moved and not switched between training and
        evaluation. It carries hooks only while `loss` runs; `close`, or the end
        of a ``with`` block, lets go of it.
    layers : sequence of str
        Names of submodules, as in ``dict(model.named_modules())``, whose outputs
        are compared; of a module called more than once, the last output.
    similarity : array_like of float, shape (N, N)
        Target similarities of the stimuli in [-1, 1], symmetric: for example
        `response_similarity` of recorded responses.
    stimuli : Tensor or ndarray, shape (N, C, H, W)
        The images that evoked the responses, as the model takes them (float32
        or float64). Their size may differ from that of the training images.
    n_pairs : int
        Pairs of images per step. Pairs are drawn without replacement from all
        N (N - 1) / 2; when all were used a new order begins.
    all_pairs : bool
        Draw ``2 * n_pairs`` images without replacement instead, and compare all
        pairs of them: more comparisons for the same forward pass.
    half : bool
        Whether arctanh has its factor 1/2, see `similarity_loss`.
    beta : float
        Persistence of the running means, see `SimilarityLoss`.
    seed : int
        Of the order of pairs or images. Step s of a seed is always the same.

    Attributes
    ----------
    criterion : SimilarityLoss
        Holds the layer weights, the only parameters: give ``parameters()`` to
        the optimizer beside the model's own.
    step : int64 buffer
        Steps taken in training mode; part of ``state_dict``, so that a resumed
        run draws what an uninterrupted one would.

    Raises
    ------
    TypeError
        If `model` is not a module, or `stimuli` have another dtype.
    ValueError
        Fewer than two images, a layer that does not exist (the nearest names
        are given), or a similarity that is not square, not symmetric, outside
        [-1, 1], not finite, or not of the stimuli's number.

    Notes
    -----
    The stimuli pass uses the model's current mode: in training mode it updates
    batch-norm statistics too, as in joint training of the paper.

    Differences from the paper: `all_pairs`, `half`; otherwise as in joint training
    there, with 16 pairs (up to 32 images) a step.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072; Li et al. 2023, Fig 1.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> import neurofreq as nf
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    >>> stimuli = torch.rand(20, 1, 16, 16)
    >>> target = nf.response_similarity(np.random.rand(20, 50))
    >>> regularizer = nf.SimilarityRegularizer(model, ["0"], target, stimuli)
    >>> loss = 20.0 * regularizer.loss()
    >>> loss.backward()
    """

    similarity: Tensor
    stimuli: Tensor
    step: Tensor

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str],
        similarity: ArrayLike | Tensor,
        stimuli: Tensor | NDArray[Any],
        *,
        n_pairs: int = 16,
        all_pairs: bool = False,
        half: bool = True,
        beta: float = 0.9,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layers = _check_layers(model, layers)
        images = torch.as_tensor(_validate.images(stimuli, "stimuli"))
        if len(images) < 2:
            raise ValueError("stimuli: got 1 image, expected at least two")
        if n_pairs < 1:
            raise ValueError(f"n_pairs: got {n_pairs}, expected at least 1")
        self.n_pairs = n_pairs
        self.all_pairs = all_pairs
        self.seed = _validate.seed(seed)
        self._model = [model]  # in a list, lest it become a submodule
        self.criterion = SimilarityLoss(len(self.layers), half=half, beta=beta)
        target = _check_similarity(similarity, len(images))
        self.register_buffer("similarity", target, persistent=False)
        self.register_buffer("stimuli", images.detach(), persistent=False)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self._order: tuple[int, NDArray[np.int64]] | None = None
        self.to(_device(model))

    @property
    def model(self) -> nn.Module:
        """The user's model."""
        if not self._model:
            raise RuntimeError("the regularizer is closed and has let go of its model")
        return self._model[0]

    def close(self) -> None:
        """Let go of the model; it carries no hooks outside `loss`."""
        self._model.clear()

    def __enter__(self) -> Self:
        """Return the regularizer, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def loss(self) -> Tensor:
        """Pass one draw of stimuli through the model and compare similarities.

        Returns
        -------
        Tensor, 0-dimensional
            Differentiable in the model's parameters and the layer weights.

        Raises
        ------
        ModelError
            If a layer is not reached, returns no tensor, or returns NaN or
            infinity: the message names the layer and the step.
        """
        images, pairs = self._draw()
        features = self._features(self.stimuli[images])
        if pairs is None:
            target = self.similarity[images][:, images]
        else:
            target = self.similarity[images[pairs[:, 0]], images[pairs[:, 1]]]
        try:
            loss: Tensor = self.criterion(features, target, pairs)
        except _neurofreq.ModelError:
            self._name_bad_layer(features)
            raise
        if self.training:
            self.step += 1
        return loss

    forward = loss

    def extra_repr(self) -> str:
        """Describe the settings in one line."""
        kind = "all pairs of images" if self.all_pairs else "pairs"
        number = 2 * self.n_pairs if self.all_pairs else self.n_pairs
        return f"layers={self.layers}, {number} {kind} of {len(self.stimuli)} stimuli"

    def _draw(self) -> tuple[Tensor, Tensor | None]:
        """Return distinct image indices and, unless all pairs, pairs of positions."""
        n = len(self.stimuli)
        device = self.stimuli.device
        if self.all_pairs:
            images = self._next(n, min(2 * self.n_pairs, n))
            return torch.from_numpy(images).to(device), None
        ranks = self._next(n * (n - 1) // 2, self.n_pairs)
        images, positions = np.unique(_unrank(ranks), return_inverse=True)
        pairs = positions.reshape(-1, 2).astype(np.int64)
        return torch.from_numpy(images).to(device), torch.from_numpy(pairs).to(device)

    def _next(self, n: int, count: int) -> NDArray[np.int64]:
        """Return this step's `count` of n items, or what is left of the order."""
        per_order = math.ceil(n / count)
        if self.all_pairs and n % count == 1:
            per_order -= 1  # one image alone makes no pair
        order, part = divmod(int(self.step), per_order)
        if self._order is None or self._order[0] != order:
            rng = np.random.default_rng((self.seed, order))
            self._order = order, rng.permutation(n)
        return self._order[1][part * count : (part + 1) * count]

    def _features(self, images: Tensor) -> list[Tensor]:
        """Return the outputs of the layers, with graph, from one pass."""
        outputs: dict[str, Any] = {}
        modules = dict(self.model.named_modules())
        with ExitStack() as hooks:
            for name in self.layers:

                def keep(_: Any, __: Any, output: Any, name: str = name) -> None:
                    outputs[name] = output

                hooks.enter_context(modules[name].register_forward_hook(keep))
            self.model(images.to(_device(self.model)))
        for name in self.layers:
            if name not in outputs:
                raise _neurofreq.ModelError(
                    f"layers: {name!r} was not reached by the model's forward pass"
                )
            if not isinstance(outputs[name], Tensor):
                raise _neurofreq.ModelError(
                    f"layers: {name!r} returned {type(outputs[name]).__name__}, "
                    "expected a Tensor"
                )
        return [outputs[name] for name in self.layers]

    def _name_bad_layer(self, features: list[Tensor]) -> None:
        for name, output in zip(self.layers, features, strict=True):
            if not torch.isfinite(output.detach()).all():
                raise _neurofreq.ModelError(
                    f"features: got NaN or infinite values in layer {name!r} "
                    f"at step {int(self.step)}, expected finite ones"
                ) from None


def _device(model: nn.Module) -> torch.device:
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _unrank(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs i < j, shape (P, 2), of ranks in column-by-column order.

    Pair (i, j) has rank j (j - 1) / 2 + i. The root is exact to one step for
    any number of images below 2^26, and that step is corrected.
    """
    j = ((1.0 + np.sqrt(1.0 + 8.0 * ranks)) / 2.0).astype(np.int64)
    j -= j * (j - 1) // 2 > ranks
    j += j * (j + 1) // 2 <= ranks
    return np.stack([ranks - j * (j - 1) // 2, j], axis=1)


def _check_layers(model: nn.Module, layers: Sequence[str]) -> list[str]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}, expected an nn.Module")
    if isinstance(layers, str):
        raise TypeError("layers: got a single string, expected a sequence of names")
    names = list(layers)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"layers: got {names}, expected distinct names, at least one")
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, 3, 0.0)
            raise ValueError(
                f"layers: the model has no {name!r}; the nearest names are "
                f"{', '.join(map(repr, nearest)) or 'none'}"
            )
    return names


def _check_similarity(similarity: ArrayLike | Tensor, n: int) -> Tensor:
    """Return the target as float32, clipped to [-1, 1]."""
    matrix = _validate.similarity(similarity)
    if len(matrix) != n:
        raise ValueError(
            f"similarity: got shape {matrix.shape}, expected ({n}, {n}), "
            "one row and column per stimulus"
        )
    return torch.from_numpy(matrix).float()
