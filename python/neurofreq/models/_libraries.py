"""Networks of timm, and folders of image classifiers of transformers.

Nothing is downloaded, and no code of a file runs.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from neurofreq._shared.files import storage
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.calling import logits_of
from neurofreq._shared.networks.untrained import untrained
from neurofreq.models._front_ends import Normalized
from neurofreq.models.spec import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


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

    The network is that of config.json, with the tensors of the safetensors files and
    the normalization of preprocessor_config.json. Raises FileNotFoundError if one of
    these files is missing, and ValueError if they do not fit.
    """
    place = validate.path("model", folder)
    config, form = _json(place, "config.json"), _json(place, "preprocessor_config.json")
    if not any((place / name).is_file() for name in _WEIGHTS):
        raise FileNotFoundError(
            f"model: {place} holds no model.safetensors; other files of weights are "
            "not read, since they may run code"
        )
    transformers = package("transformers", f"hf:{folder}", "pip install transformers")
    if "auto_map" in config:
        raise ValueError(
            f"model: {place / 'config.json'} asks for code of its own (auto_map), "
            "which is not run: expected an image classifier of transformers"
        )
    try:
        network, loaded = (
            transformers.AutoModelForImageClassification.from_pretrained(
                str(place), local_files_only=True, trust_remote_code=False,
                use_safetensors=True, output_loading_info=True,
            )
        )  # fmt: skip
    except (ValueError, KeyError, OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"model: {place} holds no image classifier of transformers ({reason})"
        ) from error
    wrong = sorted(map(str, {*loaded["missing_keys"], *loaded["mismatched_keys"]}))
    if wrong:
        raise ValueError(
            f"model: the weights of {place} do not fit its config.json: without "
            f"{', '.join(wrong[:3])} ({len(wrong)} in all)"
        )
    mean, std = form.get("image_mean", ()), form.get("image_std", ())
    if not form.get("do_normalize", bool(mean)):
        n_channels = getattr(network.config, "num_channels", 3)
        mean, std = [0.0] * n_channels, [1.0] * n_channels
    if not mean or len(mean) != len(std):
        raise ValueError(
            f"model: {place / 'preprocessor_config.json'} has image_mean {mean} and "
            f"image_std {std}, expected one number for each channel"
        )
    return Classifier(network, mean, std)


def _json(folder: Path, name: str) -> dict[str, Any]:
    """Return the content of a JSON file of a folder."""
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"model: {path} is missing, expected a folder that save_pretrained of "
            "transformers wrote for the network and its image processor"
        )
    return storage.read_json(path)
