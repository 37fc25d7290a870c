"""Every notebook runs from top to bottom, with tiny parameters."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALL = "n_images, tiny = 48, True"
# Overrides of the cell tagged "parameters", per notebook.
TINY = {
    "quickstart": "n_train, n_test, n_attack, epochs, steps = 256, 96, 8, 1, 10",
    "fig1": SMALL,
    "fig2": f"{SMALL}; n_attack, n_corruption = 8, 8",
    "fig3": SMALL,
    "fig4": f"{SMALL}; n_attack = 8",
    "fig5": f"{SMALL}; n_corruption = 8",
    "fig6": f"{SMALL}; n_attack, n_hybrid, n_corruption = 8, 48, 8",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_repository_holds_no_outputs(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs"), cell["source"]
        assert cell.get("execution_count") is None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# The kernel, not this test, closes its event loop and sockets.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_it_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    tagged = [
        index
        for index, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", [])
    ]
    assert len(tagged) == 1, "exactly one cell has the tag parameters"
    tiny = nbformat.v4.new_code_cell(TINY[path.stem])
    notebook.cells.insert(tagged[0] + 1, tiny)
    where = {"metadata": {"path": str(tmp_path)}}  # the notebook writes its files there
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources=where
    ).execute()
