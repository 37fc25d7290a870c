"""Load a model from a spec, in evaluation mode."""

from __future__ import annotations

import os
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from neurofreq._shared import factories
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.untrained import RANDOM
from neurofreq.models import _checkpoint, _libraries, _programs, _sources, zoo
from neurofreq.models._front_ends import PCA, Blur, Normalized
from neurofreq.models.registry import FACTORIES
from neurofreq.models.spec import (
    FRONTS,
    convert_options,
    nearest,
    parse_spec,
    split_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".th", ".bin", ".npz")


def load_model(
    spec: str | PathLike[str],
    *,
    weights: str | PathLike[str] | None = None,
    sha256: str | None = None,
    prefix: str | None = None,
) -> nn.Module:
    """Return a model in evaluation mode. Nothing is downloaded.

    Parameters
    ----------
    spec : str
        ``SPEC`` or ``[LABEL=]SPEC@WEIGHTS``, as on the command line (`parse_spec`).
        SPEC is one of

        - a network of `list_models`, with options after commas, as in
          ``resnet18,base_width=16,stem=7``. The options are the keywords of the
          network's function, and the front ends ``blur=SIGMA`` (in pixels) or
          ``pca=K`` (number of components);
        - ``torchvision:NAME``, a classifier with ``n_classes``, ``blur`` and
          ``pca`` as options, or ``torchvision:NAME:WEIGHTS``, for example
          ``torchvision:resnet50:IMAGENET1K_V2``, with weights from torch hub's cache;
        - ``timm:NAME``, a classifier of timm with ``n_classes``, ``image_size``,
          ``blur`` and ``pca`` as options, for example
          ``timm:vit_tiny_patch16_224,n_classes=10@best.pt``;
        - ``hf:FOLDER``, an image classifier that transformers stored in a folder
          (config.json, preprocessor_config.json and model.safetensors);
        - ``robustbench:[DATASET/]NAME[:THREAT]``, by default ``cifar10`` and
          ``Linf``. The package must be installed, and its folder ``models`` must have
          the checkpoint;
        - ``zoo:NAME``, a trained network of this package;
        - ``python.module:factory`` or ``path/file.py:factory``. The module may also be
          in the current directory. The factory is called without arguments. This runs
          the module's code: use a spec or a study from somebody else only if you trust
          it like a program;
        - an exported program file (``.pt2``): a graph of torch's own operators and
          raw tensors. A file that holds anything else is refused.
    weights : path, optional
        A safetensors or torch file. Without a file, or with ``"random"``, the weights
        are drawn from torch's generator; use this for a network to be trained. Only
        tensors are read: objects of other classes are left out, and no code of the file
        runs. The network is found by its keys, under any prefix and in any record, such
        as ``state_dict.net.`` of Lightning. A warning names other parts of the state
        dict that are left out. ``FILE#PART`` chooses one of several copies, for example
        ``last.ckpt#state_dict_ema`` or ``last.ckpt#student``: PART is some of the parts
        of the keys in front of the network. If the file has a blur or principal
        components in front of the network, the front end is loaded too.
    sha256 : str, optional
        The hexadecimal digest of the weights file, or at least its first 8 digits.
    prefix : str, optional
        PART of the file as an argument, with or without a dot at its end, for example
        ``"student."``.

    Returns
    -------
    nn.Module
        On the CPU; takes images (N, C, H, W) in [0, 1]. The names of its layers begin
        with ``network.``, except in your own modules and RobustBench's.

    Raises
    ------
    ValueError
        If a name or option is unknown, the spec is malformed, or the weights do not
        fit, have another digest, or contradict the options.
    FileNotFoundError
        If a file does not exist. For published weights, the error says which file to
        download and where to put it.
    ImportError, AttributeError
        If the module or its factory cannot be found.
    TypeError
        If the factory does not return an ``nn.Module``.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> model(torch.rand(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    >>> narrow = nf.models.load_model("resnet18,base_width=8,blur=1.5")
    >>> [name for name, _ in narrow.named_children()]
    ['front', 'network']
    """
    text, inside = _parts(spec)
    if weights is not None and inside is not None:
        raise ValueError(f"weights: got some, expected none: {spec} names its own")
    weights = inside if weights is None else weights
    is_random = weights is None or (isinstance(weights, str) and weights == RANDOM)
    file = None if is_random else str(validate.path("weights", weights))
    part = None if prefix is None else validate.text("prefix", prefix)
    if part is not None and file is None:
        raise ValueError(f"prefix: got {prefix!r} without weights, expected a file too")
    with torch.device("cpu"):  # torch's default device may be another device
        return _loaded(text, file, sha256, part)


def _loaded(
    spec: str, weights: str | None, sha256: str | None, prefix: str | None = None
) -> nn.Module:
    """Return the network of a spec with its weights; see `load_model`."""
    complete = _complete(spec)
    if complete is not None:
        if weights is not None:
            raise ValueError(
                f"weights: got a file, expected none: {spec} has its own weights"
            )
        return complete().eval()
    if sha256 is not None and weights is None:
        raise ValueError("weights: got none, expected the file with this sha256")
    model, fronts = _network(spec)
    holder = model.network if isinstance(model, Normalized) else model
    front: dict[str, Tensor] = {}
    if weights is not None:
        found = _checkpoint.load(holder, weights, sha256=sha256, prefix=prefix)
        if found.prefix.endswith("network."):
            front = found.under(f"{found.prefix.removesuffix('network.')}front.")
    if isinstance(model, Normalized):
        _put_front(model, fronts, front, has_weights=weights is not None)
    return model.eval()


