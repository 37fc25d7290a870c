"""Studies: what is kept, shared, resumed and recorded, and what a killed one loses."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import cli, studies
from neurofreq.data import ImageSet
from neurofreq.studies import ModelEntry, Study, _measure, _work

SETTINGS = {
    "n_attack": 6,
    "attack_steps": 3,
    "seeds": [0],
    "frequencies": [0.0, 0.3, 1.0],
    "corruptions": ["gaussian_noise", "brightness"],
}
N_KILLS = 6  # of one study; $NEUROFREQ_KILLS in all, by default as many
N_STUDIES = int(os.environ.get("NEUROFREQ_KILLS", N_KILLS)) // N_KILLS


def images(n=12, channels=1, size=16, n_classes=4):
    rng = np.random.default_rng(0)
    pixels = rng.random((n, channels, size, size), dtype=np.float32)
    names = tuple(f"class {index}" for index in range(n_classes))
    return ImageSet(pixels, np.arange(n) % n_classes, names, "random pixels")


class Network(nn.Module):
    """A small network that can be slow, and refuse to work."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(256, 4))
        self.refuses = None

    def forward(self, x):
        time.sleep(float(os.environ.get("SLEEP", "0")))
        if self.refuses is not None and self.refuses(x):
            raise RuntimeError("refused")
        return self.inner(x)


def study(n_models=2, **changes):
    models = [ModelEntry(Network(seed), f"m{seed}", "base") for seed in range(n_models)]
    options = {"settings": SETTINGS, **changes}
    return Study(images(), models, name="small", **options)


def run(one, folder, **options):
    return studies.run(one, folder, progress=False, **options)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(_measure, "ATTACK_PART", 3)
    monkeypatch.setattr(_work, "POLL_SECONDS", 0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_measure, "ATTACK_PART", 3)
        return run(study(), tmp_path_factory.mktemp("whole"))


