"""The study behind all figures: the networks of the package and the user's own."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from neurofreq.data import ImageSet, load_data, open_data
from neurofreq.models import list_models, parse_spec, zoo_cards
from neurofreq.studies import ModelEntry, Study
from neurofreq.studies.settings import MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from neurofreq.models import ZooCard

N_FULL = 1000  # images attacked, as in the paper, which mixes and corrupts 10,000
OTHER = "other"  # the group of a model of which nothing is known


def study(
    data: str | ImageSet,
    models: Sequence[ModelEntry | Mapping[str, Any] | str] = (),
    *,
    zoo: bool = True,
    n_images: int | None = None,
    n_attack: int = N_FULL,
    n_hybrid: int = N_FULL,
    n_corruption: int = N_FULL,
    measurements: Sequence[str] = MEASUREMENTS,
    **settings: Any,
) -> Study:
    """Return the study whose measurements all figures are drawn of.

    Parameters
    ----------
    data : str or ImageSet
        A data SPEC of `data.load_data`, of which the test images are taken.
    models : sequence of ModelEntry, mapping or str
        The user's own, as in `studies.Study`. One without a group has that of
        `models.list_models`, if that knows its weights, and is else "other".
    zoo : bool
        Whether the networks of the package that were trained for these images
        are in it, see `fitting`.
    n_images : int, optional
        The first N of a data SPEC; by default all, of ImageNet as many as are
        measured.
    n_attack, n_hybrid, n_corruption : int
        Images attacked, mixed (in six pairings) and corrupted (in all 75 cells),
        or all, where there are fewer.
    measurements : sequence of str
        All four by default.
    **settings : value
        Others of `studies.Study`.

    Returns
    -------
    Study
        Its data are loaded. Gray networks are shown colour images as gray ones.

    Raises
    ------
    TypeError, ValueError, OSError
        If an argument is wrong, or there is no model at all.

    Examples
    --------
    >>> import neurofreq as nf
    >>> wanted = nf.figures.study("cifar10:path")  # doctest: +SKIP
    >>> found = nf.studies.run(wanted, "kept")  # doctest: +SKIP
    >>> table, figure, note = nf.figures.draw("fig4", [found])  # doctest: +SKIP
    """
    counts = {
        "n_attack": n_attack, "n_hybrid": n_hybrid, "n_corruption": n_corruption,
    }  # fmt: skip
    images = _images(data, n_images, max(counts.values()))
    # Named by strings or mappings too, which a study turns into entries.
    given: Any = models
    own = [_grouped(one) for one in Study(images, given).models] if given else []
    cards = fitting(images) if zoo else []
    if not own and not cards:
        raise ValueError(_nothing(images, zoo))
    ours = [ModelEntry(f"zoo:{card.name}", card.name, card.group) for card in cards]
    known = {name: min(count, len(images)) for name, count in counts.items()}
    return Study(
        images,
        [*ours, *own],
        "figures",
        measurements=measurements,
        settings=known | settings,
    )


def fitting(images: ImageSet) -> list[ZooCard]:
    """Return the networks of the package that were trained for these images.

    Parameters
    ----------
    images : ImageSet
        Whose name begins as the card's data, with as many classes, and the
        network's channels or three.
    """
    channels = images.images.shape[1]
    return [
        card
        for card in zoo_cards()
        if images.name.startswith(card.data.partition(",")[0])
        and card.n_classes == len(images.class_names)
        and card.in_channels in ({1, 3} if channels == 3 else {channels})
    ]


def _images(data: str | ImageSet, n_images: int | None, n_needed: int) -> ImageSet:
    if isinstance(data, ImageSet):
        if n_images is not None:
            raise ValueError("n_images: got one, expected none with an ImageSet")
        return data.load()
    if not isinstance(data, str):
        kind = type(data).__name__
        raise TypeError(f"data: got {kind}, expected a data SPEC or an ImageSet")
    if n_images is None and data.startswith("imagenet:"):
        n_images = min(n_needed, len(open_data(data)))  # all are 30 GB as floats
    return load_data(data, split="test", n=n_images)


def _grouped(entry: ModelEntry) -> ModelEntry:
    """Return a model with a group."""
    return entry if entry.group else dataclasses.replace(entry, group=_group(entry))


def _group(entry: ModelEntry) -> str:
    """Return the group of a network that others trained, where it is known.

    An architecture of this package may have been trained for anything.
    """
    if not isinstance(entry.spec, str):
        return OTHER
    spec = parse_spec(entry.spec).spec
    known = {row.name: row.group for row in list_models() if row.source != "own"}
    return known.get(spec, OTHER)


def _nothing(images: ImageSet, zoo: bool) -> str:
    """Say why there is no model, and what to do."""
    got = "none"
    if zoo:
        names = ", ".join(card.name for card in zoo_cards())
        why = f"is for {images.name}: it has {names}" if names else "is there"
        got = f"none, and no network of the zoo {why}"
    return f"models: got {got}; expected at least one, such as --model resnet20@FILE"
