"""Studies: stored items, resumed runs and records."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.small_study import (
    SETTINGS,
    Network,
    images,
    in_small_parts,
    run,
    study,
    undisturbed,
)
from safetensors.numpy import load_file
from torch import nn

import neurofreq as nf
from neurofreq import studies
from neurofreq.studies import ModelEntry, Study, measuring
from neurofreq.studies._subjects import Views


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    in_small_parts(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that ran without interruption."""
    return undisturbed(tmp_path_factory.mktemp("whole"))


def test_a_study_holds_what_the_figures_need(whole):
    assert whole.is_complete
    assert whole.n_measured == 2 * (1 + 1 + 2 + 2)
    one = whole.measured[0]
    assert (one.name, one.group) == ("m0", "base")
    assert set(one.results) == {
        "clean", "hybrid", "attack", "corruption/gaussian_noise",
        "corruption/brightness",
    }  # fmt: skip
    assert one.clean.correct.shape == (12,)
    assert one.hybrid.difference.shape == (12, 3)
    assert one.attack.distance.shape == (6,)
    assert one.attack.radial.shape == (6, 25)
    assert one.results["corruption/brightness"].correct.shape == (5, 12)
    table = pd.read_csv(whole.out_dir / "study.csv")
    assert list(table) == [
        "model", "group", "quantity", "x", "value", "low", "high", "n", "weights",
    ]  # fmt: skip
    keyed = table.set_index(["model", "quantity"])["value"]
    with torch.no_grad():
        named = Network(1)(torch.from_numpy(images().images)).argmax(1).numpy()
    expected = (named == images().labels).mean()
    assert keyed["m1", "clean_accuracy"] == pytest.approx(expected)
    assert {"hybrid", "success", "radial", "corruption/brightness"} <= set(
        table["quantity"]
    )


def test_adversarial_images_are_kept_exactly(whole):
    images_kept = whole.adversarial("m0")
    assert images_kept.shape == (6, 1, 16, 16)
    assert images_kept.dtype == np.float32
    change = np.abs(images_kept - images().images[:6]).max(axis=(1, 2, 3))
    attack = whole.measured[0].attack
    found = attack.success
    assert found.any()
    np.testing.assert_array_equal(change[found].astype(attack.distance.dtype),
                                  attack.distance[found])  # fmt: skip
    with pytest.raises(ValueError, match="model: got 'absent'"):
        whole.adversarial("absent")


def test_a_study_is_read_without_its_models(whole):
    again = studies.load(whole.out_dir)
    assert again.is_complete
    for ours, theirs in zip(whole.measured, again.measured, strict=True):
        assert (ours.name, ours.group) == (theirs.name, theirs.group)
        for key, result in ours.results.items():
            for name, values in vars(result).items():
                read = getattr(theirs.results[key], name)
                np.testing.assert_array_equal(values, read)
    pd.testing.assert_frame_equal(whole.tables["study"], again.tables["study"])
    with pytest.raises(FileNotFoundError, match=r"without study\.json"):
        studies.load(whole.out_dir / "items")


def test_what_changed_is_measured_and_the_rest_is_read(tmp_path):
    assert run(study(1), tmp_path).n_measured == 6
    assert run(study(1), tmp_path).n_measured == 0
    changed = study(1, settings=SETTINGS | {"seeds": [1]})
    assert run(changed, tmp_path).n_measured == 1
    fewer = study(1, measurements=["clean"], settings=SETTINGS | {"n_attack": 2})
    assert run(fewer, tmp_path).n_measured == 0
    assert run(study(2), tmp_path).n_measured == 6
    assert run(study(1), tmp_path, resume=False).n_measured == 6


def test_folded_copies_measure_the_same(tmp_path):
    torch.manual_seed(0)
    convolution = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    convolution[1].running_var.uniform_(0.5, 2.0)
    network = nn.Sequential(convolution, nn.Flatten(), nn.LazyLinear(4)).eval()
    network(torch.zeros(1, 1, 16, 16))
    refusing = Network()
    refusing._refuses = lambda x: x.max() > 2.0  # cannot be traced
    entries = [ModelEntry(network, "m"), ModelEntry(refusing, "refuses")]
    plain = run(Study(images(), entries[:1], settings=SETTINGS), tmp_path)
    folding = SETTINGS | {"fold": True}
    folded = run(Study(images(), entries, settings=folding), tmp_path)
    assert folded.n_measured == 6  # like another model
    (failure,) = folded.failed
    assert failure.model == "refuses"
    assert "cannot be traced" in failure.traceback
    ours, theirs = plain.measured[0], folded.measured[0]
    for key, result in ours.results.items():
        for name in {"distance", "correct", "difference"} & vars(result).keys():
            read = getattr(theirs.results[key], name)
            np.testing.assert_allclose(read, getattr(result, name), rtol=1e-4)


