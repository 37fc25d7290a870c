"""Accuracy under corruptions: a plain loop as oracle, means, resuming, bad input."""

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
from helpers.accuracy import PAPER, Counting, clean
from helpers.files import opened_images
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import neurofreq as nf
from neurofreq import data
from neurofreq.corruptions import grid
from neurofreq.corruptions.grouping import group_of

# Images of the trials of a model: two for its channels, twice three, and one alone.
TRIED = 2 + 3 + 3 + 1


def expected(model, whole, name, severity, seed=0, gray=False):
    """Return which images are classified correctly, by a plain implementation."""
    images = nf.corrupt(whole.images, name, severity, seed=seed, layout="nchw")
    images = torch.from_numpy(images / np.float32(255))
    if gray:
        images = torch.einsum("nchw,c->nhw", images, torch.tensor(data.LUMA))[:, None]
    with torch.no_grad():
        return (model.eval()(images).argmax(1).numpy() == whole.labels).astype(float)


def test_every_cell_is_what_a_plain_loop_finds():
    model, whole = Counting(), clean()
    found = nf.corruption_accuracy(model, whole, seed=5, batch_size=7)
    assert found.corruptions == PAPER
    assert found.correct.shape == (len(PAPER), 5, 20)
    for row, name in enumerate(PAPER):
        for severity in (1, 2, 3, 4, 5):
            right = expected(model, whole, name, severity, seed=5)
            np.testing.assert_array_equal(found.correct[row, severity - 1], right)
    table = found.cells
    assert len(table) == 1 + 5 * len(PAPER)
    assert table["accuracy"][0] == found.clean.mean()
    np.testing.assert_allclose(table["accuracy"][1:], found.correct.mean(2).ravel())
    assert set(table["n"]) == {20}
    assert table["group"].tolist() == ["clean"] + [
        group_of(name) for name in PAPER for _ in range(5)
    ]