def test_a_study_holds_what_the_figures_need(whole):
    assert whole.is_complete
    assert whole.n_measured == 2 * (1 + 1 + 2 + 2)
    one = whole.measured[0]
    assert (one.name, one.group) == ("m0", "base")
    assert set(one.arrays) == {
        "clean", "hybrid", "attack", "corruption/gaussian_noise",
        "corruption/brightness",
    }  # fmt: skip
    assert one.arrays["clean"]["correct"].shape == (12,)
    assert one.arrays["hybrid"]["difference"].shape == (12, 3)
    assert one.arrays["attack"]["distance"].shape == (6,)
    assert one.arrays["attack"]["radial"].shape == (6, 25)
    assert one.arrays["corruption/brightness"]["correct"].shape == (5, 12)
    table = pd.read_csv(whole.out_dir / "study.csv")
    assert list(table) == [
        "model", "group", "quantity", "x", "value", "low", "high", "n",
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
    item = whole.measured[0].arrays["attack"]
    found = item["success"]
    assert found.any()
    np.testing.assert_array_equal(change[found].astype(item["distance"].dtype),
                                  item["distance"][found])  # fmt: skip
    with pytest.raises(ValueError, match="model: got 'absent'"):
        whole.adversarial("absent")


def test_a_study_is_read_without_its_models(whole):
    again = studies.load(whole.out_dir)
    assert again.is_complete
    for ours, theirs in zip(whole.measured, again.measured, strict=True):
        assert (ours.name, ours.group) == (theirs.name, theirs.group)
        for key, arrays in ours.arrays.items():
            for name, values in arrays.items():
                np.testing.assert_array_equal(values, theirs.arrays[key][name])
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
    network.refuses = lambda x: x.requires_grad
    bad.models[1].spec.refuses = None
    part = run(bad, tmp_path)
    assert {(one.model, one.measurement) for one in part.failed} == {("m0", "attack")}
    assert "RuntimeError: refused" in part.failed[0].traceback
    assert not part.missing
    assert "attack" not in part.measured[0].arrays
    assert "attack" in part.measured[1].arrays
    record = json.loads(next((tmp_path / "items").glob("*.failed.json")).read_text())
    assert record["measurement"] == "attack"
    assert "refused" in record["traceback"]
    table = studies.status(tmp_path).set_index(["model", "measurement"])
    assert table.loc[("m0", "attack"), "failed"] == 2
    assert table.loc[("m0", "clean"), "done"] == 1
    assert studies.load(tmp_path).failed == part.failed
    network.refuses = None
    assert run(bad, tmp_path).is_complete
    assert not list(tmp_path.rglob("*.failed.json"))
    assert not list(tmp_path.rglob("*.lock"))
    pd.testing.assert_frame_equal(
        studies.load(tmp_path).tables["study"], whole.tables["study"]
    )


def test_one_model_of_a_shared_corruption_fails_alone(tmp_path):
    bad = study(measurements=["corruption"])
    bad.models[1].spec.refuses = lambda x: len(x) == 12
    part = run(bad, tmp_path)
    assert {one.model for one in part.failed} == {"m1"}
    assert len(part.measured[0].arrays) == 2


def test_a_model_that_cannot_be_loaded_is_written_down(tmp_path):
    models = [*study(1).models, ModelEntry("small_cnn@absent.pt", "lost")]
    both = Study(images(), models, settings=SETTINGS, measurements=["clean"])
    part = run(both, tmp_path)
    assert [(one.model, one.measurement) for one in part.failed] == [
        ("lost", "loading")
    ]
    assert "absent.pt" in part.failed[0].traceback
    assert "clean" in part.measured[0].arrays
    assert set(studies.status(tmp_path)["measurement"]) == {"clean", "loading"}


def test_ctrl_c_keeps_and_says_what_is_done(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_measure, "attack", interrupted)
        part = run(study(), tmp_path)
    assert not part.is_complete
    assert part.missing[:2] == ("m0: attack", "m1: attack")
    assert len(part.measured[0].arrays) == 2
    assert run(study(), tmp_path).is_complete


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": []}, "spec: got key 'modles'.*nearest is 'models'"),
        ({"data": None}, "data: got None, expected a string"),
        ({"models": []}, "models: got none"),
        ({"models": "a"}, "models: got 'a', expected a list"),
        ({"models": [{"name": "a"}]}, r"models\[0\]: got no key 'spec'"),
        ({"models": [{"spec": "a", "groop": "b"}]}, "groop.*nearest is 'group'"),
        ({"models": [{"spec": "a", "group": 3}]}, "models.group: got 3, expected a st"),
        ({"models": [{"spec": 3}]}, "models: got int for '', expected an nn.Module"),
        ({"models": ["a", "a=b"]}, "models: got 'a' twice"),
        ({"models": ["a@"]}, "model: got 'a@'"),
        ({"models": [Network()]}, "models.name: got none"),
        ({"measurements": ["hybird"]}, "measurements: got hybird.*'hybrid'"),
        ({"n_images": 0}, "n_images: got 0"),
        ({"settings": {"n_atack": 3}}, "settings: got key 'n_atack'.*'n_attack'"),
        ({"settings": {"n_attack": "3"}}, "settings.n_attack: got str"),
        ({"settings": {"seeds": 3}}, "settings.seeds: got 3, expected a list"),
        ({"settings": {"targeted": 1}}, "settings.targeted: got 1, expected true or"),
        ({"settings": {"frequencies": ["a"]}}, "settings.frequencies: got 'a', expe"),
        ({"keep_adversarial": 1}, "keep_adversarial: got 1"),
    ],
)
def test_what_is_wrong_in_a_spec_is_named(changes, message):
    spec = {"data": "synthetic", "models": ["small_cnn"], **changes}
    with pytest.raises((TypeError, ValueError), match=message):
        studies.read(spec)


def test_settings_are_checked_before_any_work(tmp_path):
    for settings, message in (
        ({"n_attack": 13}, "n_attack: got 13, expected 1 to 12"),
        ({"corruptions": ["fogg"]}, "nearest is 'fog'"),
    ):
        with pytest.raises(ValueError, match=message):
            run(study(settings=settings), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"spec: got .*absent.toml"):
        run(tmp_path / "absent.toml", tmp_path)


