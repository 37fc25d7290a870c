"""The results of a study: read, count, tabulate and export them."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurofreq._shared import results
from neurofreq._shared.escapes import to_csv
from neurofreq._shared.files import storage
from neurofreq._shared.files.locks import claim
from neurofreq._shared.inputs import validate
from neurofreq.measured import pictures
from neurofreq.studies import _tables
from neurofreq.studies.plan import Plan
from neurofreq.studies.settings import differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq._shared.files.storage import Store
    from neurofreq.measured import Measured
    from neurofreq.studies.plan import Item

STATES = ("done", "failed", "running", "missing")


class Failure(NamedTuple):
    """A failure: the model, its measurement in words, and the traceback.

    Examples
    --------
    >>> import neurofreq as nf
    >>> spec = {"data": "synthetic", "n_images": 8, "models": ["small_cnn@none.pt"]}
    >>> found = nf.studies.run(spec, "out", progress=False)
    >>> failure = found.failed[0]
    >>> failure.model, failure.measurement
    ('small_cnn', 'loading')
    >>> "FileNotFoundError" in failure.traceback
    True
    """

    model: str
    measurement: str
    traceback: str


@dataclasses.dataclass(frozen=True, repr=False)
class StudyResult(results.Result):
    """The results of a study so far.

    Attributes
    ----------
    out_dir : Path
    measured : list of Measured
        In the order of the models.
    failed : tuple of Failure
        Models and measurements that failed. The next run tries them again.
    missing : tuple of str
        Measurements that are neither finished nor failed.
    n_measured : int
        Number of items that this call measured. It read all other items from the
        folder.

    Examples
    --------
    >>> import neurofreq as nf
    >>> spec = {"data": "synthetic", "n_images": 16, "models": ["small_cnn@random"]}
    >>> found = nf.studies.run(spec, "out", measurements=["clean"], progress=False)
    >>> found.is_complete, found.n_measured, found.failed
    (True, 1, ())
    >>> found.tables["summary"]["quantity"].tolist()
    ['clean_accuracy']
    >>> found
    StudyResult(data: synthetic, models: 1, missing: 0, failed: 0, folder: out)
    >>> found.to_frame().columns[:4].tolist(), found.plot().get_ylabel()
    (['model', 'group', 'quantity', 'x'], 'accuracy (%)')
    """

    out_dir: Path
    measured: list[Measured]
    failed: tuple[Failure, ...]
    missing: tuple[str, ...]
    n_measured: int
    _plan: Plan = dataclasses.field(repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether everything was measured."""
        return not self.missing and not self.failed

    @property
    def data(self) -> str:
        """The name of the data set."""
        return self._plan.data

    @property
    def n_classes(self) -> int:
        """The number of classes of the data set; 0 if unknown."""
        return self._plan.n_classes

    @functools.cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Long tables of model, group, quantity, x, value, low, high, n and weights.

        The keys are "summary", "hybrid", "success", "radial" and "corruption". Each
        table has the finished measurements. The key "study" has the rows of all tables.
        """
        import pandas as pd

        is_corrupted = "corruption" in self._plan.measurements
        wanted = self._plan.settings.corruptions if is_corrupted else ()
        parts = _tables.build(self.measured, wanted)
        full = [table for table in parts.values() if len(table)]
        whole = pd.concat(full, ignore_index=True) if full else parts["summary"]
        return parts | {"study": whole}

    def to_frame(self) -> pd.DataFrame:
        """Return the long table of all numbers, ``tables["study"]``."""
        return self.tables["study"]

    def plot(
        self, ax: Axes | None = None, *, measurement: str | None = None, **kw: Any
    ) -> Axes:
        """Draw one measurement of all models that have it.

        `measurement` is as in `measured.Measured.plot`: by default the first of
        "hybrid", "attack", "corruption" and "clean" that a model has. Raises ValueError
        if no model has it.
        """
        return pictures.draw(self.measured, ax, measurement, **kw)

    def _has_picture(self) -> bool:
        return pictures.is_drawable(self.measured)

    def _numbers(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "models": len(self._plan.models),
            "missing": len(self.missing),
            "failed": len(self.failed),
            "folder": self.out_dir,
        }

    def adversarial(self, model: str) -> NDArray[np.float32]:
        """Return all attacked images of a model, (n, C, H, W) in [0, 1].

        Raises
        ------
        ValueError
            If the study has no such model, or did not keep its images.
        """
        store = storage.Store(self.out_dir / "items")
        items = [item for item in self._plan.items if item.key == "attack"]
        records = [item.record for item in items if item.model == model]
        if not records or not all(map(store.has_tensors, records)):
            raise ValueError(
                f"model: got {model!r}, expected a model whose adversarial images were "
                "kept (keep_adversarial)"
            )
        return np.concatenate([store.tensors(one)["adversarial"] for one in records])


def load(out_dir: str | os.PathLike[str]) -> StudyResult:
    """Read a study, finished or not, without its models and data.

    Parameters
    ----------
    out_dir : path
        The output folder of `run` or of a report.

    Returns
    -------
    StudyResult

    Raises
    ------
    FileNotFoundError
        If the folder holds no study.
    ValueError
        If study.json is damaged.

    Examples
    --------
    >>> import neurofreq as nf
    >>> spec = {"data": "synthetic", "n_images": 16, "models": ["small_cnn@random"]}
    >>> found = nf.studies.run(spec, "out", measurements=["clean"], progress=False)
    >>> again = nf.studies.load("out")
    >>> again.n_measured, again.data
    (0, 'synthetic')
    """
    return kept(validate.path("out_dir", out_dir))


def kept(folder: Path, measurements: Sequence[str] | None = None) -> StudyResult:
    """Return what a folder holds, of these measurements or of all in its plan."""
    plan = Plan.read(folder)
    if measurements is not None:
        plan = dataclasses.replace(plan, measurements=tuple(measurements))
    store = storage.Store(folder / "items")
    found = {item: item.read(store) for item in plan.items}
    failures = {}
    for item in (item for item, result in found.items() if result is None):
        failure = store.failure(item.record)
        if failure is not None:
            failures[item] = failure[1]
    missing = [
        str(item)
        for item, result in found.items()
        if result is None and item not in failures
    ]
    return StudyResult(
        folder,
        plan.gather(found.__getitem__),
        failed(plan, failures),
        tuple(dict.fromkeys(missing)),
        0,
        plan,
    )


def differing(
    first: StudyResult, other: StudyResult, measurements: Iterable[str]
) -> str:
    """Return how two studies differ in data, settings or release; empty if they agree.

    Only settings that affect `measurements` are compared.
    """
    ours, theirs = first._plan, other._plan
    parts = []
    if theirs.data_digest != ours.data_digest:
        parts.append(f"other images ({theirs.data}, not those of {first.out_dir})")
    apart = differences(ours.settings, theirs.settings, measurements)
    parts += [f"{name} {got}, not {was}" for name, (was, got) in apart.items()]
    if theirs.version != ours.version:
        parts.append(f"neurofreq {theirs.version}, not {ours.version}")
    return ", ".join(parts)


def failed(plan: Plan, failures: dict[Item, str]) -> tuple[Failure, ...]:
    """Return the models that could not be loaded, and the items that failed."""
    unloaded = [
        Failure(model.name, "loading", model.traceback)
        for model in plan.models
        if model.traceback
    ]
    return (
        *unloaded,
        *(Failure(item.model, item.words, text) for item, text in failures.items()),
    )


def status(out_dir: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the progress of a study, also while it runs.

    Parameters
    ----------
    out_dir : path
        The output folder of `run`.

    Returns
    -------
    DataFrame
        One row per model and measurement. The columns are "model", "group",
        "measurement", and the numbers of items that are "done", "failed" (the next run
        tries them again), "running" (claimed by a live process) and "missing". A model
        that could not be loaded has a row with the measurement "loading".

    Raises
    ------
    FileNotFoundError
        If the folder holds no study.

    Examples
    --------
    >>> import neurofreq as nf
    >>> spec = {"data": "synthetic", "n_images": 16, "models": ["small_cnn@random"]}
    >>> found = nf.studies.run(spec, "out", measurements=["clean"], progress=False)
    >>> nf.studies.status("out")[["measurement", "done", "missing"]].values.tolist()
    [['clean', 1, 0]]
    """
    import pandas as pd

    folder = validate.path("out_dir", out_dir)
    plan = Plan.read(folder)
    store = storage.Store(folder / "items")
    groups = {model.name: model.group for model in plan.models}
    counts: dict[tuple[str, str], dict[str, int]] = {
        (model.name, "loading"): dict.fromkeys(STATES, 0) | {"failed": 1}
        for model in plan.models
        if model.traceback
    }
    for item in plan.items:
        key = item.model, item.measurement
        counts.setdefault(key, dict.fromkeys(STATES, 0))[_state(item, store)] += 1
    rows = [
        {"model": model, "group": groups[model], "measurement": measurement} | row
        for (model, measurement), row in counts.items()
    ]
    return pd.DataFrame(rows)


