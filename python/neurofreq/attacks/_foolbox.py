"""Call an attack of neurofreq as attacks of foolbox are called."""

from __future__ import annotations

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
    """An attack of neurofreq with the call of foolbox's attacks (`as_foolbox`).

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.attacks.as_foolbox(nf.attacks.Boundary("l2", max_queries=100)).attack.norm
    'l2'
    """

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
            The adversarial images before and after they are moved into a budget. If
            `epsilons` is a sequence, a list with one tensor for each budget.
        success : Tensor of bool, shape (N,) or (K, N)
            Whether the clipped images are adversarial.
        """
        validate.model(model)
        low, high = (float(end) for end in getattr(model, "bounds", (0.0, 1.0)))
        images = _images(inputs, low, high)
        scale = 1.0 if self.attack.norm == "l0" else high - low
        labels, targets = _classes(criterion, images.device)
        budgets, is_many = _budgets(epsilons)
        given = [budget / scale for budget in budgets if budget is not None]

        def ask(shown: torch.Tensor) -> torch.Tensor:
            return calling.logits_of(_raw(model(shown * (high - low) + low)))

        unit = ((images - low) / (high - low)).clamp(0.0, 1.0)
        if targets is not None:  # no label is needed, but it must be another class
            with torch.no_grad():
                n_classes = ask(unit[:1]).shape[1]
            labels = (targets + 1) % n_classes
        found = self.attack(
            ask, unit, labels, targets=targets, epsilons=given or None,
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
        """Return the adversarial images, before they are moved into a budget."""
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


def _classes(criterion: Any, device: torch.device) -> tuple[Any, Any]:
    """Return the labels, or the targets, of a criterion."""
    targets = getattr(criterion, "target_classes", None)
    if targets is not None:
        return None, _labels(targets, device)
    return _labels(getattr(criterion, "labels", criterion), device), None


def _labels(value: Any, device: torch.device) -> torch.Tensor:
    """Return checked labels as a tensor."""
    checked = validate.labels(_raw(value), "criterion")
    return torch.from_numpy(checked).to(device)


def _images(value: Any, low: float, high: float) -> torch.Tensor:
    """Return checked images, also from a tensor of eagerpy."""
    value = _raw(value)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"inputs: got {validate.shown(value)}, expected a tensor")
    images: torch.Tensor = validate.images(value, "inputs")
    least, most = (float(end) for end in images.detach().aminmax())
    if least < low or most > high:
        raise ValueError(
            f"inputs: got values in [{least:.6g}, {most:.6g}], expected the bounds of "
            f"the model, [{low:g}, {high:g}]"
        )
    return images.detach()


def _budgets(value: Any) -> tuple[list[float | None], bool]:
    """Return budgets as a list, and whether several may be given."""
    if value is None:
        return [None], False
    if isinstance(value, (list, tuple)) and any(one is None for one in value):
        return [None if one is None else _budgets(one)[0][0] for one in value], True
    is_many = isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0
    if not is_many:
        value = [validate.number("epsilons", value)]
    return validate.epsilons("epsilons", value).tolist(), is_many


def _raw(value: Any) -> Any:
    """Return the tensor in a tensor of eagerpy, and other values unchanged."""
    return value if isinstance(value, torch.Tensor) else getattr(value, "raw", value)


def _like(inputs: Any, found: torch.Tensor) -> Any:
    """Return a tensor in the type of the inputs."""
    return found if isinstance(inputs, torch.Tensor) else type(inputs)(found)
