"""Published networks and weights: torchvision, RobustBench, files of the authors.

Nothing is downloaded. If a file is missing, the error says which file to download and
where to put it.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from neurofreq._shared.networks.untrained import untrained
from neurofreq.models import _checkpoint, _libraries, _programs
from neurofreq.models._front_ends import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalized,
)
from neurofreq.models.spec import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

# RobustBench's default folder, relative to the working directory.
ROBUSTBENCH_FOLDER = Path("models")
_CIFAR10_HUB = "chenyaofo/pytorch-cifar-models"
_RELEASES = f"https://github.com/{_CIFAR10_HUB}/releases/download"


class Published(NamedTuple):
    """A file of weights that its authors published, and its network."""

    network: str  # "hub" or a torchvision name; empty if the network is in neither
    url: str
    file: str


PUBLISHED = {
    "cifar10_resnet56": Published(
        "hub", f"{_RELEASES}/resnet/cifar10_resnet56-187c023a.pt",
        "cifar10_resnet56-187c023a.pt",
    ),
    "cifar10_vgg19_bn": Published(
        "hub", f"{_RELEASES}/vgg/cifar10_vgg19_bn-57191229.pt",
        "cifar10_vgg19_bn-57191229.pt",
    ),
    "cifar10_mobilenetv2_x1_4": Published(
        "hub", f"{_RELEASES}/mobilenetv2/cifar10_mobilenetv2_x1_4-3bbbd6e2.pt",
        "cifar10_mobilenetv2_x1_4-3bbbd6e2.pt",
    ),
    "cifar10_shufflenetv2_x2_0": Published(
        "hub", f"{_RELEASES}/shufflenetv2/cifar10_shufflenetv2_x2_0-ec31611c.pt",
        "cifar10_shufflenetv2_x2_0-ec31611c.pt",
    ),
    "cifar10_repvgg_a2": Published(
        "hub", f"{_RELEASES}/repvgg/cifar10_repvgg_a2-09488915.pt",
        "cifar10_repvgg_a2-09488915.pt",
    ),
    "imagenet_l2_3": Published(
        "resnet50", "https://www.dropbox.com/s/knf4uimlqsi1yz8/imagenet_l2_3_0.pt",
        "imagenet_l2_3_0.pt",
    ),
    "imagenet_ant": Published(
        "resnet50",
        "https://github.com/bethgelab/game-of-noise/releases/download/v1.0/ANT3x3_Model.pth",
        "ANT3x3_Model.pth",
    ),
    "imagenet_daam": Published(
        "resnet50", "https://drive.google.com/uc?id=1QKmc_p6-qDkh51WvsaS9HKFv8bX5jLnP",
        "deepaugment_and_augmix.pth.tar",
    ),
    "imagenet_assemble": Published(
        "", "https://github.com/clovaai/assembled-cnn", "assemble_resnet50.pt2"
    ),
}  # fmt: skip


def _torchvision_models(name: str) -> Any:
    """Return torchvision's module of networks, or raise if it is not installed."""
    return _libraries.package(
        "torchvision.models",
        f"torchvision:{name}",
        "install the release for your torch",
    )


@untrained
def torchvision_network(name: str, *, n_classes: int = 1000) -> Normalized:
    """Return a torchvision classifier without weights, with ImageNet normalization.

    Raises ValueError if torchvision has no classifier with this name.
    """
    models = _torchvision_models(name)
    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(
            f"model: got 'torchvision:{name}', expected a classifier of "
            f"torchvision.models.list_models(){nearest(name, known)}"
        )
    # Two old networks warn of slow initialization unless this is set.
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    network = models.get_model(name, weights=None, num_classes=n_classes, **extra)
    return Normalized(network, IMAGENET_MEAN, IMAGENET_STD)


def torchvision_pretrained(name: str, entry: str) -> Normalized:
    """Return a torchvision classifier with weights from torch hub's cache.

    Raises ValueError if torchvision has no such network or weights, and
    FileNotFoundError if the file is not in the cache. The error says which file to
    download and where to put it.
    """
    models = _torchvision_models(name)
    model = torchvision_network(name)
    weights = models.get_model_weights(name)
    if entry not in weights.__members__:
        raise ValueError(
            f"model: got weights {entry!r} for {name}, expected one of "
            f"{', '.join(weights.__members__)}"
        )
    chosen = weights[entry]
    path = hub_checkpoint(chosen.url.rpartition("/")[2])
    require_fetched(f"torchvision:{name}:{entry}", {path: chosen.url})
    preset = chosen.transforms()
    model = Normalized(model.network, preset.mean, preset.std)
    _checkpoint.load(model.network, path, sha256=digest_in(path.name))
    return model


