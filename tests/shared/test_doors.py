"""The checks of `validate`: the values that they take, return and refuse.

`tests/hostile` tests every public function; these tests define the rules.
"""

import numpy as np
import pandas as pd
import pytest
import torch

import neurofreq as nf
from neurofreq import attacks, training
from neurofreq._shared.inputs import validate

RNG = np.random.default_rng(0)
STATE = RNG.bit_generator.state


def images(*shape):
    return RNG.random(shape, dtype=np.float32)


@pytest.mark.parametrize(
    "three",
    [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3), np.array(3, ">i2")],
)
def test_integers_of_numpy_and_torch_become_pythons(three):
    for found in (
        validate.integer("n", three),
        validate.count("n", three),
        validate.seed(three),
        attacks.PGD(steps=three).steps,
        training.Recipe(epochs=three).epochs,
    ):
        assert type(found) is int
        assert found == 3


@pytest.mark.parametrize(
    "half", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5), np.longdouble(0.5)]
)
def test_numbers_of_numpy_and_torch_become_pythons(half):
    for found in (
        validate.number("x", half),
        training.Recipe(lr=half).lr,
        attacks.BrendelBethge(decay=half).decay,
        training.Adversary(epsilon=half).epsilon,
    ):
        assert type(found) is float
        assert found == 0.5


def test_only_true_and_false_are_flags():
    assert validate.flag("progress", np.True_) is True
    assert validate.flag("progress", np.array(False)) is False
    for value in ("False", 0, 1.0, None, [], np.array([True])):
        with pytest.raises(TypeError, match=r"progress: got .*, expected True or"):
            validate.flag("progress", value)


@pytest.mark.parametrize("name", ["trajectory", "deterministic", "channels_last"])
def test_a_word_does_not_switch_a_flag_on(name):
    attack, labels = attacks.PGD(steps=1), [0, 1]
    with pytest.raises(TypeError, match=f"{name}: got 'False', expected True or False"):
        attack(lambda x: x.flatten(1), images(2, 1, 4, 4), labels, **{name: "False"})


def test_a_count_that_overflows_is_refused_and_printed_short():
    with pytest.raises(ValueError, match=r"n: got 9223372036854775808, .* at most"):
        validate.count("n", 2**63)
    with pytest.raises(ValueError, match="n: got an integer of too many digits"):
        validate.count("n", 10**5000)
    with pytest.raises(ValueError, match="seed: got an integer of too many digits"):
        validate.seed(10**5000)


@pytest.mark.parametrize(
    "shape",
    [
        (2, 3, 32, 3),
        (2, 1, 32, 1),
        (2, 8, 3, 3),
        (2, 512, 1, 1),
        (2, 4, 16, 16),
        (1, 2, 9, 1),
    ],
)
def test_channels_first_is_told_from_channels_last(shape):
    assert validate.images(images(*shape)).shape == shape


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 20, 32, 1), (2, 5, 9, 3)])
def test_channels_last_is_refused_alike_by_all(shape):
    value, text = images(*shape), "move the channels to the second axis"
    model = nf.models.small_cnn(in_channels=3)
    labels, target = [0, 1], np.eye(2)
    for call in (
        lambda: nf.power_spectrum(value),
        lambda: nf.power_spectrum(torch.from_numpy(value)),
        lambda: nf.SpectrumAccumulator(*shape[2:]).update(value),
        lambda: nf.hybrid_images(value, value, 0.3),
        lambda: nf.hybrid_curve(model, value, labels),
        lambda: nf.fourier_sensitivity(model, value, labels),
        lambda: nf.corruption_accuracy(model, value, labels),
        lambda: attacks.PGD()(model, value, labels),
        lambda: attacks.evaluate(attacks.PGD(), model, [(value, labels)]),
        lambda: attacks.perturbation_size(value, value),
        lambda: training.fit(model, value, labels),
        lambda: nf.SimilarityRegularizer(model, ["network.stage1"], target, value),
        lambda: nf.models.PCA.fit(value, 1),
        lambda: nf.neural.simulate_v1(value),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_images_come_out_plain_and_share_memory_where_they_can():
    value = images(2, 3, 8, 8)
    assert validate.images(value) is value
    swapped = validate.images(value.astype(">f4"))
    assert swapped.dtype.isnative
    np.testing.assert_array_equal(swapped, value)
    parameter = torch.nn.Parameter(torch.from_numpy(value))
    assert validate.images(parameter) is parameter
    tv_tensors = pytest.importorskip("torchvision.tv_tensors")
    shown = validate.images(tv_tensors.Image(torch.from_numpy(value)))
    assert type(shown) is torch.Tensor


def test_big_endian_images_have_the_spectrum_of_native_ones():
    value = images(4, 3, 16, 16)
    expected = nf.power_spectrum(value)
    np.testing.assert_array_equal(nf.power_spectrum(value.astype(">f4")), expected)


@pytest.mark.parametrize(
    ("value", "low", "high"), [(-1e-9, "-1e-09", "0"), (1 + 2**-23, "1", "1.00000011")]
)
def test_values_barely_out_of_range_are_shown_so(value, low, high):
    batch = np.full((1, 1, 2, 2), value, np.float32)
    with pytest.raises(ValueError, match=r"images: got values in \[") as caught:
        validate.images(batch, unit_range=True)
    assert "[0, 1], expected" not in str(caught.value)
    assert (low if value < 0 else high) in str(caught.value)


def test_minus_zero_and_the_smallest_numbers_are_in_range():
    batch = np.array([-0.0, 0.0, 1e-45, 1.0], np.float32).reshape(1, 1, 2, 2)
    assert validate.images(batch, unit_range=True) is batch


@pytest.mark.parametrize(
    "truth",
    [
        [2, 0, 1],
        (2, 0, 1),
        np.array([2, 0, 1], np.uint64),
        torch.tensor([2, 0, 1], dtype=torch.uint8),
        pd.Series([2, 0, 1], index=[9, 8, 7]),
        pd.Series([2, 0, 1], dtype="Int64"),
        pd.Categorical([2, 0, 1]),
        np.array([2, 0, 1], object),
    ],
)
def test_labels_are_read_by_position(truth):
    found = validate.labels(truth, count=3)
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("truth", "error"),
    [
        (np.array([0, 2**63], np.uint64), ValueError),
        (np.array([0, 2**64 - 1], np.uint64), ValueError),
        ([0, 2**80], ValueError),
        ([0.0, 1.0], TypeError),
        ([False, True], TypeError),
        (pd.Series([0, None], dtype="Int64"), TypeError),
        (np.ma.masked_equal([0, 1], 1), TypeError),
    ],
)
def test_labels_that_would_be_changed_are_refused(truth, error):
    with pytest.raises(error, match="labels: got"):
        validate.labels(truth)


