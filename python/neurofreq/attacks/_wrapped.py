"""Attacks of foolbox and torchattacks, called and checked as attacks of neurofreq.

Neither package is imported. An attack of foolbox is known by the arguments of its call.
"""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.inputs.perturbations import NORMS
from neurofreq._shared.networks import batches, calling
from neurofreq.attacks import _survey
from neurofreq.attacks._call import Attack
from neurofreq.attacks._result import from_rust
from neurofreq.attacks._size import perturbation_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neurofreq.attacks._options import Options
    from neurofreq.attacks._run import Batch

_ROUNDING = 1e-5  # relative: a distance above a budget by less fits the budget
_UNUSED = ("criterion", "starting_points", "candidates", "capture", "trajectory")


@dataclass(frozen=True)
class Wrapped(Attack):
    """An attack of foolbox or torchattacks, called like an attack of neurofreq.

    `evaluate` wraps such attacks by itself. Every returned image is clipped to [0, 1]
    and checked: `success` and `distance` are neurofreq's own measurements.

    Parameters
    ----------
    attack : callable
        An attack of foolbox, called as ``attack(model, images, criterion,
        epsilons=...)``, or one of torchattacks, called as ``attack(images, labels)``.
        The latter holds its own model, which must be the model that is attacked.
    norm : {"linf", "l2", "l1", "l0"}, optional
        The norm of `distance`; by default the norm that the attack tells.

    Raises
    ------
    TypeError
        If `attack` is not callable in one of these ways.
    ValueError
        If the attack does not tell its norm and none is given.

    Notes
    -----
    Attacks of foolbox with a fixed budget need `epsilons` in the call. A distance that
    exceeds a budget by rounding is set to the budget. Torch's random numbers are seeded
    from `seed` and the position of the batch, so results may depend on the batch size.
    `n_queries` and `n_gradients` are means over the images of a batch. They are 0 if
    the model of an attack of torchattacks is not an ``nn.Module``.

    Examples
    --------
    Any function of images and labels is called as an attack of torchattacks:

    >>> import torch
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=4)
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> attack = nf.attacks.Wrapped(lambda images, labels: images.flip(3), norm="l2")
    >>> attack(model, data.images, data.labels).adversarial.shape
    (4, 1, 32, 32)
    """

    _method: ClassVar[str] = ""
    needs_start: ClassVar[bool] = False

    attack: Any
    norm: str = None  # type: ignore[assignment]  # a name after the checks

    def __post_init__(self) -> None:
        """Check the attack and its norm."""
        if isinstance(self.attack, (type, Attack)) or not callable(self.attack):
            raise TypeError(
                f"attack: got {validate.shown(self.attack)}, expected an attack of "
                "foolbox or torchattacks"
            )
        told = _norm_of(self.attack) if self.norm is None else self.norm
        if told is None:
            raise ValueError(
                f"norm: got none for {type(self.attack).__name__}, which does not tell "
                "its norm, expected one, as in Wrapped(attack, 'l2')"
            )
        object.__setattr__(self, "norm", validate.norm("norm", told, NORMS))

    @property
    def planned(self) -> int:
        """One step per image, for progress bars."""
        return 1

    def _options(self, **given: Any) -> Options:
        for name in _UNUSED:
            value = given.get(name)
            if value is not None and value is not False:
                raise ValueError(f"{name}: not used by Wrapped, expected None")
        return super()._options(**given)

    def _call(self, model: calling.Model, batch: Batch, options: Options) -> Any:
        device = calling.device_of(model, batch.pixels)
        parts = []
        with calling.evaluating(model):
            one = calling.to_tensor(batch.pixels[:1], device)
            ask = calling.tried(
                model, one, as_logits=True,
                autocast=options.autocast, channels_last=options.channels_last,
            )  # fmt: skip
            size = batches.chosen(options.batch_size, ask, one, gradient=True)
            for start in range(0, len(batch.labels), size):
                rows = np.arange(start, min(start + size, len(batch.labels)))
                parts.append(_Part(self, model, ask, batch.part(rows), options).run())
        columns = [[row for part in parts for row in part[k]] for k in range(1, 6)]
        adversarial = torch.cat([part[0] for part in parts])
        raw = (adversarial, *columns, [], [])
        found = from_rust(batch.pixels, raw, False, is_shaped=False, norm=self.norm)
        if options.epsilons is None:
            return found
        return found._replace(within=found.success_at(options.epsilons))


