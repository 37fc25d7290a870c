"""Studies: invalid specs, and the commands."""

import dataclasses
import json

import numpy as np
import pytest
from helpers.small_study import (
    Network,
    images,
    run,
    study,
)
from typer.testing import CliRunner

from neurofreq import cli, studies
from neurofreq.studies.settings import make_settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": []}, "spec: got key 'modles'.*nearest is 'models'"),
        ({"data": None}, "data: got NoneType, expected a string"),
        ({"models": []}, "models: got none"),
        ({"models": "a"}, "models: got 'a', expected a list"),
        ({"models": [{"name": "a"}]}, r"models\[0\]: got no key 'spec'"),
        ({"models": [{"spec": "a", "groop": "b"}]}, "groop.*nearest is 'group'"),
        ({"models": [{"spec": "a", "group": 3}]}, "models.group: got int, expected a"),
        ({"models": [{"spec": 3}]}, "models: got int for '', expected an nn.Module"),
        ({"models": ["a", "a=b"]}, "models: got 'a' twice"),
        ({"models": ["a@"]}, "model: got 'a@'"),
        ({"models": [Network()]}, "models.name: got none"),
        ({"measurements": ["hybird"]}, "measurements: got hybird.*'hybrid'"),
        ({"n_images": 0}, "n_images: got 0"),
        ({"settings": {"n_atack": 3}}, "settings: got key 'n_atack'.*'n_attack'"),
        ({"settings": {"n_attack": "3"}}, "settings.n_attack: got str"),
        ({"settings": {"seeds": 3}}, "settings.seeds: got 3, expected a list"),
        ({"settings": {"fold": 1}}, "settings.fold: got 1, expected True or False"),
        ({"settings": {"targeted": 1}}, "settings.targeted: got 1, expected True or"),
        ({"settings": {"frequencies": ["a"]}}, "settings.frequencies: got str, expe"),
        ({"keep_adversarial": 1}, "keep_adversarial: got 1"),
    ],
)
def test_what_is_wrong_in_a_spec_is_named(changes, message):
    spec = {"data": "synthetic", "models": ["small_cnn@random"], **changes}
    with pytest.raises((TypeError, ValueError), match=message):
        studies.read(spec)


def test_settings_are_checked_before_any_work(tmp_path):
    for settings, message in (
        ({"n_attack": 13}, "n_attack: got 13, expected 1 to 12"),
        ({"corruptions": ["fogg"]}, "nearest is 'fog'"),
        ({"frequencies": [-1.0, 2.0]}, r"frequencies: got \[-1.0, 2.0\], .* from 0"),
        ({"frequencies": [0.0, float("inf")]}, "frequencies: got .* finite"),
        ({"seeds": [0, 0]}, r"seeds: got \[0, 0\], expected each once"),
    ):
        with pytest.raises(ValueError, match=message):
            run(study(settings=settings), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"spec: got .*absent.toml"):
        run(tmp_path / "absent.toml", tmp_path)


def test_numbers_of_numpy_are_settings_too():
    plain = {"n_attack": 3, "attack_steps": 3, "seed": 1, "seeds": [0, 1]}
    plain |= {"n_hybrid": 5, "n_corruption": 5, "n_thresholds": 9}
    given = {key: np.array(value) for key, value in plain.items()}
    given = {key: list(v) if v.ndim else v[()] for key, v in given.items()}
    made = make_settings(images(), **study(settings=given).settings)
    assert made == make_settings(images(), **plain)
    assert json.loads(json.dumps(dataclasses.asdict(made)))["n_hybrid"] == 5


SPEC = """
name = "zoo"
data = "synthetic"
n_images = 16
measurements = ["clean", "hybrid"]

[settings]
frequencies = [0.0, 1]
seeds = [0]

[[models]]
spec = "small_cnn@random"
group = "base"

[[models]]
name = "blurred"
spec = "small_cnn,blur=1.5@random"
group = "blur"
"""


def call(*words):
    return CliRunner().invoke(cli.app, ["studies", *map(str, words)])


def test_the_command_runs_counts_and_exports(tmp_path):
    spec, out = tmp_path / "zoo.toml", tmp_path / "out"
    spec.write_text(SPEC)
    found = call("run", spec, "--out", out, "--quiet")
    assert found.exit_code == 0, found.output
    assert "blurred" in found.stdout
    assert "f_rev" in found.stdout
    found = call("status", out)
    assert found.exit_code == 0, found.output
    assert len(found.stdout.splitlines()) == 1 + 4
    found = call("export", out, "--to", tmp_path / "there")
    assert found.exit_code == 0, found.output
    exported = (tmp_path / "there" / "study.csv").read_bytes()
    assert exported == (out / "study.csv").read_bytes()
    spec.write_text(SPEC + "[broken")
    found = call("run", spec, "--out", out)
    assert found.exit_code == 2
    assert "expected TOML" in found.stderr
    spec.write_text(SPEC.replace("small_cnn,", "resnet21,"))
    found = call("run", spec, "--out", out, "--quiet")
    assert found.exit_code == 1
    assert "failed: blurred: loading: ValueError: model: got 'resnet21'" in found.stderr
