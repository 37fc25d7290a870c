"""Exported programs give their network's results, and no file can run code."""

import io
import json
import pickle
import zipfile

import pytest
import torch
from torch import nn

from neurofreq import models


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU("tanh"),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3),
        )  # fmt: skip
        self.register_buffer("mean", torch.full((1, 1, 1), 0.5), persistent=False)

    def forward(self, images):
        with torch.no_grad():
            shifted = (images - self.mean) * torch.tensor(2.0)
        pooled = torch.einsum("nchw,k->nchw", shifted, torch.ones(1))
        return self.inner(pooled.reshape(images.shape[0], 1, 8, -1))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Network().eval()


@pytest.fixture(scope="module")
def good(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("programs") / "good.pt2"
    batch = {0: torch.export.Dim("n", min=1, max=1024)}
    images = (torch.rand(4, 1, 8, 8),)
    torch.export.save(
        torch.export.export(network, images, dynamic_shapes=(batch,)), path
    )
    return path


def changed(good, change, compression=zipfile.ZIP_STORED):
    """Return a changed copy of an archive; ``change`` gets members by short names."""
    with zipfile.ZipFile(good) as old:
        members = {name.partition("/")[2]: old.read(name) for name in old.namelist()}
    change(members)
    path = good.with_name("changed.pt2")
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, data in members.items():
            new.writestr(f"good/{name}", data)
    return path


def in_json(member, change):
    def of_members(members):
        content = json.loads(members[member])
        change(content)
        members[member] = json.dumps(content).encode()

    return of_members


PROGRAM = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"


def test_a_program_gives_what_its_network_gives(good, network):
    images = torch.rand(7, 1, 8, 8)
    loaded = models.load_model(str(good))
    torch.testing.assert_close(loaded(images), network(images))


class Evil:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def pickled_weights(mark):
    def change(members):
        config = json.loads(members[WEIGHTS])
        first = next(iter(config["config"].values()))
        first["use_pickle"] = True
        members[WEIGHTS] = json.dumps(config).encode()
        members["data/weights/" + first["path_name"]] = pickle.dumps(Evil(mark))

    return change


def legacy_weights(mark):
    def change(members):
        del members[WEIGHTS]
        members["data/weights/model.pt"] = pickle.dumps(Evil(mark))

    return change


def evil_size(mark):
    text = f"__import__('pathlib').Path({str(mark)!r}).touch()"

    def change(program):
        sizes = program["graph_module"]["graph"]["tensor_values"]["images"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = text

    return in_json(PROGRAM, change)


def evil_guard(mark):
    text = f"open({str(mark)!r}, 'w')"
    return in_json(PROGRAM, lambda p: p.update(guards_code=[text]))


def evil_operator(name):
    def change(program):
        program["graph_module"]["graph"]["nodes"][-1]["target"] = name

    return in_json(PROGRAM, change)


def evil_name(mark):
    text = f'x", __import__("pathlib").Path({str(mark)!r}).touch(), "'

    def change(program):
        for spec in program["graph_module"]["signature"]["input_specs"]:
            if "parameter" in spec:
                spec["parameter"]["parameter_name"] = text

    return in_json(PROGRAM, change)


def evil_container(_):
    text = '[1, {"type": "evil.Class", "context": "null", "children_spec": []}]'

    def change(program):
        calls = program["graph_module"]["module_call_graph"]
        calls[0]["signature"]["in_spec"] = text

    return in_json(PROGRAM, change)


def compiled(_):
    return lambda members: members.update({"data/aotinductor/model/x.so": b"\x7fELF"})


def huge_empty(_):
    def change(members):
        config = json.loads(members[WEIGHTS])
        first = next(iter(config["config"].values()))
        first["tensor_meta"]["sizes"] = [{"as_int": 10**12}]
        members[WEIGHTS] = json.dumps(config).encode()
        members["data/weights/" + first["path_name"]] = b""

    return change


def climbing(_):
    def change(config):
        next(iter(config["config"].values()))["path_name"] = "../../models/model.json"

    return in_json(WEIGHTS, change)


def endless_size(_):
    def change(program):
        sizes = program["graph_module"]["graph"]["tensor_values"]["images"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = "9**9**9**9"

    return in_json(PROGRAM, change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pickled_weights, "its weights are pickled"),
        (legacy_weights, "no exported program"),
        (evil_size, "is not a valid size"),
        (endless_size, "is not a valid size"),
        (evil_name, "is not a valid name"),
        (evil_container, "it contains 'evil.Class', which is not a container"),
        (compiled, "holds compiled code"),
        (huge_empty, r"declared as \[1000000000000\]"),
        (climbing, "is not a valid name"),
        (lambda _: evil_operator("torch.os.system"), "not an operator of a network"),
        (
            lambda _: evil_operator("_operator.methodcaller"),
            "not an operator of a network",
        ),
        (
            lambda _: evil_operator("torch.ops.aten.from_file.default"),
            "not an operator of a network",
        ),
        (
            lambda _: evil_operator("torch.ops.image.write_file.default"),
            "not an operator of a network",
        ),
    ],
)
@pytest.mark.timeout(30)
def test_a_program_that_could_run_code_is_refused(good, tmp_path, change, message):
    mark = tmp_path / "mark"
    path = changed(good, change(mark))
    with pytest.raises(ValueError, match=message) as refused:
        models.load_model(str(path))
    assert str(refused.value).startswith("model: ")
    assert "\n" not in str(refused.value)
    assert not mark.exists()


@pytest.mark.parametrize("member", ["data/sample_inputs/model.pt", "data/extra/a.pt"])
def test_what_a_program_does_not_need_is_not_read(good, tmp_path, network, member):
    mark = tmp_path / "mark"
    path = changed(good, lambda m: m.update({member: pickle.dumps(Evil(mark))}))
    images = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(models.load_model(str(path))(images), network(images))
    path = changed(good, evil_guard(mark))
    models.load_model(str(path))(images)
    assert not mark.exists()


def test_members_of_any_declared_size_are_refused(good):
    path = changed(good, lambda _: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="is compressed"):
        models.load_model(str(path))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<html>not found</html>", b"PK\x05\x06" + bytes(18),
        b"PK\x03\x04" + bytes(100),
    ],
)  # fmt: skip
def test_a_file_that_is_no_program_is_one_sentence(tmp_path, content):
    path = tmp_path / "net.pt2"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model: .*net.pt2 is no exported program"):
        models.load_model(str(path))


@pytest.mark.parametrize("text", [b"[]", b"null", b"{", b"[" * 100_000, b'{"a": 1}'])
def test_a_damaged_program_is_one_sentence(good, text):
    for member in (PROGRAM, WEIGHTS):
        path = changed(good, lambda m, member=member: m.update({member: text}))
        with pytest.raises(ValueError, match="no exported program"):
            models.load_model(str(path))


def test_a_truncated_program_is_one_sentence(good, tmp_path):
    whole = good.read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 30):
        path = tmp_path / "cut.pt2"
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="no exported program"):
            models.load_model(str(path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_with_a_traced_script_inside_is_no_program(tmp_path):
    traced = torch.jit.trace(nn.Linear(2, 2), torch.rand(1, 2))
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    path = tmp_path / "net.pt2"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"no exported program|is compressed"):
        models.load_model(str(path))
