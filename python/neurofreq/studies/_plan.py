"""The items of a study: what is to be measured, and what names each on disk.

The plan is kept as ``study.json``, so that a folder can be read, counted and
exported without a model at hand.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any

from neurofreq import _runtime, _store
from neurofreq.studies import _measure
from neurofreq.studies._measured import Measured
from neurofreq.studies._settings import MEASUREMENTS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from neurofreq._store import Arrays

FILE = "study.json"


@dataclasses.dataclass(frozen=True)
class Identity:
    """What tells one model's items from another's.

    Attributes
    ----------
    name, group : str
        Decide no number: an item of the same model has the same name on disk.
    digest : str
        Of weights, structure and code; empty where it could not be loaded.
    is_gray : bool
        Whether it is shown grey images made of colour images.
    traceback : str
        Why it could not be loaded.
    """

    name: str
    group: str
    digest: str = ""
    is_gray: bool = False
    traceback: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """One thing to measure and keep: of one model, a measurement or a part of it.

    Attributes
    ----------
    model : str
    key : str
        "clean", "hybrid", "attack" or "corruption/NAME".
    rows : range
        The images attacked; empty for the others.
    record : dict
        All that decides the numbers; its digest is the item's name on disk.
    """

    model: str
    key: str
    rows: range
    record: dict[str, Any]

    @property
    def measurement(self) -> str:
        """The measurement, without the corruption's name."""
        return self.key.partition("/")[0]

    @property
    def words(self) -> str:
        """The measurement for people, such as "attack" or "gaussian noise"."""
        return self.key.removeprefix("corruption/").replace("_", " ")

    def __str__(self) -> str:
        """Return the model and the measurement for people."""
        return f"{self.model}: {self.words}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a study consists of.

    Attributes
    ----------
    name : str
    data : str
        The name of the images.
    data_digest : str
    models : tuple of Identity
    settings : Settings
    measurements : tuple of str
    version : str
        The release of neurofreq that measures.
    n_classes : int
        Of the images; 0 where it is not known.
    """

    name: str
    data: str
    data_digest: str
    models: tuple[Identity, ...]
    settings: Settings
    measurements: tuple[str, ...] = MEASUREMENTS
    version: str = _runtime.VERSION
    n_classes: int = 0

    @functools.cached_property
    def items(self) -> list[Item]:
        """All items: one measurement of all models after the other."""
        return [
            self._item(model, key, rows)
            for measurement in MEASUREMENTS
            if measurement in self.measurements
            for key in self.keys(measurement)
            for model in self.models
            if model.digest
            for rows in self._parts(measurement)
        ]

    def gather(self, found: Callable[[Item], Arrays | None]) -> list[Measured]:
        """Return what is finished of each model, parts of attacks joined.

        Parameters
        ----------
        found : callable
            From an item to its arrays, None where it is not finished.
        """
        parts: dict[tuple[str, str], list[Arrays | None]] = {}
        for item in self.items:
            parts.setdefault((item.model, item.key), []).append(found(item))
        arrays: dict[str, dict[str, Arrays]] = {one.name: {} for one in self.models}
        for (model, key), whole in parts.items():
            finished = [part for part in whole if part is not None]
            if len(finished) == len(whole):
                is_attack = key == "attack"
                arrays[model][key] = (
                    _measure.joined(finished) if is_attack else finished[0]
                )
        return [
            Measured(one.name, one.group, arrays[one.name], one.is_gray)
            for one in self.models
        ]

    def keys(self, measurement: str) -> list[str]:
        """Return the keys of a measurement's items: one, or one per corruption."""
        if measurement == "corruption":
            return [f"corruption/{name}" for name in self.settings.corruptions]
        return [measurement]

    def write(self, folder: Path) -> None:
        """Write the plan into its folder."""
        _store.write_json(folder / FILE, dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Return the plan of a folder.

        Raises
        ------
        FileNotFoundError
            If it holds none.
        """
        path = folder / FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"out_dir: got {folder} without {FILE}, expected the folder of a study"
            )
        values: Mapping[str, Any] = json.loads(path.read_text())
        changed = {
            "models": tuple(Identity(**one) for one in values["models"]),
            "settings": Settings.from_json(values["settings"]),
            "measurements": tuple(values["measurements"]),
        }
        return cls(**{**values, **changed})

    def _parts(self, measurement: str) -> list[range]:
        if measurement == "attack":
            return _measure.attack_parts(self.settings.n_attack)
        return [range(0)]

    def _item(self, model: Identity, key: str, rows: range) -> Item:
        measurement, _, name = key.partition("/")
        record = {
            "measurement": measurement,
            "corruption": name,
            "rows": [rows.start, rows.stop],
            "settings": self.settings.deciding(measurement),
            "model": model.digest,
            "is_gray": model.is_gray,
            "data": self.data_digest,
            "neurofreq": self.version,
        }
        return Item(model.name, key, rows, record)
