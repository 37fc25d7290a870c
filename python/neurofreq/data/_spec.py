"""Open the images that a data SPEC names, such as ``cifar10:FOLDER``."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from neurofreq._shared.inputs import validate
from neurofreq.data import _synthetic
from neurofreq.data._cifar10 import open_cifar10
from neurofreq.data._sets import ImageSet
from neurofreq.data.folders import Split, open_imagenet, open_tinyimagenet

if TYPE_CHECKING:
    from collections.abc import Callable

_FOLDERS: dict[str, Callable[..., ImageSet]] = {
    "tinyimagenet": open_tinyimagenet,
    "imagenet": open_imagenet,
}


def open_data(spec: str, *, split: Split = "test", n: int | None = None) -> ImageSet:
    """Return the images that a data SPEC names, as they are stored.

    Parameters
    ----------
    spec : str
        One of:

        - ``synthetic``;
        - ``cifar10:FOLDER``, where FOLDER holds ``cifar-10-batches-py`` or
          ``cifar-10-batches-bin``, or is one of them;
        - ``tinyimagenet:FOLDER``, where FOLDER holds the unpacked official archive;
        - ``imagenet:FOLDER``, where FOLDER holds class folders. Images are resized to
          256 and cropped to 224 pixels. If a model's outputs are not in the order of
          ImageNet, list all classes in the model's order, one per line, in a file
          ``classes.txt`` beside the folders.
    split : {"test", "train"}
        "test" means the validation set if the labels of the test set are not public.
    n : int, optional
        Number of images. These are the first n images or, for sets sorted by class, n
        random images that are the same in every call. By default all images, or 2000
        images of the synthetic set.

    Returns
    -------
    ImageSet
        float32 for ``synthetic``, uint8 for the others; files are decoded when
        they are indexed.

    Raises
    ------
    TypeError
        If `spec` is not a string, or n is not an integer.
    ValueError
        For an unknown spec or split, fewer than n images, or a damaged file.
    FileNotFoundError
        If the folder or one of its files does not exist.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.open_data("synthetic", n=16)
    >>> data.name, data.images.shape
    ('synthetic', (16, 1, 32, 32))
    """
    if not isinstance(spec, str):
        raise TypeError(f"spec: got {type(spec).__name__}, expected a string")
    validate.one_of("split", split, get_args(Split))
    if n is not None:
        n = validate.count("n", n)
    kind, _, folder = spec.partition(":")
    if kind == "synthetic" and not folder:
        images, labels = _synthetic.draw(2000 if n is None else n, split=split)
        return ImageSet(images, labels, _synthetic.CLASSES, "synthetic")
    if kind == "cifar10" and folder:
        return open_cifar10(folder, split=split, n=n)
    if kind in _FOLDERS and folder:
        found = _FOLDERS[kind](folder, split=split)
        if n is None:
            return found
        is_mixed = kind == "tinyimagenet" and split == "test"
        return found.take(n) if is_mixed else found.sample(n)
    raise ValueError(
        f"data: got {spec!r}, expected 'synthetic', 'cifar10:FOLDER', "
        "'tinyimagenet:FOLDER' or 'imagenet:FOLDER', each with its official layout"
    )


def load_data(spec: str, *, split: Split = "test", n: int | None = None) -> ImageSet:
    """Return the images that a data SPEC names, as floats in memory.

    Parameters
    ----------
    spec, split, n
        As in `open_data`.

    Returns
    -------
    ImageSet
        float32 in [0, 1].

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `open_data`.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", split="train", n=16)
    >>> data.images.shape, data.images.dtype
    ((16, 1, 32, 32), dtype('float32'))
    >>> data.class_names[:3]
    ('disk', 'ring', 'bar-')
    """
    return open_data(spec, split=split, n=n).load()
