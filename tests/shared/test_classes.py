"""A model needs enough outputs for the classes, and more accuracy than guessing."""

import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import neurofreq as nf
from neurofreq._shared.networks import classes
from neurofreq.data import CorruptedFolder, ImageSet

NAMES = ("ant", "bee", "cat", "dog")


class Reads(nn.Module):
    """Predict the class that the first pixel encodes, shifted by some places."""

    def __init__(self, n_outputs=4, shift=0):
        super().__init__()
        self.n_outputs, self.shift = n_outputs, shift
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images):
        said = (images[:, 0, 0, 0] * 255).round().long() // 10 + self.shift
        logits = nn.functional.one_hot(said % self.n_outputs, self.n_outputs)
        return logits * self.weight + 0 * images.mean()


def said(n=60, names=NAMES):
    """Images whose first pixel encodes the label."""
    labels = np.arange(n) % 4
    images = np.full((n, 3, 16, 16), 90, np.uint8)
    images[:, :, 0, 0] = 10 * labels[:, None]
    return ImageSet(images, labels, names, "said")


FEW = {"corruptions": ["brightness"], "severities": [1]}


@pytest.mark.parametrize("n", [50, 80, 1000, 50_000])
@pytest.mark.parametrize("chance", [0.001, 0.1, 0.5])
def test_the_bound_of_guessing_is_the_binomial_quantile(n, chance):
    expected = stats.binom.ppf(0.975, n, chance)
    assert classes.most_guessed(n, chance) == expected


def test_one_of_eighty_photographs_is_guessing():
    correct = np.arange(80) < 1
    with pytest.warns(UserWarning, match=r"accuracy 1.2 % of 80 images of 'a' is that"):
        classes.tell_guessing(correct, 1000, "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classes.tell_guessing(np.arange(80) < 8, 1000, "a")
        classes.tell_guessing(np.arange(49) < 0, 1000, "a")


@pytest.mark.parametrize("n_outputs", [5, 1000])
def test_more_outputs_than_classes_are_told(n_outputs):
    message = rf"got {n_outputs} outputs of 'model' for data of 4 classes, .*class_nam"
    with pytest.warns(UserWarning, match=message):
        nf.corruption_accuracy(Reads(n_outputs), said(8), **FEW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nf.corruption_accuracy(Reads(n_outputs), said(8, ()), **FEW)
        nf.corruption_accuracy(Reads(4), said(8), **FEW)


def test_fewer_outputs_than_classes_are_told():
    names = (*NAMES, "eel", "fox")
    with pytest.warns(
        UserWarning, match="got 4 outputs of 'model' for data of 6 class"
    ):
        nf.corruption_accuracy(Reads(), said(8, names), **FEW)


def test_labels_in_another_order_are_told(tmp_path):
    whole = said()
    with pytest.warns(UserWarning, match="accuracy 0.0 % of 60 images of 'model' is"):
        found = nf.corruption_accuracy(Reads(shift=1), whole, out=tmp_path, **FEW)
    assert found.clean.mean() == 0
    with pytest.warns(UserWarning, match="guessing among 4 classes"):  # stored
        nf.corruption_accuracy(Reads(shift=1), whole, out=tmp_path, **FEW)
    with pytest.warns(UserWarning, match="guessing among 4 classes"):
        nf.corruption_accuracy(Reads(shift=1), whole.images, whole.labels, **FEW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = nf.corruption_accuracy(Reads(), whole, **FEW)
    assert right.clean.mean() == 1


def test_a_folder_without_clean_images_is_told_by_its_best_cell(tmp_path):
    whole = said()
    np.save(tmp_path / "labels", np.tile(whole.labels, 5))
    np.save(tmp_path / "fog", np.tile(whole.images.transpose(0, 2, 3, 1), (5, 1, 1, 1)))
    folder = CorruptedFolder(tmp_path, classes=NAMES)
    with pytest.warns(UserWarning, match="guessing among 4 classes"):
        nf.corruption_accuracy(Reads(shift=2), folder)


SMALL = {
    "n_attack": 1, "attack_steps": 1, "n_hybrid": 4, "n_corruption": 4,
    "measurements": ["clean"],
}  # fmt: skip


def test_studies_and_reports_tell_the_same(tmp_path):
    whole = said().load()
    for _ in range(2):  # first measured, then read
        with pytest.warns(UserWarning, match="of 'mine' is that of guessing among 4"):
            nf.report.run({"mine": Reads(shift=1)}, whole, tmp_path / "a", **SMALL)
    with pytest.warns(UserWarning, match="got 9 outputs of 'mine' for data of 4 class"):
        nf.report.run({"mine": Reads(9)}, whole, tmp_path / "b", **SMALL)
    with pytest.raises(
        ValueError, match=r"got 3 classes from 'mine', .* at least 4 to"
    ):
        nf.report.run({"mine": Reads(3)}, whole, tmp_path / "c", **SMALL)
