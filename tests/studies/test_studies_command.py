"""``neurofreq studies run`` under torchrun: only the first rank reports failures."""

import pytest
from typer.testing import CliRunner

from neurofreq.cli import app

SPEC = """
data = "synthetic"
n_images = 12
measurements = ["clean"]
models = ["small_cnn@random", {spec = "small_cnn@absent.pt", name = "lost"}]
"""


@pytest.mark.parametrize("rank", ["0", "1"])
def test_the_first_rank_says_what_failed_and_ends_the_job(rank, tmp_path, monkeypatch):
    (tmp_path / "study.toml").write_text(SPEC)
    for name, value in (("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    words = [str(tmp_path / "study.toml"), "--out", str(tmp_path / "kept"), "--quiet"]
    found = CliRunner().invoke(app, ["studies", "run", *words])
    is_first = rank == "0"
    assert found.exit_code == (1 if is_first else 0), found.output
    assert ("failed: lost" in found.output) == is_first
    assert (tmp_path / "kept" / "study.csv").exists() == is_first
