"""Co-training with neural responses: a read-out on the trunk, and learned weights."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from neurofreq import _neurofreq
from neurofreq._shared import runtime
from neurofreq._shared.files import storage
from neurofreq._shared.inputs import containers, validate
from neurofreq._shared.networks import calling, passes
from neurofreq.neural import Responses, image_names
from neurofreq.neural.network import PointReadout
from neurofreq.regularize.attached import Attached, Deferred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


class CoTraining(Attached):
    """Predict responses from a layer of the model while it learns to classify.

    Each call of `loss` passes a batch of stimuli through the model up to `layer`,
    reads every neuron's response at its Gaussian position, and returns the mean
    squared error. `total` adds this error and the cross-entropy, with weights from
    two learned log variances.

    Parameters
    ----------
    model : nn.Module
        Your model, as in `nf.SimilarityRegularizer`.
    layer : str
        Submodule whose output (N, C, H, W) is shared. The stimuli pass ends there.
    responses : array_like or Tensor of float, shape (N, K), or Responses
        Responses of K neurons to N >= 2 images, finite. If a recording is too small to
        train on, use the predictions of `nf.neural.PredictiveModel` (denoised, as in
        the paper). The axes of containers are found by their names, as in
        `nf.neural.Responses`, and their trials are averaged. Their images must be the
        stimuli, in the same order (see `nf.neural.Target.require_images`).
    stimuli : Tensor or ndarray, shape (N, C, H, W)
        The images of these responses, as the model takes them: in [0, 1], or
        standardized by you. Every pass converts them to the current type of the
        model's parameters.
    batch_size : int
        Stimuli per step.
    positive : bool
        Whether predictions and responses are at least 0. For the weighted sum of
        features plus a bias, z, predictions are ``ELU(z) + 1`` if True, and z if False.
    seed : int
        Seed of the read-out's initial weights, the order of stimuli and the positions
        drawn in training. Step s of a seed is always the same.
    source : str
        Source of the responses, which a run stores in its settings.

    Attributes
    ----------
    target : str
        The source.
    log_variance : Parameter, shape (2,)
        Log variances of classification and of responses, initially 0.
    readout : nn.Module
        Position, width and channel weights of every neuron.
    step : int64 buffer
        Steps taken in training mode.

    Raises
    ------
    TypeError
        If `model` is not a module, or `stimuli` have another dtype.
    ValueError
        Responses that are not finite or not as many as the stimuli, negative
        responses with `positive`, fewer than two images, a neuron that never fires
        (no variance), an unknown layer, a container whose axes cannot be identified,
        or names of images that differ from the stimuli or are in another order.
    ModelError
        If the layer's output is not (N, C, H, W).

    Notes
    -----
    ``total = exp(-s_c) CE + s_c / 2 + exp(-s_n) / 2 MSE + s_n / 2``. Responses are
    divided by their standard deviation over all neurons and images, so that the
    loss has no unit.

    Differences from the paper: this division, and the initial width of positions,
    which is 0.3.

    References
    ----------
    Safarani et al. 2021, arXiv 2107.14344: VGG19 with batch norm, shared up to the
    ReLU of conv3-1.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> stimuli = nf.data.load_data("synthetic", n=16).images
    >>> responses = nf.neural.simulate_v1(stimuli, n_neurons=8).mean(axis=0)
    >>> model = nf.models.small_cnn()
    >>> regularizer = nf.training.CoTraining(
    ...     model, "network.stage2", responses, stimuli, batch_size=8
    ... )
    >>> loss = regularizer.loss()
    >>> loss.shape, regularizer.target
    (torch.Size([]), 'responses')
    """

    responses: Tensor
    term = "responses"

    def __init__(
        self,
        model: nn.Module,
        layer: str,
        responses: ArrayLike | Tensor,
        stimuli: Tensor | NDArray[Any],
        *,
        batch_size: int = 128,
        positive: bool = True,
        seed: int = 0,
        source: str = "responses",
    ) -> None:
        if not isinstance(layer, str):
            raise TypeError(f"layer: got {type(layer).__name__}, expected one name")
        super().__init__(model, [layer], stimuli, "layer")
        batch_size = validate.count("batch_size", batch_size)
        positive = validate.flag("positive", positive)
        source = validate.text("source", source)
        truth = _check_responses(responses, stimuli, positive)
        self.batch_size = min(batch_size, len(self.stimuli))
        self.seed = validate.seed(seed) % 2**62
        self.layer = layer
        self.target = source
        self.register_buffer("responses", truth / truth.std(), persistent=False)
        self.log_variance = nn.Parameter(torch.zeros(2, device=truth.device))
        n_channels = self._channels()
        with runtime.seeded(self.seed):
            mean = self.responses.mean(0)
            self.readout = PointReadout(mean, n_channels, 1, positive)
        self.to(calling.device_of(model))

    @passes.uncompiled
    def loss(self) -> Tensor:
        """Pass one draw of stimuli up to the layer; return the mean squared error.

        Returns
        -------
        Tensor, 0-dimensional
            float32; differentiable in the trunk and the read-out.

        Raises
        ------
        ModelError
            If the layer is not reached, or its output has no row per image, has no
            graph (see `nf.SimilarityRegularizer.loss`), or is NaN or infinite. The
            message names the layer.
        """
        return self._settled(self.deferred(self._sent()))

    forward = loss

    def joint(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raise ValueError: stimuli use only the trunk, but images the whole model."""
        raise ValueError(
            "joint: got True, expected False for co-training: stimuli pass through "
            "the shared layers alone"
        )

    def drawn(self) -> list[Tensor]:
        """Return the stimuli of this step and, in training mode, normal deviates."""
        index = self._draw()
        if not self.training:
            return [index]
        draws = torch.Generator("cpu").manual_seed(self.seed + self.count)
        shape = self.readout.position.shape
        return [index, torch.randn(shape, generator=draws, device="cpu")]

    @passes.uncompiled
    def deferred(
        self, drawn: Sequence[Tensor], images: Tensor | None = None
    ) -> Deferred:
        """Compute the loss of a draw on the device, without a wait for the device."""
        if images is not None:
            self.joint(images)
        index, *noise = drawn
        _, (features,) = self._reader.of(self._shown(index), whole=False)
        peak = features.detach().abs().amax()
        if self.responses.device != features.device:
            self.to(features.device)  # the model was moved later
        with torch.autocast(features.device.type, enabled=False):
            predicted = self.readout(features.float(), noise[0] if noise else None)
            truth = self.responses.index_select(0, index.to(features.device))
            return Deferred(mse_loss(predicted, truth), peak, [features], [])

    def explain(self, later: Deferred) -> None:
        """Raise ModelError that names the layer."""
        raise _neurofreq.ModelError(self.told([math.nan], self.count))

    def told(self, flags: Sequence[float], step: int) -> str | None:
        """Return the message for the values of `flags`."""
        if math.isfinite(flags[0]):
            return None
        return (
            f"features: got NaN or infinite values in layer {self.layer!r} "
            f"at step {step}, expected finite ones"
        )

    def total(self, classification: Tensor, loss: Tensor, alpha: float) -> Tensor:
        """Return the sum of both losses with the learned weights; alpha is not used.

        For a distributed model, the cross-entropy is averaged over processes, so that
        all processes learn the same variance. The model's gradient in each process is
        that of the process's own cross-entropy.
        """
        del alpha
        classification = self._ranks.mean(classification)
        classes, neurons = self.log_variance
        return (
            torch.exp(-classes) * classification
            + classes / 2
            + torch.exp(-neurons) / 2 * loss
            + neurons / 2
        )

    def figures(self) -> dict[str, float]:
        """Return the values that a learning curve should show beside the loss."""
        classes, neurons = self.log_variance.tolist()
        return {
            "log variance of classes": classes,
            "log variance of responses": neurons,
        }

    def digest(self) -> str:
        """Return a digest of everything that decides the loss besides the model."""
        text = repr((self.layer, self.batch_size, self.readout.positive, self.seed))
        text += storage.data_digest(self.responses, self.stimuli)
        return hashlib.sha256(text.encode()).hexdigest()

    def extra_repr(self) -> str:
        """Describe the settings in one line."""
        n, k = self.responses.shape
        return f"layer={self.layer!r}, {k} neurons, {self.batch_size} of {n} stimuli"

    def _channels(self) -> int:
        """Return the number of channels of the layer's output."""
        first = torch.arange(2, device=self.stimuli.device)
        with calling.evaluating(self.model), torch.no_grad():
            _, (features,) = self._reader.of(self._shown(first), whole=False)
        if features.ndim != 4:
            raise _neurofreq.ModelError(
                f"layer: {self.layer!r} returned shape {tuple(features.shape)}, "
                "expected (N, C, H, W)"
            )
        return int(features.shape[1])

    def _draw(self) -> Tensor:
        """Return this step's stimuli, the next batch of a random order.

        No stimulus is repeated within an order. A last part of an order that is smaller
        than a batch is not used; then a new order begins.
        """
        per_order = len(self.stimuli) // self.batch_size
        order, part = divmod(self.count, per_order)
        index = np.random.default_rng((self.seed, order)).permutation(len(self.stimuli))
        first = part * self.batch_size
        return torch.from_numpy(index[first : first + self.batch_size])


