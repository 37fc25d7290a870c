"""``neurofreq figures --data``: a study of the zoo and the user's models, drawn."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import figures, models, neural, studies
from neurofreq.cli import app

NETWORKS = {
    "gray-standard": ("base", "resnet18_gray,base_width=2,n_classes=8"),
    "gray-mouse": ("neural", "resnet18_gray,base_width=2,n_classes=8"),
    "adversarial-8": ("adv", "small_cnn,width=2"),
    "blur-1.0": ("blur", "small_cnn,width=2,blur=1.0"),
    "blur-1.5": ("blur", "small_cnn,width=2,blur=1.5"),
    "blur-2.0": ("blur", "small_cnn,width=2,blur=2.0"),
}
TINY = (
    "--n-images", 24, "--n-attack", 3, "--n-hybrid", 12, "--n-corruption", 2,
    "--attack-steps", 5, "--pairings", 1, "--quiet",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Use one thread: small networks are not faster with more."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def card(name, group, spec, **changes):
    values = {
        "name": name, "spec": spec, "group": group, "architecture": "tiny",
        "in_channels": 1, "n_classes": 8, "recipe": "none", "seed": 0,
        "data": "synthetic, 0 images", "accuracies": {"clean": 12.5},
        "date": "2026-11-27",
    }  # fmt: skip
    return models.ZooCard(**values | changes)


def untrained(spec, seed):
    """Return a random network that predicts several classes."""
    torch.manual_seed(seed)
    model = models.load_model(spec).train()
    images = torch.from_numpy(nf.data.load_data("synthetic", n=64).images)
    last = [one for one in model.modules() if isinstance(one, nn.Linear)][-1]
    for one in model.modules():
        if isinstance(one, nn.BatchNorm2d):
            one.momentum = None  # one pass sets the averages of these images
    with torch.no_grad():
        model(images)
        last.bias -= model.eval()(images).mean(0)
    return model


@pytest.fixture(scope="module")
def full_zoo(tmp_path_factory):
    """Untrained networks of every group, and one for other images."""
    folder = tmp_path_factory.mktemp("zoo")
    for seed, (name, (group, spec)) in enumerate(NETWORKS.items()):
        models.write_zoo_model(untrained(spec, seed), card(name, group, spec), folder)
    spec = "resnet18,base_width=2"
    other = card("colour", "base", spec, in_channels=3, n_classes=10, data="CIFAR-10")
    models.write_zoo_model(models.load_model(spec), other, folder)
    return folder


@pytest.fixture
def zoo(full_zoo, monkeypatch):
    monkeypatch.setattr("neurofreq.models.zoo.FOLDER", full_zoo)


@pytest.fixture(scope="module")
def whole(full_zoo, tmp_path_factory):
    """The folder and the output of one call."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurofreq.models.zoo.FOLDER", full_zoo)
        found = command("--data", "synthetic", "--out", out, *TINY)
    return out, found


def command(*words):
    return CliRunner().invoke(app, ["figures", *map(str, words)])


def test_one_call_measures_and_draws_all_five(whole):
    out, found = whole
    assert found.exit_code == 0, found.output
    for name in ("fig1", "fig2", "fig3", "fig4", "fig5"):
        for suffix in ("png", "pdf", "csv"):
            assert (out / f"{name}.{suffix}").stat().st_size > 1000, name
    assert not (out / "fig6.png").exists()
    assert "fig1: " in found.output
    assert "simulated (Gabor energy, Poisson noise), 24 stimuli" in found.output
    assert "fig2: " in found.output
    assert "(of gray-standard and gray-mouse)" in found.output
    kept = studies.load(out / "study")
    assert kept.is_complete
    assert {one.name for one in kept.measured} == set(NETWORKS)
    assert not {"colour"} & {one.name for one in kept.measured}


def test_every_number_that_the_paper_has_stands_beside_it(whole):
    out, _ = whole
    near = pd.read_csv(out / "compare.csv")
    assert set(near["figure"]) == {"fig2", "fig3", "fig4", "fig5"}
    np.testing.assert_allclose(near["difference"], near["ours"] - near["paper"])
    half = near[(near["panel"] == "b") & (near["quantity"] == "f_half")]
    assert dict(zip(half["group"], half["paper"], strict=True)) == {
        "base": 0.43, "adv": 0.164, "blur": 0.188,
    }  # fmt: skip
    roles = near[near["figure"] == "fig3"].groupby("group")["model"].unique()
    assert roles["base"].tolist() == ["gray-standard"]
    assert roles["neural"].tolist() == ["gray-mouse"]


def test_the_paper_s_blur_is_the_group_and_all_make_the_line(whole):
    out, found = whole
    assert "without blur-1.0, blur-2.0, whose blur is not the paper's" in found.output
    four, five = (pd.read_csv(out / f"fig{n}.csv") for n in (4, 5))
    for table in (four, five):
        blurred = table[(table["group"] == "blur") & (table["model"] != "group mean")]
        assert set(blurred["model"]) == {"blur-1.5"}
    line = five[five["group"] == "blur series"]
    assert sorted(line["x"].unique()) == [1.0, 1.5, 2.0]


