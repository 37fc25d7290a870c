"""Networks in the package: written, listed and loaded."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from neurofreq import models
from neurofreq.data import load_data
from neurofreq.models import zoo

CARD = models.ZooCard(
    name="blur-1.5",
    spec="resnet18,base_width=4,blur=1.5",
    group="blur",
    architecture="ResNet-18",
    in_channels=3,
    n_classes=10,
    recipe="neurofreq train blur --sigma 1.5",
    seed=7,
    data="CIFAR-10, train",
    accuracies={"clean": 88.5, "pgd 8/255": 0.4},
    date="2026-11-22",
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = models.load_model(CARD.spec).train()
    with torch.no_grad():
        made(torch.rand(16, 3, 32, 32))  # set the batch norms' running averages
    return made.eval()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    return tmp_path / "zoo"


def test_a_model_comes_back_to_the_precision_of_halves(model, folder):
    path = models.write_zoo_model(model, CARD, folder)
    images = torch.rand(8, 3, 32, 32)
    loaded = models.load_model("zoo:blur-1.5")
    assert not loaded.training
    assert loaded.front.sigma == pytest.approx(1.5)
    assert {one.dtype for one in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded(images), model(images), rtol=1e-2, atol=1e-3)
    for key, value in load_file(path).items():
        wide = value.is_floating_point() and value.ndim > 1
        assert value.dtype == (torch.float16 if wide else model.state_dict()[key].dtype)


def test_a_card_of_which_a_letter_changed_is_damaged(model, folder):
    path = models.write_zoo_model(model, CARD, folder).with_suffix(".json")
    whole = path.read_text()
    path.write_text(whole.replace("88.5", "98.5"))
    with pytest.raises(ValueError, match=r"blur-1.5.json is damaged \(its checksum"):
        models.zoo_cards()
    values = json.loads(whole)
    del values["checksum"]  # earlier releases wrote no checksum
    path.write_text(json.dumps(values))
    assert models.zoo_cards()[0].accuracies == CARD.accuracies


def test_the_cards_of_the_package_hold_checksums():
    for path in sorted(zoo.FOLDER.glob("*.json")):
        path_values = json.loads(path.read_text())
        assert path_values["checksum"], path


def test_principal_components_are_stored_with_the_network(folder):
    torch.manual_seed(0)
    model = models.small_cnn(width=4).eval()
    model.front = models.PCA.fit(torch.rand(60, 1, 32, 32), 20)
    spec = "small_cnn,width=4,pca=20"
    card = dataclasses.replace(CARD, name="pca", spec=spec, group="pca", n_classes=8)
    models.write_zoo_model(model, card, folder)
    images = torch.rand(4, 1, 32, 32)
    loaded = models.load_model("zoo:pca")
    torch.testing.assert_close(loaded(images), model(images), rtol=1e-2, atol=1e-3)


def test_the_registry_lists_what_is_in_the_folder(model, folder):
    assert not any(row.name.startswith("zoo:") for row in models.list_models())
    models.write_zoo_model(model, CARD, folder)
    (row,) = [one for one in models.list_models() if one.name.startswith("zoo:")]
    assert row.name == "zoo:blur-1.5"
    assert (row.group, row.in_channels, row.n_classes) == ("blur", 3, 10)
    assert (row.accuracy, row.availability) == (88.5, "weights in the package")
    with pytest.raises(ValueError, match=r"expected one of blur-1\.5; nearest is"):
        models.load_model("zoo:blur-1.6")


def test_changed_files_are_noticed(model, folder):
    path = models.write_zoo_model(model, CARD, folder)
    card = path.with_suffix(".json")
    values = json.loads(card.read_text())
    del values["checksum"]  # otherwise the card itself would be damaged
    assert values["recipe"] == CARD.recipe
    assert len(values["sha256"]) == 64
    card.write_text(json.dumps({**values, "sha256": "0" * 64}))
    with pytest.raises(ValueError, match="has SHA-256"):
        models.load_model("zoo:blur-1.5")
    del values["seed"]
    card.write_text(json.dumps({**values, "colour": 1}))
    with pytest.raises(ValueError, match=r"not a valid card: .* colour, seed"):
        models.load_model("zoo:blur-1.5")


def test_a_card_of_another_network_is_refused(model, folder):
    wrong = dataclasses.replace(CARD, spec="resnet18,base_width=8,blur=1.5")
    with pytest.raises(ValueError, match="another shape"):
        models.write_zoo_model(model, wrong, folder)
    bare = dataclasses.replace(CARD, spec="resnet18,base_width=4,blur=2")
    with pytest.raises(ValueError, match="weights behind Blur"):
        models.write_zoo_model(model, bare, folder)
    assert not list(folder.iterdir())


def test_weights_beyond_halves_are_refused(model, folder):
    with torch.no_grad():
        model.network.linear.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"network\.linear\.weight that is not finite"):
        models.write_zoo_model(model, CARD, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "A/b"}, "name: got 'A/b', expected small letters"),
        ({"group": "best"}, "group: got 'best', expected one of base, adv"),
        ({"accuracies": {}}, "accuracies: got {}, expected 'clean' in percent"),
        ({"accuracies": {"clean": 101.0}}, "expected 'clean' in percent"),
    ],
)
def test_a_card_without_what_it_needs_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CARD, **change)


def test_every_model_in_the_package_loads_and_is_small():
    cards = zoo.zoo_cards()
    for card in cards:
        model = models.load_model(f"zoo:{card.name}")
        shape = (2, card.in_channels, 32, 32)
        assert model(torch.rand(shape)).shape == (2, card.n_classes)
    assert zoo.FOLDER.name == "zoo"
    assert (zoo.FOLDER / "README.md").is_file()


SHIPPED = models.zoo_cards()


def test_there_are_networks_in_the_package_and_they_are_small():
    sizes = [
        (zoo.FOLDER / f"{card.name}.safetensors").stat().st_size for card in SHIPPED
    ]
    assert len(sizes) >= 9
    assert max(sizes) <= 1_500_000
    assert sum(sizes) <= 16_000_000


@pytest.mark.parametrize("card", SHIPPED, ids=lambda card: card.name)
def test_a_network_of_the_package_answers_as_its_card_says(card):
    """Check shapes and channels; accuracies need the real images."""
    model = models.load_model(f"zoo:{card.name}")
    with torch.no_grad():
        logits = model(torch.rand(3, card.in_channels, 32, 32))
    assert logits.shape == (3, card.n_classes)
    assert bool(logits.isfinite().all())
    assert {"clean", "pgd 8/255", "noise 0.1"} <= card.accuracies.keys()
    assert card.recipe.startswith(("neurofreq train", "python experiments/zoo.py"))


@pytest.mark.data
def test_networks_of_the_package_are_as_accurate_as_their_cards_say(cifar10_dir):
    """Check the accuracy on 500 test images, within four standard errors."""
    images = load_data(f"cifar10:{cifar10_dir}", n=500)
    for card in SHIPPED:
        model = models.load_model(f"zoo:{card.name}")
        shown = images.gray() if card.in_channels == 1 else images
        with torch.no_grad():
            named = model(torch.from_numpy(shown.images)).argmax(1).numpy()
        expected = card.accuracies["clean"] / 100
        error = (expected * (1 - expected) / 500) ** 0.5
        assert abs((named == shown.labels).mean() - expected) < 4 * error, card.name
