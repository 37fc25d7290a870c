"""A frequency report on one or more models: numbers, intervals, pictures.

`run` measures what is missing, keeps each measurement as it completes, and
writes tables, settings, pictures and one page into a folder.
"""

from __future__ import annotations

import dataclasses
import datetime
import html
import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from neurofreq import _runtime, _store, hybrid
from neurofreq.report import _measure, _page, _pictures, _tables
from neurofreq.report._subjects import make_settings, make_subjects
from neurofreq.report._work import MEASUREMENTS, Work
from neurofreq.studies import _analysis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from torch import nn

    from neurofreq.data import ImageSet
    from neurofreq.report._tables import Results


@dataclasses.dataclass(frozen=True)
class Report:
    """What `run` measured and where it wrote it.

    Attributes
    ----------
    out_dir : Path
    tables : dict of str to DataFrame
        The CSV files: "summary" has one row per model with `_lower` and
        `_upper` columns, "differences" each model less the first.
    missing : tuple of str
        What an interrupted run did not reach; empty when complete.
    n_measured : int
        Measurements made in this run; the others were read from `out_dir`.
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
        """Whether everything asked for was measured."""
        return not self.missing

    def _repr_html_(self) -> str:
        columns, rows = self._shown()
        cell = "<td style='text-align:right'>{value}<br><small>{interval}</small></td>"
        head = "".join(
            f"<th>{html.escape(c.title)}<br><small>{c.unit}</small></th>"
            for c in columns
        )
        body = "".join(
            f"<tr><th>{html.escape(row['model'])}</th>"
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
            lines.append(row["model"])
            for column, one in zip(columns, row["cells"], strict=True):
                number = f"{one['value']} {one['interval']}".strip()
                lines.append(f"  {column.title:28} {number} {column.unit}")
        return "\n".join([*lines, self._where()])

    def _shown(self) -> tuple[list[_tables.Column], list[dict[str, Any]]]:
        columns = _page.shown_columns(self._results, self.summary)
        return columns, _page.summary_rows(columns, self.summary)

    def _where(self) -> str:
        state = "" if self.is_complete else " (not complete)"
        return f"report{state}: {self.page}"


def run(
    models: Mapping[str, nn.Module],
    data: ImageSet,
    out_dir: str | os.PathLike[str],
    *,
    n_attack: int | None = None,
    attack_steps: int = 300,
    targeted: bool = True,
    n_hybrid: int | None = None,
    n_corruption: int | None = None,
    frequencies: Sequence[float] = hybrid.FREQUENCIES,
    n_thresholds: int = 25,
    seeds: Iterable[int] = range(6),
    seed: int = 0,
    batch_size: int = 256,
    device: torch.device | str | None = None,
    gray: Literal["auto", "always", "never"] = "auto",
    measurements: Sequence[str] = MEASUREMENTS,
    progress: bool = True,
    command: str = "",
) -> Report:
    """Measure models and write a report that compares them.

    Parameters
    ----------
    models : mapping of str to nn.Module
        Each maps images (n, C, H, W) in [0, 1] to logits; normalisation is
        inside. The first is the reference of differences. Left as found.
    data : ImageSet
        Of ``neurofreq.data``: its ``load_data`` makes one, and so does
        ``ImageSet(images, labels, class_names, name)`` from your own arrays.
    out_dir : path
        Made where it is missing; finished measurements in it are reused when
        settings, weights and data agree.
    n_attack : int, optional
        The first images are attacked: by default 200, or all where there are fewer.
    attack_steps : int
        The most steps of the attack per image; it stops where it has converged.
    targeted : bool
        Attack towards shuffled labels; otherwise towards any wrong class.
    n_hybrid, n_corruption : int, optional
        Images for hybrids and corruptions; all by default.
    frequencies : sequence of float
        Mixing frequencies, increasing, in units of Nyquist.
    n_thresholds : int
        Of the radial profile; the paper's Figs 4 and 6 use 25.
    seeds : iterable of int
        One pairing of hybrids each.
    seed : int
        Of attack targets, attack and corruptions.
    batch_size : int
        Images per call of a model.
    device : torch.device or str, optional
        Where batches are sent; by default where the model's parameters are.
    gray : {"auto", "always", "never"}
        "auto" shows grey images to a model whose first convolution has one
        input channel.
    measurements : sequence of str
        Of "clean", "hybrid", "attack" and "corruption".
    progress : bool
        One bar with the time left for each stage.
    command : str
        Kept in settings.json, to say how to run this again.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range, or a model does not fit the data.
    ModelError
        If a model returns something else than finite logits.

    Notes
    -----
    Ctrl-C ends measuring, not the call: the report of what is done is written
    and returned, and says what is missing.

    Examples
    --------
    >>> import neurofreq as nf
    >>> report = nf.report.run({"mine": model}, data, "out")  # doctest: +SKIP
    >>> report.summary[["model", "f_rev", "f_half"]]  # doctest: +SKIP
    """
    settings = make_settings(
        data,
        n_attack=n_attack,
        attack_steps=attack_steps,
        targeted=targeted,
        n_hybrid=n_hybrid,
        n_corruption=n_corruption,
        frequencies=frequencies,
        n_thresholds=n_thresholds,
        seeds=seeds,
        seed=seed,
        gray=gray,
    )
    unknown = [name for name in measurements if name not in MEASUREMENTS]
    if unknown or not measurements:
        expected = ", ".join(MEASUREMENTS)
        got = unknown[0] if unknown else "nothing"
        raise ValueError(f"measurements: got {got}, expected some of {expected}")
    running = _measure.Running(batch_size, device, progress)
    folder = folder_for(out_dir)
    subjects = make_subjects(models, data, settings, running)
    work = Work(subjects, data, settings, running, _store.Store(folder / "items"))
    try:
        for measurement in MEASUREMENTS:
            if measurement in measurements:
                work.stage(measurement)
    except KeyboardInterrupt:
        pass  # what is missing is said in the report
    missing = work.missing(measurements)
    results = work.results(measurements)
    record = _settings_record(work, command, missing)
    tables = _write(folder, results, record)
    return Report(folder, tables, tuple(missing), work.n_measured, results)


def folder_for(out_dir: str | os.PathLike[str]) -> Path:
    """Return the folder as a path, made where it is missing.

    Raises
    ------
    ValueError
        If it or a folder above it is a file.
    """
    folder = Path(out_dir)
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise ValueError(f"out_dir: got {part}, a file, expected a folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(
    folder: Path, results: Results, record: dict[str, Any]
) -> dict[str, pd.DataFrame]:
    """Write tables, settings, pictures and the page; return the tables."""
    for part in ("tables", "figures"):
        (folder / part).mkdir(exist_ok=True)
    tables = _tables.build(results)
    pictures = _pictures.draw(results)
    texts = {
        folder / "tables" / f"{name}.csv": table.to_csv(index=False)
        for name, table in tables.items()
    }
    texts[folder / "settings.json"] = json.dumps(record, indent=2) + "\n"
    texts[folder / "report.html"] = _page.render(results, tables, pictures, record)
    pngs = {folder / "figures" / f"{one.key}.png": one.png for one in pictures}
    # Outputs of an earlier run with other settings would contradict the page.
    for pattern in ("tables/*.csv", "figures/*.png"):
        for old in folder.glob(pattern):
            if old not in texts and old not in pngs:
                old.unlink()
    for path, text in texts.items():
        _store.write_text(path, text)
    for path, png in pngs.items():
        _store.write_bytes(path, png)
    return tables


def _settings_record(work: Work, command: str, missing: list[str]) -> dict[str, Any]:
    """Return what settings.json holds; no path but those in the command."""
    import matplotlib
    import pandas as pd

    images = np.asarray(work.data.images)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%d %B %Y"),
        "command": command,
        "missing": missing,
        "models": [
            {
                "name": subject.name,
                "kind": type(subject.model).__name__,
                "n_parameters": sum(p.numel() for p in subject.model.parameters()),
                "is_gray": subject.is_gray,
                "digest": subject.digest,
            }
            for subject in work.subjects
        ],
        "data": {
            "name": work.data.name,
            "n_images": len(images),
            "n_classes": len(work.data.class_names),
            "height": images.shape[2],
            "width": images.shape[3],
            "channels": images.shape[1],
            "digest": work.data_digest,
        },
        "numbers": dataclasses.asdict(work.settings),
        "n_resamples": _analysis.N_RESAMPLES,
        "level": _analysis.LEVEL,
        "batch_size": work.running.batch_size,
        "versions": {
            "neurofreq": _runtime.VERSION,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "matplotlib": matplotlib.__version__,
            "python": platform.python_version(),
        },
        "machine": _machine(work),
    }


def _machine(work: Work) -> str:
    """Say what kind of machine it was, not which."""
    from neurofreq._model import device_of

    text = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    device = torch.device(work.running.device or device_of(work.subjects[0].model))
    if device.type == "cuda":
        text += f", {torch.cuda.get_device_name(device)}"
    return text