def test_complex_and_masked_numbers_are_refused_where_floats_are_read():
    for call in (
        lambda value: nf.response_similarity(value),
        lambda value: nf.intervals.resampled_means(value),
        lambda value: nf.intervals.percentile_interval(value),
        lambda value: nf.radial_profile(value),
        lambda value: nf.neural.threshold_similarity(value),
        lambda value: attacks.success_curve(value[0], [0.1]),
        lambda value: attacks.success_curve([0.1], value[0]),
    ):
        for value in (np.eye(3) + 0j, np.ma.masked_equal(np.eye(3), 0.0)):
            with pytest.raises((TypeError, ValueError), match=r"complex|masked"):
                call(value)


def test_missing_numbers_of_pandas_are_nan_and_bools_are_numbers():
    found = validate.real(pd.Series([0.5, None], dtype="Float64"), "values")
    np.testing.assert_array_equal(found, [0.5, np.nan])
    assert validate.real([True, False], "values").tolist() == [1.0, 0.0]


def test_a_class_is_no_model():
    with pytest.raises(TypeError, match="model: got the class Flatten"):
        attacks.PGD()(torch.nn.Flatten, images(1, 1, 4, 4), [0])


def batches(form):
    shown, truth = images(6, 1, 8, 8), np.arange(6) % 3
    parts = [slice(0, 4), slice(4, 6)]
    return [form(shown[part], truth[part], np.arange(6)[part]) for part in parts]


@pytest.mark.parametrize(
    "form",
    [
        lambda shown, truth, index: [shown, truth],
        lambda shown, truth, index: (shown, truth, index),
        lambda shown, truth, index: {"image": shown, "label": truth, "index": index},
        lambda shown, truth, index: {"pixel_values": shown, "labels": truth},
        lambda shown, truth, index: {"images": shown, "labels": truth},
    ],
)
def test_evaluate_takes_batches_as_loaders_give_them(form):
    RNG.bit_generator.state = STATE
    expected = batches(lambda shown, truth, index: (shown, truth))
    RNG.bit_generator.state = STATE
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    attack = attacks.PGD(steps=2)
    pd.testing.assert_frame_equal(
        attacks.evaluate(attack, model, batches(form)),
        attacks.evaluate(attack, model, expected),
    )


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        ({"image": 1, "images": 2, "label": 3}, ValueError, "expected one of 'images'"),
        ({"image": 1}, ValueError, "expected one of 'labels', 'label'"),
        ((1, 2, 3, 4), TypeError, "a mapping"),
        (images(1, 1, 4, 4), TypeError, "a mapping"),
    ],
)
def test_evaluate_says_what_is_wrong_with_a_batch(batch, error, text):
    with pytest.raises(error, match=f"loader: got .*{text}"):
        attacks.evaluate(attacks.PGD(), lambda x: x.flatten(1), [batch])
