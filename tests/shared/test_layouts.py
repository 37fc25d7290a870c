"""Arrays in any layout: packed records, read-only arrays, and callers' arrays."""

import numpy as np
import pytest
import torch

import neurofreq as nf
from neurofreq import neural, training

RNG = np.random.default_rng(0)


def packed(values):
    """Return the values as a field of packed records, as from ``np.fromfile``."""
    fields = [("name", "u1"), ("value", values.dtype, values.shape[1:])]
    records = np.zeros(len(values), np.dtype(fields))
    records["value"] = values
    field = records["value"]
    assert not field.flags.aligned
    return field


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_packed_fields_are_read_as_they_are(dtype):
    responses = RNG.normal(size=(6, 20)).astype(dtype)
    found = nf.response_similarity(packed(responses))
    np.testing.assert_array_equal(found, nf.response_similarity(responses))
    trials = RNG.normal(size=(5, 7, 6)).astype(dtype)
    np.testing.assert_array_equal(
        nf.reliability(packed(trials)), nf.reliability(trials)
    )
    images = RNG.random((4, 1, 32, 32)).astype(dtype)
    field = packed(images)
    np.testing.assert_array_equal(nf.power_spectrum(field), nf.power_spectrum(images))
    np.testing.assert_array_equal(
        nf.hybrid_images(field, field[::-1], [0.5]),
        nf.hybrid_images(images, images[::-1], [0.5]),
    )
    np.testing.assert_array_equal(
        nf.corrupt(field, "fog", 3, seed=0), nf.corrupt(images, "fog", 3, seed=0)
    )


def test_an_array_one_byte_off_is_read_as_it_is():
    responses = RNG.normal(size=(6, 20))
    buffer = np.zeros(responses.nbytes + 1, np.uint8)
    shifted = np.ndarray(responses.shape, responses.dtype, buffer, offset=1)
    shifted[:] = responses
    found = neural.split_half(np.stack([shifted, shifted + 1.0]), n_splits=2, seed=0)
    expected = neural.split_half(
        np.stack([responses, responses + 1.0]), n_splits=2, seed=0
    )
    np.testing.assert_array_equal(found, expected)


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 3),
    )  # fmt: skip


def frozen(values):
    values = values.copy()
    values.flags.writeable = False
    return values


@pytest.mark.parametrize("layout", [packed, frozen, lambda values: values[::-1][::-1]])
def test_stimuli_may_lie_as_they_like(layout):
    stimuli = RNG.random((12, 1, 8, 8)).astype(np.float32)
    target = nf.response_similarity(RNG.random((12, 30)))
    losses = [
        nf.SimilarityRegularizer(model(), ["1"], target, given).loss().item()
        for given in (stimuli, layout(stimuli))
    ]
    assert losses[0] == losses[1]
    responses = RNG.random((12, 3)).astype(np.float32)
    losses = [
        training.CoTraining(model(), "1", given, stimuli).loss().item()
        for given in (responses, layout(responses))
    ]
    assert losses[0] == losses[1]
    fitted = [nf.models.PCA.fit(given, 3) for given in (stimuli, layout(stimuli))]
    for name, value in fitted[0].state_dict().items():
        torch.testing.assert_close(value, fitted[1].state_dict()[name])
    recipe = training.RECIPES["standard"].replace(
        epochs=1, batch_size=4, precision="float32"
    )
    training.fit(model(), layout(stimuli), layout(np.arange(12) % 3), recipe)


def test_what_the_caller_does_to_his_arrays_afterwards_changes_nothing():
    stimuli = RNG.random((12, 1, 8, 8)).astype(np.float32)
    names = np.array(["a"] * 12)
    responses = RNG.random((12, 3)).astype(np.float32)
    target = nf.response_similarity(responses)
    pull = nf.SimilarityRegularizer(model(), ["1"], target, stimuli).eval()
    both = training.CoTraining(model(), "1", responses, stimuli).eval()
    kept = neural.Responses(responses, image={"name": names})
    before = [pull.loss().item(), both.loss().item()]
    stimuli[:], responses[:], names[:] = 0.0, 0.0, "b"
    assert [pull.loss().item(), both.loss().item()] == before
    assert set(kept.image["name"]) == {"a"}
    assert kept.trials.any()
