"""Put values with named axes in the order (trials, images, neurons).

Every axis has a name and labels. The labels give the trial, image and neuron of each
value, so that one function reads long tables, wide tables and arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurofreq._shared.inputs import validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = {
    "image": ("image", "stimulus", "stim", "picture"),
    "neuron": (
        "neuron", "neuroid", "unit", "cell", "voxel", "electrode", "channel", "roi",
    ),
    "trial": ("repetition", "repeat", "rep", "trial", "presentation"),
}  # fmt: skip
"""Accepted names for the axes of a recording; if two fit, the first one counts."""

ACCEPTED = (
    "axes or levels called image (stimulus, picture), neuron (neuroid, unit, cell, "
    "voxel, electrode, channel, roi) and, where there are several, trial "
    "(repetition, presentation)"
)

_COUNTED = "\0"  # begins the label of an axis that is numbered, not named


class Coded(NamedTuple):
    """Labels as integer codes: label k is `names[codes[k]]`; code -1 means no label."""

    codes: NDArray[np.int64]
    names: NDArray[Any]


class Axis(NamedTuple):
    """One axis of a container: its name, and the values of each label along it."""

    name: str
    length: int
    labels: dict[str, Any]

    def label(self, role: str) -> str | None:
        """Return the label that gives the trial, image or neuron of an entry."""
        ranks = {key: found for key in self.labels if (found := role_of(key))}
        of_role = [key for key, (found, _) in ranks.items() if found == role]
        if self.name in of_role:
            return self.name
        return min(of_role, key=lambda key: ranks[key][1], default=None)

    def holds(self, role: str) -> bool:
        """Return whether this is the axis of a role (image, neuron or trial)."""
        found = role_of(self.name)
        return bool(found and found[0] == role) or self.label(role) is not None


class Rows(NamedTuple):
    """Values by rows: in one column, or in one column per neuron (`columns`)."""

    values: NDArray[Any]
    labels: dict[str, Any]
    columns: dict[str, Any] | None


class Recording(NamedTuple):
    """Responses (trials, images, neurons), descriptors, and the images' names."""

    trials: NDArray[Any]
    image: dict[str, NDArray[Any]]
    neuron: dict[str, NDArray[Any]]
    images: NDArray[Any] | None


def role_of(word: Any) -> tuple[str, int] | None:
    """Return the role that a name means, and the name's rank among its synonyms."""
    lowered = str(word).lower().strip().replace("stimuli", "stimulus")
    for ending in ("_id", "_index", "_idx", "_number", "_name"):
        lowered = lowered.removesuffix(ending)
    for role, words in WORDS.items():
        for rank, known in enumerate(words):
            if lowered in (known, f"{known}s"):
                return role, rank
    return None


def coded(values: Any, what: str) -> Coded:
    """Return labels as codes of their distinct names, in a fixed order.

    Whole numbers are sorted and become integers. An ordered categorical keeps the order
    of its categories. Other labels keep the order in which they first occur.
    """
    import pandas as pd

    try:
        codes, found = pd.factorize(values)
    except TypeError:  # labels that are lists, for example
        raise TypeError(f"{what}: got labels that are no strings or numbers") from None
    names = validate.plain(what, np.asarray(found))
    order = np.arange(len(names))
    if getattr(found, "ordered", False):
        order = np.argsort(found.codes)
    elif names.dtype.kind in "iu":
        order = np.argsort(names)
    elif names.dtype.kind == "f" and (names == names.round()).all():
        names = names.astype(np.int64)
        order = np.argsort(names)
    places = np.append(np.argsort(order), -1)
    return Coded(places[codes], names[order])


def constant(values: Any, codes: NDArray[np.int64]) -> NDArray[Any] | None:
    """Return the value of each group of rows, or None if a group has several."""
    import pandas as pd

    _, first = np.unique(codes, return_index=True)
    kinds = pd.factorize(values)[0]
    if (kinds != kinds[first][codes]).any():
        return None
    return np.asarray(values)[first]


def by_names(values: NDArray[Any], axes: list[Axis], name: str) -> Recording:
    """Put values in order, by the names of their axes and labels.

    Raises ValueError if the names do not determine the axes, a row has no label, or two
    values have the same trial, image and neuron.
    """
    at: dict[str, int] = {}
    for role in WORDS:
        holders = [k for k, axis in enumerate(axes) if axis.holds(role)]
        if len(holders) > 1:
            both = " and ".join(repr(axes[k].name) for k in holders[:2])
            raise ValueError(f"{name}: got {role}s along {both}, expected {ACCEPTED}")
        if holders:
            at[role] = holders[0]
    got = ", ".join(repr([axis.name, *axis.labels]) for axis in axes)
    used = list(at.values())
    keys: dict[str, str] = {}
    for role, k in at.items():
        key = axes[k].label(role)
        if key is None and used.count(k) == 1:
            key = _COUNTED + role
            axes[k].labels[key] = np.arange(axes[k].length)
        if key is not None:
            keys[role] = key
    if not {"image", "neuron"} <= set(keys):
        raise ValueError(f"{name}: got axes and labels {got}, expected {ACCEPTED}")
    _require_one_meaning(axes[at["image"]], name)
    apart = at["neuron"] if used.count(at["neuron"]) == 1 else None
    return placed(_rows(values, axes, apart), keys, name)


