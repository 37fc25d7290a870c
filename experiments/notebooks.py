"""Run the notebooks of the figures on real data; save their pictures and tables.

Usage: python experiments/notebooks.py --data cifar10:DIR --kept OUT/study
           [--recording FILE] [--own MODELS.json] [--no-zoo] [--only fig4 ...]

OUT is the folder of ``neurofreq figures --data cifar10:DIR --out OUT``, with any
numbers of images and with or without ``--fold``. Finished measurements are read, and
missing ones are made. MODELS.json is a list of models to add to the package's,
``{"spec": ..., "name": ..., "group": ...}``. Pictures, their long tables (figN.csv)
and compare.csv, with the paper's numbers beside ours, go to docs/results/figures/.
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbclient import NotebookClient

import neurofreq as nf
from neurofreq.studies.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "results" / "figures"
COUNTS = ("n_attack", "n_hybrid", "n_corruption", "fold")  # values of the study


def executed(
    path: Path, parameters: dict[str, Any], table: Path
) -> nbformat.NotebookNode:
    """Return the notebook with outputs, run with these parameters; keep its table."""
    notebook = nbformat.read(path, as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    cell.source += "".join(
        f"\n{name} = {value!r}" for name, value in parameters.items()
    )
    keep = f"table.to_csv({str(table)!r}, index=False)"
    notebook.cells.append(nbformat.v4.new_code_cell(keep))
    NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
    return notebook


def picture(notebook: nbformat.NotebookNode) -> bytes:
    """Return the first picture among a notebook's outputs."""
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    found = [
        one.data["image/png"] for one in outputs if "image/png" in one.get("data", {})
    ]
    return base64.b64decode(found[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--own", type=Path)
    parser.add_argument("--no-zoo", action="store_true", help="for such a study")
    parser.add_argument("--only", nargs="+", default=[f"fig{n}" for n in range(1, 6)])
    options = parser.parse_args()
    own = json.loads(options.own.read_text()) if options.own else []
    settings = Plan.read(options.kept).settings
    parameters = {
        "data_spec": options.data,
        "kept": str(options.kept.resolve()),
        "own": own,
        "zoo": not options.no_zoo,
        "n_images": None,
        "recording": options.recording and str(options.recording.resolve()),
        **{name: getattr(settings, name) for name in COUNTS},
    }
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        table = PICTURES / f"{name}.csv"
        found = executed(ROOT / "notebooks" / f"{name}.ipynb", parameters, table)
        (PICTURES / f"{name}.png").write_bytes(picture(found))
        print(name, flush=True)
    tables = [pd.read_csv(path) for path in sorted(PICTURES.glob("fig?.csv"))]
    near = nf.figures.compare(pd.concat(tables))
    near.to_csv(PICTURES / "compare.csv", index=False)


if __name__ == "__main__":
    main()
