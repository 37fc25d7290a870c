"""Write a network that comes with the package."""

from __future__ import annotations

from dataclasses import asdict, replace
from hashlib import sha256 as hash_of
from typing import TYPE_CHECKING

from neurofreq._shared.files import storage
from neurofreq.models.loading import load_model
from neurofreq.models.zoo import FOLDER, ZooCard

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn


def write_zoo_model(
    model: nn.Module, card: ZooCard, folder: Path | None = None
) -> Path:
    """Store a network and its card, and check the files by reading them.

    Parameters
    ----------
    model : nn.Module
        A trained network, made by ``load_model(card.spec)``.
    card : ZooCard
    folder : path, optional
        Created if it does not exist; by default the folder of the package.

    Returns
    -------
    Path
        The file of weights. The card is written last, into the same folder.

    Raises
    ------
    ValueError
        If a weight is not finite in float16, or the spec describes another network.

    Examples
    --------
    >>> import pathlib
    >>> import neurofreq as nf
    >>> card = nf.models.ZooCard(
    ...     name="mine", spec="small_cnn", group="base", architecture="small CNN",
    ...     in_channels=1, n_classes=8, recipe="python train.py", seed=0,
    ...     data="synthetic", accuracies={"clean": 95.0}, date="2026-01-31",
    ... )
    >>> model = nf.models.load_model("small_cnn")  # train it here
    >>> path = nf.models.write_zoo_model(model, card, pathlib.Path("zoo"))
    >>> sorted(file.name for file in path.parent.iterdir())
    ['mine.json', 'mine.safetensors']
    """
    from safetensors.torch import save

    state = {key: _stored(key, value) for key, value in model.state_dict().items()}
    folder = FOLDER if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card.name}.safetensors"
    storage.write_bytes(path, save(state))
    digest = hash_of(path.read_bytes()).hexdigest()
    try:
        loaded = load_model(card.spec, weights=path, sha256=digest)
        if loaded.state_dict().keys() != state.keys():
            raise ValueError("spec: got a spec of another network than the model")
    except Exception:
        path.unlink()
        raise
    written = asdict(replace(card, sha256=digest))
    storage.write_json(path.with_suffix(".json"), written)
    return path


def _stored(key: str, value: torch.Tensor) -> torch.Tensor:
    """Return a tensor in float16; vectors (batch norm) keep their type."""
    value = value.detach().cpu().contiguous()
    if value.is_floating_point() and value.ndim > 1:
        value = value.half()
    if not bool(value.isfinite().all()):
        raise ValueError(f"model: got {key} that is not finite as {value.dtype}")
    return value
