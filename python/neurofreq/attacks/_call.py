"""The call of every attack: check arguments, guard the model, build the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch

from neurofreq import _neurofreq
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq.attacks._options import Options, unit_images
from neurofreq.attacks._task import Callables, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array


class AttackResult(NamedTuple):
    """Result of an attack, one entry per image.

    Attributes
    ----------
    adversarial : ndarray or Tensor, shape (N, C, H, W)
        The nearest adversarial image found, in [0, 1]. If possible, its perturbation is
        lengthened by a factor of 1.0001 so that rounding does not undo it. A last query
        confirmed every adversarial image. If there is none, the clean image.
    distance : ndarray or Tensor of float, shape (N,)
        The norm of ``adversarial - images`` in pixel units of [0, 1]; infinite without
        an adversarial image.
    success : ndarray or Tensor of bool, shape (N,)
        Whether `adversarial` is adversarial.
    n_queries : ndarray or Tensor of int64, shape (N,)
        How often the attack sent the image, or a changed version of it, to the model.
        The check of the model before the attack is not counted.
    status : ndarray of str, shape (N,)
        How the search ended. A search that ended early may still have
        succeeded: see `success`.

        - ``"completed"``: the attack ran to its end.
        - ``"already_adversarial"``: the clean image is adversarial; distance 0.
        - ``"no_start"``: no adversarial starting point was found.
        - ``"bad_start"``: the given starting point is not adversarial.
        - ``"not_finite"``: the model returned NaN or infinity.
        - ``"zero_gradient"``: the gradient vanished.
        - ``"unconfirmed"``: the last query did not confirm any point.
    n_gradients : ndarray or Tensor of int64, shape (N,)
        How many of the queries also computed a gradient.
    trajectory : tuple of ndarray of float64, shape (K, 2), or None
        If requested: for each image, the number of queries and the distance at every
        improvement, before the confirmation.
    shaped : bool
        Whether the attack prefers some frequencies (`Boundary` with "bands" or
        "signs"). If it does, the spectra of the perturbations, such as f_0.5, say
        little about the frequencies that the model uses.
    probe_spectrum : ndarray of float64, shape (N, 2 K), or None
        For `Boundary` with "bands": the learned share of the probes' power in each of K
        bands, from coarse to fine. Each band has two columns: gray (the mean over
        channels) and color. The last band is the difference of pixels from the means of
        blocks of 2 by 2 pixels, the band before it is the difference of these means
        from the means of blocks of 4 by 4 pixels, and so on. The first band is the
        means of at most four blocks.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> labels = model(torch.from_numpy(images)).argmax(1)
    >>> result = nf.attacks.PGD(epsilon=8 / 255, steps=10)(model, images, labels)
    >>> result.status.tolist(), bool(result.distance.max() < 0.04)
    (['completed', 'completed'], True)
    >>> nf.power_spectrum(result.adversarial - images).shape
    (32, 32)
    """

    adversarial: Any
    distance: Any
    success: Any
    n_queries: Any
    status: NDArray[np.str_]
    n_gradients: Any
    trajectory: tuple[NDArray[np.float64], ...] | None = None
    shaped: bool = False
    probe_spectrum: NDArray[np.float64] | None = None


class Attack(ABC):
    """An attack with its settings: call it on a model, images and labels.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> labels = model(torch.from_numpy(images)).argmax(1)
    >>> attack = nf.attacks.BrendelBethge("l2", steps=5)
    >>> isinstance(attack, nf.attacks.Attack), attack.norm
    (True, 'l2')
    >>> result = attack(model, images, labels, seed=0)
    >>> result.adversarial.shape
    (2, 1, 32, 32)
    """

    _method: ClassVar[str]  # the name in src/core/attack/mod.rs
    needs_gradient: ClassVar[bool] = True
    needs_start: ClassVar[bool] = True

    norm: str
    # Defaults for attacks that do not have these settings.
    n_starts: int = 1
    scatter: bool = False
    binary_search_steps: int = 10

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
            Maps a batch (n, C, H, W) to logits (n, n_classes), differentiably. An
            ``nn.Module`` runs in evaluation mode on the device of its parameters, and
            is not changed: parameters, gradients, flags and modes. Any other callable
            gets images on the device of `images`. Normalization belongs inside the
            model. Outputs with ``.logits``, such as those of transformers, are
            accepted. A warning is given if logits change between equal calls (dropout
            outside of modules) or with the other images of a batch (batch statistics),
            and if they are probabilities.
        images : ndarray or Tensor, shape (N, C, H, W)
            float32 or float64 in [0, 1], in a dtype that the model accepts. Values
            out of range by at most 1e-6 are clipped.
        labels : array_like of int, shape (N,)
            The true classes.
        targets : array_like of int, shape (N,), optional
            The target classes, none equal to its label. By default any class except
            the label counts.
        criterion : callable, optional
            Your own criterion, used instead of labels and targets: ``criterion(images,
            logits)`` or ``criterion(images, logits, index)`` returns a float tensor
            (n,), negative exactly where an image is adversarial, and differentiable
            (attacks without gradients also accept booleans). A batch holds some of the
            images; `index` (n,) gives their positions, counted from `first_index`. It
            is passed to a criterion whose third parameter is named "index" or has no
            default.
        margin : float
            The logit of the adversarial class must exceed all others by this much.
        min_probability : float
            Smallest softmax probability of the adversarial class, in [0, 1).
        starting_points : ndarray or Tensor, shape (N, C, H, W), optional
            An adversarial image for each image.
        candidates : ndarray or Tensor, shape (M, C, H, W), optional
            A pool of starting images. Each image starts from a random one of those that
            the model classifies as the target (or as another class than the label);
            with a `criterion`, from a random one of all. Candidates that are not
            adversarial are skipped, at one query each, until the pool is used up. By
            default a starting point is searched along the image's own gradient, then in
            noise.
        seed : int
            Selects the random streams, one per image.
        first_index : int
            Position of the first image in the data set. An image's random stream
            depends on this position, so attacking parts of a data set one by one gives
            the same results as attacking the whole.
        batch_size : int
            Images per pass through the model. Twice as many images are in progress.
        deterministic : bool
            Send every image alone, so that results are bit-identical for every split
            into batches (on the CPU; slower). Otherwise a model may round differently
            in batches of another size.
        channels_last : bool
            Pass images to the model in this memory format.
        autocast : torch.dtype, optional
            Run the model under autocast in this dtype, for example
            ``torch.bfloat16``; logits become float32 again.
        trajectory : bool
            Return how the distance of each image decreased.
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
            Wrong types or dtypes; a model that refuses images because of their dtype.
        ValueError
            Wrong shapes or values, labels that the model does not have, a
            target equal to its label.
        ModelError
            If the model returns anything but logits. Exceptions of the model pass
            through unchanged.
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
            n_starts=self.n_starts,
            n_bisections=self.binary_search_steps,
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
            found = _neurofreq.attack(callables, self._method, self._settings(), task)
        return _result(images, found, options.trajectory, is_shaped=self.shaped)

    def _plain(
        self,
        *,
        counts: tuple[str, ...] = (),
        counts_from_0: tuple[str, ...] = (),
        numbers: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
    ) -> None:
        """Check the types of settings, and convert them to Python types."""
        for name in flags:
            flag = validate.flag(name, getattr(self, name))
            object.__setattr__(self, name, flag)
        for least, names in enumerate((counts_from_0, counts)):
            for name in names:
                whole = validate.count(name, getattr(self, name), least)
                object.__setattr__(self, name, whole)
        for name in numbers:
            value = validate.number(name, getattr(self, name))
            object.__setattr__(self, name, value)

    @property
    @abstractmethod
    def planned(self) -> int:
        """The largest number of queries per image, for progress bars."""

    @property
    def shaped(self) -> bool:
        """Whether the attack prefers some frequencies, so that spectra are biased."""
        return False

    def _settings(self) -> dict[str, Any]:
        """Return the settings by the names that Rust reads."""
        attack: Any = self  # every attack is a dataclass
        return {one.name: getattr(self, one.name) for one in fields(attack)}

    def _scattered(self) -> Attack:
        """Return the attack that further runs use to start from other points."""
        return self

    def _options(self, **given: Any) -> Options:
        """Return the checked options of a call; no image is needed yet."""
        known = [one.name for one in fields(Options)]
        for name in given:
            if name not in known:
                raise TypeError(
                    f"{name}: unknown option, expected some of {', '.join(known)}"
                )
        for name in () if self.needs_start else ("starting_points", "candidates"):
            if given.get(name) is not None:
                attack = type(self).__name__
                raise ValueError(f"{name}: not used by {attack}, expected None")
        return Options(**given)

    def _source(
        self, images: Array, options: Options, device: torch.device
    ) -> tuple[str, torch.Tensor | None]:
        """Return the kind of starting points, and their images if they are given."""
        if options.starting_points is not None:
            points = options.starting_points
            return "given", _like(images, points, "starting_points", device)
        if options.candidates is not None:
            return "pool", _like(images, options.candidates, "candidates", device)
        if not self.needs_start:
            return "unneeded", None
        if not self.needs_gradient:
            return "noise", None
        return ("scatter" if self.scatter else "climb"), None


def _like(
    images: Array, points: Array, name: str, device: torch.device
) -> torch.Tensor:
    """Require points that match the images; candidates may differ in number."""
    first = images if name == "starting_points" else images[:1]
    validate.same(first, points[: len(first)], ("images", name))
    if name == "starting_points" and len(points) != len(images):
        raise ValueError(f"{name}: got {len(points)}, expected {len(images)}")
    return calling.to_tensor(points, device)


def _classes(
    labels: Any, targets: Any, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return checked labels and targets; raise if a target equals its label."""
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
    images: Array, found: tuple[Any, ...], wants_trajectory: bool, *, is_shaped: bool
) -> AttackResult:
    """Return the result as arrays or tensors, like the images."""
    adversarial, distance, success, n_queries, n_gradients, status, *more = found
    steps, spectrum = more

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
        shaped=is_shaped,
        probe_spectrum=np.array(spectrum) if any(spectrum) else None,
    )