def _state(item: Item, store: Store) -> str:
    if store.load(item.record) is not None:
        return "done"
    lock = store.path(item.record, ".lock")
    if lock.exists():
        with claim(lock) as is_free:
            if not is_free:
                return "running"
    return "missing" if store.failure(item.record) is None else "failed"


def export(
    out_dir: str | os.PathLike[str], folder: str | os.PathLike[str]
) -> list[Path]:
    """Write the long table of a study as CSV, and as Parquet if pyarrow is installed.

    Parameters
    ----------
    out_dir : path
        The output folder of `run`.
    folder : path
        Created if it does not exist.

    Returns
    -------
    list of Path
        study.csv, and study.parquet if pyarrow is installed.

    Raises
    ------
    FileNotFoundError
        If `out_dir` holds no study.
    ValueError
        If `folder` is a file.

    Examples
    --------
    >>> import neurofreq as nf
    >>> spec = {"data": "synthetic", "n_images": 16, "models": ["small_cnn@random"]}
    >>> found = nf.studies.run(spec, "out", measurements=["clean"], progress=False)
    >>> nf.studies.export("out", "tables")[0].name
    'study.csv'
    """
    table = load(out_dir).tables["study"]
    target = folder_for(folder)
    written = [target / "study.csv"]
    storage.write_text(written[0], to_csv(table))
    if importlib.util.find_spec("pyarrow"):
        written.append(target / "study.parquet")
        storage.write_atomically(written[1], lambda file: table.to_parquet(file))
    return written


def folder_for(out_dir: str | os.PathLike[str]) -> Path:
    """Return the folder as a path, and create it if it does not exist.

    Raises ValueError if the folder or a folder above it is a file.
    """
    folder = validate.path("out_dir", out_dir)
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise ValueError(f"out_dir: got {part}, a file, expected a folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
