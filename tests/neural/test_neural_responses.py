"""The container `Responses`: sources, missing trials, silent neurons, mismatches."""

import types

import numpy as np
import pandas as pd
import pytest

import neurofreq as nf
from neurofreq import neural

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(4.0, (5, 8, 6)) * 1.0


def with_gaps():
    trials = COUNTS.copy()
    trials[3:, 2, 1] = np.nan
    trials[4:, :, 4] = np.nan
    return neural.Responses(
        trials,
        image={"movie": np.arange(8) // 2},
        neuron={"region": ["V1"] * 4 + ["V2"] * 2, "unit": np.arange(6)},
    )


def same(a, b):
    np.testing.assert_array_equal(a.trials, b.trials)
    for ours, theirs in ((a.image, b.image), (a.neuron, b.neuron)):
        assert list(ours) == list(theirs)
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name])


def test_means_and_counts_leave_out_what_is_missing():
    responses = with_gaps()
    np.testing.assert_array_equal(responses.mean(), np.nanmean(responses.trials, 0))
    assert responses.counts()[2, 1] == 3
    assert (responses.counts()[:, 4] == 4).all()
    assert repr(responses) == (
        "Responses(3 to 5 trials, 8 images, 6 neurons; image: movie; "
        "neuron: region, unit)"
    )


def test_similarity_is_weighted_by_reliability():
    responses = with_gaps()
    expected = nf.response_similarity(
        responses.mean(), weights=nf.reliability(responses.trials)
    )
    target = responses.similarity()
    np.testing.assert_array_equal(target, expected)
    assert target.source == "recording"
    plain = responses.similarity(weights=np.ones(6))
    np.testing.assert_array_equal(plain, nf.response_similarity(responses.mean()))


def test_selecting_keeps_descriptors():
    responses = with_gaps()
    part = responses.select(neurons=responses.neuron["region"] == "V2", images=[3, 0])
    np.testing.assert_array_equal(part.trials, responses.trials[:, [3, 0]][..., 4:])
    assert part.neuron["unit"].tolist() == [4, 5]
    assert part.image["movie"].tolist() == [1, 0]


def test_gaps_are_dropped_only_when_asked():
    trials = COUNTS.copy()
    trials[:, 5, 2] = np.nan
    responses = neural.Responses(trials)
    with pytest.raises(ValueError, match="neuron 2 has no trial of image 5"):
        responses.similarity()
    assert responses.complete("images").n_images == 7
    assert responses.complete("neurons").n_neurons == 5
    assert np.isnan(responses.mean()[5, 2])


def test_silent_neurons_are_dropped_only_when_asked():
    trials = COUNTS.copy()
    trials[..., 3] = 0.0
    responses = neural.Responses(trials)
    for call in (responses.similarity, responses.reliability):
        with pytest.raises(ValueError, match="neuron 3 never differ"):
            call()
    assert responses.active().n_neurons == 5
    np.testing.assert_allclose(
        responses.active().similarity(), nf.response_similarity(
            trials.mean(0), weights=nf.reliability(trials)
        ), atol=1e-12,
    )  # fmt: skip


def test_scans_join_neurons_of_the_same_images():
    first = with_gaps()
    second = first.select(neurons=[5, 0])
    short = neural.Responses(
        second.trials[:3], image=second.image, neuron={"region": ["MT", "MT"]}
    )
    joined = neural.Responses.join([first, short])
    assert joined.trials.shape == (5, 8, 8)
    assert np.isnan(joined.trials[3:, :, 6:]).all()
    assert joined.neuron["region"].tolist()[-2:] == ["MT", "MT"]
    assert "unit" not in joined.neuron
    with pytest.raises(ValueError, match="scans: got other images in scan 1"):
        neural.Responses.join([first, first.select(images=[7, 6, 5, 4, 3, 2, 1, 0])])
    with pytest.raises(ValueError, match="scans: got none"):
        neural.Responses.join([])


def test_a_file_gives_back_what_was_saved(tmp_path):
    responses = with_gaps()
    responses.save(tmp_path / "scan.npz")
    same(neural.Responses.from_npz(tmp_path / "scan.npz"), responses)
    with pytest.raises(ValueError, match="key: got 'counts', expected one of"):
        neural.Responses.from_npz(tmp_path / "scan.npz", "counts")
    (tmp_path / "scan.txt").write_text("1 2 3")
    for read in (neural.Responses.from_npz, neural.Target.load):
        with pytest.raises(ValueError, match=r"scan.txt, expected an npz file"):
            read(tmp_path / "scan.txt")
        with pytest.raises(FileNotFoundError, match=r"none, expected an npz file"):
            read(tmp_path / "none")


def test_descriptors_are_strings_or_numbers_and_survive_a_file(tmp_path):
    names = np.array(["V1", "LM", "V1"], dtype=object)
    depths = np.array([1, 2, 3], dtype=object)
    responses = neural.Responses(
        COUNTS[..., :3], neuron={"region": names, "depth": depths}
    )
    responses.save(tmp_path / "scan.npz")
    again = neural.Responses.from_npz(tmp_path / "scan.npz")
    assert again.neuron["region"].tolist() == ["V1", "LM", "V1"]
    assert again.neuron["depth"].dtype == np.int64
    for odd in (["V1", None, "V1"], [[1], [2], [3]], ["V1", 2, 3]):
        values = np.empty(3, dtype=object)
        values[:] = odd
        with pytest.raises(ValueError, match="neuron: 'region' holds objects"):
            neural.Responses(COUNTS[..., :3], neuron={"region": values})


