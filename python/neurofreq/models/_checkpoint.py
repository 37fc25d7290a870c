"""Find a network in a file of weights, under any prefix.

A copy of the network is found by its keys, which all have the same prefix. A list of
prefixes (``module.``, ``net.``, ``backbone.``, ``state_dict``, ...) is therefore not
needed.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from neurofreq.models import weight_files

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor, nn

    from neurofreq.models.weight_files import Contents

# Parts that torch.compile, FSDP, checkpointing and DataParallel insert into keys.
WRAPPERS = frozenset(
    ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module")
)
# Words in the prefixes of averages and of optimizer states, whose tensors have the
# names and shapes of the network's tensors.
_ASIDE = frozenset(
    ("ema", "swa", "averaged", "average", "optimizer", "exp", "grads", "momentum")
)
# Other parts of known state dicts: MadryLab's attacker and normalizer, and the counter
# of averaged models. No warning names them.
_KNOWN_BESIDE = ("attacker", "normalizer", "n_averaged")


class Found(NamedTuple):
    """A copy of a network in a file.

    `state` maps the network's keys to tensors. `prefix` is the prefix of these keys in
    the file; it is empty or ends with a dot. `tensors` has all tensors of the file, by
    their keys without wrappers.
    """

    state: dict[str, Tensor]
    prefix: str
    tensors: dict[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose keys start with a prefix, by the rest of the key."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def load(
    model: nn.Module,
    weights: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    prefix: str | None = None,
) -> Found:
    """Load all of a network's weights from ``FILE`` or ``FILE#PART``.

    PART, or `prefix`, is needed if the file holds several copies of the network. Raises
    FileNotFoundError if the file does not exist, and ValueError if it holds no copy of
    the network, several copies, or a copy with other shapes.
    """
    path, part = weight_files.split(weights)
    if part and prefix is not None:
        raise ValueError(f"prefix: got {prefix!r} and {path}#{part}, expected one")
    part = part if prefix is None else prefix.strip(".")
    contents = weight_files.read(path, sha256=sha256)
    expected = model.state_dict()
    found = _find(expected, contents, path, part)
    _tell_left_out(found, expected, contents, path)
    model.load_state_dict(found.state, strict=False)
    return found


def _find(
    expected: Mapping[str, Tensor], contents: Contents, path: Path, part: str
) -> Found:
    """Return the copy of the network in a file; raise if there is none or several."""
    if not contents.tensors:
        raise ValueError(f"weights: {path} holds no state dict{_unread(contents)}")
    wrappers = _wrappers(expected, contents.tensors)
    tensors = {_plain(n, wrappers): one for n, one in contents.tensors.items()}
    keys = {_plain(key, wrappers): key for key in expected}
    homes = _homes(keys, tensors)
    if part:
        inside = f".{_plain(part, wrappers)}."
        named = [h for h in homes if inside in f".{h}"]
        if not named:
            raise ValueError(
                f"weights: got part {part!r} of {path}, expected one of "
                f"{', '.join(_groups(tensors))}"
            )
        homes = named
    required = [k for k in keys if not k.endswith("num_batches_tracked")]
    whole = [h for h in homes if all(h + key in tensors for key in required)]
    fitting = [h for h in whole if _fits(h, keys, tensors, expected)]
    copies = _different(fitting or whole, keys, tensors)
    if len(copies) > 1 and not part:
        # Prefer the network to averages and to values of an optimizer.
        chosen = [h for h in copies if not _is_aside(h)] or copies
        if len(chosen) == 1 and fitting:
            left = ", ".join(_place(h) for h in copies if h not in chosen)
            warnings.warn(
                f"weights: {path} holds the network in {_place(chosen[0])}, which is "
                f"loaded, and in {left}; name another as FILE#PART",
                stacklevel=5,
            )
        copies = chosen
    if len(copies) > 1 and fitting:
        raise ValueError(
            f"weights: {path} holds the network {len(copies)} times, in "
            f"{', '.join(map(_place, copies))}; expected one of them: "
            f"{path}#{copies[0].rstrip('.') or copies[1].rstrip('.')}"
        )
    best = (
        copies[0] if copies else max(homes, key=lambda h: _n_common(h, keys, tensors))
    )
    state = {keys[k]: tensors[best + k] for k in keys if best + k in tensors}
    found = Found(state, best, tensors)
    _check_fit(found, expected, contents, path)
    return found


def _is_aside(home: str) -> bool:
    """Return whether a prefix belongs to averages or to an optimizer."""
    words = re.split(r"[._]", home.lower())
    return any(word in _ASIDE for word in words)


def _wrappers(*groups: Mapping[str, Tensor]) -> frozenset[str]:
    """Return the wrappers that can be removed so that all keys stay different."""
    off = WRAPPERS
    for keys in groups:
        if len({_plain(key, off) for key in keys}) < len(keys):
            off -= {"module"}
    return off


def _plain(key: str, wrappers: Collection[str]) -> str:
    return ".".join(one for one in key.split(".") if one not in wrappers)


def _homes(keys: Collection[str], tensors: Mapping[str, Tensor]) -> list[str]:
    """Return every prefix that the file has in front of a key of the network."""
    found: dict[str, None] = {"": None}
    for name in tensors:
        parts = name.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in keys:
                found["".join(f"{one}." for one in parts[:start])] = None
    return list(found)


def _n_common(home: str, keys: Collection[str], tensors: Mapping[str, Tensor]) -> int:
    return sum(home + key in tensors for key in keys)


def _fits(
    home: str,
    keys: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> bool:
    return all(
        home + key not in tensors or tensors[home + key].shape == expected[own].shape
        for key, own in keys.items()
    )


def _different(
    homes: list[str], keys: Collection[str], tensors: Mapping[str, Tensor]
) -> list[str]:
    """Return the prefixes of copies that differ from all copies before them."""
    kept: list[str] = []
    for home in homes:
        same = any(
            all(
                _equal(tensors.get(home + key), tensors.get(other + key))
                for key in keys
            )
            for other in kept
        )
        if not same:
            kept.append(home)
    return kept


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and torch.equal(one, other)


def _beside(
    found: Found, expected: Mapping[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Return the extra keys beside the network: of another network, and others.

    An extra key is from another network if this network has a part of the same name, or
    if the part is a number and this network has numbered parts. All other extra keys
    were stored with the network.
    """
    wrappers = _wrappers(expected, found.tensors)
    keys = {_plain(key, wrappers) for key in expected}
    own = {key.partition(".")[0] for key in keys}
    has_numbers = any(one.isdecimal() for one in own)
    strange, beside = [], []
    for name in found.under(found.prefix):
        first = name.partition(".")[0]
        if name in keys or name.endswith("num_batches_tracked"):
            continue
        if first in own or (has_numbers and first.isdecimal()):
            strange.append(name)
        elif first not in _KNOWN_BESIDE:
            beside.append(name)
    return strange, beside


