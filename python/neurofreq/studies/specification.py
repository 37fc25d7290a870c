"""The definition of a study, in Python or as a TOML file, checked when it is made."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neurofreq._shared import runtime
from neurofreq._shared.inputs import validate
from neurofreq.data import ImageSet
from neurofreq.models import load_model, parse_spec
from neurofreq.models.loading import require_weights
from neurofreq.models.spec import nearest
from neurofreq.studies.settings import MEASUREMENTS, USUAL, Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))
_CHECKS: dict[type, Callable[[str, Any], Any]] = {
    str: validate.text, int: validate.integer, bool: validate.flag,
    float: validate.number,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ModelEntry:
    """One model of a study.

    Attributes
    ----------
    spec : str or nn.Module
        ``SPEC[@WEIGHTS]`` as in `models.parse_spec`, or a model that maps images
        (n, C, H, W) in [0, 1] to logits. A network without trained weights needs
        WEIGHTS. ``@random`` uses random weights, and the results are marked as such.
    name : str
        The model's label in tables and figures; by default the label of the spec.
    group : str
        The model's group in plots: "base", "adv", "crp", "blur", "pca", "neural", or
        any other word.

    Raises
    ------
    TypeError, ValueError
        If a value has another type, or the spec is malformed.

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.studies.ModelEntry("zoo:gray-mouse", group="neural").name
    'gray-mouse'
    >>> nf.studies.ModelEntry(nf.models.small_cnn(), "mine", "base").name
    'mine'
    """

    spec: str | nn.Module
    name: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        """Check the spec, and take the name from it if no name is given."""
        if isinstance(self.spec, str):
            label, spec, weights = parse_spec(self.spec)
            require_weights(spec, weights)
            object.__setattr__(self, "name", self.name or label)
        elif not isinstance(self.spec, nn.Module):
            kind = f"{type(self.spec).__name__} for {self.name!r}"
            raise TypeError(f"models: got {kind}, expected an nn.Module or a spec")
        for key in ("name", "group"):
            word = validate.text("models." + key, getattr(self, key))
            object.__setattr__(self, key, word)
        if not self.name:
            raise ValueError("models.name: got none, expected one for every module")

    def load(self, device: torch.device | str | None = None) -> nn.Module:
        """Return the model, on the device if it is loaded from a spec.

        ``@random`` gives the same random weights in every process.

        Raises
        ------
        ValueError, OSError, ImportError, AttributeError, TypeError
            For the same reasons as `models.load_model`.
        """
        if not isinstance(self.spec, str):
            return self.spec
        _, spec, weights = parse_spec(self.spec)
        with runtime.seeded(0):
            return load_model(spec, weights=weights).to(device)


@dataclasses.dataclass(frozen=True)
class Study:
    """Define which models are measured on which images, and how.

    Attributes
    ----------
    data : str or ImageSet
        A data SPEC of `data.load_data`, or images in [0, 1] with labels.
    models : sequence of ModelEntry
        An entry may also be a mapping with the attributes of `ModelEntry`, or a spec.
    name : str
    n_images : int, optional
        The first N images of a data SPEC; all by default.
    measurements : sequence of str
        Some of "clean", "hybrid", "attack" and "corruption" (the default), and of
        "filters", "bands" and "sensitivity".
    settings : mapping of str to value
        ``n_attack``, ``n_hybrid``, ``n_corruption``: number of images, counted from the
        first; by default 200, all and all. ``attack_steps`` (300): maximum number of
        attack steps. ``targeted`` (true): attack towards shuffled labels.
        ``frequencies``: mixing frequencies, in units of Nyquist. ``seeds``: seeds of
        the pairings. ``n_thresholds`` (25): thresholds of the radial profile.
        ``corruptions``: by default the paper's fifteen. ``seed`` (0): seed of targets,
        attack and corruptions. ``gray``: "auto", "always" or "never". ``fold``
        (false): measure a copy of each model made by `models.fold_batch_norm`, with
        channels-last weights. The copy has the same logits up to rounding and is
        faster on a CPU. A model that cannot be folded is stored as failed.
        ``n_filtered``: number of images for filters, bands and sensitivity, by default
        all. ``filter_kind`` ("gaussian"): as `kind` of `filtered_accuracy`.
        ``contrast`` (0.2) and ``criterion`` (0.5): as in `band_masking`. ``norm`` (4.0)
        and ``per_octave`` (256): as in `fourier_sensitivity`.
    keep_adversarial : bool
        Keep every attacked image, (n, C, H, W) float32, in a safetensors file.

    Raises
    ------
    TypeError, ValueError
        If a value has another type or is unknown.

    Examples
    --------
    >>> import neurofreq as nf
    >>> study = nf.studies.Study(
    ...     "synthetic",
    ...     ["small_cnn@random", {"spec": "zoo:gray-mouse", "group": "neural"}],
    ...     n_images=16,
    ...     settings={"n_attack": 4},
    ... )
    >>> [model.name for model in study.models]
    ['small_cnn@random', 'gray-mouse']
    """

    data: str | ImageSet
    models: Sequence[ModelEntry]
    name: str = "study"
    n_images: int | None = None
    measurements: Sequence[str] = USUAL
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    keep_adversarial: bool = True

    def __post_init__(self) -> None:
        """Check everything that can be checked without data and models."""
        if not isinstance(self.data, ImageSet):
            validate.text("data", self.data)
        validate.text("name", self.name)
        keep = validate.flag("keep_adversarial", self.keep_adversarial)
        object.__setattr__(self, "keep_adversarial", keep)
        if self.n_images is not None:
            n_images = validate.count("n_images", self.n_images)
            object.__setattr__(self, "n_images", n_images)
            if isinstance(self.data, ImageSet):
                raise ValueError(
                    f"n_images: got {n_images}, expected none with an ImageSet"
                )
        object.__setattr__(self, "models", _entries(self.models))
        object.__setattr__(self, "measurements", check_measurements(self.measurements))
        if not isinstance(self.settings, Mapping):
            raise TypeError(f"settings: got {self.settings!r}, expected a table")
        _check_keys("settings", self.settings, _SETTINGS)
        object.__setattr__(self, "settings", _plain(self.settings))


def read(spec: Study | Mapping[str, Any] | str | os.PathLike[str]) -> Study:
    r"""Return the study that a mapping or a file defines.

    Parameters
    ----------
    spec : Study, mapping or path
        A mapping has the attributes of `Study` as keys. A path is the path of a TOML
        file with the same keys, ``[settings]`` as a table and ``[[models]]`` as an
        array of tables. Paths in the file are relative to the current directory.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    TypeError, ValueError
        If the file is not TOML, or a key is missing, unknown or of another type.

    Examples
    --------
    >>> import pathlib
    >>> import neurofreq as nf
    >>> text = 'data = "synthetic"\nmodels = ["small_cnn@random"]\n'
    >>> n_letters = pathlib.Path("small.toml").write_text(text)
    >>> nf.studies.read("small.toml").measurements
    ('clean', 'hybrid', 'attack', 'corruption')
    """
    if isinstance(spec, Study):
        return spec
    if isinstance(spec, (str, os.PathLike)):
        path = Path(spec)
        if not path.is_file():
            raise FileNotFoundError(f"spec: got {path}, expected a TOML file")
        try:
            spec = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"spec: got {path}, expected TOML ({error})") from None
    if not isinstance(spec, Mapping):
        raise TypeError(
            f"spec: got {type(spec).__name__}, expected a Study, a mapping or a path"
        )
    return Study(**_attributes("spec", spec, Study))


def check_measurements(names: Sequence[str]) -> tuple[str, ...]:
    """Return the measurements; raise ValueError if there is none or one is unknown."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"measurements: got {names!r}, expected a list of words")
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown or not names:
        got = unknown[0] if unknown else "nothing"
        near = nearest(str(got), MEASUREMENTS)
        expected = ", ".join(MEASUREMENTS)
        raise ValueError(f"measurements: got {got}, expected some of {expected}{near}")
    return tuple(names)


