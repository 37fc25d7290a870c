"""Networks, specs and weights."""

import hashlib
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neurofreq import data, models


def test_normalisation_is_inside_the_model():
    model = models.Normalized(nn.Identity(), (0.5, 0.25), (0.2, 0.5))
    out = model(torch.full((1, 2, 1, 1), 0.75))
    torch.testing.assert_close(out.flatten(), torch.tensor([1.25, 1.0]))
    assert not model.state_dict()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet20", ("resnet20", "resnet20", None)),
        ("resnet20@w.th", ("resnet20", "resnet20", "w.th")),
        ("mine=a.b:make@w.pt", ("mine", "a.b:make", "w.pt")),
        ("a.b:make", ("make", "a.b:make", None)),
        ("folder/net.pt2", ("net", "folder/net.pt2", None)),
        ("resnet18,stem=7", ("resnet18,stem=7", "resnet18,stem=7", None)),
        ("w=resnet18,stem=7@a=b.pt", ("w", "resnet18,stem=7", "a=b.pt")),
        ("torchvision:resnet50:V1", ("resnet50", "torchvision:resnet50:V1", None)),
        ("robustbench:imagenet/A:L2", ("A", "robustbench:imagenet/A:L2", None)),
        ("zoo:blur", ("blur", "zoo:blur", None)),
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
    elif kind == "bare list":
        torch.save([state], path)
    elif kind in ("model", "net", "model_state_dict"):
        torch.save({kind: state, "optimizer": {"lr": 0.1}}, path)
    elif kind == "compiled":
        torch.save({f"_orig_mod.{key}": value for key, value in state.items()}, path)
    elif kind == "robustness":
        copies = {f"module.model.{key}": value for key, value in state.items()}
        copies |= {
            f"module.attacker.model.{key}": value for key, value in state.items()
        }
        copies |= {"module.normalizer.new_mean": torch.zeros(3, 1, 1)}
        torch.save({"model": copies, "epoch": 1}, path)
    else:
        torch.save(state, path)
    return path


KINDS = (
    "safetensors", "plain", "wrapped", "list", "bare list", "model", "net",
    "model_state_dict", "compiled", "robustness",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_weights_load_from_every_container(tmp_path, reference, kind):
    path = saved(tmp_path, kind, reference.network.state_dict())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = models.load_model("cnn_a_mix4", weights=path, sha256=digest)
    models.load_model("cnn_a_mix4", weights=path, sha256=digest[:8])
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(loaded(images), reference(images))


def test_weights_of_the_whole_model_load_too(tmp_path, reference):
    path = saved(tmp_path, "plain", reference.state_dict())
    loaded = models.load_model("cnn_a_mix4", weights=path)
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(loaded(images), reference(images))


@pytest.mark.parametrize("kind", ["safetensors", "plain", "wrapped", "compiled"])
@pytest.mark.parametrize("prefix", ["model", "network", "module"])
def test_a_prefix_that_the_model_has_itself_stays(tmp_path, monkeypatch, kind, prefix):
    class Wrapped(nn.Module):
        """A network that normalizes inside; all its weights are in one part."""

        def __init__(self):
            super().__init__()
            setattr(self, prefix, nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))

    monkeypatch.setitem(sys.modules, "own_wrapped", SimpleNamespace(Wrapped=Wrapped))
    model = Wrapped()
    state = model.state_dict()
    if kind == "wrapped":  # like weights of torch's DataParallel
        path = tmp_path / "w.pt"
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    else:
        path = saved(tmp_path, kind, state)
    loaded = models.load_model("own_wrapped:Wrapped", weights=path)
    torch.testing.assert_close(loaded.state_dict(), state)


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
    with pytest.raises(ValueError, match="read as a file of tensors only"):
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
    with pytest.raises(ValueError, match="sha256: got 'abc', expected 64 hexadecimal"):
        models.load_model("cnn_a_mix4", weights=path, sha256="abc")
    with pytest.raises(ValueError, match="weights: got none, expected the file"):
        models.load_model("cnn_a_mix4", sha256="0" * 64)


def test_a_users_factory_is_found_from_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_networks.py").write_text(
        "from torch import nn\n"
        "def make(): return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))\n"
        "ready = make()\n"
        "def wrong(): return 3\n"
        "def late():\n"
        "    from own_neighbour import make\n"
        "    return make()\n"
    )
    (tmp_path / "own_neighbour.py").write_text(
        "import sys\nsys.path.insert(0, 'elsewhere')\nfrom own_networks import make\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("make", "ready", "late"):
        model = models.load_model(f"own_networks:{name}")
        assert model(torch.rand(5, 1, 2, 2)).shape == (5, 2)
    with pytest.raises(TypeError, match=r"gave int, expected an nn\.Module"):
        models.load_model("own_networks:wrong")
    with pytest.raises(AttributeError, match="'own_networks' has no 'nothing'"):
        models.load_model("own_networks:nothing")
    with pytest.raises(ImportError, match="cannot import 'no_such_module'"):
        models.load_model("no_such_module:make")
    assert str(tmp_path) not in sys.path
    assert sys.path[0] == "elsewhere"


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ValueError, match="nearest is 'resnet20'"):
        models.load_model("resnet2")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("resnet18,width=8", "option 'width'.*base_width.*nearest is 'base_width'"),
        ("resnet18,stem=big", "stem: got 'big' for resnet18, expected an integer"),
        ("resnet18,stem=5", "stem: got 5, expected 3 or 7"),
        ("resnet18,base_width=0", "base_width: got 0, expected at least 1"),
        ("resnet18,stem", "got 'stem' in 'resnet18,stem', expected option=value"),
        ("resnet18,stem=3,stem=7", "got stem twice"),
        ("resnet18,blur=-1", "sigma: got -1.0, expected a number of pixels above 0"),
        ("resnet18,blur=wide", "blur: got 'wide' for resnet18, expected a number"),
        (":make", r"got .:make., expected python\.module:factory"),
        ("own:", r"got .own:., expected python\.module:factory"),
        ("own:make,width=3", "got options for 'own:make', expected none"),
        ("resnet20,stem=3", "option 'stem' for resnet20, expected one of blur, pca"),
    ],
)
def test_a_wrong_option_is_named(spec, message):
    with pytest.raises(ValueError, match=message):
        models.load_model(spec)


def test_options_reach_the_network_and_its_weights(tmp_path):
    spec = "resnet18_gray,base_width=4,stem=7,n_classes=3"
    torch.manual_seed(0)
    model = models.resnet18_gray(base_width=4, stem=7, n_classes=3).eval()
    path = saved(tmp_path, "safetensors", model.state_dict())
    images = torch.rand(2, 1, 32, 32)
    loaded = models.load_model(spec, weights=path)
    torch.testing.assert_close(loaded(images), model(images))
    with pytest.raises(ValueError, match=r"another shape in conv1\.weight"):
        models.load_model("resnet18_gray", weights=path)


def test_an_exported_program_runs_and_keeps_its_mode(tmp_path, reference):
    images = torch.rand(4, 3, 32, 32)
    batch = {0: torch.export.Dim("n", min=1, max=1024)}
    program = torch.export.export(reference.eval(), (images,), dynamic_shapes=(batch,))
    path = tmp_path / "net.pt2"
    torch.export.save(program, path)
    loaded = models.load_model(str(path))
    torch.testing.assert_close(loaded(images[:3]), reference(images[:3]))
    assert loaded.train().eval() is loaded
    with pytest.raises(ValueError, match=r"expected none: .*net\.pt2 has its own"):
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
