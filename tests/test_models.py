"""Networks, specs and weights."""

import hashlib
import os
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neurofreq import data, models


@pytest.mark.parametrize("info", models.list_models(), ids=lambda info: info.name)
def test_every_registered_model_maps_images_to_logits(info):
    model = models.load_model(info.name)
    assert not model.training
    logits = model(torch.rand(2, info.in_channels, 32, 32))
    assert logits.shape == (2, info.n_classes)
    assert logits.isfinite().all()


# Parameter counts: He et al. 2016 (0.27 M), and a ResNet-18 for small images,
# 11,173,962 in colour, less 2 * 9 * 64 weights of the stem's other channels.
@pytest.mark.parametrize(
    ("name", "count"), [("resnet20", 269_722), ("resnet18_gray", 11_172_810)]
)
def test_parameter_counts_are_the_published_ones(name, count):
    model = models.load_model(name)
    assert sum(p.numel() for p in model.parameters()) == count


def test_normalisation_is_inside_the_model():
    model = models.Normalized(nn.Identity(), (0.5, 0.25), (0.2, 0.5))
    out = model(torch.full((1, 2, 1, 1), 0.75))
    torch.testing.assert_close(out.flatten(), torch.tensor([1.25, 1.0]))
    assert not model.state_dict()


def test_option_a_shortcut_subsamples_and_pads():
    features = torch.rand(1, 2, 4, 4)
    out = models.SubsampledIdentity(2, 4)(features)
    torch.testing.assert_close(out[:, 1:3], features[:, :, ::2, ::2])
    assert not out[:, [0, 3]].any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet20", ("resnet20", "resnet20", None)),
        ("resnet20@w.th", ("resnet20", "resnet20", "w.th")),
        ("mine=a.b:make@w.pt", ("mine", "a.b:make", "w.pt")),
        ("a.b:make", ("make", "a.b:make", None)),
        ("folder/net.pt2", ("net", "folder/net.pt2", None)),
    ],
)
def test_a_spec_splits_into_label_spec_and_weights(text, expected):
    assert models.parse_spec(text) == expected


@pytest.mark.parametrize("text", ["", "=resnet20", "a=", "resnet20@"])
def test_an_empty_part_of_a_spec_is_refused(text):
    with pytest.raises(ValueError, match="expected \\[label=\\]spec"):
        models.parse_spec(text)


@pytest.fixture
def reference():
    torch.manual_seed(0)
    return models.cnn_a_mix4()


def saved(tmp_path, kind, state):
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "wrapped":
        renamed = {f"module.model.{key}": value for key, value in state.items()}
        torch.save({"state_dict": renamed, "epoch": 3}, path)
    elif kind == "list":
        torch.save({"state_dict": [state]}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("kind", ["safetensors", "plain", "wrapped", "list"])
def test_weights_load_from_every_container(tmp_path, reference, kind):
    path = saved(tmp_path, kind, reference.network.state_dict())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = models.load_model("cnn_a_mix4", weights=path, sha256=digest)
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(loaded(images), reference(images))


def test_weights_of_the_whole_model_load_too(tmp_path, reference):
    path = saved(tmp_path, "plain", reference.state_dict())
    loaded = models.load_model("cnn_a_mix4", weights=path)
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(loaded(images), reference(images))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("0.bias"), "it lacks 0.bias"),
        (lambda s: s.update({"9.bias": torch.ones(1)}), "has unexpected 9.bias"),
        (
            lambda s: s.update({"0.bias": torch.ones(4)}),
            r"another shape in 0.bias \(4,\) for \(16,\)",
        ),
        (lambda s: s.clear(), "holds no state dict"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, reference, change, message):
    state = dict(reference.network.state_dict())
    change(state)
    path = saved(tmp_path, "plain", state)
    with pytest.raises(ValueError, match=message):
        models.load_model("cnn_a_mix4", weights=path)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("should-not-exist",)


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"0.weight": Hostile()}, "bad.pt")
    with pytest.raises(ValueError, match="cannot be read as tensors alone"):
        models.load_model("cnn_a_mix4", weights="bad.pt")
    assert not (tmp_path / "should-not-exist").exists()


def test_damaged_or_missing_weights_are_named(tmp_path, reference):
    with pytest.raises(FileNotFoundError, match=r"weights: there is no file .*no\.pt"):
        models.load_model("cnn_a_mix4", weights=tmp_path / "no.pt")
    for name in ("bad.pt", "bad.safetensors"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
        with pytest.raises(ValueError, match=r"weights: .*bad"):
            models.load_model("cnn_a_mix4", weights=tmp_path / name)
    path = saved(tmp_path, "plain", reference.network.state_dict())
    with pytest.raises(ValueError, match="has SHA-256"):
        models.load_model("cnn_a_mix4", weights=path, sha256="0" * 64)


def test_a_users_factory_is_found_from_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_networks.py").write_text(
        "from torch import nn\n"
        "def make(): return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))\n"
        "ready = make()\n"
        "def wrong(): return 3\n"
    )
    for name in ("make", "ready"):
        model = models.load_model(f"own_networks:{name}")
        assert model(torch.rand(5, 1, 2, 2)).shape == (5, 2)
    with pytest.raises(TypeError, match=r"gave int, expected an nn\.Module"):
        models.load_model("own_networks:wrong")
    with pytest.raises(AttributeError, match="'own_networks' has no 'nothing'"):
        models.load_model("own_networks:nothing")
    with pytest.raises(ImportError, match="cannot import 'no_such_module'"):
        models.load_model("no_such_module:make")
    assert str(tmp_path) not in sys.path


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ValueError, match="nearest is 'resnet20'"):
        models.load_model("resnet2")


def test_an_exported_program_runs_and_keeps_its_mode(tmp_path, reference):
    images = torch.rand(4, 3, 32, 32)
    batch = {0: torch.export.Dim("n", min=1, max=1024)}
    program = torch.export.export(reference.eval(), (images,), dynamic_shapes=(batch,))
    path = tmp_path / "net.pt2"
    torch.export.save(program, path)
    loaded = models.load_model(str(path))
    torch.testing.assert_close(loaded(images[:3]), reference(images[:3]))
    assert loaded.train().eval() is loaded
    with pytest.raises(ValueError, match=r"a \.pt2 holds its own"):
        models.load_model(str(path), weights="w.pt")


def test_a_file_that_is_no_program_is_named(tmp_path):
    path = tmp_path / "net.pt2"
    with pytest.raises(FileNotFoundError, match="model: there is no file"):
        models.load_model(str(path))
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no exported program"):
        models.load_model(str(path))


# Accuracies on the 10,000 test images as their authors published them or as
# measured when the files were collected, in percent.
@pytest.mark.data
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "file", "accuracy"),
    [
        ("resnet20", "resnet20-12fca82f.th", 91.73),
        ("marabou_large", "cifar_marabou_large.pth", 74.2),
        ("cnn_a_mix4", "cifar_cnn_a_mix4.model", 71.1),
        ("cnn_a_wide", "cifar_wide.pth", 61.6),
    ],
)
def test_published_accuracies_are_reproduced(
    data_dir, cifar10_dir, name, file, accuracy
):
    test = data.load_data(f"cifar10:{cifar10_dir}")
    model = models.load_model(name, weights=data_dir / "models" / file)
    n_right = 0
    with torch.no_grad():
        for start in range(0, len(test), 500):
            part = slice(start, start + 500)
            predicted = model(torch.from_numpy(test.images[part])).argmax(1)
            n_right += np.sum(predicted.numpy() == test.labels[part])
    assert n_right / 100.0 == pytest.approx(accuracy, abs=0.1)
