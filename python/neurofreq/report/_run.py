"""`report.run`: run or continue a study, and write its results."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from neurofreq._shared import results
from neurofreq._shared.escapes import printable
from neurofreq._shared.inputs import validate
from neurofreq.data import as_image_set
from neurofreq.measured import pictures
from neurofreq.report import _beside, _files, _page, _record, _tables
from neurofreq.studies.measuring import Running
from neurofreq.studies.preparing import prepare
from neurofreq.studies.specification import ModelEntry, Study

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from matplotlib.axes import Axes
    from torch.utils.data import DataLoader, Dataset

    from neurofreq.data import ImageSet
    from neurofreq.measured.summary import Column
    from neurofreq.report._beside import Beside
    from neurofreq.report._tables import Results
    from neurofreq.studies.worker import Work


@dataclasses.dataclass(frozen=True, repr=False)
class Report(results.Result):
    """The measurements of `run`, and the folder with its files.

    Attributes
    ----------
    out_dir : Path
    tables : dict of str to DataFrame
        The content of the CSV files. "summary" has one row per model, with the bounds
        in the columns `_low` and `_high`. "differences" has each model minus the first.
    missing : tuple of str
        Measurements that an interrupted run did not reach; empty if none is missing.
    n_measured : int
        Number of items that this run measured. It read all other items.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> report = nf.report.run(
    ...     {"mine": nf.models.small_cnn()}, data, "out",
    ...     measurements=["clean"], progress=False,
    ... )
    >>> report.is_complete, report.page.name, sorted(report.tables)
    (True, 'report.html', ['summary'])
    >>> report
    Report(models: mine, page: out/report.html, missing: 0)
    >>> report.to_frame()["model"].tolist(), report.plot().get_ylabel()
    (['mine'], 'accuracy (%)')
    """

    out_dir: Path
    tables: dict[str, pd.DataFrame]
    missing: tuple[str, ...]
    n_measured: int
    _results: Results = dataclasses.field(repr=False)

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.out_dir / "report.html"

    @property
    def summary(self) -> pd.DataFrame:
        """One row per model."""
        return self.tables["summary"]

    @property
    def is_complete(self) -> bool:
        """Whether all requested measurements are finished."""
        return not self.missing

    def to_frame(self) -> pd.DataFrame:
        """Return `summary`, one row per model."""
        return self.summary

    def plot(
        self, ax: Axes | None = None, *, measurement: str | None = None, **kw: Any
    ) -> Axes:
        """Draw one measurement of all models that have it.

        `measurement` is as in `measured.Measured.plot`: by default the first of
        "hybrid", "attack", "corruption" and "clean" that a model has. Raises ValueError
        if no model has it.
        """
        return pictures.draw(self._results.models, ax, measurement, **kw)

    def _numbers(self) -> dict[str, Any]:
        names = ", ".join(model.name for model in self._results.models)
        return {"models": names, "page": self.page, "missing": len(self.missing)}

    def _repr_html_(self) -> str:
        columns, rows = self._shown()
        cell = "<td style='text-align:right'>{value}<br><small>{interval}</small></td>"
        head = "".join(
            f"<th>{html.escape(c.title)}<br><small>{c.unit}</small></th>"
            for c in columns
        )
        body = "".join(
            f"<tr><th>{html.escape(printable(row['model']))}"
            + "<br><small>random weights</small>" * row["is_random"]
            + "</th>"
            + "".join(cell.format(**one) for one in row["cells"])
            + "</tr>"
            for row in rows
        )
        return (
            f"<table><thead><tr><th>model</th>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
            f"<p>{html.escape(self._where())}</p>"
        )

    def __str__(self) -> str:
        """Return the summary as plain text."""
        columns, rows = self._shown()
        lines = []
        for row in rows:
            suffix = " (random weights)" if row["is_random"] else ""
            lines.append(printable(row["model"]) + suffix)
            for column, one in zip(columns, row["cells"], strict=True):
                number = f"{one['value']} {one['interval']}".strip()
                unit = "" if one["value"] in _page.NO_NUMBER else f" {column.unit}"
                lines.append(f"  {column.title:28} {number}{unit}")
        return "\n".join([*lines, printable(self._where())])

    def _shown(self) -> tuple[list[Column], list[dict[str, Any]]]:
        columns = _page.shown_columns(self._results, self.summary)
        return columns, _page.summary_rows(columns, self.summary)

    def _where(self) -> str:
        state = "" if self.is_complete else " (not complete)"
        return f"report{state}: {self.page}"


def run(
    models: Mapping[str, nn.Module | str] | Sequence[nn.Module | str] | nn.Module | str,
    data: ImageSet | str | tuple[Any, Any] | Dataset[Any] | DataLoader[Any],
    out_dir: str | os.PathLike[str],
    *,
    beside: Sequence[str | os.PathLike[str]] = (),
    n_attack: int | None = None,
    attack_steps: int | None = None,
    targeted: bool | None = None,
    n_hybrid: int | None = None,
    n_corruption: int | None = None,
    n_filtered: int | None = None,
    contrast: float | None = None,
    criterion: float | None = None,
    per_octave: int | None = None,
    frequencies: Sequence[float] | None = None,
    n_thresholds: int | None = None,
    seeds: Iterable[int] | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    gray: Literal["auto", "always", "never"] = "auto",
    measurements: Sequence[str] | None = None,
    epsilons: Sequence[float] | None = None,
    progress: bool = True,
    command: str = "",
    vector: bool = False,
) -> Report:
    """Measure models and write a report that compares them.

    Parameters
    ----------
    models : nn.Module or str, or a sequence or a mapping of these
        Each model maps images (n, C, H, W) in [0, 1] to logits and normalizes the
        images itself. A str is ``[LABEL=]SPEC[@WEIGHTS]`` as in `models.parse_spec`.
        Differences are relative to the first model. The models do not change. The keys
        of a mapping are the names. A model without a name gets its label or the name of
        its class, with a number if the class occurs more than once. The report marks
        networks of neurofreq that have random weights.
    data : ImageSet, str, tuple of arrays, Dataset or DataLoader
        Images with labels. A str is a SPEC of ``neurofreq.data.load_data``. For your
        own arrays, use ``ImageSet(images, labels, class_names, name)``, or
        ``(images, labels)``, in which numbers are the class names. A data set or a
        loader is read into memory (``neurofreq.data.as_image_set``).
    out_dir : path
        Created if it does not exist. Finished measurements in `out_dir` are reused if
        settings, weights and data agree.
    beside : sequence of path
        Folders of finished studies (`studies.run`) or reports on the same data. The
        models of these studies are added to every table and picture and are not
        measured again. Settings that you do not give are taken from the first study.
    n_attack : int, optional
        Number of images that are attacked, counted from the first: by default 200, or
        all if there are fewer.
    attack_steps : int, optional
        Maximum number of attack steps per image (300). The attack stops earlier when it
        converges.
    targeted : bool, optional
        Attack towards shuffled labels (the default), or with False towards any wrong
        class.
    n_hybrid, n_corruption : int, optional
        Number of images for hybrids and corruptions; all by default.
    n_filtered : int, optional
        Number of images for "filters", "bands" and "sensitivity"; all by default.
    contrast, criterion : float, optional
        Settings of "bands" as in `band_masking`; by default 0.2 and 0.5. Networks for
        small images may need a higher contrast.
    per_octave : int, optional
        Pairs of opposite frequencies that "sensitivity" measures in each octave, 256 by
        default (`fourier_sensitivity`).
    frequencies : sequence of float, optional
        Mixing frequencies, increasing, in units of Nyquist; by default
        ``hybrid.FREQUENCIES``.
    n_thresholds : int, optional
        Thresholds of the radial profile; 25 by default, as in the paper's Figs 4 and 6.
    seeds : iterable of int, optional
        Each seed gives one pairing of hybrids; 0 to 5 by default.
    seed : int, optional
        Seed of attack targets, attack and corruptions; 0 by default.
    batch_size : int, optional
        Images per call of a model. By default each measurement chooses by the device.
    device : torch.device or str, optional
        Device of the batches; by default the device of the model's parameters.
    gray : {"auto", "always", "never"}
        "auto" shows gray images to a model whose first convolution has one
        input channel.
    measurements : sequence of str, optional
        Some of "clean", "hybrid", "attack" and "corruption", which are the default, and
        of "filters" (`filtered_accuracy`), "bands" (`band_masking`) and "sensitivity"
        (`fourier_sensitivity`). With `beside`, by default those that all these studies
        have.
    epsilons : sequence of float, optional
        Budgets of the accuracy under the attack, which an untargeted attack gives; by
        default 61 budgets up to the largest perturbations. `attacks.robust_accuracy`
        measures it with stronger attacks.
    progress : bool
        Show one progress bar over all measurements, with the time left.
    command : str
        The command that repeats this run; it is stored in settings.json.
    vector : bool
        Write the pictures as PDF and SVG too, beside the PNG files.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, a model does not fit the data, or a study of
        `beside` is not complete, was measured on other data or with other settings, or
        has a model of the same name.
    FileNotFoundError
        If a folder of `beside` holds no study.
    ModelError
        If a model does not return finite logits.

    Notes
    -----
    Ctrl-C ends measuring, but the call still writes and returns a report of the
    finished measurements. The report lists the missing measurements.

    Examples
    --------
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", n=16)
    >>> models = {"one": nf.models.small_cnn(), "two": nf.models.small_cnn(width=8)}
    >>> report = nf.report.run(
    ...     models, data, "out",
    ...     measurements=["clean", "hybrid"], seeds=[0], progress=False,
    ... )
    >>> report.summary["model"].tolist()
    ['one', 'two']
    >>> list(report.tables["differences"])
    ['model', 'reference', 'quantity', 'difference', 'low', 'high', 'n']
    """
    vector = validate.flag("vector", vector)
    budgets = None
    if epsilons is not None:
        budgets = tuple(validate.epsilons("epsilons", epsilons).tolist())
    others = _beside.read(beside, out_dir)
    given = {
        "n_attack": n_attack,
        "attack_steps": attack_steps,
        "targeted": targeted,
        "n_hybrid": n_hybrid,
        "n_corruption": n_corruption,
        "n_filtered": n_filtered,
        "contrast": contrast,
        "criterion": criterion,
        "per_octave": per_octave,
        "frequencies": None if frequencies is None else tuple(frequencies),
        "n_thresholds": n_thresholds,
        "seeds": None if seeds is None else validate.seeds(seeds),
        "seed": seed,
        "gray": gray,
    }
    study = Study(
        as_image_set(data, progress=progress),
        _entries(models),
        name="report",
        measurements=_beside.measurements(others, measurements),
        settings=_beside.settings(others, given),
        keep_adversarial=False,
    )
    if budgets is not None and study.settings.get("targeted", True):
        raise ValueError(
            "epsilons: got some with a targeted attack, expected an untargeted one"
        )
    _beside.check(others, study)
    work = prepare(
        study, out_dir, Running(batch_size, device, progress), is_strict=True
    )

    with contextlib.suppress(KeyboardInterrupt):  # the report lists what is missing
        work.run()
    missing = work.missing()
    results = dataclasses.replace(_results(work, others), epsilons=budgets)
    record = _record.settings_record(work, others, command, missing)
    weights = {model.name: model.weights for model in results.models}
    for model in record["models"]:
        model["weights"] = weights[model["name"]]
    folder = Path(out_dir)
    tables = _files.write(folder, results, record, vector)
    return Report(folder, tables, tuple(missing), work.n_measured, results)


def _entries(models: Any) -> list[ModelEntry]:
    """Return models with names; a model without a name gets the name of its class."""
    if isinstance(models, Mapping):
        return [ModelEntry(model, name) for name, model in models.items()]
    listed = [models] if isinstance(models, (nn.Module, str)) else models
    if isinstance(listed, bytes) or not isinstance(listed, Sequence):
        raise TypeError(
            f"models: got {type(models).__name__}, expected a mapping of names to "
            "modules, a list of modules, or one"
        )
    kinds = [type(getattr(one, "network", one)).__name__ for one in listed]
    entries = []
    for i, (kind, one) in enumerate(zip(kinds, listed, strict=True)):
        number = f" {kinds[:i].count(kind) + 1}" * (kinds.count(kind) > 1)
        name = "" if isinstance(one, str) else kind + number
        entries.append(ModelEntry(one, name))
    return entries


def _results(work: Work, others: Sequence[Beside]) -> Results:
    """Gather the finished measurements of this run and of the studies beside it."""
    shown = {name: one.images for name, one in work.subjects.items()}
    is_corrupted = "corruption" in work.plan.measurements
    return _tables.Results(
        models=work.measured() + _beside.models(others, work.plan.measurements),
        images=shown | _beside.images(others, work.data),
        labels=np.asarray(work.data.labels),
        class_names=tuple(work.data.class_names),
        data_name=work.data.name,
        settings=work.plan.settings,
        corruptions=work.plan.settings.corruptions if is_corrupted else (),
    )
