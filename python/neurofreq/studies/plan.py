"""The items of a study: what is to be measured, and what names each on disk.

The plan is kept as ``study.json``, so that a folder can be read, counted and
exported without a model at hand.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from neurofreq._shared import runtime
from neurofreq._shared.files import locks, storage
from neurofreq.measured.record import Measured
from neurofreq.studies import measuring
from neurofreq.studies.settings import MEASUREMENTS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from neurofreq._shared.files.storage import Arrays

FILE = "study.json"
_LOCK = ".study"  # held while the file is read and written; it stays there, empty


@dataclasses.dataclass(frozen=True)
class Identity:
    """What tells one model's items from another's.

    Attributes
    ----------
    name, group : str
        Decide no number: an item of the same model has the same name on disk.
    digest : str
        Of state and answers (see `_shared.networks.fingerprint`); empty where it could
        not be loaded.
    is_gray : bool
        Whether it is shown grey images made of colour images.
    traceback : str
        Why it could not be loaded.
    is_random : bool
        Whether its weights are those that neurofreq drew.
    """

    name: str
    group: str
    digest: str = ""
    is_gray: bool = False
    traceback: str = ""
    is_random: bool = False


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
    version: str = runtime.VERSION
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
                    measuring.joined(finished) if is_attack else finished[0]
                )
        return [
            Measured(one.name, one.group, arrays[one.name], one.is_gray, one.is_random)
            for one in self.models
        ]

    def keys(self, measurement: str) -> list[str]:
        """Return the keys of a measurement's items: one, or one per corruption."""
        if measurement == "corruption":
            return [f"corruption/{name}" for name in self.settings.corruptions]
        return [measurement]

    def write(self, folder: Path) -> Plan:
        """Write the plan into its folder, and return it with what was kept of before.

        A study is often run in parts, or by processes of which not each can load
        every model: what is finished stays in sight. Kept are a model that could
        be loaded before with the same data and settings, and not now; and any
        measurement that is finished for all models.
        """
        with locks.held(folder / _LOCK, f"{FILE} of {folder}"):
            whole = self._with_models(folder)._with_measurements(folder)
            storage.write_json(folder / FILE, dataclasses.asdict(whole))
        return whole

    def _with_models(self, folder: Path) -> Plan:
        """Return the plan with models of the one before in place of unloaded ones."""
        try:
            before = Plan.read(folder)
        except (FileNotFoundError, ValueError):  # none, or damaged from outside
            return self
        deciding = ("data_digest", "settings", "version")
        if any(getattr(self, one) != getattr(before, one) for one in deciding):
            return self
        known = {model.name: model for model in before.models if model.digest}
        models = [
            model
            if model.digest or model.name not in known
            else dataclasses.replace(known[model.name], group=model.group)
            for model in self.models
        ]
        return dataclasses.replace(self, models=tuple(models))

    def _with_measurements(self, folder: Path) -> Plan:
        """Return the plan with every other measurement that is finished for all."""
        store, names = storage.Store(folder / "items"), list(self.measurements)
        for name in MEASUREMENTS:
            items = dataclasses.replace(self, measurements=(name,)).items
            is_new = name not in names and bool(items)
            if is_new and all(store.load(item.record) for item in items):
                names.append(name)
        return dataclasses.replace(self, measurements=tuple(names))

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Return the plan of a folder.

        Raises
        ------
        FileNotFoundError
            If it holds none.
        ValueError
            If it is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"out_dir: got {folder} without {FILE}, expected the folder of a study"
            )
        try:
            values: Mapping[str, Any] = storage.read_json(path)
            changed = {
                "models": tuple(Identity(**one) for one in values["models"]),
                "settings": Settings.from_json(values["settings"]),
                "measurements": tuple(values["measurements"]),
            }
            found = cls(**{**values, **changed})
            if not found._is_plain():
                raise ValueError("a name or digest of another type")
            return found
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ValueError(
                f"out_dir: got {path} that cannot be read ({error}), expected what a "
                "study writes; running it again writes it anew"
            ) from error

    def _is_plain(self) -> bool:
        """Whether what a file holds beside settings is of the right types."""
        words = [self.name, self.data, self.data_digest, self.version]
        words += [word for m in self.models for word in (m.name, m.group, m.digest)]
        is_known = all(name in MEASUREMENTS for name in self.measurements)
        return is_known and all(isinstance(word, str) for word in words)

    def _parts(self, measurement: str) -> list[range]:
        if measurement == "attack":
            return measuring.attack_parts(self.settings.n_attack)
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
