"""Networks of timm, and folders of image classifiers of transformers.

Nothing is downloaded, and no code of a file runs.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.calling import logits_of
from neurofreq._shared.networks.untrained import untrained
from neurofreq.models import _checkpoint
from neurofreq.models._front_ends import Normalized
from neurofreq.models.spec import nearest

if TYPE_CHECKING:
    from torch import Tensor

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def package(name: str, needed_by: str, how: str) -> Any:
    """Return an optional package; raise ImportError if it cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        root = name.partition(".")[0]
        is_there = importlib.util.find_spec(root) is not None
        found = f"cannot be imported ({error})" if is_there else "is not installed"
        raise ImportError(
            f"model: {needed_by!r} needs the package {root}, which {found}: {how}"
        ) from error


@untrained
def timm_network(
    name: str, *, n_classes: int = 1000, image_size: int = 0
) -> Normalized:
    """Return a classifier of timm without weights, with timm's normalization for it.

    With an `image_size`, the network is made for square images of this size; by default
    for the size of its name. Raises ValueError if timm has no such network.
    """
    timm = package("timm", f"timm:{name}", "pip install timm")
    # A name with a colon or a slash would be looked up on a server.
    if not set(":/").isdisjoint(name) or not timm.is_model(name):
        known = [] if not name else timm.list_models()
        raise ValueError(
            f"model: got 'timm:{name}', expected a network of timm.list_models()"
            f"{nearest(name.partition('.')[0], known)}"
        )
    size = {"img_size": image_size} if image_size else {}
    try:
        network = timm.create_model(
            name, pretrained=False, num_classes=n_classes, **size
        )
    except TypeError as error:
        if not size or "img_size" not in str(error):
            raise
        raise ValueError(
            f"image_size: got {image_size} for timm:{name}, expected none: the network "
            "takes images of any size"
        ) from error
    settings = network.pretrained_cfg
    return Normalized(network, settings["mean"], settings["std"])


class Classifier(Normalized):
    """A normalized network whose output has the logits as an attribute."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images in [0, 1], shape (N, C, H, W)."""
        return logits_of(super().forward(images))


def transformers_classifier(folder: str) -> Classifier:
    """Return an image classifier that transformers stored in a folder.

    The network is made from config.json and gets the tensors of the weights file; the
    normalization is that of preprocessor_config.json. Raises FileNotFoundError if one
    of these files is missing, and ValueError if they do not fit.
    """
    place = validate.path("model", folder)
    config, form = _json(place, "config.json"), _json(place, "preprocessor_config.json")
    weights = _weights(place)
    transformers = package("transformers", f"hf:{folder}", "pip install transformers")
    if "auto_map" in config:
        raise ValueError(
            f"model: {place / 'config.json'} asks for code of its own (auto_map), "
            "which is not run: expected an image classifier of transformers"
        )
    try:
        settings = transformers.AutoConfig.from_pretrained(
            str(place), local_files_only=True, trust_remote_code=False
        )
        network = transformers.AutoModelForImageClassification.from_config(
            settings, trust_remote_code=False
        )
    except (ValueError, KeyError, OSError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ValueError(
            f"model: {place} holds no image classifier of transformers ({reason})"
        ) from error
    mean, std = form.get("image_mean", ()), form.get("image_std", ())
    if not form.get("do_normalize", bool(mean)):
        n_channels = getattr(settings, "num_channels", 3)
        mean, std = [0.0] * n_channels, [1.0] * n_channels
    if not mean or len(mean) != len(std):
        raise ValueError(
            f"model: {place / 'preprocessor_config.json'} has image_mean {mean} and "
            f"image_std {std}, expected one number for each channel"
        )
    model = Classifier(network, mean, std)
    _checkpoint.load(model.network, weights)
    return model


def _json(folder: Path, name: str) -> dict[str, Any]:
    """Return the content of a JSON file of a folder."""
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"model: {path} is missing, expected a folder that save_pretrained of "
            "transformers wrote for the network and its image processor"
        )
    return storage.read_json(path)


def _weights(folder: Path) -> Path:
    """Return the path of the weights of a folder."""
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    parts = sorted(path.name for path in folder.glob("*.index.json"))
    split = f" ({parts[0]} lists several: join them in one)" if parts else ""
    raise FileNotFoundError(
        f"model: {folder} holds none of {', '.join(_WEIGHTS)}{split}"
    )
