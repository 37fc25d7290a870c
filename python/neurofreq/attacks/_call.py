"""The call that all attacks share: arguments checked, model guarded, result built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq.attacks._options import Options, unit_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array


class AttackResult(NamedTuple):
    """What an attack found, one entry per image.

    Attributes
    ----------
    adversarial : ndarray or Tensor, shape (N, C, H, W)
        The nearest adversarial image found, in [0, 1], where possible lengthened
        by a ten-thousandth so that rounding does not undo it; every one was
        confirmed by a last query. The clean image where there is none.
    distance : ndarray or Tensor of float, shape (N,)
        The norm of ``adversarial - images`` in pixel units of [0, 1]; infinite
        where there is none.
    success : ndarray or Tensor of bool, shape (N,)
        Whether `adversarial` is adversarial.
    n_queries : ndarray or Tensor of int64, shape (N,)
        How often the image, or a point on its way, was sent to the model.
    status : ndarray of str, shape (N,)
        How the search ended. A search that ended early may still have
        succeeded: see `success`.

        - ``"completed"``: the attack ran to its end.
        - ``"already_adversarial"``: the clean image is; distance 0.
        - ``"no_start"``: no adversarial starting point was found.
        - ``"bad_start"``: the given starting point is not adversarial.
        - ``"not_finite"``: the model returned NaN or infinity.
        - ``"zero_gradient"``: the gradient vanished.
        - ``"unconfirmed"``: the last query did not confirm any point.
    n_gradients : ndarray or Tensor of int64, shape (N,)
        How many of the queries asked for a gradient too.
    trajectory : tuple of ndarray of float64, shape (K, 2), or None
        Where it was asked for: the queries so far and the distance at each
        improvement, per image, before the confirmation.
    """

    adversarial: Any
    distance: Any
    success: Any
    n_queries: Any
    status: NDArray[np.str_]
    n_gradients: Any
    trajectory: tuple[NDArray[np.float64], ...] | None = None


class Attack(ABC):
    """An attack with its settings: call it on a model, images and labels."""

    norm: str
    needs_gradient: ClassVar[bool] = True

    def __call__(
        self,
        model: calling.Model,
        images: Array,
        labels: Any,
        *,
        targets: Any = None,
        criterion: Callable[..., torch.Tensor] | None = None,
        margin: float = 0.0,
        min_probability: float = 0.0,
        starting_points: Array | None = None,
        candidates: Array | None = None,
        seed: int = 0,
        first_index: int = 0,
        batch_size: int = 128,
        deterministic: bool = False,
        channels_last: bool = False,
        autocast: torch.dtype | None = None,
        trajectory: bool = False,
        progress: bool = False,
    ) -> AttackResult:
        """Attack every image.

        Parameters
        ----------
        model : callable
            Maps a batch (n, C, H, W) to logits (n, n_classes), differentiably.
            An ``nn.Module`` is run in evaluation mode, where its parameters
            are, and left as found: parameters, gradients, flags and modes. Any
            other is given its images where they are. Normalisation belongs
            inside. A warning tells of a model whose answers change from call to
            call (dropout outside of modules), or with the images beside (batch
            statistics), and of probabilities in place of logits. Outputs with
            ``.logits``, as those of transformers, are taken.
        images : ndarray or Tensor, shape (N, C, H, W)
            float32 or float64 in [0, 1], the dtype the model takes. Values
            out of range by at most 1e-6 are clipped.
        labels : array_like of int, shape (N,)
            The true classes.
        targets : array_like of int, shape (N,), optional
            The classes to reach, none equal to its label. By default any
            class but the label will do.
        criterion : callable, optional
            Your own criterion in place of labels and targets:
            ``criterion(images, logits)`` or ``criterion(images, logits, index)``
            returns a float tensor (n,), negative exactly where an image is
            adversarial and differentiable (attacks without gradients take
            booleans too). A batch holds some of the images: `index` (n,) says
            which, counted from `first_index`. It is given to a criterion whose
            third parameter is named "index" or has no default.
        margin : float
            By how much the logit of the adversarial class must exceed every
            other.
        min_probability : float
            The least softmax probability of the adversarial class, in [0, 1).
        starting_points : ndarray or Tensor, shape (N, C, H, W), optional
            An adversarial image for each image.
        candidates : ndarray or Tensor, shape (M, C, H, W), optional
            A pool of images: each image starts from one, drawn at random among
            those that the model takes for the target (or for another class than
            the label), or among all where there is a `criterion`. Those that are
            not adversarial are passed over until the pool is used up, which
            takes a query each. By default a start is sought along the image's
            own gradient and then in noise.
        seed : int
            Selects the random streams, one per image.
        first_index : int
            Position of the first image in the data set. An image's stream
            belongs to its position, so parts of a data set attacked one by
            one give the results of the whole.
        batch_size : int
            Images per pass through the model. Twice as many are under way.
        deterministic : bool
            Send every image alone, so that results are equal bit for bit
            whatever the split into batches (on the CPU; slower). Otherwise a
            model may round differently in batches of another size.
        channels_last : bool
            Give the model its images in this memory format.
        autocast : torch.dtype, optional
            Run the model under autocast in this dtype, for example
            ``torch.bfloat16``; logits become float32 again.
        trajectory : bool
            Return how the distance of each image fell.
        progress : bool
            Show a progress bar.

        Returns
        -------
        AttackResult
            NumPy arrays for a NumPy array, tensors on the device of `images`
            for a tensor.

        Raises
        ------
        TypeError
            Wrong types or dtypes; a model that refuses images because they are
            not of its parameters' dtype.
        ValueError
            Wrong shapes or values, labels that the model does not have, a
            target equal to its label.
        ModelError
            If the model returns something other than logits. What the model
            raises passes through unchanged.
        """
        from tqdm.auto import tqdm

        validate.model(model)
        pixels = unit_images(images, "images")
        labels, targets = _classes(labels, targets, len(pixels))
        options = self._options(
            criterion=criterion, margin=margin, min_probability=min_probability,
            starting_points=starting_points, candidates=candidates, seed=seed,
            first_index=first_index, batch_size=batch_size,
            deterministic=deterministic, channels_last=channels_last,
            autocast=autocast, trajectory=trajectory, progress=progress,
        )  # fmt: skip
        device = calling.device_of(model, pixels)
        source, points = self._source(pixels, options, device)
        task = Task(
            images=calling.to_tensor(pixels, device),
            labels=labels.tolist(),
            targets=None if targets is None else targets.tolist(),
            is_custom=options.judge is not None,
            margin=options.margin,
            probability=options.min_probability,
            norm=self.norm,
            source=source,
            points=points,
            n_starts=getattr(self, "n_starts", 1),
            n_bisections=getattr(self, "binary_search_steps", 10),
            seed=options.seed,
            first_index=options.first_index,
            batch_size=options.batch_size,
            is_deterministic=options.deterministic,
        )
        with (
            calling.evaluating(model),
            torch.inference_mode(False),
            torch.enable_grad(),
            tqdm(
                total=len(pixels) * self.planned,
                unit="step",
                disable=not options.progress,
            ) as bar,
        ):
            asked = calling.tried(
                model, task.images, alone=task.is_deterministic,
                as_logits=self.needs_gradient and not task.is_custom,
                autocast=options.autocast, channels_last=options.channels_last,
            )  # fmt: skip
            callables = Callables(asked, options.judge, bar.update)
            found = self._run(callables, task)
        return _result(images, found, options.trajectory)

    def _plain(
        self,
        *,
        counts: tuple[str, ...] = (),
        numbers: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
    ) -> None:
        """Require settings of these types, and keep them as Python's."""
        for name in flags:
            flag = validate.flag(name, getattr(self, name))
            object.__setattr__(self, name, flag)
        for name in counts:
            least = 0 if name == "restarts" else 1
            whole = validate.count(name, getattr(self, name), least)
            object.__setattr__(self, name, whole)
        for name in numbers:
            value = validate.number(name, getattr(self, name))
            object.__setattr__(self, name, value)

    @property
    @abstractmethod
    def planned(self) -> int:
        """The most answers the attack itself takes per image, for progress bars."""

    @abstractmethod
    def _run(self, callables: Callables, task: Task) -> tuple[Any, ...]:
        """Run the kernel."""

    def _options(self, **given: Any) -> Options:
        """Return the options of a call, checked; none of them needs the images."""
        known = [one.name for one in fields(Options)]
        for name in given:
            if name not in known:
                raise TypeError(f"{name}: got it, expected some of {', '.join(known)}")
        return Options(**given)

    def _source(
        self, images: Array, options: Options, device: torch.device
    ) -> tuple[str, torch.Tensor | None]:
        """Name the source of starts, with its images."""
        if options.starting_points is not None:
            points = options.starting_points
            return "given", _like(images, points, "starting_points", device)
        if options.candidates is not None:
            return "pool", _like(images, options.candidates, "candidates", device)
        if not self.needs_gradient:
            return "noise", None
        return ("scatter" if getattr(self, "scatter", False) else "climb"), None


