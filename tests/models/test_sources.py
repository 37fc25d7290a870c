"""Published networks and weights, and the registry: nothing is downloaded."""

import hashlib
import socket
import sys

import pytest
import torch
from torch import nn

from neurofreq import models
from neurofreq.models import _sources, registry


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Make any connection an error, with empty folders of torch hub and RobustBench."""

    def refuse(*_, **__):
        raise AssertionError("something wanted to download")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.chdir(tmp_path)
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield
    torch.hub.set_dir(before)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


# The names and labels of the paper's two sets of models.
FIGURE_4 = [
    *("Base-WideRes", "Base-Res", "Base-VGG", "Base-MobNet", "Base-ShufNet"),
    *("Base-RepVGG", "Rebuffi21", "Gowal20", "Wu20", "Zhang20", "Carmon19"),
    *("Sehwag20", "Cui20", "Hendrycks20", "Kireev21", "Blur", "PCA"),
]


def test_the_registry_has_every_model_of_the_figures():
    rows = models.list_models()
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    cifar = {row.label: row for row in rows if row.label and row.n_classes == 10}
    assert set(cifar) == set(FIGURE_4)
    groups = [cifar[label].group for label in FIGURE_4]
    assert groups == ["base"] * 6 + ["adv"] * 7 + ["crp"] * 2 + ["blur", "pca"]
    imagenet = [row for row in rows if row.label and row.n_classes == 1000]
    counts = [
        sum(row.group == group for row in imagenet)
        for group in ("base", "adv", "crp", "blur")
    ]
    assert counts == [1, 2, 6, 1]
    assert {row.accuracy for row in rows if row.label == "Gowal20"} == {91.10}
    assert all(row.source for row in rows)


MISSING = [row for row in models.list_models() if row.availability == registry.MISSING]


@pytest.mark.parametrize("row", MISSING, ids=lambda row: row.name)
def test_what_needs_a_download_says_what_and_where(row, monkeypatch):
    monkeypatch.setitem(sys.modules, "robustbench", None)
    if row.name.startswith("robustbench:"):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        expected = pytest.raises(ImportError, match="pip install git\\+https://github")
    else:
        expected = pytest.raises(
            FileNotFoundError,
            match=r"downloads nothing: .*fetch https://\S+ and save it as \S+hub",
        )
    with expected:
        models.load_model(row.name)


def test_the_table_has_a_line_for_each_row():
    rows = models.list_models()
    lines = registry.table(rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].split()[:3] == ["name", "label", "group"]
    assert "needs a download" in registry.table(rows)


def test_torchvision_takes_weights_of_the_users(tmp_path):
    from torchvision.models import resnet18

    torch.manual_seed(0)
    network = resnet18(num_classes=7).eval()
    path = put(tmp_path / "w.pt", {"state_dict": network.state_dict()})
    images = torch.rand(2, 3, 64, 64)
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in (models.IMAGENET_MEAN, models.IMAGENET_STD)
    )
    model = models.load_model("torchvision:resnet18,n_classes=7", weights=path)
    with torch.no_grad():
        expected = network((images - mean) / std)
        torch.testing.assert_close(model(images), expected)
        blurred = models.load_model(
            "torchvision:resnet18,n_classes=7,blur=2", weights=path
        )
        expected = network((models.Blur(2.0)(images) - mean) / std)
        torch.testing.assert_close(blurred(images), expected)


def test_torchvision_weights_come_from_torch_hubs_cache(monkeypatch):
    from torchvision import models as torchvision_models

    torch.manual_seed(0)
    network = torchvision_models.squeezenet1_1().eval()
    entry = torchvision_models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    file = entry.url.rpartition("/")[2]
    spec = "torchvision:squeezenet1_1:IMAGENET1K_V1"
    with pytest.raises(FileNotFoundError, match=f"fetch {entry.url} and save it as"):
        models.load_model(spec)
    path = put(_sources.hub_checkpoint(file), network.state_dict())
    with pytest.raises(ValueError, match="has SHA-256"):
        models.load_model(spec)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(_sources, "digest_in", lambda _: digest)
    images = torch.rand(1, 3, 64, 64)
    model = models.load_model(spec)
    assert torch.equal(model.network(images), network(images))
    assert model.mean.flatten().tolist() == pytest.approx(models.IMAGENET_MEAN)
    with pytest.raises(ValueError, match="weights: got a file, expected none"):
        models.load_model(spec, weights=path)


def test_the_registry_knows_torchvisions_file():
    from torchvision.models import get_model_weights

    for name, file in registry.TORCHVISION_FILES.items():
        _, network, entry = name.split(":")
        assert get_model_weights(network)[entry].url.endswith(f"/{file}")
        assert _sources.digest_in(file) == file[-12:-4]
        put(_sources.hub_checkpoint(file), {})
        rows = {row.name: row for row in models.list_models()}
        assert rows[name].availability == "fetched"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "torchvision:resnet5",
            "'torchvision:resnet5', expected a classifier.*nearest",
        ),
        ("torchvision:fcn_resnet50", "expected a classifier of torchvision"),
        (
            "torchvision:resnet18:V9",
            "got weights 'V9' for resnet18, expected one of IM",
        ),
        ("torchvision:resnet18,width=3", "option 'width' for torchvision:resnet18"),
        ("zoo:nothing", "got 'zoo:nothing', expected"),
    ],
)
def test_unknown_names_of_a_source_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        models.load_model(spec)


def test_published_weights_load_from_torch_hubs_folder(monkeypatch):
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 10))
    folder = _sources.hub_checkpoint("").parent
    code = folder / "chenyaofo_pytorch-cifar-models_master"
    with pytest.raises(
        FileNotFoundError, match=r"fetch the repository \S+ as the folder"
    ):
        models.load_model("cifar10_resnet56")
    code.mkdir(parents=True)
    (code / "hubconf.py").write_text(
        "from torch.nn import Conv2d, Flatten, Linear, Sequential\n"
        "def cifar10_resnet56(pretrained=False):\n"
        "    assert not pretrained\n"
        "    return Sequential(Conv2d(3, 4, 3), Flatten(), Linear(3600, 10))\n"
    )
    path = put(
        _sources.hub_checkpoint("cifar10_resnet56-187c023a.pt"), made.state_dict()
    )
    with pytest.raises(ValueError, match="expected 187c023a"):
        models.load_model("cifar10_resnet56")
    monkeypatch.setattr(_sources, "digest_in", lambda _: None)
    model = models.load_model("cifar10_resnet56")
    images = torch.rand(2, 3, 32, 32)
    expected = models.Normalized(made, models.CIFAR10_MEAN, models.CIFAR10_STD)
    assert torch.equal(model(images), expected(images))
    assert path.is_file()


def test_published_imagenet_weights_are_unwrapped():
    from torchvision.models import resnet50

    torch.manual_seed(0)
    network = resnet50().eval()
    state = {
        f"module.model.{key}": value for key, value in network.state_dict().items()
    }
    state |= {key.replace("model", "attacker.model", 1): state[key] for key in state}
    state["module.normalizer.new_std"] = torch.ones(3, 1, 1)
    put(_sources.hub_checkpoint("imagenet_l2_3_0.pt"), {"model": state, "epoch": 9})
    model = models.load_model("imagenet_l2_3")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.network(images), network(images))


FAKE = '''
"""A package with RobustBench's shape, and its loader but for the download."""
import enum
import torch
from pathlib import Path
from torch import nn

