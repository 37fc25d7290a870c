"""Files of weights: all wrappers, extra content, and files that are no checkpoint."""

import argparse
import collections
import contextlib
import gzip
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neurofreq import models
from neurofreq.models import weight_files


@pytest.fixture
def network():
    torch.manual_seed(0)
    return models.small_cnn(width=4)


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


def in_the_middle(state, part):
    return {key.replace(".", f".{part}.", 1): value for key, value in state.items()}


def others(state):
    return {key: torch.rand_like(value.float()) for key, value in state.items()}


WRAPPED = {
    **{
        prefix: lambda state, prefix=prefix: prefixed(state, prefix)
        for prefix in ("net.", "student.", "encoder.", "a.b.c.", "module._orig_mod.")
    },
    "record": lambda state: {"epoch": 3, "params": {"model": [state]}},
    "params": lambda state: {"params": collections.OrderedDict(state)},
    "an average alone": lambda state: {"ema_state_dict": prefixed(state, "module.")},
    "fsdp": lambda state: in_the_middle(state, "_fsdp_wrapped_module"),
    "recomputed": lambda state: in_the_middle(state, "_checkpoint_wrapped_module"),
    "parallel in part": lambda state: in_the_middle(state, "module"),
    "averaged": lambda state: (
        {"n_averaged": torch.tensor(3)} | prefixed(state, "module.")
    ),
    "optimizer": lambda state: {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}},
        "loss": torch.tensor(0.5),
    },
    "two equal copies": lambda state: {"model": state, "best": dict(state)},
    "two networks": lambda state: {
        "model": state,
        "critic": {"0.weight": torch.ones(2)},
    },
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_network_is_found_by_its_own_keys(tmp_path, network, kind):
    path = tmp_path / "w.pt"
    torch.save(WRAPPED[kind](network.network.state_dict()), path)
    loaded = models.load_model("small_cnn,width=4", weights=path)
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())


def test_what_was_stored_beside_is_told(tmp_path, network):
    path = tmp_path / "w.pt"
    state = prefixed(network.network.state_dict(), "net.")
    torch.save({"state_dict": state | {"net.criterion.weight": torch.ones(8)}}, path)
    with pytest.warns(
        UserWarning, match=r"in 'state_dict\.net' and left out criterion"
    ):
        loaded = models.load_model("small_cnn,width=4", weights=path)
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())


class Config:
    """A class that other programs do not have."""

    def __init__(self):
        self.lr = 0.1


BESIDE = {
    "argparse.Namespace": argparse.Namespace(lr=0.1),
    "scalar": np.float64(0.5),
    "ndarray": np.arange(3.0),
    "Config": Config(),
    "defaultdict": collections.defaultdict(list, lr=[1]),
    "Path": __import__("pathlib").PurePosixPath("a/b"),
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("legacy", [False, True])
def test_objects_beside_tensors_are_left_out_and_told(tmp_path, network, name, legacy):
    path = tmp_path / "w.pt"
    content = {"state_dict": network.network.state_dict(), "args": BESIDE[name]}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.warns(UserWarning, match=f"left out objects of .*{name}"):
        loaded = models.load_model("small_cnn,width=4", weights=path)
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())


def test_a_whole_saved_module_is_read_without_its_code(tmp_path, network):
    path = tmp_path / "w.pt"
    part = next(one for one in network.modules() if isinstance(one, nn.Conv2d))
    part.register_buffer("made_anew", torch.ones(3), persistent=False)
    torch.save(network, path)
    with pytest.warns(UserWarning, match=r"left out objects of"):
        loaded = models.load_model("small_cnn,width=4", weights=path)
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())


class Evil:
    def __init__(self, mark, call):
        self.mark, self.call = str(mark), call

    def __reduce__(self):
        return self.call, (self.mark,)


@pytest.mark.filterwarnings("ignore:weights")
@pytest.mark.parametrize("call", [os.mkdir, open, subprocess.call, exec])
def test_no_object_of_a_file_is_made(tmp_path, monkeypatch, network, call):
    monkeypatch.chdir(tmp_path)
    state = network.network.state_dict()
    code = "open('mark', 'w')" if call is exec else "mark"
    for evil in ({"state_dict": state, "evil": Evil(code, call)}, Evil(code, call)):
        torch.save(evil, "w.pt")
        with contextlib.suppress(ValueError):
            models.load_model("small_cnn,width=4", weights="w.pt")
        assert os.listdir() == ["w.pt"]


