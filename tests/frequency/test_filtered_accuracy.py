"""Accuracy for filtered images, with models whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neurofreq as nf
from neurofreq import frequency

SIDE = 16
WAVE = np.cos(2 * np.pi * 4 / SIDE * np.arange(SIDE))  # 0.25 cycles/pixel


class Matched(torch.nn.Module):
    """Class 1 if a grating has a positive amplitude, else class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("wave", torch.tensor(WAVE, dtype=torch.float64))

    def forward(self, images):
        found = (images.double() * self.wave).mean(dim=(1, 2, 3)) - 1e-6
        return torch.stack([-found, found], dim=1)


def gratings(n: int = 40, dtype=np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Return gratings, three quarters of them with a positive amplitude."""
    labels = (np.arange(n) % 4 > 0).astype(np.int64)
    sign = np.where(labels, 1.0, -1.0)[:, None, None, None]
    images = 0.5 + 0.2 * sign * np.broadcast_to(WAVE, (1, 1, SIDE, SIDE))
    return images.astype(dtype), labels


def test_accuracy_falls_where_the_grating_is_removed():
    images, labels = gratings()
    found = nf.filtered_accuracy(
        Matched(), images, labels, kind="ideal",
        filters={"low-pass": [0.125, 0.2, 0.25, 0.5], "high-pass": [0.1, 0.24, 0.25]},
    )  # fmt: skip
    accuracy = found.correct.mean(axis=0)
    np.testing.assert_array_equal(accuracy, [0.25, 0.25, 1, 1, 1, 1, 0.25])
    assert found.clean.all()
    low = found.half("low-pass").estimate().value  # from 0.25 at 0.2 to 1 at 0.25
    assert low == pytest.approx(0.2 * (0.25 / 0.2) ** (1 / 3))
    high = found.half("high-pass").estimate()
    assert high.value == pytest.approx(0.24 * (0.25 / 0.24) ** (2 / 3))
    assert high.low <= high.value <= high.high


def test_phase_noise_turns_the_sign_of_the_grating():
    images, labels = gratings(400)
    found = nf.filtered_accuracy(
        Matched(), images, labels, filters={"phase-noise": [0, 90, 180]}, seed=2
    )
    accuracy = found.correct.mean(axis=0)
    assert accuracy[0] == accuracy[1] == 1.0  # cos of up to 90 degrees is positive
    assert abs(accuracy[2] - 0.5) < 0.1  # the sign is random
    assert 90 < found.half("phase-noise").estimate().value <= 180


def test_the_images_are_those_of_the_functions():
    images = np.random.default_rng(0).random((6, 3, 12, 10))
    seen = []

    def model(x):
        seen.append(x.clone())
        return torch.zeros(len(x), 2) + torch.tensor([1.0, 0.0])

    filters = {"low-pass": [3], "high-pass": [2], "phase-noise": [60.0]}
    nf.filtered_accuracy(
        model, images, np.zeros(6, int), filters=filters, batch_size=4, seed=7,
        unit="cycles/image", kind="butterworth", order=3,
    )  # fmt: skip
    settings = {"unit": "cycles/image", "kind": "butterworth", "order": 3}
    expected = [
        images,
        frequency.low_pass(images, 3, **settings),
        frequency.high_pass(images, 2, **settings),
        frequency.phase_noise(images, 60, seed=7),
    ]
    parts = seen[-8:]
    for k, one in enumerate(expected):
        whole = torch.cat([parts[k], parts[4 + k]])
        np.testing.assert_allclose(whole, np.clip(one, 0, 1), atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_split_into_batches_does_not_matter(batch_size):
    data = nf.data.load_data("synthetic", n=24)
    model = nf.models.load_model("zoo:gray-mouse")
    whole = nf.filtered_accuracy(model, data.images, data.labels)
    split = nf.filtered_accuracy(
        model, torch.from_numpy(data.images), data.labels, batch_size=batch_size
    )
    np.testing.assert_array_equal(whole.correct, split.correct)
    np.testing.assert_array_equal(whole.values, split.values)


def test_results_show_themselves():
    images, labels = gratings()
    found = nf.filtered_accuracy(Matched(), images, labels)
    assert found.names == ("low-pass", "high-pass", "phase-noise")
    table = found.to_frame()
    assert len(table) == 25
    assert (table["low"] <= table["accuracy"]).all()
    assert "low-pass at half" in repr(found)
    assert "<table>" in found._repr_html_()
    for name in found.names:
        axes = found.plot(filter=name)
        line = axes.get_lines()[0]
        np.testing.assert_allclose(line.get_xdata(), found.curve(name).x)
    with pytest.raises(ValueError, match="filter: got 'notch', expected one of"):
        found.curve("notch")


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([], "filters: got none"),
        (["blur"], "filters: got 'blur', expected one of"),
        ({"low-pass": [0.2, 0.1]}, "filters: got .* for low-pass, expected ascending"),
        ({"low-pass": [0.0, 0.1]}, "filters: low-pass: got 0.0, expected above 0"),
        ({"high-pass": [0.8]}, "filters: high-pass: got 0.8"),
        ({"phase-noise": [0, 190]}, "filters: phase-noise: got 190.0, expected 0 to"),
        ({"low-pass": 0.1}, "filters: got .* for low-pass"),
    ],
)
def test_bad_filters_are_named(filters, message):
    images, labels = gratings(4)
    with pytest.raises(ValueError, match=message):
        nf.filtered_accuracy(Matched(), images, labels, filters=filters)