def test_images_that_were_not_kept_are_made_again(tmp_path):
    first = run(study(1, keep_adversarial=False), tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))
    second = run(study(1), tmp_path)
    assert second.n_measured == 2
    pd.testing.assert_frame_equal(first.tables["study"], second.tables["study"])
    paths = list(tmp_path.rglob("*.safetensors"))
    assert sum(len(load_file(path)["adversarial"]) for path in paths) == 6


def test_what_fails_is_written_down_and_the_rest_goes_on(tmp_path, whole):
    bad = study()
    network = bad.models[0].spec
    network._refuses = lambda x: x.requires_grad
    bad.models[1].spec._refuses = None
    part = run(bad, tmp_path)
    assert {(one.model, one.measurement) for one in part.failed} == {("m0", "attack")}
    assert "RuntimeError: refused" in part.failed[0].traceback
    assert not part.missing
    assert "attack" not in part.measured[0].results
    assert "attack" in part.measured[1].results
    record = json.loads(next((tmp_path / "items").glob("*.failed.json")).read_text())
    assert record["measurement"] == "attack"
    assert "refused" in record["traceback"]
    table = studies.status(tmp_path).set_index(["model", "measurement"])
    assert table.loc[("m0", "attack"), "failed"] == 2
    assert table.loc[("m0", "clean"), "done"] == 1
    assert studies.load(tmp_path).failed == part.failed
    network._refuses = None
    assert run(bad, tmp_path).is_complete
    assert not list(tmp_path.rglob("*.failed.json"))
    assert not list(tmp_path.rglob("*.lock"))
    pd.testing.assert_frame_equal(
        studies.load(tmp_path).tables["study"], whole.tables["study"]
    )


def test_one_model_of_a_shared_corruption_fails_alone(tmp_path):
    bad = study(measurements=["corruption"])
    bad.models[1].spec._refuses = lambda x: len(x) == 12
    part = run(bad, tmp_path)
    assert {one.model for one in part.failed} == {"m1"}
    assert len(part.measured[0].results) == 2


def test_a_model_that_cannot_be_loaded_is_written_down(tmp_path):
    models = [*study(1).models, ModelEntry("small_cnn@absent.pt", "lost")]
    both = Study(images(), models, settings=SETTINGS, measurements=["clean"])
    part = run(both, tmp_path)
    assert [(one.model, one.measurement) for one in part.failed] == [
        ("lost", "loading")
    ]
    assert "absent.pt" in part.failed[0].traceback
    assert "clean" in part.measured[0].results
    assert set(studies.status(tmp_path)["measurement"]) == {"clean", "loading"}


def test_tables_tell_random_weights_whatever_the_model_is_called(tmp_path):
    mine = {"spec": "small_cnn@random", "name": "mine"}
    study = Study(
        images(n_classes=8), [mine], settings=SETTINGS, measurements=["clean", "hybrid"]
    )
    found = run(study, tmp_path)
    assert found.measured[0].is_random
    for table in (
        found.tables["study"],
        studies.load(tmp_path).tables["hybrid"],
        pd.read_csv(tmp_path / "study.csv"),
    ):
        assert set(table["weights"]) == {"random"}
        assert set(table["model"]) == {"mine"}


