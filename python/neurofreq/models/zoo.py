"""Trained networks that come with the package; each has weights and a card.

A model ``NAME`` has two files in the folder ``zoo``. ``NAME.safetensors`` has the
weights: matrices and kernels in float16, vectors in their own type. ``NAME.json`` is
the card; it names the architecture as a spec of `load_model`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

from neurofreq._shared.files import storage
from neurofreq.models.spec import nearest

FOLDER = Path(__file__).resolve().parent.parent / "zoo"


@dataclass(frozen=True)
class ZooCard:
    """The description of a trained network.

    Parameters
    ----------
    name : str
        Lowercase letters, digits, ``_``, ``-`` and ``.``.
    spec : str
        The architecture, for example ``resnet18,base_width=16,blur=1.5``.
    group : str
        ``base``, ``adv``, ``crp``, ``blur``, ``pca`` or ``neural``.
    architecture : str
        The architecture in words.
    in_channels, n_classes : int
    recipe : str
        The command that reproduces the network.
    seed : int
    data : str
        The training data.
    accuracies : dict of str to float
        In percent; ``clean`` is required.
    date : str
        The date of training, ISO 8601.
    sha256 : str
        SHA-256 of the weights; `write_zoo_model` fills it in.

    Examples
    --------
    >>> import neurofreq as nf
    >>> cards = {card.name: card for card in nf.models.zoo_cards()}
    >>> card = cards["blur-1.5"]
    >>> card.group, card.in_channels, card.n_classes
    ('blur', 3, 10)
    >>> card.accuracies["clean"] > 80.0
    True
    """

    name: str
    spec: str
    group: str
    architecture: str
    in_channels: int
    n_classes: int
    recipe: str
    seed: int
    data: str
    accuracies: dict[str, float]
    date: str
    sha256: str = ""

    def __post_init__(self) -> None:
        """Check name, group and accuracies; raise ValueError if one is wrong."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", self.name):
            raise ValueError(
                f"name: got {self.name!r}, expected small letters, digits, _, - and ."
            )
        groups = ("base", "adv", "crp", "blur", "pca", "neural")
        if self.group not in groups:
            raise ValueError(
                f"group: got {self.group!r}, expected one of {', '.join(groups)}"
            )
        clean = self.accuracies.get("clean")
        if clean is None or not 0.0 <= clean <= 100.0:
            raise ValueError(
                f"accuracies: got {self.accuracies}, expected 'clean' in percent"
            )


def zoo_cards() -> list[ZooCard]:
    """Return the cards of the package, sorted by name.

    Raises
    ------
    ValueError
        If a card is damaged, or has a missing or unknown field.

    Examples
    --------
    >>> import neurofreq as nf
    >>> [card.name for card in nf.models.zoo_cards() if card.in_channels == 1]
    ['gray-mouse', 'gray-standard']
    """
    return [_read(path) for path in sorted(FOLDER.glob("*.json"))]


def zoo_card(name: str) -> ZooCard:
    """Return the card of this name; raise ValueError if there is no such model."""
    path = FOLDER / f"{name}.json"
    known = [one.stem for one in sorted(FOLDER.glob("*.json"))]
    if name not in known:
        expected = f"one of {', '.join(known)}" if known else "none: the zoo is empty"
        raise ValueError(
            f"model: got 'zoo:{name}', expected {expected}{nearest(name, known)}"
        )
    return _read(path)


def _read(path: Path) -> ZooCard:
    values = storage.read_json(path)
    names = {one.name for one in fields(ZooCard)}
    if values.keys() != names:
        wrong = ", ".join(sorted(values.keys() ^ names))
        raise ValueError(
            f"model: {path} is not a valid card: missing or unknown fields {wrong}"
        )
    return ZooCard(**values)
