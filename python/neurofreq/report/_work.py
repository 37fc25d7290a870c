"""The items of a report: which there are, and measuring those that are missing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq import _groups, _runtime, _store
from neurofreq.corruptions import CORRUPTIONS
from neurofreq.data._corrupted import SEVERITIES
from neurofreq.report import _measure, _tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.data import ImageSet
    from neurofreq.report._measure import Running, Settings, Subject
    from neurofreq.report._tables import Results

MEASUREMENTS = ("clean", "hybrid", "attack", "corruption")
# The settings that decide each measurement: others may change and it is kept.
_DECIDING = {
    "clean": (),
    "hybrid": ("n_hybrid", "frequencies", "seeds"),
    "attack": ("attack", "targeted", "seed", "n_thresholds"),
    "corruption": ("n_corruption", "seed"),
}


class Work:
    """The items of one run: read where they exist, measured where not."""

    def __init__(
        self,
        subjects: list[Subject],
        data: ImageSet,
        settings: Settings,
        running: Running,
        store: _store.Store,
    ) -> None:
        self.subjects, self.data = subjects, data
        self.settings, self.running, self.store = settings, running, store
        self.corruptions = _groups.averaged(CORRUPTIONS)
        self.data_digest = _store.data_digest(data.images, data.labels)
        self.items: dict[str, _tables.Items] = {s.name: {} for s in subjects}
        self.n_measured = 0

    def stage(self, measurement: str) -> None:
        """Complete one measurement for every model."""
        pending = [
            (key, subject)
            for key in self._keys(measurement)
            for subject in self.subjects
            if not self._read(key, subject)
        ]
        if not pending:
            return
        units = {
            "clean": 1,
            "hybrid": len(self.settings.seeds),
            "attack": self.settings.n_attack,
            "corruption": len(SEVERITIES),
        }[measurement]
        if measurement == "attack":  # the attack has a bar of its own
            self._measure(pending, self.running)
            return
        from tqdm.auto import tqdm

        with tqdm(
            total=units * len(pending),
            desc={"clean": "clean accuracy", "hybrid": "hybrid images"}.get(
                measurement, "corruptions"
            ),
            disable=not self.running.progress,
        ) as bar:
            self._measure(pending, dataclasses.replace(self.running, step=bar.update))

    def missing(self, measurements: Sequence[str]) -> list[str]:
        """Say which (model, measurement) have no item."""
        return [
            f"{subject.name}: {key.replace('corruption/', '').replace('_', ' ')}"
            for measurement in MEASUREMENTS
            if measurement in measurements
            for key in self._keys(measurement)
            for subject in self.subjects
            if key not in self.items[subject.name]
        ]

    def results(self, measurements: Sequence[str]) -> Results:
        """Gather what is finished."""
        return _tables.Results(
            items=self.items,
            images={subject.name: subject.images for subject in self.subjects},
            labels=np.asarray(self.data.labels),
            class_names=tuple(self.data.class_names),
            data_name=self.data.name,
            settings=self.settings,
            corruptions=self.corruptions if "corruption" in measurements else (),
        )

    def _keys(self, measurement: str) -> list[str]:
        if measurement == "corruption":
            return [f"corruption/{name}" for name in self.corruptions]
        return [measurement]

    def _measure(self, pending: list[tuple[str, Subject]], running: Running) -> None:
        if pending[0][0].startswith("corruption/"):
            for key in dict.fromkeys(key for key, _ in pending):
                subjects = [subject for other, subject in pending if other == key]
                name = key.removeprefix("corruption/")
                found = _measure.corruption(
                    name, self.data, subjects, self.settings, running
                )
                for subject in subjects:
                    self._keep(key, subject, found[subject.name])
            return
        for key, subject in pending:
            if key == "attack":
                self._attack(subject, running)
                continue
            measure = {"clean": _measure.clean, "hybrid": _measure.hybrids}[key]
            self._keep(key, subject, measure(subject, self.settings, running))

    def _attack(self, subject: Subject, running: Running) -> None:
        """Attack part by part: a long attack resumes within itself."""
        parts = []
        for rows in _measure.attack_parts(self.settings.n_attack):
            record = self._record("attack", subject, rows)
            part = self.store.load(record)
            if part is None:
                part = _measure.attack(subject, self.settings, running, rows)
                self.store.save(record, part)
                self.n_measured += 1
            parts.append(part)
        self.items[subject.name]["attack"] = _measure.joined(parts)

    def _read(self, key: str, subject: Subject) -> bool:
        if key == "attack":
            return False  # kept in parts, read as it is measured
        arrays = self.store.load(self._record(key, subject))
        if arrays is None:
            return False
        self.items[subject.name][key] = arrays
        return True

    def _keep(self, key: str, subject: Subject, arrays: _store.Arrays) -> None:
        self.store.save(self._record(key, subject), arrays)
        self.items[subject.name][key] = arrays
        self.n_measured += 1

    def _record(
        self, key: str, subject: Subject, rows: range = range(0)
    ) -> dict[str, Any]:
        measurement, _, name = key.partition("/")
        settings = dataclasses.asdict(self.settings)
        settings["attack"] = dataclasses.asdict(self.settings.attack)
        return {
            "measurement": measurement,
            "corruption": name,
            "rows": [rows.start, rows.stop],
            "settings": {field: settings[field] for field in _DECIDING[measurement]},
            "model": subject.digest,
            "is_gray": subject.is_gray,
            "data": self.data_digest,
            "neurofreq": _runtime.VERSION,
        }
