"""``neurofreq figures``: the paper's figures from finished studies."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import studies
from neurofreq.cli import _figures, app


@pytest.fixture(scope="module")
def network():
    """Return a network that has learned a little."""
    train = nf.data.load_data("synthetic", split="train", n=512)
    model = nf.models.small_cnn(width=8)
    torch.manual_seed(0)
    recipe = nf.training.Recipe(epochs=4, lr=0.05)
    nf.training.fit(model, train.images, train.labels, recipe)
    return model.eval()


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    """Return a study of a base, a neural and three blurred networks."""
    entries = [
        studies.ModelEntry(network, "base", "base"),
        studies.ModelEntry(nn.Sequential(nn.Identity(), network), "towards", "neural"),
    ]
    for sigma in (1.0, 1.5, 2.0):
        blurred = nn.Sequential(nf.models.Blur(sigma), network).eval()
        entries.append(studies.ModelEntry(blurred, f"blur-{sigma}", "blur"))
    study = studies.Study(
        nf.data.load_data("synthetic", split="test", n=24),
        entries,
        settings={
            "n_attack": 6,
            "attack_steps": 10,
            "targeted": False,
            "n_corruption": 6,
            "seeds": [0],
        },
    )
    out = tmp_path_factory.mktemp("figures") / "study"
    assert studies.run(study, out, progress=False).is_complete
    return out


def command(*words):
    return CliRunner().invoke(app, ["figures", *map(str, words)])


def attacked(network, name, group, n_images, folder):
    """Store a study of one attacked network in a folder with its name."""
    one = studies.Study(
        nf.data.load_data("synthetic", split="test", n=n_images),
        [studies.ModelEntry(network, name, group)],
        measurements=["attack"],
        settings={"n_attack": 6, "attack_steps": 10, "targeted": False},
    )
    studies.run(one, folder / name, progress=False)


def test_figures_are_drawn_of_a_study(folder, tmp_path):
    found = command(folder, "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output
    for name in ("fig2", "fig4", "fig5"):
        for suffix in ("png", "pdf", "csv"):
            assert (tmp_path / f"out/{name}.{suffix}").stat().st_size > 1000
    near = pd.read_csv(tmp_path / "out/compare.csv")
    assert {"2", "4", "5"} <= {str(one).strip("fig") for one in near["figure"]}
    drawn = pd.read_csv(tmp_path / "out/fig5.csv")
    assert sorted(drawn[drawn["group"] == "blur series"]["x"].unique()) == [1, 1.5, 2]


def test_models_of_several_studies_stand_in_one_figure(network, folder, tmp_path):
    attacked(network, "mine", "my group", 24, tmp_path)
    found = command(folder, tmp_path / "mine", "--only", "fig4", "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert not (tmp_path / "fig5.png").exists()
    assert "mine" in set(pd.read_csv(tmp_path / "fig4.csv")["model"])
    again = command(folder, "--only", "fig5", "--out", tmp_path)
    assert again.exit_code == 0, again.output
    near = pd.read_csv(tmp_path / "compare.csv")
    assert set(near["figure"]) == {"fig4", "fig5"}, "rows of earlier figures stay"
    alone = command(tmp_path / "mine", "--out", tmp_path / "none")
    assert alone.exit_code == 1, "nothing was drawn"
    assert "fig4: not drawn, it needs two models with attack" in alone.output


def test_names_are_drawn_as_they_are_written(network, tmp_path):
    for name in ("a$x^$", "_mine"):
        attacked(network, name, f"group of {name}", 12, tmp_path)
    kept = [tmp_path / name for name in ("a$x^$", "_mine")]
    found = command(*kept, "--only", "fig4", "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert set(pd.read_csv(tmp_path / "fig4.csv")["model"]) >= {"a$x^$", "_mine"}


def test_of_imagenet_the_figure_is_the_sixth():
    kept = SimpleNamespace(data="ImageNet val")
    other = SimpleNamespace(data="CIFAR-10 test")
    assert _figures._of([kept, other]) == ("fig2", "fig6")
    assert _figures._of([other, kept]) == ("fig2", "fig4", "fig5")


def test_studies_of_other_images_are_named_and_left_out(network, folder, tmp_path):
    attacked(network, "fewer", "adv", 12, tmp_path)
    found = command(folder, tmp_path / "fewer", "--only", "fig4", "--out", tmp_path)
    assert found.exit_code == 0, found.output
    left = f"without the models of {tmp_path / 'fewer'}, measured with other images"
    assert left in found.output
    assert "fewer" not in set(pd.read_csv(tmp_path / "fig4.csv")["model"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "fig9"], "--only: got 'fig9', expected one of 'fig1'"),
        (["nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(folder, tmp_path, words, message):
    found = command(folder, *words, "--out", tmp_path)
    assert found.exit_code == 2
    assert message in found.output
    assert "Traceback" not in found.output
