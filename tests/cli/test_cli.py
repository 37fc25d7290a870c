"""The command line: outputs, exit codes, and a one-sentence message per error."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.predictors import sensorium
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import cli
from neurofreq.corruptions import grid
from neurofreq.corruptions.grouping import averaged
from neurofreq.studies import measuring

FACTORY = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 5, stride=3), nn.ReLU(), nn.Flatten(),
                         nn.Linear(400, 8))

def nothing():
    return None

def silent():
    class Silent(nn.Module):
        def forward(self, images):
            return images
    return Silent()
"""
SMALL = [
    "--data", "synthetic", "--n-images", "32", "--n-attack", "4",
    "--attack-steps", "3", "--quiet",
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "cli_networks.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words):
    return CliRunner().invoke(cli.app, list(words))


def test_the_version_is_that_of_the_package():
    assert call("--version").stdout == f"neurofreq {nf.__version__}\n"


def test_the_version_does_not_wait_for_torch():
    code = (
        "import sys; from neurofreq import cli\n"
        "assert 'matplotlib' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_registry_is_a_table():
    found = call("models")
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0].startswith("name ")
    assert any(line.startswith("resnet18_gray ") for line in lines)
    assert any("Rebuffi21" in line and "needs a download" in line for line in lines)


def test_weights_of_a_narrow_network_load_by_its_options(folder):
    model = nf.models.small_cnn(width=4)
    model.front = nf.models.Blur(2.0)
    torch.save(model.state_dict(), folder / "w.pt")
    words = ["--model", "narrow=small_cnn,width=4,blur=2@w.pt", "--pairings", "1"]
    quick = ["--data", "synthetic", "--n-images", "16", "--out", "out", "--quiet"]
    found = call("hybrid", *words, *quick)
    assert found.exit_code == 0, found.output
    assert "narrow" in found.stdout


def test_a_report_of_two_models(folder):
    words = ["--model", "a=cli_networks:network", "--model", "b=small_cnn@random"]
    found = call("report", *words, "--out", "out", "--pairings", "1", *SMALL)
    assert found.exit_code == 0, found.output
    assert "half-power frequency" in found.stdout
    summary = pd.read_csv(folder / "out" / "tables" / "summary.csv")
    assert summary["model"].tolist() == ["a", "b"]
    assert (folder / "out" / "report.html").exists()


def test_one_measurement_at_a_time(folder):
    model = ["--model", "a=cli_networks:network"]
    found = call("attack", *model, "--out", "attack", *SMALL)
    assert found.exit_code == 0, found.output
    assert len(pd.read_csv(folder / "attack" / "tables" / "attack.csv")) == 4
    words = ["--data", "synthetic", "--n-images", "32", "--quiet"]
    found = call("hybrid", *model, "--out", "hybrid", "--pairings", "1", *words)
    assert found.exit_code == 0, found.output
    assert (folder / "hybrid" / "figures" / "hybrid_curves.png").exists()
    assert not (folder / "hybrid" / "tables" / "attack.csv").exists()


@pytest.mark.parametrize("extra", [[], ["--corruption", "gaussian_noise"]])
def test_the_spectrum_of_images_and_of_corruptions(folder, extra):
    words = ["--data", "synthetic", "--n-images", "16", "--out", "out", *extra]
    found = call("spectrum", *words)
    assert found.exit_code == 0, found.output
    radial = pd.read_csv(folder / "out" / "radial.csv")
    assert radial["cumulative"].iloc[-1] == pytest.approx(1.0)
    assert (folder / "out" / "spectrum.png").stat().st_size > 1000


def test_robust_accuracy_against_budgets(folder):
    words = ["--data", "synthetic", "--n-images", "6", "--quiet", "--out", "robust"]
    models = ["--model", "a=cli_networks:network", "--model", "b=small_cnn@random"]
    budgets = ["--epsilons", "0.5,0,1/255", "--norm", "L2"]
    found = call("robust", *models, *words, *budgets)
    assert found.exit_code == 0, found.output
    assert "l2 0.5:" in found.stdout
    assert "b (random weights)" in found.stdout
    table = pd.read_csv(folder / "robust" / "accuracy.csv")
    assert list(table) == ["model", "epsilon", "accuracy", "low", "high", "n"]
    assert table["epsilon"].tolist() == pytest.approx([0.5, 0.0, 1 / 255] * 2)
    assert len(pd.read_csv(folder / "robust" / "images.csv")) == 12
    assert (folder / "robust" / "accuracy.png").stat().st_size > 1000
    for bad in ("", "a", "1/0", "0.1,,0.2"):
        found = call("robust", *models, *words, "--epsilons", bad)
        assert found.exit_code == 2
        assert "--epsilons: got" in found.stderr
    found = call("robust", *models, *words, "--epsilons", "-1")
    assert "epsilons: got -1.0, expected finite numbers of 0 or more" in found.stderr
    found = call("robust", *models, *words, "--norm", "l3")
    assert "norm: got 'l3', expected one of 'linf', 'l2', 'l1', 'l0'" in found.stderr


def test_an_untargeted_attack_gives_robust_accuracy(folder):
    words = ["--data", "synthetic", "--n-images", "8", "--quiet", "--out", "attack"]
    model = ["--model", "a=cli_networks:network", "--attack-steps", "5"]
    budgets = ["--epsilons", "0.05,0"]
    found = call("attack", *model, *words, *budgets)
    assert found.exit_code == 2
    assert "epsilons: got some with a targeted attack" in found.stderr
    found = call("attack", *model, *words, *budgets, "--untargeted")
    assert found.exit_code == 0, found.output
    table = pd.read_csv(folder / "attack" / "tables" / "robust.csv")
    assert list(table) == ["model", "epsilon", "accuracy", "low", "high", "n"]
    sizes = pd.read_csv(folder / "attack" / "tables" / "attack.csv")["distance"]
    expected = [(sizes > 0.05).mean(), (sizes > 0.0).mean()]
    assert table["accuracy"].tolist() == pytest.approx(expected)
    assert (folder / "attack" / "figures" / "robust_accuracy.png").exists()


def test_a_severity_is_that_of_a_corruption(folder):
    words = ["--data", "synthetic", "--n-images", "4", "--out", "out"]
    found = call("spectrum", *words, "--severity", "3")
    assert found.exit_code == 2
    assert "--severity: got 3, expected --corruption too" in found.stderr
    found = call("corrupt", *words[:-1], "cli_networks.py")
    assert found.exit_code == 2
    assert "out: got cli_networks.py, a file, expected a folder" in found.stderr


@pytest.mark.filterwarnings("ignore:model. accuracy .* is that of guessing")
def test_corruptions_on_the_fly_and_from_a_folder(folder):
    words = [
        "--model",
        "a=cli_networks:network",
        "--model",
        "b=small_cnn@random",
        "--quiet",
    ]
    data = ["--data", "synthetic", "--n-images", "24"]
    found = call("corruptions", *words, *data, "--out", "direct")
    assert found.exit_code == 0, found.output
    cells = pd.read_csv(folder / "direct" / "cells.csv")
    assert len(cells) == 2 * (1 + 5 * len(averaged(nf.CORRUPTIONS)))
    means = pd.read_csv(folder / "direct" / "means.csv")
    assert set(means["mean_over"]) == {"severity", "group", "corruption", "all"}
    assert "group low" in found.stdout
    for picture in ("severity.png", "group.png"):
        assert (folder / "direct" / picture).stat().st_size > 1000
    found = call("corrupt", *data, "--out", "made", "--quiet")
    assert found.exit_code == 0, found.output
    given = ["--data", "corrupted:made", "--clean", "synthetic"]
    found = call("corruptions", *words, *given, "--out", "read")
    assert found.exit_code == 0, found.output
    read = pd.read_csv(folder / "read" / "cells.csv")
    assert read["n"].tolist()[:2] == [2000, 24]
    assert list(read) == list(cells)


def test_interrupted_corruptions_end_as_such(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(grid, "judge", interrupted)
    words = ["--model", "small_cnn@random", "--data", "synthetic", "--n-images", "8"]
    found = call("corruptions", *words, "--out", "out")
    assert found.exit_code == 130
    assert "run the same command again" in found.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "corrupted:nowhere"], "nowhere is missing"),
        (["--data", "corrupted:."], "holds no corruption"),
        (["--data", "corrupted:.", "--n-images", "3"], "--n-images: got one"),
        (["--data", "imagenet:nowhere"], "nowhere is missing"),
        (["--data", "synthetic", "--clean", "synthetic"], "clean: got some"),
    ],
)
def test_what_is_wrong_with_corruptions_is_one_sentence(words, message):
    found = call("corruptions", "--model", "small_cnn@random", "--out", "out", *words)
    assert found.exit_code == 2, found.output
    assert message in found.stderr