def test_the_model_is_left_as_found():
    model = Counting().train()
    model.layers[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    nf.corruption_accuracy(model, clean(), corruptions=["contrast"])
    assert model.training
    assert not model.layers[2].training
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_gray_model_sees_the_luma_of_corrupted_colours():
    gray, colour, whole = Counting(1), Counting(3, seed=1), clean()
    both = nf.corruption_accuracy({"a": gray, "b": colour}, whole, severities=[2, 4])
    assert list(both) == ["a", "b"]
    for column, severity in enumerate((2, 4)):
        for row, name in enumerate(PAPER):
            right = expected(gray, whole, name, severity, gray=True)
            np.testing.assert_array_equal(both["a"].correct[row, column], right)
            right = expected(colour, whole, name, severity)
            np.testing.assert_array_equal(both["b"].correct[row, column], right)
    alone = nf.corruption_accuracy(gray, whole, severities=[2, 4])
    np.testing.assert_array_equal(alone.correct, both["a"].correct)


class OwnLuma(nn.Module):
    """Convert color to gray inside the network."""

    def forward(self, images):
        weights = torch.tensor(data.LUMA).view(1, 3, 1, 1)
        return (images * weights).sum(1, keepdim=True)


def test_what_the_first_layer_says_decides_only_which_images_are_tried():
    whole, few = clean(), {"corruptions": ["fog"], "severities": [3]}
    own = nn.Sequential(OwnLuma(), Counting(1)).eval()
    as_gray = nf.corruption_accuracy(own[1], whole, **few)
    for gray in ("auto", False):
        found = nf.corruption_accuracy(own, whole, gray=gray, **few)
        np.testing.assert_array_equal(found.correct, as_gray.correct)
    finer = nn.Sequential(nn.PixelUnshuffle(2), Counting(12)).eval()
    finer[1].layers[4] = nn.Linear(64, 3)
    right = expected(finer, whole, "fog", 3)
    for gray in ("auto", False):
        found = nf.corruption_accuracy(finer, whole, gray=gray, **few)
        np.testing.assert_array_equal(found.correct[0, 0], right)
    ours = nf.models.resnet20()  # the normalization would broadcast a gray image
    with pytest.raises(ValueError, match="images of 3 channels, expected 1"):
        nf.corruption_accuracy(ours, whole.gray(), **few)
    with pytest.raises(ValueError, match=r"of 12 channels, expected 1 .*got 4"):
        nf.corruption_accuracy(finer, whole, gray=True, **few)


def test_batches_threads_and_parts_change_nothing(monkeypatch):
    model, whole = Counting(1), clean(30)
    one = nf.corruption_accuracy(model, whole, batch_size=30)
    before = nf.num_threads()
    try:
        nf.set_num_threads(1)
        many = nf.corruption_accuracy(model, whole, batch_size=4)
    finally:
        nf.set_num_threads(before)
    np.testing.assert_array_equal(one.correct, many.correct)
    monkeypatch.setattr(grid, "_PART_IMAGES", 11)
    parts = nf.corruption_accuracy(model, whole)
    np.testing.assert_array_equal(one.correct, parts.correct)
    np.testing.assert_array_equal(one.clean, parts.clean)


@pytest.mark.parametrize("layout", ["arrays", "files"])
def test_a_written_folder_measures_as_on_the_fly(tmp_path, layout):
    model, whole = Counting(), clean()
    direct = nf.corruption_accuracy(model, whole, seed=2)
    folder = data.write_corrupted(whole, tmp_path, seed=2, layout=layout)
    read = nf.corruption_accuracy(model, tmp_path, clean=whole)
    assert set(read.corruptions) == set(direct.corruptions)
    np.testing.assert_array_equal(read.clean, direct.clean)
    if layout == "arrays":
        order = [read.corruptions.index(name) for name in direct.corruptions]
        np.testing.assert_array_equal(read.correct[order], direct.correct)
    again = nf.corruption_accuracy(model, folder)
    assert again.clean is None
    assert again.by_severity["severity"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(read.correct, again.correct)


def test_arrays_tensors_and_sets_agree():
    model, whole = Counting(), clean()
    floats = whole.load()
    by_set = nf.corruption_accuracy(model, floats)
    by_array = nf.corruption_accuracy(model, floats.images, floats.labels)
    tensors = torch.from_numpy(floats.images), torch.from_numpy(floats.labels)
    by_tensor = nf.corruption_accuracy(model, *tensors)
    np.testing.assert_array_equal(by_set.correct, by_array.correct)
    np.testing.assert_array_equal(by_set.correct, by_tensor.correct)


def test_a_file_is_decoded_once_for_all_its_cells(tmp_path, monkeypatch):
    data.write_corrupted(clean(), tmp_path, layout="files", names=["contrast"])
    files = data.open_folder(tmp_path / "contrast" / "1")
    expected = nf.corruption_accuracy(Counting(), files.load().images, files.labels)
    names = opened_images(monkeypatch)
    monkeypatch.setattr(grid, "_PART_IMAGES", 9)
    found = nf.corruption_accuracy(Counting(), files)
    assert len(set(names)) == 20
    assert len(names) == 2 + 20  # two images for the trial of the model
    np.testing.assert_array_equal(found.clean, expected.clean)


def result(correct, names=("gaussian_noise", "contrast"), **keywords):
    severities = tuple(range(1, correct.shape[1] + 1))
    return nf.CorruptionAccuracy(tuple(names), severities, correct, **keywords)


def test_means_are_over_the_cells_they_name():
    correct = np.zeros((3, 5, 10), dtype=bool)
    correct[0] = True  # gaussian_noise: high
    correct[1, :2] = True  # contrast: low
    correct[2] = True  # outside the paper's groups
    names = ("gaussian_noise", "contrast", "none_of_them")
    found = result(correct, names, clean=np.arange(10) < 9)
    assert found.mean.value == pytest.approx(0.7)
    assert (found.mean.low, found.mean.high) == pytest.approx((0.7, 0.7))
    groups = found.by_group.set_index("group")["accuracy"]
    assert groups.to_dict() == pytest.approx({"low": 0.4, "high": 1.0})
    severities = found.by_severity["accuracy"].tolist()
    assert severities == pytest.approx([0.9, 1.0, 1.0, 0.5, 0.5, 0.5])
    each = found.by_corruption.set_index("corruption")["accuracy"]
    assert each["none_of_them"] == pytest.approx(1.0)
    assert found.cells["group"].iloc[-1] == "extra"
    assert "mean" in str(found)
    extra = result(correct[2:], names[2:])
    assert np.isnan(extra.mean.value)
    assert extra.by_group.empty


def test_images_are_drawn_with_all_their_cells():
    # If the cells agree on every image, their mean varies like a single cell.
    right = np.random.default_rng(0).random(400) < 0.5
    together = result(np.broadcast_to(right, (2, 5, 400)))
    one = together.cells.iloc[0]
    assert together.mean.low == pytest.approx(one["low"])
    assert together.mean.high == pytest.approx(one["high"])
    # If half of the cells disagree on every image, their mean is constant.
    apart = np.stack([np.tile(right, (5, 1)), np.tile(~right, (5, 1))])
    assert result(apart).mean.low == pytest.approx(0.5)
    sd = (one["high"] - one["low"]) / (2 * 1.96)
    assert sd == pytest.approx(0.5 / np.sqrt(400), rel=0.1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_the_mean_of_group_means_weighted_by_size_is_the_mean(seed, n):
    correct = np.random.default_rng(seed).random((len(PAPER), 5, n)) < 0.6
    found = result(correct, PAPER)
    sizes = [sum(group_of(x) == g for x in PAPER) for g in found.by_group["group"]]
    mean = np.average(found.by_group["accuracy"], weights=sizes)
    assert found.mean.value == pytest.approx(mean)
    assert found.mean.value == pytest.approx(correct.mean())
    assert found.by_severity["accuracy"].mean() == pytest.approx(mean)
    low, high = found.mean.low, found.mean.high
    assert low - 1e-12 <= found.mean.value <= high + 1e-12


def test_finished_cells_are_read_again(tmp_path):
    model, whole = Counting(), clean()
    options = {"out": tmp_path, "severities": [1, 5]}
    first = nf.corruption_accuracy(model, whole, **options)
    n_cells = 1 + 2 * len(PAPER)
    n_first = model._n_images
    again = nf.corruption_accuracy(model, whole, batch_size=3, **options)
    n_known = model._n_images - n_first  # two, and the probe images
    assert n_known < 100
    n_tried = n_known + TRIED - 2
    assert n_first == n_cells * 20 + n_tried
    pd.testing.assert_frame_equal(first.cells, again.cells)
    nf.corruption_accuracy(model, whole, seed=1, **options)
    n_asked = n_first + n_known + (n_cells - 1) * 20 + n_tried  # clean has no seed
    assert model._n_images == n_asked
    with torch.no_grad():
        model.layers[4].bias[0] += 0.5
    nf.corruption_accuracy(model, whole, **options)
    assert model._n_images == n_asked + n_cells * 20 + n_tried


def test_an_interrupted_run_goes_on(tmp_path):
    class Stopping(Counting):
        is_stopped = False

        def forward(self, images):
            if not self.is_stopped and len(list(tmp_path.glob("*.json"))) == 5:
                self.is_stopped = True
                raise KeyboardInterrupt
            return super().forward(images)

    model, whole = Stopping(), clean()
    with pytest.raises(KeyboardInterrupt):
        nf.corruption_accuracy(model, whole, out=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 5
    n_cells = len(list(tmp_path.glob("*.json")))
    before = model._n_images
    found = nf.corruption_accuracy(model, whole, out=tmp_path)
    assert (model._n_images - before) // 20 - (1 + 5 * len(PAPER) - n_cells) < 5
    plain = nf.corruption_accuracy(Counting(), whole)
    np.testing.assert_array_equal(found.correct, plain.correct)


@pytest.mark.filterwarnings("ignore:model. accuracy .* of guessing:UserWarning")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_is_gone_soon_and_resumes(tmp_path, sent):
    script = textwrap.dedent(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import neurofreq as nf
        from helpers.accuracy import Counting, PAPER, clean
        how = dict(corruptions=PAPER[:3], out=sys.argv[2], batch_size=9)
        nf.corruption_accuracy(Counting(), clean(4000), **how)
        """
    )
    arguments = [sys.executable, "-c", script, os.path.dirname(__file__), str(tmp_path)]
    child = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    while len(list(tmp_path.glob("*.json"))) < 2 and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(sent)
    _, errors = child.communicate(timeout=20)
    assert child.returncode != 0
    if sent == signal.SIGINT:
        assert errors.strip().endswith("KeyboardInterrupt")
    n_kept = len(list(tmp_path.glob("*.json")))
    assert 2 <= n_kept < 16
    model, whole = Counting(), clean(4000)
    found = nf.corruption_accuracy(model, whole, corruptions=PAPER[:3], out=tmp_path)
    assert model._n_images // 4000 == 16 - n_kept
    right = expected(model, whole, PAPER[0], 1)
    np.testing.assert_array_equal(found.correct[0, 0], right)


class Failing(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, images):
        if isinstance(self.value, Exception):
            raise self.value
        return torch.full((len(images), 3), self.value)


def test_what_a_model_does_wrong_is_said(tmp_path):
    with pytest.raises(RuntimeError, match="out of memory"):
        nf.corruption_accuracy(Failing(RuntimeError("out of memory")), clean())
    with pytest.raises(nf.ModelError, match="NaN or infinite logits for 20 of 20"):
        nf.corruption_accuracy(Failing(float("nan")), clean())
    with pytest.raises(nf.ModelError, match="got 2 classes from 'model', expected at"):
        nf.corruption_accuracy(Counting(n_classes=2), clean())
    with pytest.raises(TypeError, match="model: got function"):
        nf.corruption_accuracy(lambda x: x.mean((2, 3)), clean(), out=tmp_path)


def test_a_damaged_file_ends_the_run_and_keeps_what_is_done(tmp_path):
    whole = clean()
    data.write_corrupted(whole, tmp_path / "c", layout="files", names=["contrast"])
    (tmp_path / "c" / "contrast" / "3" / "bee" / "01.JPEG").write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"01.JPEG is no complete image"):
        nf.corruption_accuracy(Counting(), tmp_path / "c", out=tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


def not_a_number():
    whole = clean().load()
    whole.images[3, 0, 2, 2] = np.nan  # after the checks of `load`
    return whole


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"images": "nowhere"}, FileNotFoundError, "nowhere is missing"),
        ({"images": [1, 2]}, TypeError, "images: got list"),
        ({"images": clean().images}, ValueError, "labels: got None"),
        ({"labels": [1]}, ValueError, "labels: got some, expected none"),
        (
            {"images": clean().images.transpose(0, 2, 3, 1), "labels": [0] * 20},
            ValueError,
            "move the channels to the second axis",
        ),
        (
            {"images": 2 * clean().load().images, "labels": [0] * 20},
            ValueError,
            r"expected \[0, 1\]",
        ),
        (
            {"images": np.zeros((0, 3, 32, 32), np.uint8), "labels": []},
            ValueError,
            "images: got shape",
        ),
        ({"images": clean().images, "labels": [0]}, ValueError, "labels: got 1, expec"),
        ({"images": not_a_number()}, ValueError, "images: got NaN"),
        ({"clean": clean()}, ValueError, "clean: got some, expected none"),
        ({"corruptions": ["fgo"]}, ValueError, "corruptions: got 'fgo'"),
        ({"corruptions": ["contrast"] * 2}, ValueError, "expected each name once"),
        ({"severities": [0]}, ValueError, r"severities: got \[0\]"),
        ({"severities": []}, ValueError, "severities: got"),
        ({"severities": 3}, ValueError, "severities: got 3, expected some of 1 to 5"),
        ({"corruptions": "fog"}, TypeError, r"got 'fog', expected names, as .'fog'."),
        ({"batch_size": 2.5}, TypeError, "batch_size: got float, expected an integer"),
        ({"device": "gpu"}, ValueError, "device: got gpu, expected cpu, cuda or cuda"),
        ({"device": "cuda:99"}, ValueError, "device: got cuda:99, expected one that"),
        ({"images": [1], "labels": [1]}, TypeError, "images: got list"),
        ({"model": [Counting()]}, TypeError, "model: got list, expected a callable"),
        ({"model": clean(), "images": Counting()}, TypeError, "model: got ImageSet"),
        ({"seed": -1}, ValueError, "seed: got -1"),
        ({"parameters": "mnist"}, ValueError, "parameters: got 'mnist'"),
        ({"gray": "maybe"}, ValueError, "gray: got 'maybe'"),
        ({"gray": True}, ValueError, "images of 3 channels, expected 1"),
        ({"model": Counting(4)}, ValueError, "images of 4 channels, expected 3"),
        ({"model": 3}, TypeError, "model: got int, expected a callable"),
        ({"batch_size": 0}, ValueError, "batch_size: got 0"),
        ({"level": 1.0}, ValueError, "level: got 1.0"),
    ],
)
def test_bad_input_is_said_before_any_work(changes, error, message):
    model = Counting()
    arguments = {"model": model, "images": clean()} | changes
    with pytest.raises(error, match=message):
        nf.corruption_accuracy(**arguments)
    assert model._n_images in (0, 2)  # two images are tried if the channels differ
