"""Reading weights and exported programs: no pickle but torch's weights-only."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from pathlib import Path

PREFIXES = ("module.", "model.", "network.", "_orig_mod.")
CONTAINERS = ("state_dict", "model_state_dict", "model", "net")


def read_state(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """Return the state dict of a file, with the keys that it has there.

    Taken off are an entry `CONTAINERS` around it and a list of one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the digest differs or the file holds no state dict.
    """
    _require_file(path, "weights")
    if sha256 is not None:
        _check_digest(path, sha256)
    return _unwrap(_read(path), path)


def forms(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return a state dict as it is, and with one more wrapping off at a time.

    Wrappings are the prefixes `PREFIXES` where all keys have them, and the copy of
    the network that the robustness library of MadryLab stores for its attacker.
    """
    found = [state]
    while True:
        last = found[-1]
        prefix = _common_prefix(last)
        if any(key.startswith("attacker.") for key in last):
            extra = ("attacker.", "normalizer.")
            found.append({k: v for k, v in last.items() if not k.startswith(extra)})
        elif prefix is not None:
            found.append({k.removeprefix(prefix): v for k, v in last.items()})
        else:
            return found


def load_state(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load a state dict, all keys or none, in that of its `forms` that fits.

    A model may have a prefix itself: no more is taken off than it takes to fit.

    Raises
    ------
    ValueError
        If the keys or shapes do not fit the model; `path` is named.
    """
    expected = model.state_dict()
    best = max(forms(state), key=lambda form: (len(form.keys() & expected), -len(form)))
    _check_fit(expected, best, path)
    model.load_state_dict(best, strict=False)


def _check_digest(path: Path, sha256: str) -> None:
    if not re.fullmatch("[0-9a-fA-F]{8,64}", sha256):
        raise ValueError(
            f"sha256: got {sha256!r}, expected 64 hexadecimal digits, or the first 8 "
            "or more of them"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(sha256.lower()):
        raise ValueError(f"weights: {path} has SHA-256 {found}, expected {sha256}")


def _require_file(path: Path, name: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{name}: there is no file {path}")


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"weights: {path} is no safetensors file") from error
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises half a dozen kinds here
        raise ValueError(
            f"weights: {path} cannot be read as tensors alone ({type(error).__name__})"
        ) from error


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """Take off an entry of a larger record and a list around one state dict."""
    for container in CONTAINERS:
        if isinstance(content, dict) and isinstance(
            content.get(container), (dict, list, tuple)
        ):
            content = content[container]
            break
    if isinstance(content, (list, tuple)) and len(content) == 1:
        content = content[0]
    if not (
        isinstance(content, dict)
        and content
        and all(isinstance(value, Tensor) for value in content.values())
    ):
        raise ValueError(f"weights: {path} holds no state dict")
    return content


def _common_prefix(state: dict[str, Tensor]) -> str | None:
    for prefix in PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            return prefix
    return None


def _check_fit(
    expected: dict[str, Tensor], found: dict[str, Tensor], path: Path
) -> None:
    # Old checkpoints lack batch norm's step counter, which inference ignores.
    missing = [
        key
        for key in expected
        if key not in found and not key.endswith("num_batches_tracked")
    ]
    unexpected = [key for key in found if key not in expected]
    shapes = [
        f"{key} {tuple(found[key].shape)} for {tuple(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    for problem, keys in (
        ("lacks", missing),
        ("has unexpected", unexpected),
        ("has another shape in", shapes),
    ):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise ValueError(
                f"weights: {path} does not fit the model: "
                f"it {problem} {', '.join(keys[:3])}{more}"
            )
