"""Responses in containers with names are read by the names, or refused."""

import numpy as np
import pandas as pd
import pytest
import torch

import neurofreq as nf
from neurofreq import neural

TRIALS = np.random.default_rng(0).poisson(4.0, (6, 20, 5)) * 1.0  # (T, N, K)
MEANS = TRIALS.mean(axis=0)


def wide():
    """Rows (image, trial) in random order, with one column per neuron."""
    rows = pd.MultiIndex.from_product(
        [range(6), range(20)], names=["repetition", "image"]
    )
    frame = pd.DataFrame(TRIALS.reshape(120, 5), index=rows)
    return frame.sample(frac=1.0, random_state=1)


def long():
    trial, image, neuron = (axis.ravel() for axis in np.indices(TRIALS.shape))
    return pd.DataFrame(
        {"trial": trial, "image": image, "neuron": neuron, "response": TRIALS.ravel()}
    ).sample(frac=1.0, random_state=0)


def transposed():
    frame = wide()
    frame.columns.name = "unit"
    return frame.T


def neurons_and_trials_in_columns():
    columns = pd.MultiIndex.from_product(
        [range(5), range(6)], names=["neuron", "trial"]
    )
    values = TRIALS.transpose(1, 2, 0).reshape(20, 30)
    return pd.DataFrame(
        values, columns=columns, index=pd.Index(range(20), name="image")
    )


FRAMES = {
    "wide": wide,
    "transposed": transposed,
    "neurons and trials in columns": neurons_and_trials_in_columns,
    "series": lambda: long().set_index(["neuron", "trial", "image"])["response"],
    "unstacked": lambda: (
        long().set_index(["image", "trial", "neuron"])["response"].unstack("neuron")
    ),
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_frames_are_read_by_the_names_of_their_levels(make):
    responses = neural.Responses(make())
    np.testing.assert_array_equal(responses.trials, TRIALS)
    assert responses.images.tolist() == list(range(20))
    np.testing.assert_allclose(nf.reliability(make()), nf.reliability(TRIALS))
    np.testing.assert_array_equal(
        neural.split_half(make(), n_splits=3), neural.split_half(TRIALS, n_splits=3)
    )


def test_rows_of_one_image_are_its_trials_where_no_level_numbers_them():
    frame = pd.DataFrame(
        TRIALS.reshape(120, 5),
        index=pd.Index(np.tile(range(20), 6), name="stimulus_id"),
    )
    responses = neural.Responses(frame)
    np.testing.assert_array_equal(responses.trials, TRIALS)
    uneven = neural.Responses(frame.iloc[:-3])
    assert uneven.n_trials == 6
    assert np.isnan(uneven.trials[5, 17:]).all()
    assert repr(uneven).startswith("Responses(5 to 6 trials, 20 images, 5 neurons")


def test_a_frame_of_means_needs_no_names():
    frame = pd.DataFrame(MEANS, columns=list("abcde"))
    responses = neural.Responses(frame)
    assert responses.trials.shape == (1, 20, 5)
    assert responses.neuron["neuron"].tolist() == list("abcde")
    assert responses.images is None
    shuffled = frame.sample(frac=1.0, random_state=0)
    again = neural.Responses(shuffled)
    np.testing.assert_array_equal(again.mean(), shuffled.to_numpy())
    assert again.images.tolist() == shuffled.index.tolist()
    np.testing.assert_array_equal(
        nf.response_similarity(frame), nf.response_similarity(MEANS)
    )
    np.testing.assert_array_equal(
        nf.response_similarity(frame.rename_axis("cell", axis=1).T),
        nf.response_similarity(MEANS),
    )


def test_levels_beside_image_and_neuron_become_descriptors():
    columns = pd.MultiIndex.from_arrays(
        [["V1"] * 3 + ["V2"] * 2, [7, 8, 9, 1, 2]], names=["region", "unit"]
    )
    rows = pd.MultiIndex.from_arrays(
        [np.repeat(["b", "a"], 6), ["x"] * 6 + ["y"] * 6, range(12)],
        names=["image", "movie", "second"],
    )
    responses = neural.Responses(
        pd.DataFrame(TRIALS[0, :12], index=rows, columns=columns)
    )
    assert responses.neuron["region"].tolist() == ["V1"] * 3 + ["V2"] * 2
    assert responses.neuron["unit"].tolist() == [7, 8, 9, 1, 2]
    assert {key: of.tolist() for key, of in responses.image.items()} == {
        "image": ["b", "a"],
        "movie": ["x", "y"],
    }


def test_tensors_are_read_whatever_they_require():
    tensor = torch.tensor(TRIALS, requires_grad=True)
    np.testing.assert_array_equal(neural.Responses(tensor).trials, TRIALS)
    np.testing.assert_array_equal(nf.reliability(tensor), nf.reliability(TRIALS))
    half = torch.tensor(TRIALS).to(torch.bfloat16)
    np.testing.assert_array_equal(neural.Responses(half).trials, TRIALS)


@pytest.mark.skipif(
    not hasattr(torch.Tensor, "refine_names"), reason="this torch names no axes"
)
@pytest.mark.filterwarnings("ignore:Named tensors:UserWarning")
def test_tensors_with_names_are_read_by_these_names():
    named = torch.tensor(TRIALS).refine_names("trial", "image", "neuron")
    named = named.align_to("neuron", "trial", "image")
    np.testing.assert_array_equal(neural.Responses(named).trials, TRIALS)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: wide().rename_axis([None, "image"]), ValueError, "a level without a"),
        (
            lambda: wide().rename_axis(["trial", "day"]),
            ValueError,
            "got axes and labels",
        ),
        (
            lambda: wide().rename_axis(["cell", "image"]),
            ValueError,
            "neurons along 'index' and",
        ),
        (lambda: wide().rename_axis("trial", axis=1), ValueError, "trials along 'in"),
        (
            lambda: wide().reset_index(),
            ValueError,
            r"columns \['repetition', 'image'\]",
        ),
        (lambda: wide().rename_axis("day", axis=1), ValueError, "got 'columns' of len"),
        (long, ValueError, "or a long table for Responses.from_frame"),
        (lambda: pd.concat([wide(), wide()]), ValueError, "two rows of one trial, ima"),
        (
            pd.DataFrame,
            ValueError,
            r"trials: got shape \(0, 0\), expected no empty axis",
        ),
        (lambda: pd.DataFrame(MEANS, index=[0] * 20), ValueError, "got 0 twice in an"),
        (lambda: wide().astype(str), TypeError, "trials: got str, expected real num"),
        (lambda: wide() > 3, TypeError, "trials: got dtype bool, expected real"),
        (lambda: wide().astype(complex), TypeError, "trials: got dtype complex128"),
        (lambda: [pd.DataFrame(MEANS)] * 3, TypeError, "a sequence of DataFrame"),
        (lambda: [[1.0, 2.0], [1.0]], ValueError, "trials: got sequences of unequal"),
    ],
)
def test_containers_that_leave_something_open_are_refused(make, error, message):
    for read in (neural.Responses, nf.reliability, neural.split_half):
        with pytest.raises(error, match=message):
            read(make())


