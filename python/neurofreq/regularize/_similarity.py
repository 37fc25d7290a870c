"""Pull the similarities of your own network towards a target."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from neurofreq import _neurofreq
from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling, passes
from neurofreq.neural import Target, image_names
from neurofreq.neural.target import named_similarity
from neurofreq.regularize._loss import OVERFLOW, SimilarityLoss
from neurofreq.regularize.attached import Attached, Deferred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from neurofreq.data import ImageSet


class SimilarityRegularizer(Attached):
    """Similarity loss of a model on stimuli whose target similarities are known.

    Each call of `loss` draws some stimuli, passes them through the model once,
    and compares the similarities of the named layers' outputs with the target.
    Add its result to the loss of your training loop.

    Parameters
    ----------
    model : nn.Module
        Your model. It is not a submodule of the regularizer (`parameters` does not
        contain its parameters), is not moved, and keeps its training mode. If you
        move it, the regularizer follows. It has hooks only while `loss` runs. `close`,
        or the end of a ``with`` block, releases the model. See Notes for a
        distributed or compiled model.
    layers : sequence of str or "auto"
        Names of submodules, as in ``dict(model.named_modules())``, whose outputs
        are compared. If a module is called more than once, its last output is used.
        "auto" takes the stem and stages of a ResNet after their ReLU (convolutions
        1, 5, 9, 13 and 17 of a ResNet18, as in the paper), or the inputs of a VGG's
        max-pooling layers.
    similarity : array_like of float, shape (N, N)
        Target similarities of the stimuli in [-1, 1], symmetric: for example
        `response_similarity` of recorded responses.
    stimuli : Tensor, ndarray or ImageSet, shape (N, C, H, W)
        The images that evoked the responses, as the model takes them: in [0, 1],
        or standardized by you if the model does not do this itself. float32 or
        float64; every pass converts them to the current type of the model's
        parameters. Their size may differ from that of the training images. If the
        target has names of its images, an `ImageSet` of files in another order is
        refused.
    n_pairs : int
        Pairs of images per step. Pairs are drawn without replacement from all
        N (N - 1) / 2; after all pairs were used, a new order begins.
    all_pairs : bool
        Whether to draw ``2 * n_pairs`` images without replacement and compare all of
        their pairs. This gives more comparisons for the same forward pass.
    half : bool
        Whether arctanh has its factor 1/2, see `similarity_loss`.
    beta : float
        Persistence of the running means, see `SimilarityLoss`.
    seed : int
        Seed of the order of pairs or images. Step s of a seed is always the same.

    Attributes
    ----------
    criterion : SimilarityLoss
        Holds the layer weights, the only parameters: give ``parameters()`` to
        the optimizer beside the model's own.
    target : str or None
        The label of `similarity` if it is a `neural.Target`.
    step : int64 buffer
        Steps taken in training mode. It is part of ``state_dict``, so that a resumed
        run draws the same stimuli as an uninterrupted run.

    Raises
    ------
    TypeError
        If `model` is not a module, or `stimuli` have another dtype.
    ValueError
        Fewer than two images, stimuli in [0, 255], a layer that does not exist
        (the message suggests the nearest names), or a similarity matrix that is not
        square, not symmetric, not in [-1, 1], not finite, or for a number of images
        that differs from the number of stimuli.

    Notes
    -----
    The stimuli pass uses the model's current mode. In training mode it also updates
    batch-norm statistics, as in joint training of the paper.

    With a ``DistributedDataParallel`` model, every process draws the same stimuli and
    passes its share through the wrapped module; features are gathered with their
    gradient. Averaged over processes, the gradients are those of a single process
    with all stimuli. Batch norm sees only the share of its process. With a model that
    is compiled, completely or in part, the stimuli pass runs eagerly, because
    compiled code ignores hooks. Your own calls stay compiled.

    Under autocast, and with a model in half precision, the model's pass is in half
    precision and the loss in float32. If the regularizer is cast to 16 bits, target,
    running means and layer weights stay in float32.

    The first call of `loss` in training mode, and the first in evaluation mode, pass
    two or three more stimuli, to check that the rows of each layer's output are images.
    This pass does not change buffers or random state.

    Differences from the paper: the options `all_pairs`, `half` and `joint`. Without
    them, training is as the paper's joint training, with 16 pairs (up to 32 images) per
    step. An image in several pairs passes through the model once, and counts once in
    running means and batch norm.

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
    >>> model[0].weight.grad.shape
    torch.Size([4, 1, 3, 3])
    """

    similarity: Tensor
    term = "similarity"

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str] | str,
        similarity: ArrayLike | Tensor,
        stimuli: Tensor | NDArray[Any] | ImageSet,
        *,
        n_pairs: int = 16,
        all_pairs: bool = False,
        half: bool = True,
        beta: float = 0.9,
        seed: int = 0,
    ) -> None:
        super().__init__(model, layers, stimuli)
        if isinstance(similarity, Target):
            similarity.require_images(stimuli)
        elif (images := named_similarity(similarity, "similarity")[1]) is not None:
            image_names.require(images, len(images), stimuli, "stimuli")
        self.layers = self._reader.layers
        if len(self.stimuli) < 2:
            raise ValueError("stimuli: got 1 image, expected at least two")
        self.n_pairs = validate.count("n_pairs", n_pairs)
        self.all_pairs = validate.flag("all_pairs", all_pairs)
        self.seed = validate.seed(seed)
        self.criterion = SimilarityLoss(len(self.layers), half=half, beta=beta)
        self.target = getattr(similarity, "label", None)
        target = _check_similarity(similarity, len(self.stimuli))
        self.register_buffer("similarity", target, persistent=False)
        self._order: tuple[int, NDArray[np.int64]] | None = None
        self.to(calling.device_of(model))

    @passes.uncompiled
    def loss(self) -> Tensor:
        """Pass one draw of stimuli through the model and compare similarities.

        Returns
        -------
        Tensor, 0-dimensional
            Differentiable in the model's parameters and the layer weights.

        Raises
        ------
        ModelError
            If a layer is not reached, does not return a tensor with a row per image,
            is changed in place by a later module, ran without gradients although
            they are enabled, or returns NaN or infinity. The message names the
            layer. Also if no layer has a trainable parameter before it.
        """
        return self._settled(self.deferred(self._sent()))

    forward = loss

    @passes.uncompiled
    def joint(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pass your batch and a draw of stimuli through the model as one batch.

        Parameters
        ----------
        images : Tensor, shape (N, C, H, W)
            With the stimuli's channels, height and width.

        Returns
        -------
        logits : Tensor, shape (N, n_classes)
            The logits of `images`.
        loss : Tensor, 0-dimensional
            As `loss`.

        Raises
        ------
        TypeError, ValueError
            If images are not a tensor or do not have the shape of the stimuli. Also if
            the model runs in several processes, because gradients would not be
            averaged.
        ModelError
            As `loss`.

        Notes
        -----
        Faster than two passes, but different from the paper: in training mode, batch
        norm computes its statistics over images and stimuli together.
        """
        later = self.deferred(self._sent(), images)
        loss = self._settled(later)
        return cast("Tensor", later.logits), loss

    def total(self, classification: Tensor, loss: Tensor, alpha: float) -> Tensor:
        """Return cross-entropy + alpha * loss, which `training_step` minimizes."""
        return classification + alpha * loss

    def figures(self) -> dict[str, float]:
        """Return the values that a learning curve should show beside the loss."""
        weights = self.criterion.layer_weights.tolist()
        return {
            f"weight of {layer}": weight
            for layer, weight in zip(self.layers, weights, strict=True)
        }

    def digest(self) -> str:
        """Return a digest of everything that decides the loss besides the model."""
        settings = repr((self.layers, self.n_pairs, self.all_pairs, self.seed))
        settings += f"{self.criterion.extra_repr()}"
        text = settings + storage.data_digest(self.similarity, self.stimuli)
        return hashlib.sha256(text.encode()).hexdigest()

    def extra_repr(self) -> str:
        """Describe the settings in one line."""
        kind = "all pairs of images" if self.all_pairs else "pairs"
        number = 2 * self.n_pairs if self.all_pairs else self.n_pairs
        return f"layers={self.layers}, {number} {kind} of {len(self.stimuli)} stimuli"

    def drawn(self) -> list[Tensor]:
        """Return the draw of this step as tensors on the host.

        First the stimuli that this process shows, then all drawn stimuli. Without
        `all_pairs`, also the pairs as flat indices: in the matrix of the drawn stimuli,
        and in the matrix of all stimuli.
        """
        images, pairs = self._draw()
        shown = torch.from_numpy(self._ranks.share(images))
        drawn = [shown, torch.from_numpy(images)]
        if pairs is not None:
            first, second = images[pairs]
            drawn.append(torch.from_numpy(len(images) * pairs[0] + pairs[1]))
            drawn.append(torch.from_numpy(len(self.stimuli) * first + second))
        return drawn

    @passes.uncompiled
    def deferred(
        self, drawn: Sequence[Tensor], images: Tensor | None = None
    ) -> Deferred:
        """Compute the loss of a draw on the device, without a wait for the device.

        Parameters
        ----------
        drawn : sequence of Tensor
            Result of `drawn`, on any device.
        images : Tensor, optional
            Images that share the pass, as in `joint`.
        """
        shown, logits, n = self._shown(drawn[0]), None, 0
        if images is not None:
            self._check_joint(images)
            n, shown = len(images), torch.cat([images, shown.to(images)])
        output, features = self._reader.of(shown)
        if images is not None:
            logits = calling.logits_of(output)
            if logits.shape[:1] != (len(shown),):
                raise _neurofreq.ModelError(
                    f"model: returned {tuple(logits.shape)} for {len(shown)} images, "
                    "expected a row for each"
                )
            features, logits = [f[n:] for f in features], logits[:n]
        device = features[0].device
        target, index = self._known([one.to(device) for one in drawn[1:]])
        whole = [self._ranks.gather(layer, len(drawn[1])) for layer in features]
        loss, means = self.criterion.deferred(whole, target, index)
        return Deferred(loss, loss.detach(), whole, means, logits)

    def explain(self, later: Deferred) -> None:
        """Raise ModelError that names the layer."""
        good = [layer.detach().isfinite().all() for layer in later.features]
        flags = [0.0 if is_good else math.nan for is_good in good]
        text = self.told([math.nan, *flags], self.count)
        raise _neurofreq.ModelError(text)

    def flags(self, later: Deferred) -> list[Tensor]:
        """Return the loss and, in training mode, the length of each layer's mean."""
        lengths = torch._foreach_norm(later.means) if later.means else ()
        return [later.flag, *lengths]

    def told(self, flags: Sequence[float], step: int) -> str | None:
        """Return the message for the values of `flags`."""
        loss, *layers = flags
        if math.isfinite(loss):
            return None
        for name, flag in zip(self.layers, layers, strict=False):
            if not math.isfinite(flag):
                return (
                    f"features: got NaN or infinite values in layer {name!r} "
                    f"at step {step}, expected finite ones"
                )
        return f"at step {step} of layers {self.layers}: features: {OVERFLOW}"

    def keep(self, later: Deferred) -> None:
        """Store the running means and count the step; only in training mode."""
        self.criterion.keep(later.means)
        super().keep(later)

    def keep_unless(self, bad: Tensor, later: Deferred) -> None:
        """Store the running means on the device unless `bad` is True."""
        self.criterion.keep_unless(bad, later.means)

    def _check_joint(self, images: Any) -> None:
        if not isinstance(images, Tensor):
            raise TypeError(f"images: got {type(images).__name__}, expected a Tensor")
        if self._ranks.size > 1:
            raise ValueError(
                f"joint: got a model that runs in {self._ranks.size} processes, "
                "expected a single process; for several, use two passes (joint=False "
                "in training_step)"
            )
        if images.shape[1:] != self.stimuli.shape[1:]:
            raise ValueError(
                f"images: got shape {tuple(images.shape)}, expected that of the "
                f"stimuli, (N, {', '.join(map(str, self.stimuli.shape[1:]))})"
            )

    def _known(self, drawn: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Return target similarities, and flat indices of pairs; None for all."""
        images, *pairs = drawn
        if self.similarity.device != images.device:
            # The model was moved after the regularizer was built.
            self.to(images.device)
        if not pairs:
            rows = self.similarity.index_select(0, images)
            return rows.index_select(1, images), None
        index, known = pairs
        return self.similarity.view(-1).index_select(0, known), index

    def _draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Return distinct images, and the positions (2, P) of pairs; None for all."""
        n = len(self.stimuli)
        if self.all_pairs:
            return self._next(n, min(2 * self.n_pairs, n)), None
        ranks = self._next(n * (n - 1) // 2, self.n_pairs)
        images, positions = np.unique(_unrank(ranks), return_inverse=True)
        return images, positions.reshape(2, -1)

    def _next(self, n: int, count: int) -> NDArray[np.int64]:
        """Return the next `count` of n items; fewer at the end of a random order."""
        per_order = math.ceil(n / count)
        if self.all_pairs and n % count == 1:
            per_order -= 1  # a single image has no pair
        order, part = divmod(self.count, per_order)
        if self._order is None or self._order[0] != order:
            rng = np.random.default_rng((self.seed, order))
            self._order = order, rng.permutation(n)
        return self._order[1][part * count : (part + 1) * count]


def _unrank(ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs i < j, shape (2, P), of ranks in column-by-column order.

    Pair (i, j) has rank j (j - 1) / 2 + i. For fewer than 2^26 images, rounding changes
    j by at most one, which is corrected.
    """
    j = ((1.0 + np.sqrt(1.0 + 8.0 * ranks)) / 2.0).astype(np.int64)
    j -= j * (j - 1) // 2 > ranks
    j += j * (j + 1) // 2 <= ranks
    return np.stack([ranks - j * (j - 1) // 2, j])


def _check_similarity(similarity: ArrayLike | Tensor, n: int) -> Tensor:
    """Return the target as float32, clipped to [-1, 1]."""
    matrix = validate.similarity(similarity)
    if len(matrix) != n:
        raise ValueError(
            f"similarity: got shape {matrix.shape}, expected ({n}, {n}), "
            "one row and column per stimulus"
        )
    return torch.from_numpy(matrix).float()
