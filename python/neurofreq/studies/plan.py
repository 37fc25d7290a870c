"""The items of a study: the measurements, and the name of each item on disk.

The plan is stored as ``study.json``, so that a study can be read, counted and exported
without its models.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from neurofreq._shared import runtime
from neurofreq._shared.files import locks, storage
from neurofreq.measured import Attack, Measured
from neurofreq.measured.record import CORRUPTION, from_arrays
from neurofreq.studies import measuring
from neurofreq.studies.settings import MEASUREMENTS, USUAL, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from neurofreq._shared.files.storage import Store
    from neurofreq.measured.record import Result

FILE = "study.json"
_LOCK = ".study"  # held while the plan is read and written; the empty file remains


@dataclasses.dataclass(frozen=True)
class Identity:
    """A model of the plan: its label, and the digest that its items carry.

    `name` and `group` do not affect the numbers, so a renamed model keeps its items.
    `digest` is computed from the state and the answers (see
    `_shared.networks.fingerprint`). If the model could not be loaded, `digest` is empty
    and `traceback` has the error. `is_gray`: the model is shown gray versions of color
    images. `is_random`: the model is untrained, with random weights from neurofreq.
    """

    name: str
    group: str
    digest: str = ""
    is_gray: bool = False
    traceback: str = ""
    is_random: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """One result to measure and store: a measurement of one model, or a part of it.

    `key` is a measurement, or "corruption/NAME". `rows` is the range of
    attacked images, empty for other measurements. `record` has everything that decides
    the numbers; the digest of `record` is the item's name on disk.
    """

    model: str
    key: str
    rows: range
    record: dict[str, Any]

    @property
    def measurement(self) -> str:
        """The measurement, without the name of the corruption."""
        return self.key.partition("/")[0]

    @property
    def words(self) -> str:
        """The measurement in words, such as "attack" or "gaussian noise"."""
        return self.key.removeprefix(CORRUPTION).replace("_", " ")

    def read(self, store: Store) -> Result | None:
        """Return the stored result of the item, or None."""
        arrays = store.load(self.record)
        return None if arrays is None else from_arrays(self.key, arrays)

    def __str__(self) -> str:
        """Return the model and the measurement in words."""
        return f"{self.model}: {self.words}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that a study consists of.

    `data` is the name of the data set, `version` the neurofreq release that measures,
    and `n_classes` the number of classes of the data set, 0 if unknown.
    """

    name: str
    data: str
    data_digest: str
    models: tuple[Identity, ...]
    settings: Settings
    measurements: tuple[str, ...] = USUAL
    version: str = runtime.VERSION
    n_classes: int = 0

    @functools.cached_property
    def items(self) -> list[Item]:
        """All items: for each measurement, the items of all models."""
        return [
            self._item(model, key, rows)
            for measurement in MEASUREMENTS
            if measurement in self.measurements
            for key in self.keys(measurement)
            for model in self.models
            if model.digest
            for rows in self._parts(measurement)
        ]

    def gather(self, found: Callable[[Item], Result | None]) -> list[Measured]:
        """Return the finished measurements of each model; join the parts of attacks.

        `found` returns the result of an item, or None if it is not finished.
        """
        parts: dict[tuple[str, str], list[Result | None]] = {}
        for item in self.items:
            parts.setdefault((item.model, item.key), []).append(found(item))
        results: dict[str, dict[str, Result]] = {one.name: {} for one in self.models}
        for (model, key), whole in parts.items():
            finished = [part for part in whole if part is not None]
            if len(finished) == len(whole):
                attacks = [part for part in finished if isinstance(part, Attack)]
                results[model][key] = (
                    measuring.joined(attacks) if attacks else finished[0]
                )
        return [
            Measured(one.name, one.group, results[one.name], one.is_gray, one.is_random)
            for one in self.models
        ]

    def keys(self, measurement: str) -> list[str]:
        """Return the keys of a measurement's items: one key, or one per corruption."""
        if measurement == "corruption":
            return [CORRUPTION + name for name in self.settings.corruptions]
        return [measurement]

    def write(self, folder: Path) -> Plan:
        """Write the plan into its folder, merged with the plan there, and return it.

        Users run a study in parts, or in processes that cannot load every model. If
        this process cannot load a model, but an earlier run with the same data and
        settings could, the model stays in the plan. Measurements that are finished for
        all models stay in the plan too.
        """
        with locks.held(folder / _LOCK, f"{FILE} of {folder}"):
            whole = self._with_models(folder)._with_measurements(folder)
            storage.write_json(folder / FILE, dataclasses.asdict(whole))
        return whole

    def _with_models(self, folder: Path) -> Plan:
        """Return the plan; take models that failed to load from the stored plan."""
        try:
            before = Plan.read(folder)
        except (FileNotFoundError, ValueError):  # no plan, or a damaged one
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
        """Add to the plan other measurements that are finished for all models."""
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

        Raises FileNotFoundError if the folder has no plan, and ValueError if it is
        damaged.
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
                f"out_dir: got {path} that cannot be read ({error}), expected a "
                f"valid {FILE}; run the study again to rewrite it"
            ) from error

    def _is_plain(self) -> bool:
        """Return whether the values, except the settings, have the right types."""
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
