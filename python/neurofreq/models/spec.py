"""Parse a model spec: label, name, options and weights in one line."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks.untrained import RANDOM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Options for the front end of any network.
FRONTS: dict[str, type] = {"blur": float, "pca": int}


class ModelSpec(NamedTuple):
    """The result of `parse_spec`.

    Examples
    --------
    >>> import neurofreq as nf
    >>> spec = nf.models.parse_spec("mine=resnet20@weights.th")
    >>> spec.label, spec.spec, spec.weights
    ('mine', 'resnet20', 'weights.th')
    """

    label: str
    spec: str
    weights: str | None


def parse_spec(text: str) -> ModelSpec:
    """Split ``[label=]spec[@weights]``, as used on the command line.

    Parameters
    ----------
    text : str
        For example ``resnet20@weights.th``, ``mine=package.module:factory`` or
        ``narrow=resnet18,base_width=16,blur=1.5@weights.safetensors``. Commas separate
        the options of a network, so a label must not contain commas. `load_model` lists
        the specs and options.

    Returns
    -------
    ModelSpec(label, spec, weights)
        By default, the label is the name of the factory, file or network, with its
        options. With random weights the default label ends with ``@random``, so that
        every table shows this.

    Raises
    ------
    TypeError
        If `text` is not a string.
    ValueError
        If a part is empty.

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.models.parse_spec("narrow=resnet18,base_width=16@last.pt")
    ModelSpec(label='narrow', spec='resnet18,base_width=16', weights='last.pt')
    >>> nf.models.parse_spec("small_cnn@random").label
    'small_cnn@random'
    """
    head, at, weights = validate.text("text", text).partition("@")
    label, equals, spec = head.partition("=")
    has_label = bool(equals) and "," not in label
    if not has_label:
        label, spec = "", head
    if not spec or (has_label and not label) or (at and not weights):
        raise ValueError(
            f"model: got {text!r}, expected [label=]spec[,option=value][@weights]"
        )
    suffix = f"@{RANDOM}" if weights == RANDOM else ""
    return ModelSpec(label or _default_label(spec) + suffix, spec, weights or None)


def _default_label(spec: str) -> str:
    if spec.endswith(".pt2"):
        return Path(spec).stem
    source, _, rest = spec.partition(":")
    if source in ("torchvision", "robustbench", "zoo"):
        return rest.partition(":")[0].rpartition("/")[2]
    if source == "hf":
        return Path(rest).name or spec
    return spec.rpartition(":")[2]


def split_options(spec: str) -> tuple[str, dict[str, str]]:
    """Split ``name,option=value,…`` into the name and the texts of the options.

    Raises ValueError if an option has no name or no value, or is repeated.
    """
    name, *parts = spec.split(",")
    options: dict[str, str] = {}
    for part in parts:
        key, _, value = part.partition("=")
        if not key or not value:
            raise ValueError(f"model: got {part!r} in {spec!r}, expected option=value")
        if key in options:
            raise ValueError(f"model: got {key} twice in {spec!r}, expected it once")
        options[key] = value
    return name, options


def convert_options(
    factory: Callable[..., Any], options: Mapping[str, str], name: str
) -> dict[str, Any]:
    """Return the values of options, each with the type of the factory's default.

    Raises ValueError if the factory has no such option, or a value has another type.
    """
    parameters = inspect.signature(factory).parameters.values()
    types = FRONTS | {
        one.name: type(one.default)
        for one in parameters
        if one.kind is one.KEYWORD_ONLY
    }
    values = {}
    for key, text in options.items():
        if key not in types:
            raise ValueError(
                f"model: got option {key!r} for {name}, expected one of "
                f"{', '.join(sorted(types))}{nearest(key, types)}"
            )
        try:
            values[key] = types[key](text)
        except ValueError:
            kind = "an integer" if types[key] is int else "a number"
            raise ValueError(
                f"{key}: got {text!r} for {name}, expected {kind}"
            ) from None
    return values


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest known word, if any."""
    near = get_close_matches(word, list(known), n=1)
    return f"; nearest is {near[0]!r}" if near else ""
