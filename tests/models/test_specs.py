"""Specs of models: files and modules of users, timm, transformers, parts of files."""

import json

import pytest
import torch
from torch import nn

from neurofreq import models
from neurofreq.models import loading

FACTORY = """
from dataclasses import dataclass

from torch import nn

import networks_beside


@dataclass
class Size:
    width: int = 3


def network():
    return networks_beside.make(Size().width)


ready = network()
"""
BESIDE = """
from torch import nn

def make(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.Flatten(), nn.LazyLinear(2))
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "my-networks.py").write_text(FACTORY)
    (tmp_path / "networks_beside.py").write_text(BESIDE)
    return tmp_path / "my-networks.py"


def test_a_file_with_a_factory_is_a_spec(file):
    model = models.load_model(f"{file}:network")
    assert model[0].out_channels == 3
    assert models.load_model(f"{file}:ready") is models.load_model(f"{file}:ready")
    assert models.parse_spec(f"{file}:network").label == "network"
    with pytest.raises(AttributeError, match="has no 'absent'"):
        models.load_model(f"{file}:absent")
    with pytest.raises(TypeError, match="gave Size"):
        models.load_model(f"{file}:Size")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*absent\.py"):
        models.load_model(f"{file.parent}/absent.py:network")
    with pytest.raises(ValueError, match="or file"):
        models.load_model(f"{file}:")


def test_weights_may_be_part_of_the_spec(tmp_path):
    model = models.small_cnn(width=4)
    path = tmp_path / "w.pt"
    torch.save(model.state_dict(), path)
    for text in (f"small_cnn,width=4@{path}", f"mine=small_cnn@{path}"):
        spec = text if "," in text else f"mine=small_cnn,width=4@{path}"
        loaded = models.load_model(spec)
        torch.testing.assert_close(loaded.state_dict(), model.state_dict())
    with pytest.raises(ValueError, match="weights: got some, expected none"):
        models.load_model(f"small_cnn,width=4@{path}", weights=path)
    assert models.load_model("small_cnn,width=4@random").training is False
    with pytest.raises(ValueError, match="a file of weights, expected the network"):
        models.load_model(str(path))


def lightning(state, prefix, **more):
    keyed = {f"{prefix}{key}": one for key, one in state.items()}
    return {
        "epoch": 3, "pytorch-lightning_version": "2.5", "state_dict": keyed | more,
        "optimizer_states": [{"state": {}, "param_groups": []}],
        "hyper_parameters": {"lr": 0.1},
    }  # fmt: skip


@pytest.mark.parametrize("prefix", ["net.", "model.", "backbone.", "student.", ""])
def test_checkpoints_of_lightning_are_read_under_any_prefix(prefix, tmp_path):
    model = models.small_cnn(width=4)
    state = model.network.state_dict()
    torch.save(lightning(state, prefix), tmp_path / "last.ckpt")
    loaded = models.load_model("small_cnn,width=4", weights=tmp_path / "last.ckpt")
    torch.testing.assert_close(loaded.network.state_dict(), state)


def test_a_prefix_chooses_between_copies(tmp_path):
    student, teacher = models.small_cnn(width=4), models.small_cnn(width=4)
    copies = {f"teacher.net.{k}": v for k, v in teacher.network.state_dict().items()}
    path = tmp_path / "last.ckpt"
    torch.save(lightning(student.network.state_dict(), "student.net.", **copies), path)
    with pytest.raises(ValueError, match="holds the network 2 times"):
        models.load_model("small_cnn,width=4", weights=path)
    wanted = {"student": student, "teacher.": teacher, "state_dict.teacher": teacher}
    for prefix, model in wanted.items():
        by_name = models.load_model("small_cnn,width=4", weights=path, prefix=prefix)
        part = models.load_model(f"small_cnn,width=4@{path}#{prefix.rstrip('.')}")
        for loaded in (by_name, part):
            torch.testing.assert_close(loaded.state_dict(), model.state_dict())
    with pytest.raises(
        ValueError, match=r"part 'best' .*state_dict\.student, state_dict\.teacher"
    ):
        models.load_model("small_cnn,width=4", weights=path, prefix="best")
    with pytest.raises(ValueError, match=r"prefix: got .a. and .*#b, expected"):
        models.load_model("small_cnn,width=4", weights=f"{path}#b", prefix="a")
    with pytest.raises(ValueError, match="prefix: got 'a' without weights"):
        models.load_model("small_cnn,width=4", prefix="a")


def test_an_error_says_what_the_file_holds(tmp_path):
    path = tmp_path / "other.ckpt"
    state = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)).state_dict()
    torch.save(lightning(state, "net.", **{"ema.0.weight": torch.zeros(3, 2)}), path)
    held = r"it holds 5 tensors, .*\(4 in state_dict\.net, 1 in state_dict\.ema\)"
    with pytest.raises(ValueError, match=held):
        models.load_model("small_cnn", weights=path)


def test_networks_of_timm(tmp_path):
    timm = pytest.importorskip("timm", reason="needs timm, which is optional")
    spec = "timm:resnet10t,n_classes=4"
    model = models.load_model(spec)
    mean = torch.tensor(model.network.pretrained_cfg["mean"])
    torch.testing.assert_close(model.mean.flatten(), mean)
    images = torch.rand(2, 3, 32, 32)
    assert model(images).shape == (2, 4)
    plain = timm.create_model("resnet10t", pretrained=False, num_classes=4).eval()
    torch.save(lightning(plain.state_dict(), "model."), tmp_path / "w.ckpt")
    loaded = models.load_model(f"{spec},blur=1@{tmp_path / 'w.ckpt'}")
    loaded.front = None
    torch.testing.assert_close(
        loaded(images), plain((images - loaded.mean) / loaded.std)
    )
    small = models.load_model("timm:vit_tiny_patch16_224,n_classes=2,image_size=32")
    assert small(images).shape == (2, 2)
    with pytest.raises(ValueError, match="image_size: got 32 for timm:resnet10t"):
        models.load_model("timm:resnet10t,image_size=32")
    for name in ("resnet10tt", "hf_hub:some/model", "hf-hub:x", "a/b", ""):
        with pytest.raises(ValueError, match="expected a network of timm"):
            models.load_model(f"timm:{name}")
    with pytest.raises(ValueError, match="without weights"):
        loading.require_weights("timm:resnet10t", None)


@pytest.fixture
def folder(tmp_path):
    transformers = pytest.importorskip(
        "transformers", reason="needs transformers, which is optional"
    )
    settings = transformers.ViTConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32, num_labels=5,
    )  # fmt: skip
    torch.manual_seed(0)
    network = transformers.ViTForImageClassification(settings)
    network.save_pretrained(tmp_path / "vit")
    form = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(form))
    return tmp_path / "vit", network.eval()


def test_folders_of_transformers(folder):
    place, network = folder
    model = models.load_model(f"hf:{place}")
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model(images), network((images - 0.5) / 0.25).logits)
    assert models.parse_spec(f"hf:{place}").label == "vit"
    with pytest.raises(ValueError, match="has its own weights"):
        models.load_model(f"hf:{place}@other.pt")


def test_folders_of_transformers_run_no_code(folder):
    place, _ = folder
    config = place / "config.json"
    kept = config.read_text()
    code = "raise SystemExit('code of the folder ran')"
    (place / "mine.py").write_text(code)
    own = json.loads(kept) | {
        "auto_map": {"AutoModelForImageClassification": "mine.Net"}
    }
    config.write_text(json.dumps(own))
    with pytest.raises(ValueError, match="asks for code of its own"):
        models.load_model(f"hf:{place}")
    config.write_text(json.dumps({"model_type": "nothing known"}))
    with pytest.raises(ValueError, match="holds no image classifier"):
        models.load_model(f"hf:{place}")
    config.write_text(json.dumps(json.loads(kept) | {"hidden_size": 8}))
    with pytest.raises(ValueError, match=r"do not fit|holds no image classifier"):
        models.load_model(f"hf:{place}")
    config.write_text(kept)
    (place / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="holds no image classifier"):
        models.load_model(f"hf:{place}")
    (place / "model.safetensors").rename(place / "away")
    with pytest.raises(FileNotFoundError, match=r"holds no model\.safetensors"):
        models.load_model(f"hf:{place}")
    (place / "preprocessor_config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        models.load_model(f"hf:{place}")


@pytest.mark.parametrize("spec", ["timm:resnet18", "hf:folder"])
def test_without_the_package_the_error_names_it(spec, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / "folder" / name).write_text("{}")
    (tmp_path / "folder" / "model.safetensors").write_text("")
    for name in ("timm", "transformers"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError, match=r"needs the package (timm|transformers)"):
        models.load_model(spec)
