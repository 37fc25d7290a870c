"""Fourier sensitivity, checked against inverse FFT, closed forms and brute force."""

import decimal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import neurofreq as nf
from neurofreq.frequency._sensitivity import _opposite, _signs, fourier_basis


class Detector(nn.Module):
    """Predict class 1 if the amplitude of one frequency is above a threshold."""

    def __init__(self, wave, threshold):
        super().__init__()
        self.register_buffer("wave", wave.float())
        self.threshold = threshold

    def forward(self, images):
        """Return two logits."""
        strength = (images.mean(1) * self.wave).sum((1, 2)).abs() - self.threshold
        return torch.stack([-strength, strength], 1)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 9), width=st.integers(1, 9), data=st.data())
def test_the_basis_is_that_of_the_inverse_transform(height, width, data):
    row = data.draw(st.integers(0, height - 1))
    column = data.draw(st.integers(0, width - 1))
    spectrum = np.zeros((height, width), complex)
    spectrum[row, column] += 1.0
    spectrum[_opposite(row, height), _opposite(column, width)] += 1.0
    expected = np.fft.ifft2(np.fft.ifftshift(spectrum)).real
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(
        fourier_basis(height, width, row, column).numpy(), expected, atol=1e-12
    )


def test_only_the_frequency_a_model_looks_at_makes_it_err():
    height, width, row, column = 6, 7, 1, 5
    model = Detector(fourier_basis(height, width, row, column), 0.5)
    images = np.full((5, 1, height, width), 0.5, np.float32)
    found = nf.fourier_sensitivity(model, images, np.zeros(5, int), norm=1.0)
    expected = np.zeros((height, width))
    expected[row, column] = 1.0
    expected[_opposite(row, height), _opposite(column, width)] = 1.0
    np.testing.assert_array_equal(found.error_rate, expected)
    assert found.clean_error_rate == 0.0


def test_it_is_what_a_plain_loop_gives():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(9, 3, 4, 5, generator=generator)
    labels = torch.arange(9) % 4
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(60, 4)).eval()
    found = nf.fourier_sensitivity(model, images, labels, norm=6.0, seed=3)
    signs = _signs(9, 3, 3)
    for row in range(4):
        for column in range(5):
            wrong = 0
            for index in range(9):
                wave = 6.0 * fourier_basis(4, 5, row, column)
                moved = (images[index] + signs[index] * wave).clamp(0, 1).float()
                wrong += int(model(moved[None]).argmax() != labels[index])
            assert found.error_rate[row, column] == wrong / 9


def test_batches_change_nothing_and_seeds_do():
    images = torch.rand(20, 1, 5, 5, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(20) % 3
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(25, 3)).train()
    first = nf.fourier_sensitivity(model, images, labels)
    assert model.training
    parts = nf.fourier_sensitivity(model, images.numpy(), labels, batch_size=7)
    np.testing.assert_array_equal(first.error_rate, parts.error_rate)
    other = nf.fourier_sensitivity(model, images, labels, seed=1)
    assert (other.error_rate != first.error_rate).any()
    np.testing.assert_array_equal(_signs(9, 2, 0), _signs(20, 2, 0)[:9])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": 0.0}, "norm: got 0.0, expected above 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"device": "gpu"}, "device: got gpu, expected cpu"),
        ({"labels": [0, 1]}, "labels"),
        ({"images": np.full((3, 1, 4, 4), 2.0)}, "images"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"images": np.zeros((3, 1, 4, 4)), "labels": [0, 1, 0]} | changes
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ValueError, match=message):
        nf.fourier_sensitivity(model, **arguments)
    with pytest.raises(TypeError, match="model: got NoneType, expected a callable"):
        nf.fourier_sensitivity(None, np.zeros((3, 1, 4, 4)), [0, 1, 0])
    with pytest.raises(nf.ModelError, match="got 2 classes, expected at least 4"):
        nf.fourier_sensitivity(model, np.zeros((3, 1, 4, 4), np.float32), [3] * 3)
    with pytest.raises(ValueError, match="row: got 4, expected 0 to 3"):
        fourier_basis(4, 4, 4, 0)


