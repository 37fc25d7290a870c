"""All forms of missing trials count as missing, and other types are refused."""

import numpy as np
import pandas as pd
import pytest
import torch

import neurofreq as nf
from neurofreq import neural

COUNTS = np.random.default_rng(0).poisson(5.0, (6, 8, 5))
NAN = COUNTS.astype(float)
NAN[4:, 2] = np.nan
NAN[2, 3, 1] = np.nan
GAP = np.isnan(NAN)


def objects(missing):
    values = COUNTS.astype(object)
    values[GAP] = missing
    return values


def frame(dtype):
    index = pd.MultiIndex.from_product([range(6), range(8)], names=["trial", "image"])
    values = pd.DataFrame(NAN.reshape(48, 5), index=index)
    return values.astype(dtype)


SPELLINGS = {
    "masked integers": np.ma.masked_array(COUNTS, GAP),
    "masked floats": np.ma.masked_array(np.where(GAP, -999.0, NAN), GAP),
    "masked single": np.ma.masked_array(COUNTS.astype(np.float32), GAP),
    "list of masked": [np.ma.masked_array(COUNTS[t], GAP[t]) for t in range(6)],
    "None": objects(None),
    "pandas.NA": objects(pd.NA),
    "nested lists": objects(None).tolist(),
    "tensor": torch.tensor(NAN, requires_grad=True),
    "list of tensors": list(torch.tensor(NAN)),
    "nullable integers": frame("Int64"),
    "nullable floats": frame("Float32"),
    "big endian": NAN.astype(">f8"),
    "half": NAN.astype(np.float16),
}


@pytest.mark.parametrize("given", SPELLINGS.values(), ids=SPELLINGS)
def test_what_is_missing_counts_as_missing_everywhere(given):
    responses = neural.Responses(given)
    np.testing.assert_array_equal(responses.trials, NAN)
    np.testing.assert_array_equal(nf.reliability(given), nf.reliability(NAN))
    np.testing.assert_array_equal(
        neural.split_half(given, n_splits=2), neural.split_half(NAN, n_splits=2)
    )
    np.testing.assert_array_equal(
        neural.split_half(given, level="similarity", n_splits=2),
        neural.split_half(NAN, level="similarity", n_splits=2),
    )


def test_callers_arrays_are_left_as_found_and_results_hold_none_of_them():
    given = np.ma.masked_array(COUNTS.astype(float), GAP)
    data, mask = given.data.copy(), given.mask.copy()
    responses = neural.Responses(given)
    np.testing.assert_array_equal(given.data, data)
    np.testing.assert_array_equal(given.mask, mask)
    plain = NAN.copy()
    responses = neural.Responses(plain)
    plain[:] = 0.0
    np.testing.assert_array_equal(responses.trials, NAN)


def test_long_tables_count_missing_responses_as_missing():
    trial, image, neuron = np.indices(COUNTS.shape).reshape(3, -1)
    table = pd.DataFrame({"trial": trial, "image": image, "neuron": neuron})
    for column in (
        pd.array(COUNTS.ravel(), dtype="Int64"),
        COUNTS.ravel().astype(object),
        COUNTS.ravel().astype(float),
    ):
        full = table.assign(response=column)
        full.loc[GAP.ravel(), "response"] = None
        responses = neural.Responses.from_frame(full)
        np.testing.assert_array_equal(responses.trials, NAN)
    with pytest.raises(TypeError, match="frame: 'response': got str, expected real"):
        neural.Responses.from_frame(table.assign(response="a"))
    full = table.assign(response=1.0)
    with pytest.raises(ValueError, match="frame: got two columns 'image'"):
        neural.Responses.from_frame(pd.concat([full, full[["image"]]], axis=1))
    full["image"] = [[k] for k in range(len(full))]
    with pytest.raises(TypeError, match="image: got labels that are no strings or"):
        neural.Responses.from_frame(full)
    with pytest.raises(TypeError, match="frame: got ndarray, expected a pandas table"):
        neural.Responses.from_frame(NAN)


def test_similarity_takes_a_response_to_every_image():
    means = COUNTS.mean(axis=0)
    masked = np.ma.masked_array(means, np.zeros(means.shape, bool))
    np.testing.assert_array_equal(
        nf.response_similarity(masked), nf.response_similarity(means)
    )
    masked[3, 1] = np.ma.masked
    with pytest.raises(ValueError, match="got NaN or masked values of image 3 and neu"):
        nf.response_similarity(masked)
    single = nf.response_similarity(torch.tensor(means, dtype=torch.float32))
    assert single.dtype == np.float32


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (COUNTS > 3, "got dtype bool, expected real numbers"),
        (COUNTS + 1j, "got dtype complex128, expected real numbers"),
        (torch.tensor(COUNTS) > 3, "got dtype bool"),
        (torch.tensor(COUNTS + 1j), "got dtype complex128"),
        (COUNTS.astype(str), "got dtype <U"),
        (COUNTS.astype("timedelta64[s]"), "got dtype timedelta64"),
        (objects("none"), "got str, expected real numbers"),
        (objects(True), "got bool, expected real numbers"),
        (objects(1j), "got complex, expected real numbers"),
        (torch.tensor(NAN).to_sparse(), "got a sparse_coo tensor"),
        (torch.tensor(NAN, device="meta"), "got a tensor on the meta device"),
    ],
)
def test_what_is_no_real_number_is_refused_by_name(given, message):
    for name, call in (
        ("trials", neural.Responses),
        ("trials", nf.reliability),
        ("trials", neural.split_half),
        ("responses", nf.response_similarity),
    ):
        with pytest.raises(TypeError, match=f"^{name}: {message}"):
            call(given)