def published(name: str) -> nn.Module:
    """Return a network of `PUBLISHED` with its weights from torch hub's cache.

    Raises FileNotFoundError if a file is not in the cache; the error says which file to
    download and where to put it. Raises ValueError if the file's digest differs from
    the digest in its name, or the file does not fit the network.
    """
    network, url, file = PUBLISHED[name]
    path = hub_checkpoint(file)
    if not network:
        require_fetched(
            name, {path: url}, "convert its TensorFlow weights to an exported program; "
        )
        return _programs.load_program(path)
    if network == "hub":
        code = Path(torch.hub.get_dir()) / (_CIFAR10_HUB.replace("/", "_") + "_master")
        require_fetched(
            name, {code / "hubconf.py": f"https://github.com/{_CIFAR10_HUB}", path: url}
        )
        hub: Any = torch.hub
        made = hub.load(str(code), name, source="local", pretrained=False)
        model = Normalized(made, CIFAR10_MEAN, CIFAR10_STD)
    else:
        require_fetched(name, {path: url})
        model = torchvision_network(network)
    _checkpoint.load(model.network, path, sha256=digest_in(file))
    return model


def robustbench(text: str) -> nn.Module:
    """Return a RobustBench model, ``[DATASET/]NAME[:THREAT]``, from its folder.

    Raises ImportError if the package is not installed or not complete, and ValueError
    if the package has no such model or must download it through another package. Raises
    FileNotFoundError if the checkpoint is missing; the error says which file to
    download and where to put it.
    """
    dataset, name, threat = robustbench_parts(text)
    listed = _robustbench_models(text)
    if (dataset, threat) not in listed:
        pairs = ", ".join(f"{one}/…:{kind}" for one, kind in listed)
        raise ValueError(f"model: got 'robustbench:{text}', expected one of {pairs}")
    models = listed[dataset, threat]
    if name not in models:
        others = [kind for (one, kind), has in listed.items()
                  if one == dataset and name in has]  # fmt: skip
        hint = (
            f"; {name} is in {', '.join(others)}" if others else nearest(name, models)
        )
        raise ValueError(
            f"model: got 'robustbench:{text}', expected a name of RobustBench for "
            f"{dataset}, {threat}{hint}"
        )
    drive = models[name].get("gdrive_id")
    if not drive:
        raise ValueError(
            f"model: got 'robustbench:{text}', expected a model with a checkpoint of "
            "its own: RobustBench would download this one through another package"
        )
    ids = [drive] if isinstance(drive, str) else list(drive)
    paths = robustbench_paths(text, len(ids) if drive is not ids[0] else None)
    urls = [f"https://drive.google.com/uc?id={one}" for one in ids]
    require_fetched(f"robustbench:{text}", dict(zip(paths, urls, strict=True)))
    load = importlib.import_module("robustbench.utils").load_model
    return load(name, str(ROBUSTBENCH_FOLDER), dataset, threat)


def _robustbench_models(text: str) -> dict[tuple[str, str], Any]:
    """Return the package's models by data set and threat model."""
    if importlib.util.find_spec("robustbench") is None:
        raise ImportError(
            f"model: 'robustbench:{text}' needs the package robustbench, which is not "
            "installed: pip install git+https://github.com/RobustBench/robustbench"
        )
    try:
        zoo = importlib.import_module("robustbench.model_zoo").model_dicts
    except ImportError as error:
        raise ImportError(
            f"model: 'robustbench:{text}' needs the package robustbench, which is "
            f"installed but cannot be imported ({error})"
        ) from error
    return {
        (dataset.value, threat.value): models
        for dataset, threats in zoo.items()
        for threat, models in threats.items()
    }


def robustbench_parts(text: str) -> tuple[str, str, str]:
    """Return data set, name and threat model; by default cifar10 and Linf."""
    head, _, threat = text.partition(":")
    dataset, slash, name = head.partition("/")
    if not slash:
        dataset, name = "cifar10", head
    if not name or not dataset:
        raise ValueError(
            f"model: got 'robustbench:{text}', expected robustbench:[DATASET/]NAME"
            "[:THREAT]"
        )
    return dataset, name, threat or "Linf"


def robustbench_paths(text: str, n_parts: int | None = None) -> Sequence[Path]:
    """Return the paths of a RobustBench checkpoint; an ensemble has several."""
    dataset, name, threat = robustbench_parts(text)
    folder = ROBUSTBENCH_FOLDER / dataset / threat
    if n_parts is None:
        return [folder / f"{name}.pt"]
    return [folder / f"{name}_m{part}.pt" for part in range(n_parts)]


def hub_checkpoint(file: str) -> Path:
    """Return the path of a file of weights in torch hub's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / file


def digest_in(file: str) -> str | None:
    """Return the digits of the SHA-256 in one of torch hub's file names, or None."""
    found = re.search(r"-([0-9a-f]{8,})\.", file)
    return found and found[1]


def require_fetched(name: str, files: dict[Path, str], first: str = "") -> None:
    """Require files that the user must download.

    Raises FileNotFoundError with each missing file, its URL and its path.
    """
    missing = [
        f"fetch {url} and save it as {path}"
        if path.name != "hubconf.py"
        else f"fetch the repository {url} as the folder {path.parent}"
        for path, url in files.items()
        if not path.is_file()
    ]
    if missing:
        raise FileNotFoundError(
            f"model: {name} is not on this machine, and neurofreq downloads nothing: "
            f"{first}{'; '.join(missing)}"
        )
