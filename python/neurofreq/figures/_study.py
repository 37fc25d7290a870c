"""The study that all figures are drawn from: the package's and the user's models."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from neurofreq._shared.inputs import validate
from neurofreq.data import ImageSet, load_data, open_data
from neurofreq.models import list_models, parse_spec, zoo_cards
from neurofreq.studies import ModelEntry, Study
from neurofreq.studies.settings import USUAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from neurofreq.models import ZooCard

# Images that are attacked, as in the paper. (The paper mixes and corrupts 10,000.)
N_FULL = 1000
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
    measurements: Sequence[str] = USUAL,
    **settings: Any,
) -> Study:
    """Return a study with all measurements that the figures need.

    Parameters
    ----------
    data : str or ImageSet
        Test images, or a data SPEC of `data.load_data` (its test images are used).
    models : sequence of ModelEntry, mapping or str
        Your own models, as in `studies.Study`. A model without a group gets its group
        from `models.list_models`, or "other" if the model is not in this list.
    zoo : bool
        Whether to add the networks of the package that were trained for these images.
    n_images : int, optional
        The first N images of a data SPEC. By default all images; for ImageNet, only
        the images that are measured.
    n_attack, n_hybrid, n_corruption : int
        Number of images that are attacked, mixed (in six pairings) and corrupted (in
        all 75 cells); all images if the data set has fewer.
    measurements : sequence of str
        All four by default.
    **settings : value
        Other settings of `studies.Study`.

    Returns
    -------
    Study
        The study, with its data loaded. Gray networks are shown gray versions of color
        images.

    Raises
    ------
    TypeError, ValueError, OSError
        If an argument is wrong, or there is no model.

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
    # Entries may be strings or mappings; `Study` converts them to `ModelEntry`.
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

    A network fits if the name of the data set begins with the data name of its card,
    the numbers of classes are equal, and the images have three channels or the number
    of channels of the network.
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
            raise ValueError(
                f"n_images: got {n_images}, expected none with an ImageSet"
            )
        return data.load()
    if not isinstance(data, str):
        kind = type(data).__name__
        raise TypeError(f"data: got {kind}, expected a data SPEC or an ImageSet")
    if n_images is None and data.startswith("imagenet:"):
        n_images = min(n_needed, len(open_data(data)))  # all images: 30 GB as floats
    return load_data(data, split="test", n=n_images)


def _grouped(entry: ModelEntry) -> ModelEntry:
    """Return the entry; if it has no group, add one."""
    return entry if entry.group else dataclasses.replace(entry, group=_group(entry))


def _group(entry: ModelEntry) -> str:
    """Return the group of a network with published weights, or "other".

    An architecture of this package has no known group, because the user may have
    trained the weights on any data and in any way.
    """
    if not isinstance(entry.spec, str):
        return OTHER
    spec = parse_spec(entry.spec).spec
    known = {row.name: row.group for row in list_models() if row.source != "own"}
    return known.get(spec, OTHER)


def _nothing(images: ImageSet, zoo: bool) -> str:
    """Return an error message: why there is no model, and how to give one."""
    got = "none"
    if zoo:
        names = ", ".join(card.name for card in zoo_cards())
        why = f" for {images.name} (it has {names})" if names else ""
        got = f"none, and the zoo has no network{why}"
    return f"models: got {got}; expected at least one, such as --model resnet20@FILE"
