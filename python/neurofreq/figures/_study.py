"""The study behind all figures: the networks of the package and the user's models."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from neurofreq._shared.inputs import validate
from neurofreq.data import ImageSet, load_data, open_data
from neurofreq.models import list_models, parse_spec, zoo_cards
from neurofreq.studies import ModelEntry, Study
from neurofreq.studies.settings import MEASUREMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from neurofreq.models import ZooCard

N_FULL = 1000  # images attacked, as in the paper; the paper mixes and corrupts 10,000
OTHER = "other"  # the group of an unknown model


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
    """Return the study that has all measurements of the figures.

    Parameters
    ----------
    data : str or ImageSet
        Test images, or a data SPEC of `data.load_data`, whose test images are used.
    models : sequence of ModelEntry, mapping or str
        Your own models, as in `studies.Study`. A model without a group gets the group
        of its row in `models.list_models`, or "other" if it has no row there.
    zoo : bool
        Whether to add the networks of the package that were trained for these images.
    n_images : int, optional
        The first N images of a data SPEC. By default all images; for ImageNet, only as
        many as are measured.
    n_attack, n_hybrid, n_corruption : int
        Number of images that are attacked, mixed (in six pairings) and corrupted (in
        all 75 cells); all images if there are fewer.
    measurements : sequence of str
        All four by default.
    **settings : value
        Other settings of `studies.Study`.

    Returns
    -------
    Study
        With its data loaded. Gray networks are shown gray versions of color images.

    Raises
    ------
    TypeError, ValueError, OSError
        If an argument is wrong, or there is no model at all.

    Examples
    --------
    >>> import neurofreq as nf
    >>> study = nf.figures.study("synthetic", ["small_cnn@random"], n_images=50)
    >>> [model.name for model in study.models], study.measurements
    (['small_cnn@random'], ('clean', 'hybrid', 'attack', 'corruption'))
    """
    counts = {
        "n_attack": n_attack, "n_hybrid": n_hybrid, "n_corruption": n_corruption,
    }  # fmt: skip
    counts = {name: validate.count(name, value) for name, value in counts.items()}
    zoo = validate.flag("zoo", zoo)
    if n_images is not None:
        n_images = validate.count("n_images", n_images)
    images = _images(data, n_images, max(counts.values()))
    # Strings and mappings are allowed too: `Study` turns them into entries.
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

    They fit if the set's name begins with the name of the card's data, the number of
    classes is equal, and the images have the network's channels or three channels.
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
        n_images = min(n_needed, len(open_data(data)))  # all images: 30 GB as floats
    return load_data(data, split="test", n=n_images)


def _grouped(entry: ModelEntry) -> ModelEntry:
    """Return the entry with a group."""
    return entry if entry.group else dataclasses.replace(entry, group=_group(entry))


def _group(entry: ModelEntry) -> str:
    """Return the group of a network with published weights, or "other".

    An architecture of this package has no known group, because the user's weights may
    be trained on any data and in any way.
    """
    if not isinstance(entry.spec, str):
        return OTHER
    spec = parse_spec(entry.spec).spec
    known = {row.name: row.group for row in list_models() if row.source != "own"}
    return known.get(spec, OTHER)


def _nothing(images: ImageSet, zoo: bool) -> str:
    """Say why there is no model, and what the user can do."""
    got = "none"
    if zoo:
        names = ", ".join(card.name for card in zoo_cards())
        why = f" for {images.name} (it has {names})" if names else ""
        got = f"none, and the zoo has no network{why}"
    return f"models: got {got}; expected at least one, such as --model resnet20@FILE"