@pytest.mark.parametrize("named", [True, False])
def test_a_long_table_is_read(named):
    responses = with_gaps()
    trial, image, neuron = np.nonzero(~np.isnan(responses.trials))
    frame = pd.DataFrame(
        {
            "spikes": responses.trials[trial, image, neuron],
            "picture": image,
            "cell": neuron,
            "repeat": trial,
            "region": responses.neuron["region"][neuron],
        }
    )
    read = neural.Responses.from_frame(
        frame.sort_values(["picture", "cell", "repeat"]),
        response="spikes",
        image="picture",
        neuron="cell",
        trial="repeat" if named else None,
        neuron_descriptors=["region"],
    )
    np.testing.assert_array_equal(read.trials, responses.trials)
    np.testing.assert_array_equal(read.neuron["region"], responses.neuron["region"])
    assert read.image["picture"].tolist() == list(range(8))


def test_tables_that_are_unusable_are_refused():
    frame = pd.DataFrame(
        {"response": [1.0, 2.0, 3.0], "image": [0, 1, 1], "neuron": [0, 0, 0]}
    )
    with pytest.raises(ValueError, match=r"expected \['trial'\] too"):
        neural.Responses.from_frame(frame, trial="trial")
    with pytest.raises(ValueError, match="two rows of one trial"):
        neural.Responses.from_frame(frame.assign(t=0), trial="t")
    with pytest.raises(ValueError, match="'depth' differs within a neuron"):
        neural.Responses.from_frame(
            frame.assign(depth=[1, 2, 2]), neuron_descriptors=["depth"]
        )
    with pytest.raises(ValueError, match="frame: got no row"):
        neural.Responses.from_frame(frame[:0])
    with pytest.raises(ValueError, match="rows without image, neuron or trial"):
        neural.Responses.from_frame(frame.assign(image=[0, 1, np.nan]))


def test_a_dataset_of_rsatoolbox_is_read():
    """Read by attributes; another test uses rsatoolbox itself, if installed."""
    order = RNG.permutation(40)
    image = np.repeat(np.arange(8), 5)[order]
    trial = np.tile(np.arange(5), 8)[order]
    dataset = types.SimpleNamespace(
        measurements=COUNTS[trial, image],
        obs_descriptors={"image": image},
        channel_descriptors={"region": np.array(["V1"] * 6)},
    )
    read = neural.Responses.from_rsatoolbox(dataset)
    mean = COUNTS.mean(axis=0)[read.image["image"]]
    np.testing.assert_allclose(read.mean(), mean)
    assert read.neuron["region"].tolist() == ["V1"] * 6
    with pytest.raises(ValueError, match="image: got 'stim', expected one of"):
        neural.Responses.from_rsatoolbox(dataset, "stim")


# rsatoolbox fills an array of integers with NaN.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_rsatoolbox_agrees():
    import rsatoolbox

    responses = neural.Responses(COUNTS, neuron={"region": ["V1"] * 6})
    dataset = responses.to_rsatoolbox()
    np.testing.assert_array_equal(
        neural.Responses.from_rsatoolbox(dataset).mean(), responses.mean()
    )
    rdm = rsatoolbox.rdm.calc_rdm(dataset, "correlation", descriptor="image")
    expected = np.corrcoef(responses.mean())[np.triu_indices(8, 1)]
    np.testing.assert_allclose(1 - rdm.dissimilarities[0], expected, atol=1e-10)


@pytest.mark.parametrize(
    ("trials", "keywords", "message"),
    [
        (COUNTS[:, :1], {}, "trials: got 1 images, expected at least two"),
        (COUNTS[..., :0], {}, "expected no empty axis"),
        (COUNTS[0, 0], {}, "trials: got shape"),
        (COUNTS + np.inf, {}, "trials: got infinite responses of neuron 0"),
        (COUNTS * np.nan, {}, "trials: neuron 0 has no trial"),
        (COUNTS, {"neuron": {"region": ["V1"]}}, r"got 'region' of shape \(1,\)"),
        (COUNTS, {"image": {"movie": [1, 2]}}, "image: got 'movie' of shape"),
    ],
)
def test_unusable_responses_are_refused(trials, keywords, message):
    with pytest.raises(ValueError, match=message):
        neural.Responses(trials, **keywords)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"images": [8]}, "images: got 8 to 8, expected 0 to 7"),
        ({"images": [-1, 0]}, "images: got -1 to 0, expected 0 to 7"),
        ({"neurons": [0.5]}, "neurons: got float64"),
        ({"neurons": [True]}, r"neurons: got a mask of shape \(1,\)"),
        ({"images": [1]}, "trials: got 1 images"),
    ],
)
def test_bad_selections_are_refused(keywords, message):
    with pytest.raises(ValueError, match=message):
        neural.Responses(COUNTS).select(**keywords)


def test_an_array_of_objects_hinders_only_where_it_is_asked_for(tmp_path):
    path = tmp_path / "mixed.npz"
    notes = np.array([{"a": 1}, None], dtype=object)
    np.savez(path, trials=np.ones((2, 3, 4)), notes=notes)
    assert neural.Responses.from_npz(path).trials.shape == (2, 3, 4)
    with pytest.raises(ValueError, match=r"mixed\.npz is damaged \(an array of obj"):
        neural.Responses.from_npz(path, "notes")
