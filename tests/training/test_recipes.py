"""Recipes and the training loop: resumed runs, schedules, curves, bad input."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.training import network, problem, regularizer
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

import neurofreq as nf
from neurofreq import training
from neurofreq.training import MONKEY, MOUSE, Recipe, _schedule

FAST = Recipe(epochs=4, batch_size=16, lr=0.05, alpha=2.0, validation=0.2)


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def run(folder=None, recipe=FAST, stop_after=None, **keywords):
    """Train a new network; stop with an exception after `stop_after` epochs."""
    images, labels = problem()
    model = network()
    pull = regularizer(model, images, all_pairs=True)

    def callback(row):
        if row["epoch"] == stop_after:
            raise KeyboardInterrupt

    history = None
    with contextlib.suppress(KeyboardInterrupt):
        history = training.fit(
            model, images, labels, recipe, regularizer=pull, folder=folder,
            callback=callback, augment=training.shift_and_flip, **keywords,
        )  # fmt: skip
    return model, pull, history


@pytest.mark.parametrize(
    "recipe",
    [
        FAST,
        FAST.replace(validation=0.0),
        FAST.replace(precision="bfloat16", channels_last=True),
        FAST.replace(schedule="plateau", patience=1, epochs=6, monitor="accuracy"),
        FAST.replace(joint=True, weight_decay=1e-3, decay_all=False, nesterov=True),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_numbers(recipe, tmp_path):
    whole, pull, history = run(tmp_path / "whole", recipe)
    for epoch in (1, 3):
        run(tmp_path / "parts", recipe, stop_after=epoch)
    parts, pull_parts, history_parts = run(tmp_path / "parts", recipe)
    assert history_parts == history
    for name, value in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], value), name
    for name, value in pull.state_dict().items():
        assert torch.equal(pull_parts.state_dict()[name], value), name
    files = {path.name for path in (tmp_path / "parts").iterdir()}
    assert files == {
        "settings.json", "last.safetensors", "best.safetensors", "curves.csv",
        "curves.png",
    }  # fmt: skip
    for name in ("best.safetensors", "curves.csv", "curves.png"):
        parts_bytes = (tmp_path / "parts" / name).read_bytes()
        assert parts_bytes == (tmp_path / "whole" / name).read_bytes()


def test_a_folder_changes_no_number(tmp_path):
    _, _, kept = run(tmp_path)
    _, _, loose = run()
    assert kept == loose


def test_a_killed_run_resumes(tmp_path):
    longer = FAST.replace(epochs=8)
    code = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_recipes import FAST, run
        run({str(tmp_path / "parts")!r}, FAST.replace(epochs=8))
    """)
    child = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "parts/last.safetensors").exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    parts, _, history = run(tmp_path / "parts", longer)
    whole, _, expected = run(None, longer)
    assert history == expected
    for name, value in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], value), name


def test_the_best_state_is_kept_and_saved(tmp_path):
    model, _, history = run(tmp_path, FAST.replace(lr=0.5, epochs=8))
    best = min(history, key=lambda row: row["validation_loss"])
    assert best is not history[-1]
    images, labels = problem()
    held = torch.randperm(60, generator=torch.Generator().manual_seed(0))[:12]
    with torch.no_grad():
        loss = cross_entropy(model.eval()(images[held]), labels[held])
    assert loss.item() == pytest.approx(best["validation_loss"], rel=1e-5)
    fresh = network()
    fresh.load_state_dict(load_file(tmp_path / "best.safetensors"))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(fresh.state_dict()[name], value, rtol=0, atol=0)


def test_another_run_in_the_folder_is_refused(tmp_path):
    run(tmp_path, stop_after=1)
    with pytest.raises(ValueError, match=r"holds a run with lr 0\.05, this one has 0"):
        run(tmp_path, FAST.replace(lr=0.1))
    with pytest.raises(ValueError, match="holds a run with seed 0, this one has 1"):
        run(tmp_path, seed=1)
    images, labels = problem()
    with pytest.raises(ValueError, match="holds a run with data"):
        training.fit(network(), images[:50], labels[:50], FAST, folder=tmp_path)
    with pytest.raises(ValueError, match="holds a run with regularizer"):
        training.fit(network(), images, labels, FAST, folder=tmp_path)
    model = network()
    pull = regularizer(model, images, all_pairs=True)
    with pytest.raises(ValueError, match="a run with augment function"):
        training.fit(model, images, labels, FAST, regularizer=pull, folder=tmp_path)
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["target"] == regularizer(network(), images).target
    assert Recipe.from_dict(
        {name: settings[name] for name in FAST.as_dict()}
    ) == FAST.replace(layers="auto")


