"""The measurements of one model: typed raw values per image."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from neurofreq._shared import results
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.corruptions.result import CorruptionAccuracy
from neurofreq.frequency import BandMasking, FilteredAccuracy, FourierSensitivity
from neurofreq.measured import pictures, summary
from neurofreq.measured.kinds import CORRUPTION as CORRUPTION
from neurofreq.measured.kinds import Attack, Clean, Corrupted, Hybrid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from neurofreq._shared.files.storage import Arrays

ENDS = ("value", "low", "high")


class NotMeasuredError(ValueError):
    """A model lacks a measurement, or models were not measured alike.

    Examples
    --------
    >>> from neurofreq.measured import Measured, NotMeasuredError
    >>> try:
    ...     Measured("mine", "base", {}).attack
    ... except NotMeasuredError as error:
    ...     print(error)
    models: got mine without attack, expected it measured
    """


Result = (
    Clean | Hybrid | Attack | Corrupted
    | FilteredAccuracy | BandMasking | FourierSensitivity
)  # fmt: skip
R = TypeVar("R", bound=results.Result)
_KINDS: dict[str, type[Result]] = {
    "clean": Clean,
    "hybrid": Hybrid,
    "attack": Attack,
    "corruption": Corrupted,
    "filters": FilteredAccuracy,
    "bands": BandMasking,
    "sensitivity": FourierSensitivity,
}


def from_arrays(key: str, arrays: Arrays) -> Result:
    """Return the result that was stored as these arrays; other arrays are ignored.

    Raises ValueError if an array is missing.
    """
    kind = _KINDS[key.partition("/")[0]]
    names = _fields(kind)
    if missing := [name for name in names if name not in arrays]:
        got = ", ".join(sorted(arrays))
        raise ValueError(f"{key}: got {got}, expected also {', '.join(missing)}")
    values = {name: arrays[name] for name in names}
    plain: dict[str, Any] = {
        name: one if one.ndim else one.item() for name, one in values.items()
    }
    return kind(**plain)


def to_arrays(result: Result) -> Arrays:
    """Return a result as arrays by name, to be stored."""
    names = _fields(type(result))
    return {name: np.asarray(getattr(result, name)) for name in names}


def _fields(kind: Any) -> list[str]:
    """Return the names of the arrays of a result, a dataclass or a named tuple."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(kind._fields)


