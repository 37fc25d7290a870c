"""Options that people expect: attacks and norms, JSON, short help, vector pictures."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import cli

FACTORY = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 5, stride=3), nn.ReLU(), nn.Flatten(),
                         nn.Linear(400, 8))
"""
MODEL = ["--model", "a=my_networks.py:network"]
DATA = ["--data", "synthetic", "--n-images", "16", "--quiet"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words):
    return CliRunner().invoke(cli.app, list(words))


@pytest.mark.parametrize("words", [[], ["attack"], ["studies"], ["studies", "run"]])
def test_short_help_is_the_long_one(words):
    short, long = call(*words, "-h"), call(*words, "--help")
    assert short.exit_code == 0, short.output
    assert short.stdout == long.stdout
    assert "-h" in short.stdout


def test_a_shell_can_complete():
    assert "--install-completion" in call("--help").stdout


BRIEF = """
import sys
sys.argv = ["/somewhere/bin/neurofreq", *sys.argv[1:]]
from neurofreq.cli import main
try:
    main()
finally:
    assert "torch" not in sys.modules, "torch was loaded"
    assert "numpy" not in sys.modules, "numpy was loaded"
"""


@pytest.mark.parametrize("word", ["--version", "-h", "--help"])
def test_version_and_help_do_not_load_torch(word):
    found = subprocess.run(
        [sys.executable, "-c", BRIEF, word], capture_output=True, text=True, check=True
    )
    expected = f"neurofreq {nf.__version__}" if word == "--version" else "Usage"
    assert expected in found.stdout


def test_completion_does_not_load_torch():
    completing = {
        "_NEUROFREQ_COMPLETE": "complete_bash", "COMP_WORDS": "neurofreq rep",
        "COMP_CWORD": "1",
    }  # fmt: skip
    found = subprocess.run(
        [sys.executable, "-c", BRIEF], capture_output=True, text=True, check=True,
        env=os.environ | completing,
    )  # fmt: skip
    assert found.stdout.strip() == "report"


ATTACKS = {
    "bb": ["--norm", "l2", "--attack-steps", "5"],
    "pgd": ["--attack", "pgd", "--epsilons", "0.5,0.1", "--attack-steps", "5"],
    "boundary": ["--attack", "boundary", "--norm", "2"],
}


@pytest.mark.parametrize("kind", ATTACKS)
def test_an_attack_of_choice(kind, folder):
    words = [*MODEL, *DATA, "--n-attack", "4", "--out", "out", "--seed", "3"]
    found = call("attack", *words, *ATTACKS[kind], "--json")
    assert found.exit_code == 0, found.output
    shown = json.loads(found.stdout)
    norm = "linf" if kind == "pgd" else "l2"
    (row,) = shown["summary"]
    assert (row["model"], row["norm"], row["n"]) == ("a", norm, 4)
    table = pd.read_csv(folder / "out" / "tables" / "attack.csv")
    first = ["model", "image", "label", "target", "distance", "success", "n_queries"]
    assert list(table)[:7] == first
    data = nf.data.load_data("synthetic", n=16)
    assert table["label"].tolist() == data.labels[:4].tolist()
    targets = nf.attacks.shuffled_targets(data.labels, seed=3)[:4]
    assert table["target"].tolist() == targets.tolist()
    assert row["success"] == pytest.approx(table["success"].mean())
    sizes = np.where(table["success"], table["distance"], np.inf)
    success = pd.read_csv(folder / "out" / "tables" / "success.csv")
    expected = [(sizes <= one).mean() for one in success["epsilon"]]
    assert success["fraction"].tolist() == pytest.approx(expected)
    if kind == "pgd":
        assert success["epsilon"].tolist() == [0.1, 0.5]
    for form in ("png", "pdf", "svg"):
        assert (folder / "out" / "figures" / f"success.{form}").stat().st_size > 500
    settings = json.loads((folder / "out" / "settings.json").read_text())
    assert settings["attack"]["norm"] == norm
    assert settings["seed"] == 3