def is_foolbox(attack: Any) -> bool:
    """Return whether an attack is called with a criterion and budgets."""
    try:
        names = inspect.signature(attack).parameters
    except (TypeError, ValueError):
        return False
    return "criterion" in names and "epsilons" in names


def _norm_of(attack: Any) -> Any:
    """Return the norm that an attack tells, or None."""
    order = getattr(getattr(attack, "distance", None), "p", None)
    if order is not None:
        return order
    if isinstance(norm := getattr(attack, "norm", None), str):
        return norm
    if hasattr(attack, "eps"):  # torchattacks
        return "l2" if "L2" in type(attack).__name__ else "linf"
    return None


class _Part:
    """One batch: the call of the attack, and the checks of what it returns."""

    def __init__(
        self, wrapped: Wrapped, model: Any, ask: Any, batch: Batch, options: Options
    ) -> None:
        self._wrapped, self._model, self._ask = wrapped, model, ask
        self._options = options
        device = calling.device_of(model, batch.pixels)
        self._images = calling.to_tensor(batch.pixels, device)
        self._labels = torch.from_numpy(batch.labels).to(device)
        self._targets = None
        if batch.targets is not None:
            self._targets = torch.from_numpy(batch.targets).to(device)
        assert batch.rows is not None
        self._first = options.first_index + int(batch.rows[0])
        self._budgets = [] if options.epsilons is None else options.epsilons.tolist()
        self._passes = {"forward": 0, "backward": 0}

    def run(self) -> tuple[Any, ...]:
        """Return images, distance, success, queries, gradients and status."""
        best, n = self._images.clone(), len(self._images)
        broken = self._is_adversarial(best)
        distance = torch.full((n,), torch.inf, dtype=best.dtype, device=best.device)
        distance[broken] = 0.0
        status = np.where(broken.cpu(), "already_adversarial", "completed").astype(
            "<U19"
        )
        rows = torch.nonzero(~broken)[:, 0]
        if len(rows):
            for found in self._returned(rows):
                moved = self._checked(found, rows)
                is_finite = moved.flatten(1).isfinite().all(dim=1)
                status[rows[~is_finite].cpu().numpy()] = "not_finite"
                clean = self._images[rows]
                moved = torch.where(is_finite[:, None, None, None], moved, clean)
                far = self._size(moved, clean)
                is_hit = self._is_adversarial(moved, rows) & is_finite
                nearer = is_hit & (far < distance[rows])
                best[rows[nearer]] = moved[nearer]
                distance[rows[nearer]] = far[nearer]
        counts = [round(one / n) for one in self._passes.values()]
        success = distance.isfinite()
        return (
            best.cpu(), distance.double().tolist(), success.tolist(),
            [1 + counts[0]] * n, [counts[1]] * n, status.tolist(),
        )  # fmt: skip

    def _returned(self, rows: Any) -> list[Any]:
        """Call the attack on some images and return the images that it found."""
        images, labels = self._images[rows], self._labels[rows]
        targets = None if self._targets is None else self._targets[rows]
        seed = (self._options.seed + self._first) % 2**63
        is_foolbox_like = is_foolbox(self._wrapped.attack)
        with torch.random.fork_rng(), self._counting(), torch.enable_grad():
            torch.manual_seed(seed)
            if is_foolbox_like:
                return self._by_criterion(images, labels, targets)
            return [self._by_labels(images, labels, targets)]

    def _by_labels(self, images: Any, labels: Any, targets: Any) -> Any:
        """Call an attack of torchattacks."""
        attack = self._wrapped.attack
        if targets is None:
            return attack(images, labels)
        if not hasattr(attack, "set_mode_targeted_by_label"):
            raise ValueError(
                f"targets: got some for {type(attack).__name__}, which has no targeted "
                "mode, expected None"
            )
        attack.set_mode_targeted_by_label(quiet=True)
        try:
            return attack(images, targets)
        finally:
            attack.set_mode_default()

    def _by_criterion(self, images: Any, labels: Any, targets: Any) -> list[Any]:
        """Call an attack of foolbox: once if it minimizes, else at every budget."""
        attack, package = self._wrapped.attack, _package_of(self._wrapped.attack)
        criterion = labels
        if targets is not None:
            criterion = package.TargetedMisclassification(targets)
        model = package.PyTorchModel(self._model, bounds=(0, 1), device=images.device)
        try:
            return [attack(model, images, criterion, epsilons=None)[0]]
        except NotImplementedError as error:
            budgets = [budget for budget in self._budgets if budget > 0.0]
            if not budgets:
                raise ValueError(
                    f"epsilons: got none above 0, expected some: "
                    f"{type(attack).__name__} has no budget of its own"
                ) from error
        return list(attack(model, images, criterion, epsilons=sorted(budgets))[1])

    def _checked(self, found: Any, rows: Any) -> torch.Tensor:
        """Return what the attack returned as images in [0, 1]."""
        found = getattr(found, "raw", found)
        expected = self._images[rows]
        if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
            raise TypeError(
                f"attack: got {validate.shown(found)} as the result, expected a tensor "
                f"of shape {tuple(expected.shape)}"
            )
        return found.detach().to(expected).clamp(0.0, 1.0)

    def _size(self, moved: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """Return distances; those above a budget by rounding become the budget."""
        far: torch.Tensor = perturbation_size(moved, clean, self._wrapped.norm)
        for budget in self._budgets:
            is_at = (far > budget) & (far <= budget * (1.0 + _ROUNDING) + 1e-7)
            far = torch.where(is_at, far.new_tensor(budget), far)
        return far

    def _is_adversarial(self, images: torch.Tensor, rows: Any = None) -> torch.Tensor:
        """Return which images are adversarial by the options of the call."""
        with torch.no_grad():
            logits = self._ask(images)
        calling.check_logits(logits, len(images))
        labels, targets = self._labels, self._targets
        if rows is not None:
            labels, targets = labels[rows], None if targets is None else targets[rows]
        n_classes = logits.shape[1]
        _survey.require_classes(self._labels.cpu().numpy(), n_classes)
        if self._targets is not None:
            _survey.require_classes(self._targets.cpu().numpy(), n_classes, "targets")
        one = labels if targets is None else targets
        own = torch.zeros_like(logits, dtype=torch.bool).scatter(1, one[:, None], True)
        inside = logits.masked_fill(~own, -torch.inf).amax(1)
        outside = logits.masked_fill(own, -torch.inf).amax(1)
        gap = outside - inside if targets is None else inside - outside
        chosen = outside if targets is None else inside
        probability = (chosen - logits.logsumexp(1)).exp()
        is_likely = probability >= self._options.min_probability
        return (gap > self._options.margin) & is_likely

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Count the images in passes of the model, if it is a module."""
        if not isinstance(self._model, torch.nn.Module):
            yield
            return

        def count(module: Any, inputs: Any, output: Any) -> None:
            self._passes["forward"] += len(inputs[0])
            if isinstance(output, torch.Tensor) and output.requires_grad:
                n = len(output)
                output.register_hook(lambda _: self._back(n))  # type: ignore[no-untyped-call]

        handle = self._model.register_forward_hook(count)
        try:
            yield
        finally:
            handle.remove()

    def _back(self, n: int) -> None:
        self._passes["backward"] += n


class _Plain:
    """What an attack of another package needs if it is called as those of foolbox."""

    class PyTorchModel:
        """A model with the bounds of its images."""

        def __init__(
            self, model: Any, *, bounds: tuple[float, float], device: Any
        ) -> None:
            self._model, self.bounds, self.device = model, bounds, device

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            """Return logits."""
            return calling.logits_of(self._model(images))

    class TargetedMisclassification:
        """The target classes."""

        def __init__(self, target_classes: torch.Tensor) -> None:
            self.target_classes = target_classes


def _package_of(attack: Any) -> Any:
    """Return the package that defines the attack, for its model and criterion."""
    for kind in type(attack).__mro__:
        package = sys.modules.get(kind.__module__.partition(".")[0])
        if hasattr(package, "PyTorchModel"):
            return package
    return _Plain
