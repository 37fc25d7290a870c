"""The folder of a training run: damage is noticed, another model is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.small_study import images
from torch import nn

from neurofreq import models, training
from neurofreq.training import _curves, _manner

RECIPE = training.Recipe(epochs=3, batch_size=4, validation=0.25)
DATA = images()


class Stop(Exception):
    pass


def stop(row):
    if row["epoch"] == 2:
        raise Stop


def network(change=lambda x: x):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))

        def forward(self, x):
            return self.inner(change(x))

    return Plain()


def fit(folder, model=None, callback=None, **options):
    return training.fit(
        network() if model is None else model, DATA.images, DATA.labels, RECIPE,
        folder=folder, callback=callback, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(Stop):
        fit(folder, callback=stop)
    return folder


@pytest.fixture
def folder(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    return tmp_path / "run"


def flip(path, place):
    whole = bytearray(path.read_bytes())
    whole[place] ^= 2
    path.write_bytes(bytes(whole))


def test_a_flipped_bit_of_the_state_is_an_error_that_names_file_and_remedy(folder):
    path = folder / "last.safetensors"
    flip(path, -7)
    with pytest.raises(ValueError, match=r"^folder: .*last\.safetensors is damaged"):
        fit(folder)
    with pytest.raises(ValueError, match=r"best weights so far are in .*best\.safet"):
        fit(folder)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"^folder: .*last\.safetensors is damaged"):
        fit(folder)


def test_a_flipped_bit_of_the_best_weights_is_noticed(folder):
    path = folder / "best.safetensors"
    models.load_model(f"{__name__}:network", weights=path)
    flip(path, -7)
    with pytest.raises(ValueError, match=r"best\.safetensors is damaged"):
        models.load_model(f"{__name__}:network", weights=path)


def test_damaged_settings_are_named(folder):
    path = folder / "settings.json"
    whole = path.read_text()
    for text in ("{", whole.replace('"seed": 0', '"seed": 1'), "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"^folder: .*settings\.json is damaged"):
            fit(folder)
    values = json.loads(whole)
    del values["checksum"]  # earlier releases wrote no checksum
    path.write_text(json.dumps(values))
    assert len(fit(folder)) == 3


def test_a_model_of_the_same_weights_that_answers_differently_is_refused(folder):
    with pytest.raises(ValueError, match="model that answers differently with the sa"):
        fit(folder, network(lambda x: x.flip(-1)))
    assert len(fit(folder, network(lambda images: 1.0 * images))) == 3


def noisy(amount):
    def augment(images, generator):
        """A docstring, which must not matter."""
        return images + amount * torch.rand(images.shape, generator=generator)

    return augment


def test_an_augmentation_is_told_by_what_it_makes(tmp_path):
    with pytest.raises(Stop):
        fit(tmp_path, callback=stop, augment=noisy(0.1))
    with pytest.raises(ValueError, match="holds a run with augment function"):
        fit(tmp_path, augment=noisy(0.2))
    same = lambda images, g: images + torch.rand(images.shape, generator=g) * 0.1  # noqa: E731
    assert len(fit(tmp_path, augment=same)) == 3


def test_an_augmentation_that_draws_beyond_its_generator_resumes(tmp_path):
    def own(images, generator):
        return images + torch.from_numpy(np.random.default_rng().random(1)).float()

    with pytest.raises(Stop):
        fit(tmp_path, callback=stop, augment=own)
    assert len(fit(tmp_path, augment=own)) == 3


class Trunk(nn.Module):
    """A network whose options change its training, but not evaluation mode."""

    def __init__(self, p=0.0, frozen=False, cut=False, seed=0, draw=None):
        super().__init__()
        torch.manual_seed(seed)
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.BatchNorm1d(8))
        self.head = nn.Sequential(nn.Dropout(p), nn.Linear(8, 4))
        self.trunk[1].requires_grad_(not frozen)
        self._cut, self._draw = cut, draw

    def forward(self, x):
        x = self.trunk(x)
        if self._draw is not None and self.training:
            x = x * self._draw.random()
        return self.head(x.detach() if self._cut else x)


@pytest.mark.parametrize(
    "change", [{"p": 0.8}, {"p": 0.1, "frozen": True}, {"p": 0.1, "cut": True}]
)
def test_a_model_that_trains_differently_is_refused(tmp_path, change):
    whole = fit(tmp_path, Trunk(p=0.1))
    with pytest.raises(ValueError, match=r"^folder: .* holds a run of another model"):
        fit(tmp_path, Trunk(**change))
    assert fit(tmp_path, Trunk(p=0.1)) == whole
    # The weights of the run replace the initial weights, which may differ.
    assert fit(tmp_path, Trunk(p=0.1, seed=1)) == whole


@pytest.mark.parametrize("options", [{"p": 0.1}, {"cut": True}, {"frozen": True}])
def test_a_run_of_any_manner_resumes_to_the_same_numbers(tmp_path, options):
    whole = fit(tmp_path / "whole", Trunk(**options))
    assert fit(None, Trunk(**options)) == whole
    with pytest.raises(Stop):
        fit(tmp_path / "parts", Trunk(**options), callback=stop)
    assert fit(tmp_path / "parts", Trunk(**options)) == whole


def test_a_model_that_draws_on_its_own_resumes(tmp_path):
    with pytest.raises(Stop):
        fit(tmp_path, Trunk(draw=np.random.default_rng(0)), callback=stop)
    assert len(fit(tmp_path, Trunk(draw=np.random.default_rng()))) == 3


def test_a_look_at_how_a_model_trains_leaves_it_as_found():
    model, shown = Trunk(p=0.5).eval(), torch.from_numpy(DATA.images[:8]).float()
    model.head.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    found = _manner.steady(model, shown)
    assert _manner.is_same(model, shown, found)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.trunk.training
    assert model.head.training
    assert _manner.steady(model, shown[:1]) is None  # one image: batch norm fails


def test_control_characters_of_layers_are_written_out_in_curves(tmp_path):
    row = {
        "epoch": 1,
        "cross_entropy": 0.5,
        "weight of \x1b$a": 0.5,
        "weight of =b": 0.5,
    }
    _curves.write_table([row], tmp_path)
    head = (tmp_path / "curves.csv").read_text().splitlines()[0]
    assert head == r"epoch,cross_entropy,weight of \x1b$a,weight of =b"
    figure = _curves.draw([row])
    labels = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert labels == [r"\x1b\$a", "=b"]