NOT_WHOLE = (
    None, "3", b"3", 3.0, 2.5, float("nan"), 3 + 0j, True, np.True_, np.float64(3.0),
    [3], np.array([3]), np.array([1, 2]), np.ma.masked, np.datetime64(3, "s"),
    decimal.Decimal(3), torch.tensor(3.0), torch.tensor(3, device="meta"),
)  # fmt: skip
TOO_SMALL_OR_LARGE = (-1, 2**63, np.uint64(2**64 - 1), 10**30, 10**5000)


@pytest.mark.parametrize("name", ["height", "width", "row", "column"])
def test_bad_arguments_of_the_basis_are_named(name):
    good = {"height": 8, "width": 8, "row": 2, "column": 3}
    fourier_basis(**good)
    zero = (0,) if name in ("height", "width") else ()
    for error, values in (
        (TypeError, NOT_WHOLE),
        (ValueError, TOO_SMALL_OR_LARGE + zero),
    ):
        for value in values:
            with pytest.raises(error, match=f"^{name}: ") as caught:
                fourier_basis(**good | {name: value})
            assert len(str(caught.value)) < 500
            assert "\n" not in str(caught.value)


def octave_of(height, width):
    """Return the octave of each frequency of a map, from the definition."""
    fy, fx = (np.fft.fftshift(np.fft.fftfreq(side)) for side in (height, width))
    radii = np.hypot(fy[:, None], fx)
    found = np.full(radii.shape, -1)
    for k in range(int(np.log2(min(height, width)))):
        center = 0.5 / 2**k
        inside = (radii > center / 2**0.5 * (1 + 1e-9)) & (
            radii <= center * 2**0.5 * (1 + 1e-9)
        )
        found[inside] = int(np.log2(min(height, width))) - 1 - k
    return found


def flat_network(height, width, n_classes=3):
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(height * width, n_classes)).eval()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 9), (2, 2), (5, 3)])
def test_octaves_average_the_pairs_of_the_map(height, width):
    images = torch.rand(7, 1, height, width, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(7) % 3
    found = nf.fourier_sensitivity(
        flat_network(height, width), images, labels, batch_size=3
    )
    octaves = octave_of(height, width)
    assert found.errors.shape == (7, len(found.frequency)) == (7, octaves.max() + 1)
    for one, error in enumerate(found.errors.mean(axis=0)):
        pairs = [
            found.error_rate[row, column]
            for row, column in np.argwhere(octaves == one)
            if (row, column) <= (_opposite(row, height), _opposite(column, width))
        ]
        assert error == pytest.approx(np.mean(pairs))
    curve = found.curve()
    np.testing.assert_allclose(curve.y, found.errors.mean(axis=0))
    assert (curve.low <= curve.y).all()


def test_some_frequencies_are_those_of_the_whole_map():
    images = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    labels, model = torch.arange(5) % 3, flat_network(16, 16)
    whole = nf.fourier_sensitivity(model, images, labels, norm=1.0)
    some = nf.fourier_sensitivity(model, images, labels, norm=1.0, per_octave=3)
    measured = np.isfinite(some.error_rate)
    np.testing.assert_array_equal(some.error_rate[measured], whole.error_rate[measured])
    octaves = octave_of(16, 16)
    for one in range(4):
        n_pairs = sum(
            (row, column) <= (_opposite(row, 16), _opposite(column, 16))
            for row, column in np.argwhere(measured & (octaves == one))
        )
        assert n_pairs == 3
    assert measured[8, 8]  # the mean
    mirrored = measured[(16 - np.arange(16)) % 16][:, (16 - np.arange(16)) % 16]
    np.testing.assert_array_equal(measured, mirrored)
    assert "nan" not in repr(some)
    other = nf.fourier_sensitivity(model, images, labels, per_octave=3, seed=1)
    assert not np.array_equal(measured, np.isfinite(other.error_rate))
    most = nf.fourier_sensitivity(model, images, labels, norm=1.0, per_octave=999)
    np.testing.assert_array_equal(most.error_rate, whole.error_rate)
    np.testing.assert_array_equal(most.errors, whole.errors)


def test_an_image_without_an_octave_has_no_curve():
    images, labels = np.full((2, 1, 1, 8), 0.5), np.array([0, 1])
    found = nf.fourier_sensitivity(lambda x: x.flatten(1)[:, :2], images, labels)
    with pytest.raises(ValueError, match="got 1 x 8 pixels, expected at least 2 x 2"):
        found.curve()