SPEC = """
name = "zoo"
data = "synthetic"
n_images = 16
measurements = ["clean", "hybrid"]

[settings]
frequencies = [0.0, 1]
seeds = [0]

[[models]]
spec = "small_cnn"
group = "base"

[[models]]
name = "blurred"
spec = "small_cnn,blur=1.5"
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


# --- several processes -------------------------------------------------------


def work(out, log, environment):
    """Run the study in a process of its own, and say what it kept."""
    torch.set_num_threads(1)
    os.environ.update(environment)
    _measure.ATTACK_PART = 3
    _work.POLL_SECONDS = 0.01
    keep = _work.Work._keep

    def say(line):
        with open(log, "a") as file:
            file.write(f"{line}\n")

    def kept(self, item, arrays):
        keep(self, item, arrays)
        say(f"kept {item} {item.rows}")

    _work.Work._keep = kept
    found = run(study(), out)
    say("complete" if found.is_complete else "incomplete")


@pytest.fixture(scope="module")
def processes():
    """Start processes from one that has imported everything and used no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_studies"])
    here = os.path.dirname(__file__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", here, prepend=os.pathsep)
        first = context.Process(target=os.getpid)
        first.start()
        first.join()
    return context


def started(context, out, logs, environments):
    """Return processes at work on the study."""
    workers = [
        context.Process(target=work, args=(out, log, environment))
        for log, environment in zip(logs, environments, strict=True)
    ]
    for one in workers:
        one.start()
    return workers


@pytest.mark.parametrize("is_ranked", [False, True])
def test_two_processes_never_do_the_same_item(tmp_path, whole, processes, is_ranked):
    ranks = [{"RANK": str(r), "WORLD_SIZE": "2"} if is_ranked else {} for r in range(2)]
    logs = [tmp_path / f"{r}.log" for r in range(2)]
    slow = [rank | {"SLEEP": "0.01"} for rank in ranks]
    for one in started(processes, tmp_path / "out", logs, slow):
        one.join(60)
    lines = [log.read_text().splitlines() for log in logs]
    assert [one[-1] for one in lines] == ["complete", "complete"]
    kept = [[line for line in one if line.startswith("kept")] for one in lines]
    assert all(kept), "both had something to do"
    together = kept[0] + kept[1]
    assert len(together) == len(set(together)) == whole.n_measured
    if is_ranked:
        assert "m0: clean" in kept[0][0]
        assert "m0: clean" not in kept[1][0]
    table = (tmp_path / "out" / "study.csv").read_bytes()
    assert table == (whole.out_dir / "study.csv").read_bytes()


@pytest.mark.parametrize("seed", range(N_STUDIES))
def test_a_study_killed_at_any_moment_loses_nothing_finished(
    tmp_path, whole, processes, seed
):
    out, moments = tmp_path / "out", random.Random(seed)
    finished: dict[str, bytes] = {}
    log = tmp_path / "log"
    log.touch()
    for _ in range(N_KILLS):
        (one,) = started(processes, out, [log], [{"SLEEP": "0.02"}])
        time.sleep(moments.uniform(0.0, 0.8))
        one.kill()
        one.join()
        now = {path.stem: path for path in (out / "items").glob("*.json")}
        for stem, path in now.items():
            json.loads(path.read_text())
            with np.load(path.with_suffix(".npz")) as archive:
                assert all(archive[name] is not None for name in archive)
            content = path.with_suffix(".npz").read_bytes()
            assert finished.setdefault(stem, content) == content, "measured again"
        assert set(finished) == set(now), "what was finished is still there"
    kept = [line for line in log.read_text().splitlines() if line[:4] == "kept"]
    before = len(finished)
    assert len(kept) == len(set(kept)), "nothing was measured twice"
    assert before - N_KILLS <= len(kept) <= before
    last = run(study(), out)
    assert last.is_complete
    assert last.n_measured == whole.n_measured - before
    assert not list((out / "items").glob(".*"))
    assert not list(out.rglob("*.lock"))
    table = (out / "study.csv").read_bytes()
    assert table == (whole.out_dir / "study.csv").read_bytes()


def die_writing(out):
    """Be killed while the first item is half written."""

    def half(file, **_):
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    np.savez_compressed = half
    run(study(), out)


def test_what_is_half_written_does_not_count(tmp_path, whole, processes):
    one = processes.Process(target=die_writing, args=(tmp_path,))
    one.start()
    one.join(60)
    assert one.exitcode == -signal.SIGKILL
    assert list((tmp_path / "items").glob(".*.part"))
    assert not list((tmp_path / "items").glob("*.json"))
    assert set(studies.status(tmp_path)["running"]) == {0}, "nobody holds a claim"
    assert run(study(), tmp_path).n_measured == whole.n_measured
    assert not list((tmp_path / "items").glob(".*"))


def test_what_another_finished_while_it_was_claimed_is_read(
    tmp_path, whole, monkeypatch
):
    claim = _work.claim

    def late(path):
        shutil.copytree(whole.out_dir / "items", path.parent, dirs_exist_ok=True)
        return claim(path)

    monkeypatch.setattr(_work, "claim", late)
    assert run(study(), tmp_path).n_measured == 0
    assert not list(tmp_path.rglob("*.lock"))


def test_a_report_is_a_study_too(tmp_path):
    network = Network()
    options = {name: SETTINGS[name] for name in ("n_attack", "attack_steps", "seeds")}
    nf.report.run(
        {"mine": network}, images(), tmp_path, measurements=["clean", "attack"],
        progress=False, **options,
    )  # fmt: skip
    found = studies.load(tmp_path)
    assert found.is_complete
    assert set(found.measured[0].arrays) == {"clean", "attack"}