def test_the_numbers_of_an_attack_are_those_of_the_function(folder):
    words = [*MODEL, *DATA, "--n-attack", "4", "--out", "out", "--untargeted"]
    budgets = ["--attack", "pgd", "--norm", "l2", "--epsilons", "1,2"]
    found = call("attack", *words, *budgets)
    assert found.exit_code == 0, found.output
    assert "median l2 perturbation" in found.stdout
    data = nf.data.load_data("synthetic", n=16)
    model = nf.models.load_model("my_networks.py:network")
    result = nf.attacks.PGD("l2", 2.0)(
        model, data.images[:4], data.labels[:4], epsilons=[1.0, 2.0]
    )
    table = pd.read_csv(folder / "out" / "tables" / "attack.csv")
    np.testing.assert_allclose(table["distance"], result.distance, rtol=1e-6)
    assert table["target"].tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--attack", "pgd"], "--epsilons: expected budgets above 0"),
        (["--attack", "pgd", "--epsilons", "0"], "--epsilons: expected budgets above"),
        (["--attack", "pgd", "--norm", "l1", "--epsilons", "1"], "norm: got 'l1'"),
        (["--attack", "boundary", "--norm", "l0"], "norm: got 'l0'"),
        (["--norm", "l3"], "norm: got 'l3'"),
        (
            ["--attack", "boundary", "--attack-steps", "3"],
            "--attack-steps: got 3, expected none for boundary",
        ),
        (["--norm", "l2", "--n-attack", "17"], "n_attack: got 17, expected at most 16"),
        (["--norm", "l2", "--n-attack", "0"], "n_attack: got 0"),
    ],
)
def test_attacks_that_do_not_exist_are_one_sentence(words, message):
    found = call("attack", *MODEL, *DATA, "--out", "out", *words)
    assert found.exit_code == 2, found.output
    assert message in found.stderr
    assert found.stderr.count("\n") == 1


def test_numbers_are_printed_as_json(folder):
    words = [*MODEL, *DATA, "--json"]
    hybrid = call("hybrid", *words, "--out", "hybrid", "--pairings", "1")
    assert hybrid.exit_code == 0, hybrid.output
    shown = json.loads(hybrid.stdout)
    assert shown["summary"][0]["model"] == "a"
    assert shown["summary"][0]["clean_accuracy"] is None  # not measured
    robust = call("robust", *words, "--out", "robust", "--epsilons", "0,0.5")
    assert robust.exit_code == 0, robust.output
    rows = json.loads(robust.stdout)["accuracy"]["a"]
    assert [row["epsilon"] for row in rows] == [0.0, 0.5]
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)
    for form in ("png", "pdf", "svg"):
        assert (folder / "robust" / f"accuracy.{form}").stat().st_size > 500
    listed = json.loads(call("models", "--json").stdout)
    assert "zoo:gray-standard" in [row["name"] for row in listed]


def test_a_spectrum_has_a_colormap(folder):
    words = ["--data", "synthetic", "--n-images", "4", "--out", "out"]
    found = call("spectrum", *words, "--colormap", "jet", "--json")
    assert found.exit_code == 0, found.output
    assert 0.0 < json.loads(found.stdout)["f_half"]["value"] < 0.5
    assert (folder / "out" / "spectrum.svg").stat().st_size > 500
    bad = call("spectrum", *words, "--colormap", "jett")
    assert bad.exit_code == 2
    assert "cmap: got 'jett', expected a colormap of matplotlib" in bad.stderr
    bad = call("figures", "--out", "out", "--colormap", "jett", "absent")
    assert "--colormap: got 'jett'" in bad.stderr


@pytest.mark.filterwarnings("ignore:model. accuracy .* is that of guessing")
def test_a_report_on_some_images_with_vector_pictures(folder):
    counts = ["--n-hybrid", "8", "--n-corruption", "4", "--n-attack", "2"]
    words = [*MODEL, *DATA, *counts, "--pairings", "1", "--attack-steps", "2"]
    found = call("report", *words, "--out", "out", "--vector", "--json")
    assert found.exit_code == 0, found.output
    (row,) = json.loads(found.stdout)["summary"]
    assert (row["f_rev_n"], row["corruption_accuracy_n"]) == (8, 4)
    drawn = {path.suffix for path in (folder / "out" / "figures").iterdir()}
    assert drawn == {".png", ".pdf", ".svg"}
    again = call("report", *words, "--out", "out")
    assert again.exit_code == 0, again.output
    assert not list((folder / "out" / "figures").glob("*.pdf"))