@dataclass(frozen=True)
class Task:
    """The checked arguments of one call, as Rust reads them."""

    images: torch.Tensor
    labels: list[int]
    targets: list[int] | None
    is_custom: bool
    margin: float
    probability: float
    norm: str
    source: str
    points: torch.Tensor | None
    n_starts: int
    n_bisections: int
    seed: int
    first_index: int
    batch_size: int
    is_deterministic: bool


@dataclass(frozen=True)
class Callables:
    """What Rust calls."""

    model: Any
    criterion: Any
    advance: Callable[[int], object]


def _like(
    images: Array, points: Array, name: str, device: torch.device
) -> torch.Tensor:
    """Require images of the kind of `images`; candidates may be more."""
    first = images if name == "starting_points" else images[:1]
    validate.same(first, points[: len(first)], ("images", name))
    if name == "starting_points" and len(points) != len(images):
        raise ValueError(f"{name}: got {len(points)}, expected {len(images)}")
    return calling.to_tensor(points, device)


def _classes(
    labels: Any, targets: Any, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Check labels and targets against each other."""
    labels = validate.labels(labels, count=count)
    if targets is None:
        return labels, None
    targets = validate.labels(targets, "targets", count=count)
    same = np.flatnonzero(targets == labels)
    if same.size:
        at = int(same[0])
        raise ValueError(
            f"targets: got {targets[at]} for image {at}, its own label, "
            "expected another class"
        )
    return labels, targets


def _result(
    images: Array, found: tuple[Any, ...], wants_trajectory: bool
) -> AttackResult:
    """Return findings in the kind of the images."""
    adversarial, distance, success, n_queries, n_gradients, status, steps = found

    def own(part: torch.Tensor) -> Any:
        if isinstance(images, torch.Tensor):
            return part.to(images.device)
        return part.cpu().numpy()

    trajectory = tuple(np.array(one, dtype=np.float64).reshape(-1, 2) for one in steps)
    return AttackResult(
        adversarial=own(adversarial),
        distance=own(torch.tensor(distance, dtype=adversarial.dtype, device="cpu")),
        success=own(torch.tensor(success, device="cpu")),
        n_queries=own(torch.tensor(n_queries, device="cpu")),
        status=np.array(status, dtype=np.str_),
        n_gradients=own(torch.tensor(n_gradients, device="cpu")),
        trajectory=trajectory if wants_trajectory else None,
    )