def test_means_are_one_response_of_every_neuron():
    with pytest.raises(
        ValueError, match=r"responses: got shape \(6, 20, 5\), expected"
    ):
        nf.response_similarity(wide())
    with pytest.raises(ValueError, match=r"\(N, K\); average over trials"):
        nf.response_similarity(neural.Responses(TRIALS))


def test_recordings_of_xarray_are_read_by_dimension():
    xr = pytest.importorskip("xarray", reason="needs xarray, an optional package")
    names = [f"im{k}" for k in range(20)]
    array = xr.DataArray(
        TRIALS.transpose(2, 1, 0),
        dims=("neuroid", "stimulus", "repetition"),
        coords={"stimulus": names, "region": ("neuroid", ["V1"] * 2 + ["V2"] * 3)},
    )
    responses = neural.Responses(array)
    np.testing.assert_array_equal(responses.trials, TRIALS)
    assert responses.images.tolist() == names
    assert responses.neuron["region"].tolist() == ["V1"] * 2 + ["V2"] * 3
    np.testing.assert_allclose(nf.reliability(array), nf.reliability(TRIALS))
    np.testing.assert_array_equal(
        nf.response_similarity(array.mean("repetition")),
        nf.response_similarity(TRIALS.mean(axis=0)),
    )
    index = array.assign_coords(stimulus=range(20)).isel(stimulus=slice(None, None, -1))
    np.testing.assert_array_equal(neural.Responses(index).trials, TRIALS)


def assembly(xr, n_bins=1):
    """Presentations (in random order) x neuroids x time bins, as in brain-score."""
    order = np.random.default_rng(2).permutation(120)
    trial, image = order // 20, order % 20
    values = np.repeat(TRIALS[trial, image][..., None], n_bins, axis=2)
    array = xr.DataArray(
        values,
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "image_id": ("presentation", image),
            "repetition": ("presentation", trial),
            "object_name": ("presentation", np.array(["cat", "dog"])[image % 2]),
            "neuroid_id": ("neuroid", list("vwxyz")),
            "region": ("neuroid", ["IT"] * 5),
            "time_bin_start": ("time_bin", np.arange(n_bins)),
        },
    )
    return array.set_index(
        presentation=["image_id", "repetition", "object_name"],
        neuroid=["neuroid_id", "region"],
    )


def test_presentations_by_neuroids_are_read_by_their_coordinates():
    xr = pytest.importorskip("xarray", reason="needs xarray, an optional package")
    responses = neural.Responses(assembly(xr))
    np.testing.assert_array_equal(responses.trials, TRIALS)
    assert responses.images.tolist() == list(range(20))
    assert responses.image["object_name"].tolist() == ["cat", "dog"] * 10
    assert responses.neuron["neuroid_id"].tolist() == list("vwxyz")
    for array, message in (
        (assembly(xr, 2), "got 'time_bin' of length 2, expected length 1"),
        (xr.DataArray(TRIALS), "got 'dim_0' of length 6, expected"),
        (
            xr.DataArray(TRIALS[0], dims=("presentation", "neuroid")),
            "got axes and labels",
        ),
        (
            xr.DataArray(TRIALS, dims=("image", "stimulus", "unit")),
            "images along 'image' and 'stimulus'",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            neural.Responses(array)
    with pytest.raises(TypeError, match="trials: got Dataset of xarray"):
        neural.Responses(xr.Dataset({"a": xr.DataArray(TRIALS)}))
