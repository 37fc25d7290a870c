"""The call of every attack: check arguments, guard the model, build the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq.attacks._options import Options, classes, unit_images
from neurofreq.attacks._run import Batch, Run, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array
    from neurofreq._shared.networks import calling
    from neurofreq.attacks._result import AttackResult


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
        batch_size: int | None = None,
        deterministic: bool = False,
        channels_last: bool = False,
        autocast: torch.dtype | None = None,
        capture: bool | None = None,
        trajectory: bool = False,
        progress: bool = False,
        epsilons: Any = None,
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
        batch_size : int, optional
            Images per pass through the model. Twice as many images are in progress. By
            default 128 on the CPU, and on a CUDA device as many as half of its free
            memory holds, up to 1024. If a device runs out of memory, the attack goes on
            with half as many, after a warning.
        deterministic : bool
            Send every image alone, so that results are bit-identical for every split
            into batches (on the CPU; slower). Otherwise a model may round differently
            in batches of another size.
        channels_last : bool
            Pass images to the model in this memory format.
        autocast : torch.dtype, optional
            Run the model under autocast in this dtype, for example
            ``torch.bfloat16``; logits become float32 again.
        capture : bool, optional
            None (default) records the queries in CUDA graphs on a CUDA device and
            replays them (see Notes). If the model cannot be recorded, a warning gives
            the reason, and queries run as usual. True raises ValueError instead of the
            warning. False never records.
        trajectory : bool
            Return how the distance of each image decreased.
        progress : bool
            Show a progress bar.
        epsilons : array_like of float, shape (K,), optional
            Budgets, 0 or more, in any order. The result tells which images have a
            perturbation within each budget (``within``). An attack that minimizes the
            perturbation runs once. `PGD` runs at these budgets instead of its own, from
            the smallest up, on images that are not broken at a smaller one.

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

        Notes
        -----
        A round of the attack sends one batch to the device and gets its answers back,
        each in one transfer. A recorded query repeats the model's operators without its
        Python code: counters and hooks of the model run only in the first queries of
        each batch size. Batches that are not full are padded to half of a full batch,
        to a quarter, and so on. A model that reads values of the device, draws random
        numbers on the host, or uses other operators in another call is not recorded.
        """
        validate.model(model)
        pixels = unit_images(images, "images")
        labels, targets = classes(labels, targets, len(pixels))
        options = self._options(
            epsilons=epsilons, criterion=criterion, margin=margin,
            min_probability=min_probability, starting_points=starting_points,
            candidates=candidates, seed=seed, first_index=first_index,
            batch_size=batch_size, deterministic=deterministic,
            channels_last=channels_last, autocast=autocast, capture=capture,
            trajectory=trajectory, progress=progress,
        )  # fmt: skip
        return self._call(model, Batch.whole(pixels, labels, targets, options), options)

    def _call(self, model: calling.Model, batch: Batch, options: Options) -> Any:
        """Attack checked images; the attacks of other packages have their own."""
        with running(self, model, batch, options) as run:
            if options.epsilons is None:
                return run(self, batch)
            found = self._at_budgets(run, batch, options.epsilons)
        return found._replace(within=found.success_at(options.epsilons))

    def _at_budgets(
        self, run: Run, batch: Batch, epsilons: NDArray[np.float64]
    ) -> AttackResult:
        """Attack for all budgets: one minimal perturbation serves all of them."""
        return run(self, batch)

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

    def _name_norm(self, known: tuple[str, ...]) -> None:
        """Check the norm, and give it its canonical name."""
        object.__setattr__(self, "norm", validate.norm("norm", self.norm, known))

    @property
    def shaped(self) -> bool:
        """Whether the attack prefers some frequencies, so that spectra are biased."""
        return False

    @property
    def _n_surveyed(self) -> int:
        """How many other classes are surveyed for starting points, without a target."""
        return 0

    def _settings(self, *, is_surveyed: bool) -> dict[str, Any]:
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