def test_the_same_command_measures_nothing_again(zoo, whole, monkeypatch):
    out, _ = whole
    counts, run = [], studies.run

    def counted(*words, **options):
        found = run(*words, **options)
        counts.append(found.n_measured)
        return found

    monkeypatch.setattr(studies, "run", counted)
    again = command("--data", "synthetic", "--out", out, *TINY, "--only", "fig4")
    assert again.exit_code == 0, again.output
    assert counts == [0]
    more = (*TINY, "--only", "fig3", "--model", "mine=small_cnn,width=2@random",
            "--group", "mine=adv", str(out / "study"))  # fmt: skip
    again = command("--data", "synthetic", "--out", out, *more)
    assert again.exit_code == 0, again.output
    assert counts == [0, 2], "clean and hybrid of the new model"
    kept = {one.name: one.group for one in studies.load(out / "study").measured}
    assert kept["mine"] == "adv"


def test_what_is_recorded_is_the_target_of_figure_1(zoo, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 20, 20), dtype=np.uint8)
    trials = neural.simulate_v1(images[:, None] / np.float32(255), n_neurons=20)
    trials = np.concatenate([trials, np.zeros_like(trials[..., :1])], axis=2)
    np.savez(tmp_path / "recorded.npz", images=images, trials=trials)
    words = ("--data", "synthetic", "--out", tmp_path, *TINY, "--only", "fig1")
    found = command(*words, "--neural", tmp_path / "recorded.npz")
    assert found.exit_code == 0, found.output
    assert "target: recording, 12 stimuli" in found.output
    table = pd.read_csv(tmp_path / "fig1.csv")
    assert set(table["group"]) == {"recording"}
    assert not (tmp_path / "compare.csv").read_text().count("fig1")
    np.savez(tmp_path / "wrong.npz", images=images)
    found = command(*words, "--neural", tmp_path / "wrong.npz")
    assert found.exit_code == 2
    assert "neural: got images in" in found.output


def test_a_model_that_fails_is_named_and_the_rest_is_drawn(zoo, tmp_path):
    lost = ("--model", "lost=small_cnn@absent.pt", "--only", "fig1")
    found = command("--data", "synthetic", "--out", tmp_path, *TINY, *lost)
    assert found.exit_code == 1
    assert "failed: lost: loading: FileNotFoundError" in found.output
    assert (tmp_path / "fig1.png").exists()


def test_networks_of_colour_and_gray_are_for_colour_images(full_zoo, zoo):
    images = np.zeros((4, 3, 32, 32), np.float32)
    colour = nf.data.ImageSet(
        images, np.arange(4), tuple(map(str, range(10))), "CIFAR-10 test"
    )
    made = figures.study(
        colour,
        ["torchvision:resnet18@random", {"spec": "resnet20@file.th", "name": "mine"},
         studies.ModelEntry("small_cnn@file", "own", "neural")],
        n_attack=2,
    )  # fmt: skip
    groups = {entry.name: entry.group for entry in made.models}
    assert groups == {
        "colour": "base", "resnet18@random": "other", "mine": "base", "own": "neural",
    }  # fmt: skip
    assert made.settings == {"n_attack": 2, "n_hybrid": 4, "n_corruption": 4}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "fig7"], "--only: got 'fig7', expected one of 'fig1', 'fig2'"),
        (["--model", "mine=@file"], "model: got 'mine=@file', expected [label=]spec"),
        (
            ["--model", "small_cnn@random", "--group", "adv"],
            "--group: got 'adv', expected N",
        ),
        (
            ["--model", "small_cnn@random", "--group", "mine=adv"],
            "--group: got 'mine', expected the name of a --model (small_cnn@random)",
        ),
        (["--pairings", "0"], "--pairings: got 0"),
        (["--neural", "absent.npz"], "neural: got absent.npz, expected an npz file"),
        ([], "models: got none, and the zoo has no network; expected at least"),
        (["--no-zoo"], "models: got none; expected at least one, such as --model"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, monkeypatch, words, message):
    monkeypatch.setattr("neurofreq.models.zoo.FOLDER", tmp_path / "empty")
    found = command("--data", "synthetic", "--out", tmp_path / "out", *words)
    assert found.exit_code == 2
    assert message in found.output
    assert "Traceback" not in found.output
    assert not (tmp_path / "out").exists()


def test_without_images_there_is_nothing_to_measure(tmp_path):
    for words, message in (
        ([], "DIR: got none, expected folders of studies, or --data"),
        (
            ["--only", "fig4", "--model", "small_cnn@random"],
            "--model: got one without --data",
        ),
    ):
        found = command("--out", tmp_path, *words)
        assert found.exit_code == 2
        assert message in found.output


def test_an_interrupted_run_keeps_and_draws_nothing(zoo, tmp_path, monkeypatch):
    from neurofreq.studies import measuring

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(measuring, "hybrids", interrupted)
    words = (*TINY, "--only", "fig3", "--data", "synthetic", "--out", tmp_path)
    found = command(*words)
    assert found.exit_code == 130
    assert "the same command again continues from there" in found.output
    assert json.loads((tmp_path / "study/study.json").read_text())["n_classes"] == 8
    assert not (tmp_path / "fig3.png").exists()
