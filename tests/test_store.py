"""Kept measurements: what tells models apart, and what is damaged from outside."""

import functools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_study import Network, images, run, study
from torch import nn

from neurofreq import _store, studies
from neurofreq.models import Normalized
from neurofreq.studies import ModelEntry, Study


def base():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


class Scaled(nn.Module):
    """A network whose numbers lie in what is no tensor of its state."""

    def __init__(self, scale=1.0, act=torch.relu, others=()):
        super().__init__()
        self.base, self.scale, self.act, self.others = base(), scale, act, others
        self.words = {"one", "two", "three"}
        self._cache = None

    def forward(self, x):
        self._cache = "used"
        y = self.act(self.base(self.scale * x))
        return y + sum(other(x) for other in self.others)


class Shouting:
    def __call__(self, x):
        return x


class Adding(nn.Module):
    def forward(self, x):
        return x + 1


class Subtracting(nn.Module):
    def forward(self, x):
        return x - 1


def derived(parent):
    class Network(parent):
        """Says nothing of what it computes."""

    return Network()


def digest(*args, **keywords):
    return _store.model_digest(Scaled(*args, **keywords))


def test_buffers_that_are_not_stored_tell_models_apart():
    one, same, other = (
        Normalized(base(), (mean,) * 3, (1.0,) * 3) for mean in (0.0, 0.0, 0.5)
    )
    assert _store.model_digest(one) == _store.model_digest(same)
    assert _store.model_digest(one) != _store.model_digest(other)


def test_attributes_tell_models_apart_and_use_does_not():
    model = Scaled()
    before = _store.model_digest(model)
    model(torch.zeros(1, 3, 2, 2))
    model.eval()
    assert _store.model_digest(model) == before == digest()
    frozen = nn.Linear(12, 3)
    kinds = [
        {},
        {"scale": 2.0},
        {"scale": (1.0, 2.0)},
        {"scale": {"a": 1.0}},
        {"scale": torch.ones(2)},
        {"scale": torch.zeros(2)},
        {"scale": torch.ones(2).to_sparse()},
        {"scale": np.ones(2)},
        {"scale": np.float32(3.0)},
        {"act": torch.tanh},
        {"act": lambda x: x},
        {"act": functools.partial(torch.clamp, min=0.0)},
        {"act": Shouting()},
        {"others": [nn.Flatten()]},
        {"others": [frozen]},
    ]
    found = [digest(**kind) for kind in kinds]
    assert len(set(found)) == len(kinds) - 1  # sparse ones are ones
    with torch.no_grad():
        frozen.bias += 1.0
    assert digest(**kinds[-1]) != found[-1]


def test_modules_that_name_each_other_are_told():
    first, second = Scaled(), Scaled(2.0)
    first.others, second.others = [second], [first, second]
    assert _store.model_digest(first) != _store.model_digest(second)


def test_the_code_of_bases_and_of_graphs_tells_models_apart():
    found = {_store.model_digest(derived(one)) for one in (Adding, Subtracting)}
    assert len(found) == 2
    graphs = [torch.fx.symbolic_trace(Scaled(act=one)) for one in (torch.relu, abs)]
    assert len({_store.model_digest(graph) for graph in graphs}) == 2
    images = (torch.zeros(2, 3, 2, 2),)
    relu, tanh = (
        torch.export.export(Scaled(act=one).eval(), images)
        for one in (torch.relu, torch.tanh)
    )
    found = [_store.model_digest(one.module()) for one in (relu, relu, tanh)]
    assert found[0] == found[1] != found[2]


def test_a_digest_is_the_same_in_every_process():
    here = os.path.dirname(__file__)
    text = "from test_store import digest; print(digest(act=lambda x: x, others=[abs]))"
    found = set()
    for seed in ("1", "2"):
        paths = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
        shared = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths}
        found.add(
            subprocess.run(
                [sys.executable, "-c", text], env=shared, capture_output=True,
                text=True, check=True,
            ).stdout
        )  # fmt: skip
    assert len(found) == 1


def test_a_study_measures_models_that_differ_in_an_attribute(tmp_path):
    class Signed(Network):
        def __init__(self, sign):
            super().__init__()
            self.sign = sign

        def forward(self, x):
            return self.sign * super().forward(x)

    entries = [ModelEntry(Signed(1.0), "plain"), ModelEntry(Signed(-1.0), "other")]
    found = run(Study(images(), entries, measurements=["clean"]), tmp_path)
    assert found.n_measured == 2
    first, second = (one.arrays["clean"]["correct"] for one in found.measured)
    assert (first != second).any()


RECORD = {"measurement": "clean", "x": np.int64(1)}


def test_whatever_byte_is_damaged_an_item_is_not_read_wrongly(tmp_path):
    store = _store.Store(tmp_path)
    kept = {"correct": np.random.default_rng(0).random(100)}
    store.save(RECORD, kept)
    path = store.path(RECORD, ".npz")
    assert store.path({"measurement": "clean", "x": 1}, ".npz") == path
    assert json.loads(path.with_suffix(".json").read_text())["x"] == 1
    whole = path.read_bytes()
    for damaged in (b"", whole[:40], bytes(len(whole))):
        path.write_bytes(damaged)
        assert store.load(RECORD) is None
    for place in range(0, len(whole), 3):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        )
        found = store.load(RECORD)
        if found is not None:  # a byte that holds no number, such as the date
            np.testing.assert_array_equal(found["correct"], kept["correct"])
    path.write_bytes(whole)
    assert store.load(RECORD) is not None
    with pytest.raises(TypeError, match="set is not JSON"):
        store.path({"measurement": "clean", "x": {1}}, ".npz")


def test_damaged_items_of_a_study_are_missing_and_measured_again(tmp_path):
    whole = run(study(1), tmp_path)
    items = tmp_path / "items"
    for name in ("clean", "hybrid"):
        next(items.glob(f"{name}-*.npz")).write_bytes(b"")
    next(items.glob("attack-*.safetensors")).write_bytes(b"")
    path = next(items.glob("clean-*.json"))
    path.with_suffix(".failed.json").write_text("")
    assert studies.load(tmp_path).missing == ("m0: clean", "m0: hybrid")
    table = studies.status(tmp_path).set_index("measurement")
    assert table["missing"].to_dict() == {
        "clean": 1, "hybrid": 1, "attack": 0, "corruption": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="model: got 'm0', expected one whose images"):
        studies.load(tmp_path).adversarial("m0")
    again = run(study(1), tmp_path)
    assert (again.n_measured, again.is_complete) == (3, True)
    assert again.tables["study"].equals(whole.tables["study"])
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(ValueError, match=r"study\.json that cannot be read"):
        studies.load(tmp_path)
    assert run(study(1), tmp_path).n_measured == 0
    assert studies.load(tmp_path).is_complete
