"""Write the files of a report, and delete those of an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurofreq._shared.escapes import to_csv
from neurofreq._shared.files import storage
from neurofreq.report import _page, _pictures, _record, _tables

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from neurofreq.report._tables import Results

# All files that a report may write or delete; other files belong to the user.
_TABLES = (
    "summary", "differences", "hybrid", "attack", "success", "robust", "radial",
    "spectrum", "corruption", "filters", "bands", "sensitivity",
)  # fmt: skip
_FIGURES = (
    "hybrid_curves", "radial_profile", "success", "robust_accuracy",
    "corruption_severity", "corruption_groups", "filtered_accuracy", "channels",
    "sensitivity_octaves", "sensitivity", "spectra", "example_hybrids",
    "example_perturbations",
)  # fmt: skip


def write(
    folder: Path, results: Results, record: dict[str, Any], vector: bool
) -> dict[str, pd.DataFrame]:
    """Write tables, settings, pictures and the page; return the tables."""
    for part in ("tables", "figures"):
        (folder / part).mkdir(exist_ok=True)
    tables = _tables.build(results)
    pictures = _pictures.draw(results)
    texts = {
        folder / "tables" / f"{name}.csv": to_csv(table)
        for name, table in tables.items()
    }
    texts[folder / "report.html"] = _page.render(results, tables, pictures, record)
    drawn = _pictures.files(pictures, folder / "figures", vector)
    # Delete outputs of an earlier run with other settings: they contradict the page.
    own = [folder / "tables" / f"{name}.csv" for name in _TABLES]
    own += [
        folder / "figures" / f"{name}.{form}"
        for name in _FIGURES
        for form in _pictures.FORMATS
    ]
    for path in own:
        if path not in texts and path not in drawn:
            path.unlink(missing_ok=True)
    storage.write_json(folder / "settings.json", _record.defined(record))
    for path, text in texts.items():
        storage.write_text(path, text)
    for path, content in drawn.items():
        storage.write_bytes(path, content)
    return tables