@dataclasses.dataclass(frozen=True, repr=False)
class Measured(results.Result):
    """The finished measurements of one model.

    Attributes
    ----------
    name : str
        The model's label.
    group : str
        The model's group in plots: "base", "adv", "crp", "blur", "pca", "neural", or
        any other word.
    results : mapping of str to Clean, Hybrid, Attack, Corrupted and others
        The finished measurements: "clean", "hybrid", "attack", "corruption/NAME",
        "filters" (`FilteredAccuracy`), "bands" (`BandMasking`) and "sensitivity"
        (`FourierSensitivity`). Each measurement uses the first images of the data.
    is_gray : bool
        Whether the model was shown gray versions of color images.
    is_random : bool
        Whether the model is untrained, with random weights from neurofreq.

    Examples
    --------
    A study returns one for each model (`studies.run`).

    >>> import numpy as np
    >>> from neurofreq.measured import Clean, Measured
    >>> model = Measured("mine", "base", {"clean": Clean(np.array([True, False]))})
    >>> model.has("clean"), model.has("attack")
    (True, False)
    >>> model.clean.correct
    array([ True, False])
    >>> model
    Measured(name: mine, group: base, clean accuracy: 50.0 [0.0, 100.0] %)
    >>> model.to_frame()["quantity"].tolist()
    ['clean_accuracy']
    >>> axes = model.plot()
    """

    name: str
    group: str
    results: Mapping[str, Result]
    is_gray: bool = False
    is_random: bool = False

    @property
    def clean(self) -> Clean:
        """The result on clean images; raises NotMeasuredError if there is none."""
        return self._of("clean", Clean)

    @property
    def hybrid(self) -> Hybrid:
        """The result on hybrid images; raises NotMeasuredError if there is none."""
        return self._of("hybrid", Hybrid)

    @property
    def attack(self) -> Attack:
        """The result of the attack; raises NotMeasuredError if there is none."""
        return self._of("attack", Attack)

    @property
    def filters(self) -> FilteredAccuracy:
        """The result on filtered images; raises NotMeasuredError if there is none."""
        return self._of("filters", FilteredAccuracy)

    @property
    def bands(self) -> BandMasking:
        """The result in bands of noise; raises NotMeasuredError if there is none."""
        return self._of("bands", BandMasking)

    @property
    def sensitivity(self) -> FourierSensitivity:
        """The Fourier sensitivity; raises NotMeasuredError if there is none."""
        return self._of("sensitivity", FourierSensitivity)

    def corrupted(self, names: Sequence[str]) -> CorruptionAccuracy:
        """Return the accuracy under corruptions, and on the same images uncorrupted.

        Raises NotMeasuredError if one of the corruptions was not measured.
        """
        if not names:
            raise ValueError("names: got none, expected at least one corruption")
        cells = [self._of(CORRUPTION + name, Corrupted).correct for name in names]
        correct = np.stack(cells)
        clean = self.clean.correct if "clean" in self.results else None
        if clean is not None:
            clean = clean[: correct.shape[-1]]
        return CorruptionAccuracy(tuple(names), SEVERITIES, correct, clean)

    def has(self, *keys: str) -> bool:
        """Return whether all these measurements are finished."""
        return all(key in self.results for key in keys)

    def only(self, measurements: Sequence[str]) -> Measured:
        """Return a copy with only these measurements, such as "corruption"."""
        kept = {
            key: result
            for key, result in self.results.items()
            if key.partition("/")[0] in measurements
        }
        return dataclasses.replace(self, results=kept)

    @property
    def corruptions(self) -> tuple[str, ...]:
        """The names of the corruptions that were measured."""
        names = (key.partition("/") for key in self.results)
        return tuple(name for kind, slash, name in names if slash)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per summary number: "quantity", "value", "low", "high", "n".

        The numbers are those of a report's summary, in the unit "unit".
        """
        rows = [
            {"quantity": column.key, "unit": column.unit}
            | {key: column.factor * getattr(one, key) for key in ENDS}
            | {"n": one.n}
            for column, one in summary.numbers(self)
        ]
        return results.frame(rows)

    def plot(
        self, ax: Axes | None = None, *, measurement: str | None = None, **kw: Any
    ) -> Axes:
        """Draw one measurement, on new Axes by default.

        Parameters
        ----------
        ax : Axes, optional
        measurement : str, optional
            "hybrid", "attack", "corruption", "filters", "bands", "sensitivity" or
            "clean"; by default the first of these that was measured.
        **kw
            For the function of `plot` that draws it.

        Returns
        -------
        Axes

        Raises
        ------
        ValueError
            If the model does not have the measurement.
        """
        return pictures.draw([self], ax, measurement, **kw)

    def _has_picture(self) -> bool:
        return pictures.is_drawable([self])

    def _numbers(self) -> dict[str, Any]:
        shown = {"name": self.name, "group": self.group or "none"}
        return shown | {
            column.title: summary.text(column, one)
            for column, one in summary.numbers(self)
        }

    @property
    def weights(self) -> str:
        """The word for the model's weights in tables: "random" or "given"."""
        return "random" if self.is_random else "given"

    @property
    def title(self) -> str:
        """The model's name in figures, with a note if its weights are random."""
        return self.name + "\n(random weights)" * self.is_random

    def _of(self, key: str, kind: type[R]) -> R:
        result = self.results.get(key)
        if not isinstance(result, kind):
            raise NotMeasuredError(
                f"models: got {self.name} without {key}, expected it measured"
            )
        return result