def _entries(models: Any) -> tuple[ModelEntry, ...]:
    if isinstance(models, (str, Mapping)) or not isinstance(models, Sequence):
        raise TypeError(f"models: got {models!r}, expected a list")
    entries = []
    for index, one in enumerate(models):
        where = f"models[{index}]"
        if isinstance(one, Mapping):
            one = ModelEntry(**_attributes(where, one, ModelEntry))
        entries.append(one if isinstance(one, ModelEntry) else ModelEntry(one))
    if not entries:
        raise ValueError("models: got none, expected at least one")
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"models: got {name!r} twice, expected different names")
    return tuple(entries)


def _attributes(where: str, table: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the table if its keys are attributes and no required key is missing."""
    fields = dataclasses.fields(kind)
    _check_keys(where, table, tuple(field.name for field in fields))
    for field in fields:
        needed = field.default is field.default_factory is dataclasses.MISSING
        if needed and field.name not in table:
            raise ValueError(f"{where}: got no key {field.name!r}, expected one")
    return dict(table)


def _check_keys(where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise ValueError(
                f"{where}: got key {key!r}, expected some of {', '.join(known)}"
                f"{nearest(str(key), known)}"
            )


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as Python values, each with the type of its default."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        where, default = f"settings.{key}", getattr(Settings, key)
        if isinstance(default, tuple):
            check = _CHECKS[type(default[0])]
            found[key] = [check(where, one) for one in _listed(where, value)]
        elif value is None and key.startswith("n_"):
            found[key] = None
        else:
            found[key] = _CHECKS[type(default)](where, value)
    return found


def _listed(where: str, value: Any) -> Any:
    """Require a list, or an array or tensor with axes."""
    is_list = isinstance(value, (Sequence, np.ndarray, torch.Tensor))
    is_word = isinstance(value, (str, bytes))
    if not is_list or is_word or getattr(value, "ndim", 1) == 0:
        raise TypeError(f"{where}: got {validate.shown(value)}, expected a list")
    return value
