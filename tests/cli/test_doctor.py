"""``neurofreq doctor``: a working installation passes, and a broken one fails."""

import json

import pytest
import torch
from typer.testing import CliRunner

from neurofreq import _neurofreq, cli
from neurofreq.cli import _soundness

ROOMS = {"spectrum", "hybrid image", "attack", "similarity", "corruption"}


def call(*words):
    return CliRunner().invoke(cli.app, ["doctor", *words])


def test_every_part_passes_and_is_listed_as_json():
    found = call("--json")
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert report["passed"]
    assert report["facts"]["built for torch"] == _neurofreq.built_for()
    assert report["facts"]["torch"] == torch.__version__
    on_host = [one["name"] for one in report["checks"] if one["device"] == "cpu"]
    assert set(on_host) == {*ROOMS, "training step"}
    assert report["optional_packages"].keys() == _soundness.OPTIONAL.keys()


@pytest.mark.parametrize(
    ("function", "broken"),
    [
        ("power_spectrum", lambda images: images[0, 0] * 0),
        ("hybrid_images", lambda low, high, frequency: low),
        ("response_similarity", lambda responses: responses @ responses.T),
        ("corrupt", lambda images, *_, **__: images),
    ],
)
def test_a_wrong_result_fails(monkeypatch, function, broken):
    monkeypatch.setattr(_soundness.nf, function, broken)
    failed = [check for check in _soundness.self_test() if not check.passed]
    assert {check.device for check in failed} >= {"cpu"}
    assert len({check.name for check in failed}) == 1
    assert failed[0].detail.startswith("error ")


def test_an_exception_is_a_failed_check(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no\nkernel")

    monkeypatch.setattr(_soundness.nf, "training_step", broken)
    found = call()
    assert found.exit_code == 1
    assert "FAILED training step on cpu" in found.stdout
    assert "RuntimeError: no kernel" in found.stdout


def test_a_missing_package_is_listed_with_its_use(monkeypatch):
    monkeypatch.setitem(_soundness.OPTIONAL, "no-such-package", "nothing")
    monkeypatch.setattr(_soundness, "self_test", list)
    assert "not installed (optional: nothing)" in call().stdout