class Data(enum.Enum):
    cifar = "cifar10"

class Threat(enum.Enum):
    Linf = "Linf"
    corruptions = "corruptions"

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 10))

model_dicts = {Data.cifar: {
    Threat.Linf: {
        "Good2020": {"model": make, "gdrive_id": "abc"},
        "Many2020": {"model": make, "gdrive_id": ["p", "q"]},
        "Timm2020": {"model": make, "gdrive_id": None},
    },
    Threat.corruptions: {"Only2021": {"model": make, "gdrive_id": "xyz"}},
}}

def load_model(model_name, model_dir, dataset, threat_model):
    path = Path(model_dir) / dataset / threat_model / f"{model_name}.pt"
    model = model_dicts[Data(dataset)][Threat(threat_model)][model_name]["model"]()
    model.load_state_dict(torch.load(path))
    return model
'''


@pytest.fixture
def robustbench(monkeypatch, tmp_path):
    folder = tmp_path / "packages" / "robustbench"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "model_zoo.py").write_text(FAKE)
    (folder / "utils.py").write_text("from robustbench.model_zoo import load_model\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield
    for name in [one for one in sys.modules if one.startswith("robustbench")]:
        del sys.modules[name]


def test_a_robustbench_that_is_not_whole_says_so(robustbench, tmp_path):
    module = tmp_path / "packages" / "robustbench" / "model_zoo.py"
    module.write_text("import no_such_dependency\n")
    with pytest.raises(
        ImportError, match=r"cannot be imported \(No module named 'no_s"
    ):
        models.load_model("robustbench:Good2020")


def test_robustbench_loads_from_its_own_folder(robustbench, tmp_path):
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(12, 10))
    with pytest.raises(
        FileNotFoundError,
        match=r"fetch https://drive\.google\.com/uc\?id=abc and save it as "
        r"models/cifar10/Linf/Good2020\.pt",
    ):
        models.load_model("robustbench:Good2020")
    put(tmp_path / "models/cifar10/Linf/Good2020.pt", made.state_dict())
    images = torch.rand(3, 3, 2, 2)
    for spec in ("robustbench:Good2020", "robustbench:cifar10/Good2020:Linf"):
        model = models.load_model(spec)
        assert not model.training
        assert torch.equal(model(images), made(images))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("Good202", ValueError, "for cifar10, Linf; nearest is 'Good2020'"),
        ("Only2021", ValueError, "for cifar10, Linf; Only2021 is in corruptions"),
        ("Good2020:L7", ValueError, "expected one of cifar10/…:Linf, cifar10/…:corr"),
        ("imagenet/Good2020", ValueError, "expected one of cifar10/"),
        ("Timm2020", ValueError, "would download this one through another package"),
        ("", ValueError, r"expected robustbench:\[DATASET/\]NAME"),
        ("Many2020", FileNotFoundError, r"id=q and save it as \S+Many2020_m1\.pt"),
    ],
)
def test_what_robustbench_cannot_give_is_named(robustbench, text, error, message):
    with pytest.raises(error, match=message):
        models.load_model(f"robustbench:{text}")