def placed(rows: Rows, keys: dict[str, str], name: str) -> Recording:
    """Put rows in order by the labels of their image, neuron and trial.

    Without trial labels, the rows of the same image and neuron are its trials, in
    order.
    """
    if not rows.values.size:
        raise ValueError(f"{name}: got no value, expected no empty axis")
    image = coded(rows.labels[keys["image"]], keys["image"])
    if rows.columns is None:
        neuron = coded(rows.labels[keys["neuron"]], keys["neuron"])
        columns: Any = neuron.codes
    else:
        columns = np.arange(rows.values.shape[1])
        neuron = Coded(np.zeros(len(rows.values), dtype=np.int64), columns)
    cell = image.codes * len(neuron.names) + neuron.codes
    trial = Coded(_numbered(cell), np.empty(0))
    if "trial" in keys:
        trial = coded(rows.labels[keys["trial"]], keys["trial"])
    if min(one.codes.min() for one in (image, neuron, trial)) < 0:
        raise ValueError(f"{name}: got rows without image, neuron or trial")
    at_trial = _within_images(trial, image) if "trial" in keys else trial.codes
    _require_distinct(at_trial * (cell.max() + 1) + cell, image, name)
    shape = (at_trial.max() + 1, len(image.names), len(neuron.names))
    trials = np.full(shape, np.nan, rows.values.dtype)
    if rows.columns is None:
        trials[at_trial, image.codes, columns] = rows.values[:, 0]
    else:
        trials[at_trial, image.codes] = rows.values
    return _described(trials, rows, keys, image, neuron)


def _described(
    trials: NDArray[Any], rows: Rows, keys: dict[str, str], image: Coded, neuron: Coded
) -> Recording:
    """Return the recording with all labels that describe an image or a neuron."""
    tables: dict[str, dict[str, NDArray[Any]]] = {"image": {}, "neuron": {}}
    groups = {"image": image}
    if rows.columns is None:
        groups["neuron"] = neuron
    for role, group in groups.items():
        if not keys[role].startswith(_COUNTED):
            tables[role][keys[role]] = group.names
    for key, values in (rows.columns or {}).items():
        if not key.startswith(_COUNTED):
            _keep(tables["neuron"], key, np.asarray(values))
    for key in [key for key in rows.labels if key not in keys.values()]:
        for role in reversed(groups):  # try neurons first; a label is kept only once
            each = constant(rows.labels[key], groups[role].codes)
            if each is not None and _keep(tables[role], key, each):
                break
    named = not keys["image"].startswith(_COUNTED)
    return Recording(trials, **tables, images=image.names if named else None)


def _keep(table: dict[str, NDArray[Any]], key: str, values: NDArray[Any]) -> bool:
    """Keep a descriptor if a file can hold it; return whether it was kept."""
    try:
        table[key] = validate.plain(key, values)
    except ValueError:
        return False
    return True


def _rows(values: NDArray[Any], axes: list[Axis], apart: int | None) -> Rows:
    """Flatten all axes to rows, except a separate axis of neurons (`apart`)."""
    rest = [k for k in range(len(axes)) if k != apart]
    last = values[..., None] if apart is None else np.moveaxis(values, apart, -1)
    labels: dict[str, Any] = {}
    for k in rest:
        index = np.arange(axes[k].length)
        index = index.reshape([-1 if other == k else 1 for other in rest])
        index = np.broadcast_to(index, last.shape[:-1]).ravel()
        labels |= {key: of.take(index) for key, of in axes[k].labels.items()}
    columns = None if apart is None else axes[apart].labels
    return Rows(last.reshape(-1, last.shape[-1]), labels, columns)


def _numbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, ... for the rows of each group, in their order."""
    order = np.argsort(groups, kind="stable")
    _, first, counts = np.unique(groups[order], return_index=True, return_counts=True)
    number = np.empty_like(order)
    number[order] = np.arange(len(groups)) - np.repeat(first, counts)
    return number


def _within_images(trial: Coded, image: Coded) -> NDArray[np.int64]:
    """Return trial numbers, counted within each image if this gives fewer trials.

    Trials are often numbered through the whole experiment.
    """
    pairs, place = np.unique(
        image.codes * len(trial.names) + trial.codes, return_inverse=True
    )
    own = _numbered(pairs // len(trial.names))[place]
    return own if own.max() + 1 < len(trial.names) else trial.codes


def _require_distinct(places: NDArray[np.int64], image: Coded, name: str) -> None:
    """Raise if two rows have the same trial, image and neuron."""
    _, first, counts = np.unique(places, return_index=True, return_counts=True)
    if (counts > 1).any():
        of = image.names[image.codes[first[counts > 1][:1]]].tolist()[0]
        raise ValueError(
            f"{name}: got two rows of one trial, image and neuron, of image {of!r} for "
            "example, expected one"
        )


def _require_one_meaning(axis: Axis, name: str) -> None:
    """Raise if two labels of an axis group the images differently."""
    keys = [key for key in axis.labels if (role_of(key) or ("",))[0] == "image"]
    codes = [coded(axis.labels[key], key).codes for key in keys]
    for key, other in zip(keys[1:], codes[1:], strict=True):
        pairs = np.unique(np.stack([codes[0], other]), axis=1).shape[1]
        if not pairs == len(np.unique(codes[0])) == len(np.unique(other)):
            raise ValueError(
                f"{name}: got {keys[0]!r} and {key!r}, which name images differently, "
                "expected one of them"
            )
