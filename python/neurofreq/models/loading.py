"""From a spec to a model in evaluation mode."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.untrained import RANDOM
from neurofreq.models import _checkpoint, _programs, _sources, _zoo
from neurofreq.models._front_ends import PCA, Blur, Normalized
from neurofreq.models.registry import FACTORIES
from neurofreq.models.spec import FRONTS, convert_options, nearest, split_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".th", ".bin", ".npz")


def load_model(
    spec: str | PathLike[str],
    *,
    weights: str | PathLike[str] | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """Return a model in evaluation mode. Nothing is downloaded.

    Parameters
    ----------
    spec : str
        One of

        - a network of `list_models`, with options after commas, as in
          ``resnet18,base_width=16,stem=7``: the keywords of its function, and
          ``blur=SIGMA`` in pixels or ``pca=K`` components in front of it;
        - ``torchvision:NAME``, a classifier with ``n_classes``, ``blur`` and
          ``pca`` as options, or ``torchvision:NAME:WEIGHTS`` such as
          ``torchvision:resnet50:IMAGENET1K_V2``, where torch hub's cache has them;
        - ``robustbench:[DATASET/]NAME[:THREAT]``, by default ``cifar10`` and
          ``Linf``, where the package is installed and its folder ``models`` has
          the checkpoint;
        - ``zoo:NAME``, trained here and in the package;
        - ``python.module:factory``, where the module is found from the current
          directory too and the factory is called without arguments: this runs the
          module's code, so a spec or a study of a stranger is a program of theirs;
        - an exported program file (``.pt2``): a graph of torch's own operators and
          raw tensors; one that holds anything else is refused.
    weights : path, optional
        Without a file, and as ``"random"``, a network's weights are random, drawn
        from torch's generator: a network to be trained. Of safetensors and torch
        files tensors alone are read: objects of other classes are left out, and no
        code of a file is run. The network is found by its own keys, under any
        prefix and in any record; a warning says what is left out of its state dict.
        ``FILE#PART`` chooses one of several copies, such as
        ``last.ckpt#state_dict_ema``. Weights that were stored with a blur or
        principal components bring them along.
    sha256 : str, optional
        Hexadecimal digest the weights file must have, or its first 8 digits or
        more.

    Returns
    -------
    nn.Module
        On the CPU; takes images (N, C, H, W) in [0, 1]. Layers of all but a
        user's own modules and RobustBench's are called ``network.…``.

    Raises
    ------
    ValueError
        An unknown name or option, a spec of another form, weights that do not
        fit, have another digest, or contradict the options.
    FileNotFoundError
        If a file does not exist: for published weights, what to fetch, and
        where it goes.
    ImportError, AttributeError
        If the module or its factory cannot be found.
    TypeError
        If the factory returns anything but an ``nn.Module``.
    """
    text = _text(spec)
    is_random = weights is None or (isinstance(weights, str) and weights == RANDOM)
    file = None if is_random else str(validate.path("weights", weights))
    with torch.device("cpu"):  # whatever device torch makes tensors on
        return _loaded(text, file, sha256)


def _loaded(spec: str, weights: str | None, sha256: str | None) -> nn.Module:
    """Return the network of a spec, as of `load_model`."""
    complete = _complete(spec)
    if complete is not None:
        if weights is not None:
            raise ValueError(
                f"weights: got a file, expected none: {spec} brings its own"
            )
        return complete().eval()
    if sha256 is not None and weights is None:
        raise ValueError("weights: got none, expected the file that sha256 is of")
    model, fronts = _network(spec)
    holder = model.network if isinstance(model, Normalized) else model
    front: dict[str, Tensor] = {}
    if weights is not None:
        found = _checkpoint.load(holder, weights, sha256=sha256)
        if found.prefix.endswith("network."):
            front = found.under(f"{found.prefix.removesuffix('network.')}front.")
    if isinstance(model, Normalized):
        _put_front(model, fronts, front, has_weights=weights is not None)
    return model.eval()


def require_weights(spec: str, weights: str | None) -> None:
    """Require that what is to be measured has weights, or is said to have random ones.

    Raises
    ------
    ValueError
        If a spec of an architecture alone names no weights.
    """
    name = split_options(spec)[0]
    is_architecture = name in FACTORIES or name.startswith("torchvision:")
    if is_architecture and weights is None and _complete(spec) is None:
        raise ValueError(
            f"model: got {spec!r} without weights, which would be random; expected "
            f"{spec}@FILE, or {spec}@{RANDOM} to measure random weights"
        )


def _text(spec: str | PathLike[str]) -> str:
    """Return a spec as text."""
    if isinstance(spec, nn.Module):
        raise TypeError("model: got a module, expected a spec; it is loaded already")
    if not isinstance(spec, (str, PathLike)):
        raise TypeError(f"model: got {type(spec).__name__}, expected a spec or a path")
    text = str(os.fspath(spec))
    if Path(text).suffix in WEIGHT_SUFFIXES:
        raise ValueError(
            f"model: got {text!r}, a file of weights, expected the network they are "
            f"of: load_model(NETWORK, weights={text!r}), or NETWORK@{text}"
        )
    return text


def load_zoo(name: str) -> nn.Module:
    """Return a network of the package's zoo.

    Raises
    ------
    ValueError
        If there is none of that name, or its files were changed.
    """
    card = _zoo.zoo_card(name)
    path = _zoo.FOLDER / f"{name}.safetensors"
    return load_model(card.spec, weights=path, sha256=card.sha256)


def _complete(spec: str) -> Callable[[], nn.Module] | None:
    """Return what makes a model that brings its own weights, None for others."""
    if spec.endswith(".pt2"):
        return partial(_programs.load_program, Path(spec))
    source, _, rest = spec.partition(":")
    if source == "zoo":
        return partial(load_zoo, rest)
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
    elif colon:
        if texts:
            raise ValueError(
                f"model: got options for {name!r}, expected none: only networks of the "
                "registry and of torchvision have them"
            )
        return _from_module(spec), {}
    elif name in FACTORIES:
        factory = FACTORIES[name]
    else:
        known = [*FACTORIES, *_sources.PUBLISHED]
        raise ValueError(
            f"model: got {name!r}, expected one of {', '.join(known)}, "
            "torchvision:NAME, robustbench:NAME, zoo:NAME, python.module:factory, or a "
            f".pt2 file{nearest(name, known)}"
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
    """Put before a network what the options ask for or its weights were stored with."""
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
            f"pca: got {asked['pca']} and {got}, expected weights stored with as many "
            "components, which are fitted to images"
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
    module_name, _, factory_name = spec.partition(":")
    if not module_name or not factory_name:
        raise ValueError(f"model: got {spec!r}, expected python.module:factory")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        model = _made(spec, module_name, factory_name)
    finally:
        with suppress(ValueError):  # the module itself may have taken it out
            sys.path.remove(here)
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model: {spec!r} gave {type(model).__name__}, expected an nn.Module"
        )
    return model


def _made(spec: str, module_name: str, factory_name: str) -> Any:
    """Return what a module holds or its factory gives; it may import neighbours."""
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # something that the module imports is missing
        raise ImportError(
            f"model: cannot import {module_name!r} of {spec!r} ({error})"
        ) from error
    if not hasattr(module, factory_name):
        raise AttributeError(f"model: {module_name!r} has no {factory_name!r}")
    found = getattr(module, factory_name)
    return found if isinstance(found, nn.Module) else found()
