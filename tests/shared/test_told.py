"""Messages: random weights, names from users, bugs, and interrupts."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import cli, models
from neurofreq._shared import escapes
from neurofreq._shared.networks.untrained import is_random

QUICK = {"measurements": ["clean", "hybrid"], "seeds": [0], "frequencies": [0.0, 1.0],
         "progress": False}  # fmt: skip
WORDS = ["--data", "synthetic", "--n-images", "8", "--out", "out", "--quiet"]


@pytest.fixture(scope="module")
def images():
    return nf.data.load_data("synthetic", n=12)


def call(*words):
    return CliRunner().invoke(cli.app, list(words))


def test_random_weights_are_known_until_they_change():
    model = models.load_model("small_cnn,width=4")
    assert is_random(model)
    assert is_random(nn.Sequential(models.Blur(1.0), model.double()))
    trained = models.small_cnn(width=4)
    with torch.no_grad():
        trained.network[-1].weight += 1e-6
    assert not is_random(trained)
    copy = models.small_cnn(width=4)
    copy.load_state_dict(trained.state_dict())
    assert not is_random(copy)
    assert not is_random(nn.Linear(2, 2))
    assert not is_random(models.load_model("zoo:standard-0"))


@pytest.mark.parametrize(
    "spec",
    ["small_cnn", "small_cnn,width=4", "resnet18,stem=7", "torchvision:resnet18"],
)
def test_an_architecture_is_not_measured_without_weights(spec):
    with pytest.raises(ValueError, match=f"expected {spec}@FILE, or {spec}@random"):
        nf.studies.ModelEntry(spec)
    found = call("hybrid", "--model", spec, *WORDS)
    assert found.exit_code == 2
    assert f"got '{spec}' without weights, which would be random" in found.stderr
    assert nf.studies.ModelEntry(f"{spec}@random").name.endswith("@random")


def test_random_weights_are_told_everywhere(images, tmp_path):
    network = models.load_model("small_cnn", weights="random")
    found = nf.report.run({"mine": network}, images, tmp_path / "first", **QUICK)
    assert "mine (random weights)" in str(found)
    assert "random weights" in found._repr_html_()
    assert "has random weights" in found.page.read_text()
    assert found.summary["weights"].tolist() == ["random"]
    settings = json.loads((tmp_path / "first" / "settings.json").read_text())
    assert settings["models"][0]["weights"] == "random"
    other = models.load_model("zoo:standard-0")
    gray = nn.Sequential(nn.Flatten(), nn.Linear(1024, 8))
    beside = nf.report.run(
        {"own": gray}, images, tmp_path / "second", beside=[tmp_path / "first"],
        progress=False,
    )  # fmt: skip
    assert beside.summary["weights"].tolist() == ["given", "random"]
    assert not is_random(other)


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@a", "\t=1", "\x1b[2J"])
def test_names_are_harmless_in_tables_and_terminals(images, tmp_path, name):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 8))
    found = nf.report.run({name: model, "b": model}, images, tmp_path, **QUICK)
    assert "\x1b" not in str(found)
    for path in (tmp_path / "tables").glob("*.csv"):
        for row in csv.reader(path.read_text().splitlines()):
            for cell in row:
                assert not cell.startswith(("=", "@", "\t", "\x1b"))
                assert cell[:1] not in ("+", "-") or float(cell)


def test_control_characters_of_names_are_written_out_on_the_page(images, tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 8))
    named = replace(
        images,
        name="photos\u202e\x1b]0;",
        class_names=tuple(f"\x07{k}" for k in range(8)),
    )
    found = nf.report.run(
        {"a\x1b[2J<&>": model, "b\x9b": model}, named, tmp_path, **QUICK
    )
    page = found.page.read_text()
    raw = {one for one in page if one != escapes.printable(one, keep="\n")}
    assert not raw
    assert not {"\x1b", "\x9b"} & set(found._repr_html_())
    assert r"a\x1b[2J&lt;&amp;&gt;" in page, "escaped exactly once"
    assert r"photos\u202e\x1b]0;" in page


def test_names_are_written_as_they_are_where_they_are_harmless():
    assert escapes.printable("größe 日本 a=b") == "größe 日本 a=b"
    assert escapes.printable("a\u202eb\ud800\n") == "a\\u202eb\\ud800\\n"
    assert escapes.literal("a\nb") == "a\nb", "lines stay lines"
    assert escapes.literal("_a$b\x1b") == " _a\\$b\\x1b"


class Lopsided(nn.Module):
    """Predict one class always, so that the reversal frequency is undefined."""

    def forward(self, images):
        return (
            torch.eye(8)[torch.zeros(len(images), dtype=torch.long)] + 0 * images.sum()
        )


def test_an_undefined_number_has_no_unit(images, tmp_path):
    found = nf.report.run({"one": Lopsided()}, images, tmp_path, **QUICK)
    assert "undefined of" not in str(found)
    text = (tmp_path / "tables" / "summary.csv").read_text()
    assert "nan" not in text.lower()
    json.loads((tmp_path / "settings.json").read_text(), parse_constant=lambda _: 1 / 0)


def test_a_report_takes_a_model_a_list_and_arrays(images, tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 8))
    arrays = (images.images, images.labels)
    alone = nf.report.run(model, arrays, tmp_path / "a", **QUICK)
    assert alone.summary["model"].tolist() == ["Sequential"]
    both = nf.report.run([model, model], tuple(map(torch.as_tensor, arrays)),
                         tmp_path / "b", **QUICK)  # fmt: skip
    assert both.summary["model"].tolist() == ["Sequential 1", "Sequential 2"]
    with pytest.raises(TypeError, match="models: got int, expected a mapping"):
        nf.report.run(3, arrays, tmp_path / "c")
    with pytest.raises(ValueError, match="got 'standard-0' for images of 3 channels"):
        nf.report.run("zoo:standard-0", arrays, tmp_path / "c")
    with pytest.raises(ValueError, match="data: got 3 parts"):
        nf.report.run(model, (*arrays, 1), tmp_path / "c")


def test_a_spec_may_be_a_path_and_nothing_else(tmp_path):
    with pytest.raises(FileNotFoundError, match="model: there is no file"):
        models.load_model(tmp_path / "net.pt2")
    with pytest.raises(ValueError, match="a file of weights, expected the network"):
        models.load_model(Path("w.pth"))
    with pytest.raises(TypeError, match="got a module, expected a spec"):
        models.load_model(nn.Linear(2, 2))
    with pytest.raises(TypeError, match="got int, expected a spec or a path"):
        models.load_model(3)


BUGS = """
import torch
from torch import nn