def require_weights(spec: str, weights: str | None) -> None:
    """Raise ValueError if a spec names only an architecture, without weights.

    To measure an architecture, the user must give weights or "random".
    """
    name = split_options(spec)[0]
    is_architecture = name in FACTORIES or name.startswith(("torchvision:", "timm:"))
    if is_architecture and weights is None and _complete(spec) is None:
        raise ValueError(
            f"model: got {spec!r} without weights, which would be random; expected "
            f"{spec}@FILE, or {spec}@{RANDOM} to measure random weights"
        )


def _parts(spec: str | PathLike[str]) -> tuple[str, str | None]:
    """Return the spec of a network and its weights, from ``[LABEL=]SPEC[@WEIGHTS]``."""
    if isinstance(spec, nn.Module):
        raise TypeError("model: got a module, expected a spec; it is loaded already")
    if not isinstance(spec, (str, PathLike)):
        raise TypeError(f"model: got {type(spec).__name__}, expected a spec or a path")
    text = str(os.fspath(spec))
    found = parse_spec(text) if text else None
    if found is None or found.weights is None:
        if Path(text).suffix in WEIGHT_SUFFIXES:
            raise ValueError(
                f"model: got {text!r}, a file of weights, expected the network of "
                f"these weights: load_model(NETWORK, weights={text!r}), or "
                f"NETWORK@{text}"
            )
        return (text if found is None else found.spec), None
    return found.spec, found.weights


def load_zoo(name: str) -> nn.Module:
    """Return a network of the package's zoo.

    Raises ValueError if there is no such network, or its files were changed.
    """
    card = zoo.zoo_card(name)
    path = zoo.FOLDER / f"{name}.safetensors"
    return load_model(card.spec, weights=path, sha256=card.sha256)


def _complete(spec: str) -> Callable[[], nn.Module] | None:
    """Return a function that makes a model with its own weights, or None."""
    if spec.endswith(".pt2"):
        return partial(_programs.load_program, Path(spec))
    source, _, rest = spec.partition(":")
    if source == "zoo":
        return partial(load_zoo, rest)
    if source == "hf":
        return partial(_libraries.transformers_classifier, rest)
    if source == "robustbench":
        return partial(_sources.robustbench, rest)
    if source == "torchvision" and ":" in rest:
        return partial(_sources.torchvision_pretrained, *rest.split(":", 1))
    if spec in _sources.PUBLISHED:
        return partial(_sources.published, spec)
    return None


def _network(spec: str) -> tuple[nn.Module, dict[str, float]]:
    """Return an untrained network and the front ends that the options ask for."""
    name, texts = split_options(spec)
    source, colon, rest = name.partition(":")
    if source == "torchvision" and colon:
        factory: Callable[..., nn.Module] = partial(_sources.torchvision_network, rest)
    elif source == "timm" and colon:
        factory = partial(_libraries.timm_network, rest)
    elif colon:
        if texts:
            raise ValueError(
                f"model: got options for {name!r}, expected none: only networks of the "
                "registry, of torchvision and of timm have them"
            )
        return _from_module(spec), {}
    elif name in FACTORIES:
        factory = FACTORIES[name]
    else:
        known = [*FACTORIES, *_sources.PUBLISHED]
        raise ValueError(
            f"model: got {name!r}, expected one of {', '.join(known)}, "
            "torchvision:NAME, timm:NAME, hf:FOLDER, robustbench:NAME, zoo:NAME, "
            "python.module:factory, file.py:factory, or a .pt2 file"
            f"{nearest(name, known)}"
        )
    options = convert_options(factory, texts, name)
    fronts = {key: options.pop(key) for key in FRONTS if key in options}
    return factory(**options), fronts


def _put_front(
    model: Normalized,
    asked: Mapping[str, float],
    stored: Mapping[str, Tensor],
    *,
    has_weights: bool,
) -> None:
    """Add the front end of the options or of the stored weights to a network."""
    if len(asked) > 1:
        raise ValueError("model: got blur and pca, expected one front end")
    front: PCA | Blur | None = None
    if "kernel" in stored:
        front = Blur.from_kernel(stored["kernel"])
    elif "components" in stored and "mean" in stored:
        front = PCA(stored["mean"], stored["components"])
    if "pca" in asked and not (
        isinstance(front, PCA) and len(front.components) == asked["pca"]
    ):
        behind = f"weights behind {front or 'no front end'}"
        got = behind if has_weights else "no weights"
        raise ValueError(
            f"pca: got {asked['pca']} and {got}, expected weights stored with "
            f"{asked['pca']} components (components are fitted to images)"
        )
    if "blur" in asked:
        blur = Blur(asked["blur"])
        if front is not None and not _is_same(front, blur):
            raise ValueError(
                f"blur: got {asked['blur']} and weights behind {front}, expected the "
                "front end that the weights were stored with"
            )
        front = blur
    if front is not None:
        model.front = front


def _is_same(front: nn.Module, blur: Blur) -> bool:
    kernel = getattr(front, "kernel", torch.empty(0))
    return kernel.shape == blur.kernel.shape and torch.allclose(kernel, blur.kernel)


def _from_module(spec: str) -> nn.Module:
    model = factories.made(spec, "model", nn.Module)
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model: {spec!r} gave {type(model).__name__}, expected an nn.Module"
        )
    return model