def test_an_interrupted_report_ends_as_one(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "attack", interrupted)
    found = call("attack", "--model", "a=cli_networks:network", "--out", "out", *SMALL)
    assert found.exit_code == 130
    assert "1 measurements are missing" in found.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "resnet21"], "resnet20"),
        (["--model", "small_cnn,wide=4@random"], "option 'wide'"),
        (["--model", "cifar10_vgg19_bn"], "neurofreq downloads nothing"),
        (["--model", "no_such_module:f"], "no_such_module"),
        (["--model", "cli_networks:absent"], "absent"),
        (["--model", "cli_networks:nothing"], "nothing"),
        (["--model", "cli_networks:silent"], "logits of shape"),
        (["--model", "small_cnn@missing.safetensors"], "missing.safetensors"),
        (["--model", "resnet20@random"], "images of 3 channels"),
        (
            ["--model", "small_cnn@random", "--model", "small_cnn@random"],
            "small_cnn@random twice",
        ),
        (["--model", "small_cnn@random", "--data", "cifar10:nowhere"], "nowhere"),
        (["--model", "small_cnn@random", "--data", "mnist"], "mnist"),
        (["--model", "small_cnn@random", "--n-attack", "33"], "n_attack: got 33"),
        (["--model", "small_cnn@random", "--device", "abacus"], "device: got abacus"),
        (["--model", "small_cnn@random", "--out", "cli_networks.py"], "a file"),
        (["--model", "small_cnn@random", "--pairings", "0"], "seeds: got none"),
    ],
)
def test_what_is_wrong_is_one_sentence(words, message):
    found = call("report", "--out", "out", *SMALL, *words)
    assert found.exit_code == 2, found.output
    assert message in found.stderr
    assert found.stderr.startswith("neurofreq: ")
    assert found.stderr.count("\n") == 1
    assert "Traceback" not in found.output