class Bug(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error
        self.layer = nn.Linear(1024, 8)
    def forward(self, images):
        if self.error is not None:
            raise self.error("a bug of the user")
        return self.laier(images.flatten(1))

def attribute(): return Bug(None)
def value(): return Bug(ValueError)
def type_(): return Bug(TypeError)
def system(): return Bug(OSError)
def factory(): return None.absent
def needs():
    import a_package_that_is_missing
"""


@pytest.mark.parametrize("name", ["attribute", "value", "type_", "system", "factory"])
@pytest.mark.parametrize("command", ["hybrid", "corruptions"])
def test_a_bug_of_a_users_model_keeps_its_traceback(
    tmp_path, monkeypatch, name, command
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "told_bugs.py").write_text(BUGS)
    found = call(command, "--model", f"told_bugs:{name}", *WORDS)
    assert found.exit_code == 1
    assert not isinstance(found.exception, SystemExit)
    assert found.exception.__traceback__ is not None


@pytest.mark.parametrize(
    "words", [["report", "--out", "/proc/no"], ["spectrum", "--out", "/proc/no"]]
)
def test_what_the_system_refuses_is_one_sentence(words):
    model = ["--model", "small_cnn@random"] if words[0] == "report" else []
    data = ["--data", "synthetic", "--n-images", "8"]
    found = call(words[0], *model, *data, *words[1:])
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1


@pytest.mark.timeout(300)
def test_an_interrupt_at_any_time_is_one_line(tmp_path):
    command = Path(sys.executable).with_name("neurofreq")
    words = [str(command), "report", "--model", "small_cnn@random", *WORDS]
    for wait in (0.5, 2.0, 6.0):
        with subprocess.Popen(
            words, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors.decode()
        assert errors.decode().count("\n") <= 1, errors.decode()


def test_a_reader_that_is_gone_is_no_error():
    command = Path(sys.executable).with_name("neurofreq")
    read, write = os.pipe()
    os.close(read)
    found = subprocess.run(
        [str(command), "models"], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert found.stderr == b""
    assert found.returncode == 141