def test_a_damaged_state_is_named_and_left(tmp_path):
    run(tmp_path, stop_after=1)
    (tmp_path / "last.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"last\.safetensors is damaged"):
        run(tmp_path)
    assert (tmp_path / "last.safetensors").read_bytes() == b"torn"


def test_a_loss_that_turns_nan_keeps_the_last_good_epoch(tmp_path):
    images, labels = problem()
    model = network()
    pull = regularizer(model, images, all_pairs=True)

    def poison(row):
        if row["epoch"] == 2:
            with torch.no_grad():
                model[0].weight[0, 0, 0, 0] = np.nan

    with pytest.raises(nf.ModelError, match=r"layer '0' at step 6"):
        training.fit(
            model, images, labels, FAST, regularizer=pull, folder=tmp_path,
            callback=poison,
        )  # fmt: skip
    assert pd.read_csv(tmp_path / "curves.csv")["epoch"].tolist() == [1, 2]
    fresh = network()
    fresh.load_state_dict(load_file(tmp_path / "best.safetensors"))
    assert all(torch.isfinite(p).all() for p in fresh.parameters())


def test_the_published_schedules():
    rates = [_schedule.rate(MOUSE, 0, epoch, 782) for epoch in range(40)]
    cycle = np.repeat(0.1 * 0.3 ** np.arange(5), 4)
    np.testing.assert_allclose(rates, np.tile(cycle, 2))
    assert MONKEY.schedule == "plateau"
    progress = _schedule.Progress()
    scores = [0.1, 0.3] + [0.2] * 5 + [0.4] + [0.3] * 5
    falls = []
    for epoch, score in enumerate(scores, 1):
        if not progress.note(epoch, score) and progress.falls_now(MONKEY.patience):
            falls.append(epoch)
    assert falls == [7, 13]
    assert progress.best_epoch == 8


def test_a_plateau_ends_the_run_from_the_best_weights(tmp_path):
    recipe = FAST.replace(
        schedule="plateau", patience=1, n_phases=2, epochs=60, lr=1e-9, alpha=0.0,
        monitor="accuracy",
    )  # fmt: skip
    _, _, history = run(tmp_path, recipe)
    assert len(history) <= 10
    assert history[-1]["lr"] == pytest.approx(1e-9 * 0.3**2)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 500), st.integers(1, 40))
def test_a_triangle_stays_between_zero_and_its_peak(steps, epochs):
    recipe = Recipe(epochs=epochs, lr=0.3)
    rates = [
        _schedule.rate(recipe, step, 0, steps) for step in range(epochs * steps)
    ]  # fmt: skip
    assert min(rates) > 0.0
    assert max(rates) <= 0.3 * (1 + 1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs: got 0, expected at least 1"),
        ({"batch_size": -3}, "batch_size: got -3"),
        ({"lr": 0.0}, "lr: got 0.0, expected above 0"),
        ({"momentum": 1.0}, r"momentum: got 1.0, expected in \[0, 1\)"),
        ({"factor": 1.0}, "factor: got 1.0"),
        ({"alpha": np.nan}, "alpha: got nan"),
        ({"weight_decay": -1.0}, "weight_decay: got -1.0"),
        ({"schedule": "linear"}, "schedule: got 'linear', expected one of 'triangle'"),
        ({"augment": "cutout"}, "augment: got 'cutout'"),
        ({"precision": "float16"}, "precision: got 'float16'"),
        ({"schedule": "plateau"}, "validation: got 0, expected a fraction"),
        ({"learning_rate": 0.1}, "unknown setting 'learning_rate'; did you mean"),
        ({"epoch": 1}, "did you mean 'epochs'"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe().replace(**change)


def test_nothing_left_to_train_on_is_refused():
    images, labels = problem(n=3)
    with pytest.raises(ValueError, match="leaves no image to train"):
        training.fit(network(), images, labels, Recipe(validation=0.9))


def test_fast_keeps_the_published_rest():
    fast = MOUSE.fast(epochs=5)
    assert (fast.epochs, fast.batch_size, fast.all_pairs) == (5, 128, True)
    assert (fast.alpha, fast.lr, fast.augment) == (MOUSE.alpha, MOUSE.lr, MOUSE.augment)
    assert fast.network == "resnet18_gray,base_width=16"
    assert Recipe.from_dict(json.loads(json.dumps(fast.as_dict()))) == fast