def _check_fit(
    found: Found, expected: Mapping[str, Tensor], contents: Contents, path: Path
) -> None:
    # Old checkpoints lack the step counter of batch norm, which inference ignores.
    missing = [
        key
        for key in expected
        if key not in found.state and not key.endswith("num_batches_tracked")
    ]
    both = [(key, found.state[key], expected[key]) for key in found.state]
    shapes = [
        f"{key} {tuple(one.shape)} for {tuple(own.shape)}"
        for key, one, own in both
        if one.shape != own.shape
    ]
    kinds = [
        f"{key} ({one.dtype}, {one.layout}, {one.device.type})"
        for key, one, own in both
        if one.is_meta
        or one.layout != torch.strided
        or (own.is_floating_point() and not one.is_floating_point())
    ]
    if missing:
        held = [f"{n} {tuple(one.shape)}" for n, one in contents.tensors.items()]
        groups = [f"{n} in {name}" for name, n in _groups(found.tensors).items()]
        raise ValueError(
            f"weights: {path} does not fit the model: it lacks {_some(missing)}, of "
            f"{len(expected)}; it holds {len(held)} tensors, {_some(held)}"
            f" ({', '.join(groups)}){_unread(contents)}"
        )
    for problem, names in (
        ("has unexpected", _beside(found, expected)[0]),
        ("has another shape in", shapes),
        ("has no plain numbers in", kinds),
    ):
        if names:
            classes = _classes(found, expected) if names is shapes else ""
            raise ValueError(
                f"weights: {path} does not fit the model: it {problem} "
                f"{_some(names)}{classes}"
            )


def _classes(found: Found, expected: Mapping[str, Tensor]) -> str:
    """Return the end of a message if only the number of classes differs."""
    differing = [k for k in found.state if found.state[k].shape != expected[k].shape]
    last = list(expected)[-1].rpartition(".")[0]
    if {key.rpartition(".")[0] for key in differing} != {last}:
        return ""
    theirs, ours = found.state[differing[0]].shape, expected[differing[0]].shape
    if theirs[1:] != ours[1:]:
        return ""
    return (
        f"; the weights are of {theirs[0]} classes and the network has {ours[0]}: "
        f"set n_classes={theirs[0]} if the network has this option"
    )


def _tell_left_out(
    found: Found, expected: Mapping[str, Tensor], contents: Contents, path: Path
) -> None:
    """Warn of the parts that were stored with a network and are not loaded."""
    fronts = found.prefix == "network." or found.prefix.endswith(".network.")
    beside = [n for n in _beside(found, expected)[1] if not (fronts and "front." in n)]
    parts = [_some(beside)] if beside else []
    if contents.unread:
        parts.append(f"objects of {_some(list(contents.unread))}")
    if parts:
        warnings.warn(
            f"weights: {path}: took the network in {_place(found.prefix)} and left out "
            f"{'; '.join(parts)}",
            stacklevel=4,
        )


def _groups(tensors: Collection[str], most: int = 8) -> dict[str, int]:
    """Return the parts of a file where its keys first differ, with their sizes."""
    prefix = ""
    while True:
        sizes = Counter(n.removeprefix(prefix).partition(".")[0] for n in tensors)
        only = next(iter(sizes))
        if len(sizes) > 1 or f"{prefix}{only}" in tensors:
            break
        prefix += f"{only}."
    return {f"{prefix}{name}": n for name, n in sizes.most_common(most)}


def _unread(contents: Contents) -> str:
    if not contents.unread:
        return ""
    return f"; objects of {_some(list(contents.unread))} are not read"


def _place(prefix: str) -> str:
    return repr(prefix.rstrip(".")) if prefix else "the file's first level"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