def test_of_two_copies_one_is_chosen_by_its_place(tmp_path, network):
    path = tmp_path / "w.pt"
    state = network.network.state_dict()
    other = others(state)
    torch.save({"student": other, "teacher": state}, path)
    with pytest.raises(ValueError, match=r"2 times, in 'student', 'teacher'"):
        models.load_model("small_cnn,width=4", weights=path)
    torch.save({"state_dict": other, "state_dict_ema": state}, path)
    with pytest.warns(UserWarning, match="in 'state_dict', which is loaded, and in"):
        loaded = models.load_model("small_cnn,width=4", weights=path)
    key = next(key for key in other if key.endswith("weight"))
    torch.testing.assert_close(loaded.network.state_dict()[key], other[key])
    loaded = models.load_model("small_cnn,width=4", weights=f"{path}#state_dict_ema")
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())
    with pytest.raises(
        ValueError, match=r"got part 'best' .* expected one of state_di"
    ):
        models.load_model("small_cnn,width=4", weights=f"{path}#best")
    student = prefixed(state, "student.") | prefixed(others(state), "teacher.")
    torch.save(student, tmp_path / "a#b.pt")
    with pytest.raises(ValueError, match=r"'student', 'teacher'; expected one of them"):
        models.load_model("small_cnn,width=4", weights=tmp_path / "a#b.pt")
    chosen = f"{tmp_path / 'a#b.pt'}#student"
    loaded = models.load_model("small_cnn,width=4", weights=chosen)
    torch.testing.assert_close(loaded.state_dict(), network.state_dict())


def test_a_larger_network_is_not_taken_for_a_smaller_one(tmp_path):
    larger = models.resnet20().network.state_dict()
    larger |= {key.replace("layer3.2", "layer3.3"): one for key, one in larger.items()}
    torch.save(prefixed(larger, "net."), tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"has unexpected layer3\.3"):
        models.load_model("resnet20", weights=tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("spec", "change", "message"),
    [
        ("small_cnn,width=4,n_classes=5", None, "of 8 classes and the network has 5"),
        ("small_cnn,width=8", None, "has another shape in"),
        (
            "resnet20",
            None,
            r"it lacks conv1\.weight, .* of \d+; it holds \d+ tensors, ",
        ),
        ("small_cnn,width=4", lambda one: one.to(torch.int8), "no plain numbers in"),
        ("small_cnn,width=4", lambda one: one.to("meta"), "no plain numbers in"),
    ],
)
def test_what_does_not_fit_says_what_the_file_holds(
    tmp_path, network, spec, change, message
):
    state = network.network.state_dict()
    if change:
        state = {key: change(one) for key, one in state.items()}
    torch.save({"state_dict": prefixed(state, "net.")}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=message):
        models.load_model(spec, weights=tmp_path / "w.pt")


def text_file(path):
    path.write_bytes(b"hello, world, this is text")


def cut_file(path):
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:1500])


def re_zipped(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("a/data.pkl", bytes(10**6))


def plain_zip(path):
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("a.txt", "b")


NO_CHECKPOINTS = {
    "is empty": lambda path: path.write_bytes(b""),
    "web page": lambda path: path.write_bytes(b"\n<!DOCTYPE html><html></html>"),
    "Git LFS pointer": lambda path: path.write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0"
    ),
    "cut short": cut_file,
    "no torch file": text_file,
    r"compressed \(gzip\)": lambda path: path.write_bytes(gzip.compress(b"a")),
    "which torch never does": re_zipped,
    "an archive without a checkpoint": plain_zip,
    "cannot be read as a file of tensors only": lambda path: path.write_bytes(
        pickle.dumps({})
    ),
    "a folder, expected a file": lambda path: path.mkdir(),
    "there is no file": lambda _: None,
}


@pytest.mark.parametrize("message", NO_CHECKPOINTS)
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path, message):
    path = tmp_path / "w.pth"
    NO_CHECKPOINTS[message](path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as refused:
        models.load_model("small_cnn", weights=path)
    assert str(refused.value).startswith("weights: ")
    assert "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_script_is_refused_with_the_way_out(tmp_path, network):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(
        ValueError, match="a TorchScript archive, whose code is not run"
    ):
        models.load_model("small_cnn", weights=tmp_path / "w.pt")


def test_a_file_is_read_by_its_content_and_not_by_its_name(tmp_path, network):
    state = {k: v.contiguous() for k, v in network.network.state_dict().items()}
    save_file(state, tmp_path / "w.pt", metadata={"epoch": "3"})
    torch.save(state, tmp_path / "w.safetensors")
    for name in ("w.pt", "w.safetensors"):
        loaded = models.load_model("small_cnn,width=4", weights=tmp_path / name)
        torch.testing.assert_close(loaded.state_dict(), network.state_dict())
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="expected a complete safetensors"):
        models.load_model("small_cnn,width=4", weights=tmp_path / "w.pt")


@pytest.mark.data
def test_every_real_checkpoint_is_read(data_dir):
    files = [
        path
        for path in data_dir.glob("*/*")
        if path.suffix in (".pth", ".th", ".pt", ".model")
    ]
    assert files
    for path in files:
        assert weight_files.read(path).tensors, path