def _check_responses(responses: Any, stimuli: Any, positive: bool) -> Tensor:
    """Return responses (N, K) to the stimuli, or raise."""
    values, names = mean_responses(responses)
    truth = calling.as_tensor(validate.real(values, "responses", np.float32))
    n = len(stimuli)
    if truth.ndim != 2 or len(truth) != n or n < 2 or 0 in truth.shape:
        raise ValueError(
            f"responses: got shape {tuple(truth.shape)}, expected ({max(n, 2)}, K), "
            "one row per stimulus, with at least two stimuli and one neuron"
        )
    image_names.require(names, n, stimuli, "stimuli", "responses")
    if not torch.isfinite(truth).all():
        raise ValueError("responses: got NaN or infinite values, expected finite ones")
    if positive and truth.min() < 0.0:
        raise ValueError(
            f"responses: got {float(truth.min()):.3g}, expected 0 or more: with "
            "positive=True, predictions are never negative"
        )
    silent = torch.nonzero(truth.std(0) == 0.0).flatten().tolist()
    if silent:
        raise ValueError(
            f"responses: got neurons that never differ between images, {silent[:5]}; "
            "leave them out"
        )
    return truth


def mean_responses(responses: Any) -> tuple[Any, NDArray[Any] | None]:
    """Return the mean over trials of a container, and the names of its images.

    Arrays and tensors are returned unchanged.
    """
    named = responses
    if not isinstance(responses, Responses):
        named = containers.read(responses, "responses")
    if named is None:
        return responses, None
    trials = named.trials
    if np.isinf(trials).any() or np.isnan(trials).all(0).any():
        raise ValueError("responses: got NaN or infinite values, expected finite ones")
    return np.nanmean(trials, axis=0), named.images