def test_a_spec_without_weights_is_one_model_in_all_processes(tmp_path):
    bare = Study(
        images(n_classes=8),
        ["small_cnn@random"],
        settings=SETTINGS,
        measurements=["clean"],
    )
    torch.manual_seed(1)
    assert run(bare, tmp_path).n_measured == 1
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert run(bare, tmp_path).n_measured == 0
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_batch_size_is_checked_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match="batch_size: got 0, expected at least 1"):
        run(study(), tmp_path / "kept", batch_size=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_said_before_anything_is_made(tmp_path, device):
    with pytest.raises(ValueError, match=f"device: got {device}, expected"):
        run(study(), tmp_path / "kept", device=device)
    with pytest.raises(ValueError, match=f"device: got {device}, expected"):
        nf.training.train(
            nf.training.STANDARD, images(), tmp_path / "run", device=device
        )
    assert not list(tmp_path.iterdir())


def test_ctrl_c_keeps_and_says_what_is_done(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "attack", interrupted)
        part = run(study(), tmp_path)
    assert not part.is_complete
    assert part.missing[:2] == ("m0: attack", "m1: attack")
    assert len(part.measured[0].results) == 2
    assert run(study(), tmp_path).is_complete


def test_a_report_is_a_study_too(tmp_path):
    network = Network()
    options = {name: SETTINGS[name] for name in ("n_attack", "attack_steps", "seeds")}
    nf.report.run(
        {"mine": network}, images(), tmp_path, measurements=["clean", "attack"],
        progress=False, **options,
    )  # fmt: skip
    found = studies.load(tmp_path)
    assert found.is_complete
    assert set(found.measured[0].results) == {"clean", "attack"}


def test_a_model_that_another_process_loaded_stays_in_sight(tmp_path):
    whole = run(study(measurements=["clean"]), tmp_path)
    csv = (tmp_path / "study.csv").read_bytes()
    models = [*study(1).models, ModelEntry("small_cnn@absent.pt", "m1", "adv")]
    options = {"name": "small", "measurements": ["clean"]}
    lost = Study(images(), models, settings=SETTINGS, **options)
    part = run(lost, tmp_path)
    assert [one.model for one in part.failed] == ["m1"]
    found = studies.load(tmp_path)
    assert found.is_complete
    assert [one.group for one in found.measured] == ["base", "adv"]
    assert found.tables["summary"]["value"].equals(whole.tables["summary"]["value"])
    assert (tmp_path / "study.csv").read_bytes() == csv.replace(b"m1,base", b"m1,adv")
    # With other settings, the old plan is not used.
    run(dataclasses.replace(lost, settings=SETTINGS | {"seed": 1}), tmp_path)
    assert [one.model for one in studies.load(tmp_path).failed] == ["m1"]


def test_a_narrower_run_hides_nothing_finished(tmp_path):
    whole = run(study(), tmp_path)
    csv = (tmp_path / "study.csv").read_bytes()
    part = run(study(), tmp_path, measurements=["clean"])
    assert part.is_complete
    assert set(part.measured[0].results) == {"clean"}
    assert (tmp_path / "study.csv").read_bytes() == csv
    table = studies.load(tmp_path).tables["study"]
    pd.testing.assert_frame_equal(table, whole.tables["study"])
    assert studies.status(tmp_path)["done"].sum() == whole.n_measured
    # A measurement that is not finished for all models leaves the plan.
    next((tmp_path / "items").glob("hybrid-*.json")).unlink()
    run(study(), tmp_path, measurements=["clean"])
    assert studies.load(tmp_path).is_complete
    assert "hybrid" not in studies.load(tmp_path).measured[0].results
    assert "attack" in studies.load(tmp_path).measured[0].results


def test_tables_count_what_they_are_made_of(tmp_path, monkeypatch):
    attack = measuring.attack

    def lost(*arguments):
        found = attack(*arguments)
        success = found.success & (np.arange(found.n_images) > 0)
        radial = np.where(success[:, None], found.radial, 0.0)
        return dataclasses.replace(found, success=success, radial=radial)

    monkeypatch.setattr(measuring, "attack", lost)
    settings = SETTINGS | {"corruptions": ["brightness", "speckle_noise"]}
    one = study(1, settings=settings, measurements=["attack", "corruption"])
    found = run(one, tmp_path)
    success = found.measured[0].attack.success
    assert 0 < success.sum() < 6
    assert set(found.tables["radial"]["n"]) == {success.sum()}
    assert set(found.tables["success"]["n"]) == {6}
    # Corruptions outside the paper have rows but do not enter the mean.
    expected = nf.corruption_accuracy(
        one.models[0].spec, images(), corruptions=settings["corruptions"]
    )
    summary = found.tables["summary"].set_index("quantity")["value"]
    assert summary["corruption_accuracy"] == pytest.approx(expected.mean.value)
    both = {"corruption/brightness", "corruption/speckle_noise"}
    assert set(found.tables["corruption"]["quantity"]) == both
    extra = study(1, settings=SETTINGS | {"corruptions": ["speckle_noise"]},
                  measurements=["corruption"])  # fmt: skip
    assert not len(run(extra, tmp_path).tables["summary"])


def test_an_attack_that_prefers_frequencies_is_refused():
    blind = nf.attacks.Boundary("linf", max_queries=20)
    settings = type("Settings", (), {"attack": blind})()
    with pytest.raises(ValueError, match=r"Boundary.* which prefers some frequencies"):
        measuring.attack(None, settings, None, range(2))


def test_examples_of_an_attack_hold_no_other_images(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "ATTACK_PART", 12)
    settings = SETTINGS | {"n_attack": 12}
    found = run(study(1, settings=settings, measurements=["attack"]), tmp_path)
    examples = found.measured[0].attack.adversarial
    assert len(examples) == 6
    assert examples.base is None


def test_an_untargeted_attack_needs_only_one_class(tmp_path):
    settings = {**SETTINGS, "targeted": False, "n_attack": 3}
    alike = images().take(images().labels == 0)
    small = study(1, measurements=["attack"], settings=settings)
    found = run(dataclasses.replace(small, data=alike), tmp_path)
    assert found.failed == ()
    assert (found.measured[0].attack.targets == -1).all()


def test_gray_images_are_made_for_gray_models_alone(monkeypatch):
    def never(_):
        raise AssertionError("made")

    data = images(channels=3)
    monkeypatch.setattr(type(data), "gray", never)
    assert Views(data, "never").images.shape == (12, 3, 16, 16)
