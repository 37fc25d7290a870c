"""Accumulate accuracies under corruptions batch by batch, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared.inputs import validate
from neurofreq._shared.saved import Saved
from neurofreq.corruptions import grouping
from neurofreq.corruptions._corrupt import CORRUPTIONS
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.corruptions.result import CLEAN, Cells
from neurofreq.intervals import Estimate, PoissonBootstrap, percentile_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


class CellAccumulator(Cells, Saved):
    """Accuracy for every corruption and severity, updated in any order and merged.

    The tables and means are those of `CorruptionAccuracy`. Memory does not depend on
    the number of images.

    Parameters
    ----------
    corruptions : sequence of str, optional
        By default the paper's fifteen. Any names are allowed; names that neurofreq does
        not know are in the group "extra".
    severities : sequence of int
    n_resamples : int
        Number of Poisson-bootstrap resamples for intervals, at least 1.
    seed : int
        Seed of the weights of images in resamples (`intervals.PoissonBootstrap`).
    level : float
        Coverage of the intervals.

    Notes
    -----
    An image has the same weights in all cells, so that means over cells resample each
    image with all its corruptions. A mean is NaN until all its cells have images. `n`
    is the smallest number of images in the cells of a mean.

    Examples
    --------
    >>> import numpy as np
    >>> import neurofreq as nf
    >>> rng = np.random.default_rng(0)
    >>> cells = nf.corruptions.CellAccumulator(["fog"], [1, 2], n_resamples=200)
    >>> for severity, rate in ((1, 0.9), (2, 0.6)):
    ...     correct = rng.random(400) < rate
    ...     cells = cells.update("fog", severity, np.arange(400), correct)
    >>> cells.cells[["severity", "n"]].values.tolist()
    [[1, 400], [2, 400]]
    >>> cells.mean.low < 0.75 < cells.mean.high
    True
    >>> cells
    CellAccumulator(mean: 7... corruptions: 1, severities: 2, images: 400)
    """

    def __init__(
        self,
        corruptions: Sequence[str] | None = None,
        severities: Sequence[int] = SEVERITIES,
        *,
        n_resamples: int = 1000,
        seed: int = 0,
        level: float = 0.95,
    ) -> None:
        names = grouping.averaged(CORRUPTIONS) if corruptions is None else corruptions
        for name, given in (("corruptions", names), ("severities", severities)):
            if isinstance(given, (str, Set)) or not isinstance(given, Iterable):
                raise ValueError(f"{name}: got {given!r}, expected a list")
        names, severities = list(names), list(severities)
        self.corruptions = tuple(validate.text("corruptions", one) for one in names)
        self.severities = tuple(validate.count("severities", one) for one in severities)
        for name, values in (
            ("corruptions", self.corruptions), ("severities", self.severities),
        ):  # fmt: skip
            if len(set(values)) < len(values) or not values:
                raise ValueError(f"{name}: got {list(values)}, expected each once")
        if CLEAN in self.corruptions:
            raise ValueError(f"corruptions: got {CLEAN!r}, expected corruptions alone")
        self.level = validate.number("level", level)
        validate.within("level", level, 0.0 < level < 1.0, "a number between 0 and 1")
        keys = [(CLEAN, 0)]
        keys += [(name, one) for name in self.corruptions for one in self.severities]
        self._cells = {
            key: PoissonBootstrap(2, n_resamples=n_resamples, seed=seed) for key in keys
        }

    def update(
        self, corruption: str, severity: int, index: ArrayLike, correct: ArrayLike
    ) -> CellAccumulator:
        """Add some images of one cell, and return the accumulator.

        Parameters
        ----------
        corruption : str
            "clean" for images without corruption, with severity 0.
        severity : int
        index : array_like of int, shape (n,)
            The position of each image in the whole data set.
        correct : array_like of bool, shape (n,)
            Whether the model classifies each image correctly.

        Raises
        ------
        TypeError, ValueError
            If an argument has another type, shape or range. Nothing is added then.
        """
        key = (
            validate.text("corruption", corruption),
            validate.integer("severity", severity),
        )
        if key not in self._cells:
            raise ValueError(
                f"corruption, severity: got {key}, expected ('clean', 0) or one of "
                f"{list(self.corruptions)} with one of {list(self.severities)}"
            )
        hits = np.asarray(correct)
        if hits.dtype != np.bool_ or hits.ndim != 1:
            raise ValueError(
                f"correct: got shape {hits.shape} of {hits.dtype}, expected (n,) of "
                "bool"
            )
        rows = np.stack([hits.astype(np.float64), np.ones(len(hits))], axis=1)
        self._cells[key].update(index, rows)
        return self

    def merge(self, other: CellAccumulator) -> CellAccumulator:
        """Add the images of another accumulator and return this one.

        Raises
        ------
        TypeError
            If `other` is not a `CellAccumulator`.
        ValueError
            If corruptions, severities, resamples or seeds differ.
        """
        if not isinstance(other, CellAccumulator):
            kind = type(other).__name__
            raise TypeError(f"other: got {kind}, expected a CellAccumulator")
        if list(self._cells) != list(other._cells):
            raise ValueError(
                f"other: got {other.corruptions} at {other.severities}, expected "
                f"{self.corruptions} at {self.severities}"
            )
        for key, cell in self._cells.items():
            cell.merge(other._cells[key])
        return self

    def state(self) -> dict[str, Any]:
        """Return everything as arrays and numbers."""
        cells = list(self._cells.values())
        return {
            "corruptions": np.array(self.corruptions),
            "severities": np.array(self.severities),
            "level": self.level,
            "seed": cells[0].seed,
            "sums": np.stack([one.sums for one in cells]),
            "resampled": np.stack([one.resampled for one in cells]),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CellAccumulator:
        """Restore an accumulator from its `state`.

        Raises ValueError if a key is missing, or its value is impossible.
        """
        names = ("corruptions", "severities", "level", "seed", "sums", "resampled")
        cls.check_keys(state, names)
        sums, resampled = np.asarray(state["sums"]), np.asarray(state["resampled"])
        if resampled.ndim != 3 or sums.shape != (len(resampled), 2):
            raise ValueError(
                f"state: got sums of shape {sums.shape} and resampled of shape "
                f"{resampled.shape}, expected (cells, 2) and (cells, R, 2)"
            )
        if not np.isfinite(sums).all():
            raise ValueError("state: got NaN or infinite sums, expected finite ones")
        found = cls(
            [str(one) for one in np.asarray(state["corruptions"])],
            [int(one) for one in np.asarray(state["severities"])],
            n_resamples=resampled.shape[1], level=float(state["level"]),
        )  # fmt: skip
        if len(found._cells) != len(sums):
            raise ValueError(
                f"state: got {len(sums)} cells, expected {len(found._cells)}"
            )
        for key, one, drawn in zip(found._cells, sums, resampled, strict=True):
            found._cells[key] = PoissonBootstrap.from_state(
                {
                    "sums": one, "resampled": drawn, "count": int(one[1]),
                    "seed": state["seed"],
                }
            )  # fmt: skip
        return found

    def _has_picture(self) -> bool:
        return bool(np.isfinite(self.by_severity["accuracy"]).all())

    def _estimates(self, weights: NDArray[np.float64]) -> list[Estimate]:
        cells = [one for key, one in self._cells.items() if key[0] != CLEAN]
        sums = np.stack([one.sums for one in cells])[None]  # (1, cells, 2)
        resampled = np.stack([one.resampled for one in cells], axis=1)
        counts, found = sums[0, :, 1], []
        for row in weights.reshape(len(weights), -1):
            used = row != 0.0
            drawn = _rates(resampled[:, used]) @ row[used]
            found.append(
                Estimate(
                    float((_rates(sums[:, used]) @ row[used])[0]),
                    *percentile_interval(drawn, level=self.level),
                    int(counts[used].min()),
                )
            )
        return found

    def _of_clean(self) -> Estimate | None:
        clean = self._cells[CLEAN, 0]
        return clean.estimate(_rates, level=self.level) if clean.count else None


def _rates(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return accuracies from sums of correct answers and of images (..., 2)."""
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]