def test_a_traceback_is_shown_on_demand():
    found = call("report", "--model", "nope", "--out", "out", "--traceback", *SMALL)
    assert isinstance(found.exception, ValueError)


@pytest.mark.filterwarnings("ignore:model. accuracy .* is that of guessing")
def test_the_tiny_demo_says_three_sentences(folder):
    found = call("demo", "--out", "demo", "--tiny", "--quiet")
    assert found.exit_code == 0, found.output
    lines = found.stdout.strip().splitlines()
    assert lines[-3].startswith("Hybrid images: ")
    assert lines[-2].startswith("Adversarial perturbations: ")
    assert lines[-1].startswith("Robustness: its median perturbation is ")
    assert str(folder / "demo" / "report.html").endswith(lines[-4].split()[-1])


def test_a_recipe_is_trained_and_resumed_from_the_command(tmp_path):
    words = [
        "train", "mouse", "--data", "synthetic", "--n-images", "60", "--stimuli",
        "synthetic", "--n-stimuli", "20", "--target", "simulated", "--fast", "--quiet",
        "--set", "network=small_cnn,width=4", "--set", "epochs=2",
        "--set", 'layers=["network.stage2"]', "--set", "batch_size=20",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert "epoch 2" in done.output
    assert "small_cnn,width=4@" in done.output
    kept = json.loads((tmp_path / "run/settings.json").read_text())
    assert kept["target"].startswith("simulated (Gabor energy")
    weights = tmp_path / "run/best.safetensors"
    model = nf.models.load_model("small_cnn,width=4", weights=weights)
    assert not model.training
    again = call(*words)
    assert again.output == done.output
    other = call(*words, "--shuffle")
    assert other.exit_code == 2
    assert "holds a run with regularizer" in other.output


def test_a_published_predictor_is_a_target_of_the_command(tmp_path):
    torch.save(sensorium(), tmp_path / "model.pth")
    done = call(
        "train", "mouse", "--data", "synthetic", "--n-images", "20", "--stimuli",
        "synthetic", "--n-stimuli", "8", "--fast", "--quiet", "--target",
        f"sensorium:{tmp_path / 'model.pth'}", "--shuffle", "--set", "epochs=1",
        "--set", "network=small_cnn,width=4", "--set", 'layers=["network.stage2"]',
        "--set", "batch_size=10", "--out", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "run/settings.json").read_text())
    source = "mouse V1, predicted, 5 neurons, Willeke et al. 2022"
    assert kept["target"] == (
        f"shuffled (predicted from recordings ({source}); seed 0)"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dog"], "recipe: got 'dog', expected one of 'standard'"),
        (["mouse", "--set", "epochs"], "--set: got 'epochs', expected NAME=VALUE"),
        (["mouse", "--set", "epoch=1"], "did you mean 'epochs'"),
        (["mouse", "--target", "pixel"], "--target: expected --stimuli with it"),
        (["mouse", "--stimuli", "synthetic"], "stimuli, expected stimuli with either"),
        (
            ["mouse", "--stimuli", "synthetic", "--n-stimuli", "8", "--target", "t.py"],
            "--target: got t.py, expected simulated, pixel, threshold, sensorium:FILE",
        ),
        (
            [
                "mouse",
                "--stimuli",
                "synthetic",
                "--n-stimuli",
                "8",
                "--target",
                "sensorium:absent",
            ],
            "weights: there is no file absent",
        ),
        (["mouse", "--shuffle"], "--shuffle: expected --target or --responses"),
    ],
)
def test_bad_training_words_are_named(words, message, tmp_path):
    done = call(
        "train", *words, "--data", "synthetic", "--n-images", "8", "--out",
        str(tmp_path),
    )  # fmt: skip
    assert done.exit_code == 2
    assert message in done.output


def test_responses_are_trained_with_from_the_command(tmp_path):
    responses = np.random.default_rng(0).random((20, 3))
    np.save(tmp_path / "responses.npy", responses)
    np.save(tmp_path / "images.npy", np.random.default_rng(1).random((20, 1, 32, 32)))
    done = call(
        "train", "monkey", "--data", "synthetic", "--n-images", "60", "--stimuli",
        str(tmp_path / "images.npy"), "--responses", str(tmp_path / "responses.npy"),
        "--quiet", "--set", "network=small_cnn,width=4", "--set", "epochs=1",
        "--set", "layers=network.stage1", "--out", str(tmp_path / "run"), "--shuffle",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "responses" in done.output
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["target"] == "responses, shuffled; seed 0"
