"""Call an attack of neurofreq as attacks of foolbox are called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling
from neurofreq.attacks import _result
from neurofreq.attacks._call import Attack
from neurofreq.attacks._size import perturbation_size


def as_foolbox(attack: Attack, **options: Any) -> FoolboxAttack:
    """Return an attack with the call of foolbox's attacks.

    Parameters
    ----------
    attack : Attack
        For example ``nf.attacks.BrendelBethge("l2")``.
    **options
        Arguments of every call of `attack`, such as `seed` and `batch_size`.

    Returns
    -------
    FoolboxAttack

    Raises
    ------
    TypeError
        If `attack` is not an attack of neurofreq, or an option is not known.
    ValueError
        If an option is out of range.

    Examples
    --------
    With foolbox, the model is a ``foolbox.PyTorchModel``:

    >>> import torch
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=4)
    >>> images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> attack = nf.attacks.as_foolbox(nf.attacks.PGD(steps=5))
    >>> raw, clipped, success = attack(model, images, labels, epsilons=[0.01, 0.1])
    >>> len(clipped), success.shape
    (2, torch.Size([2, 4]))
    """
    validate.instance("attack", attack, Attack)
    attack._options(**options)
    return FoolboxAttack(attack, options)


class FoolboxAttack:
    """An attack of neurofreq with the call of foolbox's attacks (`as_foolbox`)."""

    def __init__(self, attack: Attack, options: dict[str, Any]) -> None:
        self.attack, self._options = attack, options

    def __call__(
        self, model: Any, inputs: Any, criterion: Any, *, epsilons: Any, **kw: Any
    ) -> tuple[Any, Any, Any]:
        """Attack images and return them as foolbox does.

        Parameters
        ----------
        model : callable
            A model of foolbox; its ``bounds`` are those of the images (by default 0
            and 1).
        inputs : Tensor, shape (N, C, H, W)
            Images; also as a tensor of eagerpy.
        criterion : object
            Labels, or a criterion with ``labels`` or with ``target_classes``.
        epsilons : float, sequence of float, or None
            Budgets in the unit of the images.
        **kw
            Further arguments of the attack's call.

        Returns
        -------
        raw, clipped : Tensor or list of Tensor
            The adversarial images as found, and moved into each budget; one for each
            budget if `epsilons` is a sequence.
        success : Tensor of bool, shape (N,) or (K, N)
            Whether the clipped images are adversarial.
        """
        images = _plain(inputs, "inputs")
        low, high = (float(end) for end in getattr(model, "bounds", (0.0, 1.0)))
        scale = 1.0 if self.attack.norm == "l0" else high - low
        labels, targets = _classes(criterion)
        is_many = isinstance(epsilons, Iterable)
        budgets = list(epsilons) if is_many else [epsilons]
        if not budgets:
            raise ValueError("epsilons: got no budgets, expected at least one")
        given = [budget for budget in budgets if budget is not None]
        scaled = _result.budgets(given) / scale if given else None

        def ask(shown: torch.Tensor) -> torch.Tensor:
            return calling.logits_of(_raw(model(shown * (high - low) + low)))

        unit = ((images - low) / (high - low)).clamp(0.0, 1.0)
        if targets is not None:  # no label is needed, but it must be another class
            with torch.no_grad():
                n_classes = ask(unit[:1]).shape[1]
            labels = (targets + 1) % n_classes
        found = self.attack(
            ask, unit, labels, targets=targets, epsilons=scaled,
            **(self._options | kw),
        )  # fmt: skip
        clipped, success = [], []
        for budget in budgets:
            one, fits = _fitted(found, unit, budget, scale, self.attack.norm)
            fits |= _hits(ask(one), labels, targets) & ~fits
            clipped.append(_like(inputs, one * (high - low) + low))
            success.append(fits)
        raw = _like(inputs, found.adversarial * (high - low) + low)
        if not is_many:
            return raw, clipped[0], _like(inputs, success[0])
        return [raw] * len(budgets), clipped, _like(inputs, torch.stack(success))

    def run(self, model: Any, inputs: Any, criterion: Any, **kw: Any) -> Any:
        """Return the adversarial images as found."""
        return self(model, inputs, criterion, epsilons=kw.pop("epsilon", None), **kw)[0]

    def __repr__(self) -> str:
        """Name the attack."""
        return f"as_foolbox({self.attack!r})"


def _fitted(
    found: Any, clean: torch.Tensor, budget: float | None, scale: float, norm: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images within a budget, and which were found there."""
    if budget is None:
        return found.adversarial, found.success.clone()
    limit = np.array([budget / scale])
    fits = _result.within(found.distance, limit)[0] & found.success
    change = found.adversarial - clean
    if norm == "linf":
        moved = clean + change.clamp(-limit[0], limit[0])
    elif norm == "l0":
        moved = clean
    else:
        size = perturbation_size(found.adversarial, clean, norm).clamp(min=1e-12)
        factor = (limit[0] / size).clamp(max=1.0)
        moved = clean + change * factor[:, None, None, None]
    return torch.where(fits[:, None, None, None], found.adversarial, moved), fits


def _hits(
    logits: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor | None
) -> torch.Tensor:
    """Return which images the model classifies as the criterion asks."""
    predicted = logits.detach().argmax(1)
    return predicted != labels if targets is None else predicted == targets


def _classes(criterion: Any) -> tuple[Any, Any]:
    """Return the labels, or the targets, of a criterion."""
    targets = getattr(criterion, "target_classes", None)
    if targets is not None:
        return None, _plain(targets, "criterion")
    return _plain(getattr(criterion, "labels", criterion), "criterion"), None


def _plain(value: Any, name: str) -> torch.Tensor:
    """Return a tensor, also from a tensor of eagerpy."""
    value = _raw(value)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: got {validate.shown(value)}, expected a tensor")
    return value


def _raw(value: Any) -> Any:
    """Return the tensor in a tensor of eagerpy, and other values unchanged."""
    return value if isinstance(value, torch.Tensor) else getattr(value, "raw", value)


def _like(inputs: Any, found: torch.Tensor) -> Any:
    """Return a tensor in the type of the inputs."""
    return found if isinstance(inputs, torch.Tensor) else type(inputs)(found)
