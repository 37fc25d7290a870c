"""Spikes, traces, NWB files and arrays become trials x images x neurons."""

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import neurofreq as nf
from neurofreq import neural

RNG = np.random.default_rng(0)
ORDER = np.concatenate([RNG.permutation(8) for _ in range(4)])  # image of each
ONSETS = np.arange(32) * 0.5 + RNG.uniform(0.0, 0.05, 32)
TRAINS = [np.sort(RNG.uniform(-1.0, 18.0, n)) for n in (900, 1, 400)]
WINDOW = (0.05, 0.25)


def counted():
    """The oracle: one presentation, neuron and spike at a time; (T, N, K)."""
    found = np.zeros((4, 8, 3))
    seen = dict.fromkeys(range(8), 0)
    for onset, image in zip(ONSETS, ORDER, strict=True):
        for neuron, train in enumerate(TRAINS):
            for time in train:
                inside = onset + WINDOW[0] <= time < onset + WINDOW[1]
                found[seen[image], image, neuron] += inside
        seen[image] += 1
    return found


def test_spikes_are_counted_in_windows_after_images():
    responses = neural.Responses.from_spikes(TRAINS, ONSETS, ORDER, window=WINDOW)
    np.testing.assert_array_equal(responses.trials, counted())
    assert responses.images.tolist() == list(range(8))
    named = neural.Responses.from_spikes(
        dict(zip("abc", TRAINS, strict=True)), ONSETS, ORDER, window=WINDOW,
        neuron={"area": ["V1", "V1", "V4"]},
    )  # fmt: skip
    np.testing.assert_array_equal(named.trials, counted())
    assert named.neuron["neuron"].tolist() == list("abc")
    assert named.neuron["area"].tolist() == ["V1", "V1", "V4"]


def test_a_spike_at_the_start_counts_and_one_at_the_stop_does_not():
    found = neural.Responses.from_spikes(
        [[1.25, 9.0], [2.3, 2.5]], [1.0, 2.0], ["a", "b"], window=(0.25, 0.5)
    )
    assert found.trials[0].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_images_with_fewer_trials_get_nan():
    found = neural.Responses.from_spikes(TRAINS, ONSETS[:-1], ORDER[:-1], window=WINDOW)
    last = ORDER[-1]
    assert np.isnan(found.trials[3, last]).all()
    assert np.isnan(found.trials).sum() == 3


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"spikes": TRAINS[0]}, ValueError, "spikes: got ndarray of .* expected the"),
        ({"spikes": {}}, ValueError, "spikes: got .*, expected the times of each"),
        ({"spikes": 3}, ValueError, "spikes: got 3"),
        ({"spikes": [[0.1, np.nan]]}, ValueError, r"spikes\[0\]: got NaN"),
        ({"spikes": [["a", "b"]]}, TypeError, r"spikes\[0\]: got "),
        (
            {"spikes": [one * 30_000 for one in TRAINS], "onsets": ONSETS + 100},
            ValueError,
            "none in a window after the onsets .* in one unit, such as seconds",
        ),
        ({"onsets": ONSETS[:-1]}, ValueError, r"images: got shape \(32,\), expected"),
        ({"onsets": ONSETS[None]}, ValueError, r"onsets: got shape \(1, 32\)"),
        ({"images": [None] * 32}, ValueError, "images: holds objects"),
        ({"window": (0.2, 0.1)}, ValueError, "window: got .*, expected start < stop"),
        ({"window": 0.2}, ValueError, r"window: got 0.2, expected \(start, stop\)"),
        ({"neuron": {"area": ["V1"]}}, ValueError, r"neuron: got 'area' of shape \(1,"),
    ],
)
def test_events_that_are_unusable_are_refused(changes, error, message):
    good = {"spikes": TRAINS, "onsets": ONSETS, "images": ORDER, "window": WINDOW}
    with pytest.raises(error, match=message):
        neural.Responses.from_spikes(**good | changes)


TIMES = np.arange(-20, 400) * 0.05 + 0.01
TRACES = RNG.normal(size=(420, 3))


def averaged(baseline=None):
    found = np.zeros((4, 8, 3))
    seen = dict.fromkeys(range(8), 0)
    for onset, image in zip(ONSETS, ORDER, strict=True):
        for sign, window in ((1, WINDOW), (-1, baseline)):
            if window:
                inside = (onset + window[0] <= TIMES) & (onset + window[1] > TIMES)
                found[seen[image], image] += sign * TRACES[inside].mean(0)
        seen[image] += 1
    return found


@pytest.mark.parametrize("baseline", [None, (-0.3, 0.0)])
def test_traces_are_averaged_in_windows_after_images(baseline):
    responses = neural.Responses.from_traces(
        TRACES, TIMES, ONSETS, ORDER, window=WINDOW, baseline=baseline,
        neuron={"roi": [4, 5, 6]},
    )  # fmt: skip
    np.testing.assert_allclose(responses.trials, averaged(baseline), atol=1e-12)
    assert responses.neuron["roi"].tolist() == [4, 5, 6]


def test_a_window_with_nan_is_a_missing_trial():
    traces = TRACES.copy()
    traces[np.searchsorted(TIMES, ONSETS[0] + 0.1), 1] = np.nan
    found = neural.Responses.from_traces(traces, TIMES, ONSETS, ORDER, window=WINDOW)
    assert np.isnan(found.trials).sum() == 1
    assert np.isnan(found.trials[0, ORDER[0], 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"traces": TRACES.T}, r"traces: got shape \(3, 420\), .*: transpose the"),
        ({"traces": TRACES[:-1]}, r"expected \(420, n_neurons\), one row per time$"),
        ({"traces": TRACES[:, 0]}, r"traces: got shape \(420,\)"),
        ({"times": TIMES[::-1]}, "times: got times that do not increase"),
        ({"window": (0.05, 0.06)}, r"window: got \(0.05, 0.06\), which is shorter"),
        ({"onsets": ONSETS + 5.0}, "outside of the times -0.99 to 19.96 for pres"),
        ({"onsets": ONSETS * 1000.0}, "in the unit of times"),
        ({"baseline": (-3.0, 0.0)}, "baseline: got .* outside of the times"),
    ],
)
def test_traces_that_are_unusable_are_refused(changes, message):
    good = {
        "traces": TRACES, "times": TIMES, "onsets": ONSETS, "images": ORDER,
        "window": WINDOW,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        neural.Responses.from_traces(**good | changes)


TRIALS = RNG.poisson(4.0, (4, 6, 5)) * 1.0


def test_axes_of_a_plain_array_may_be_named():
    found = neural.Responses(TRIALS.T, axes=("neuron", "image", "trial"))
    np.testing.assert_array_equal(found.trials, TRIALS)
    means = neural.Responses(TRIALS[0].T, axes=["unit", "stimulus"])
    np.testing.assert_array_equal(means.trials, TRIALS[:1])
    one = neural.Responses(TRIALS[..., None], axes=["rep", "image", "cell", "time"])
    np.testing.assert_array_equal(one.trials, TRIALS)
    for axes, error, message in (
        (("neuron", "image"), ValueError, "axes: got 2 names, expected 3 for tri"),
        (("neuron", "image", "day"), ValueError, "trials: got 'day' of length 4, expe"),
        (("neuron", "image", "cell"), ValueError, "trials: got neurons along 'neuron'"),
        (("image", "trial", "trial"), ValueError, "axes: got 'trial' twice"),
        ("neuron", TypeError, "axes: got 'neuron', expected a sequence of names"),
    ):
        with pytest.raises(error, match=message):
            neural.Responses(TRIALS.T, axes=axes)
    frame = pd.DataFrame(TRIALS[0])
    with pytest.raises(TypeError, match="axes: got names for a DataFrame of pandas"):
        neural.Responses(frame, axes=("image", "neuron"))


def test_a_value_may_stand_for_no_trial(tmp_path):
    stored = TRIALS.astype(np.uint8)
    stored[3, 2:] = 255
    expected = TRIALS.copy()
    expected[3, 2:] = np.nan
    found = neural.Responses(stored, missing=255)
    np.testing.assert_array_equal(found.trials, expected)
    np.savez(tmp_path / "scan.npz", spikes=stored.transpose(1, 2, 0))
    again = neural.Responses.from_npz(
        tmp_path / "scan.npz", "spikes", axes=("image", "neuron", "trial"), missing=255
    )
    np.testing.assert_array_equal(again.trials, expected)
    with pytest.raises(TypeError, match="missing: got str, expected a number"):
        neural.Responses(stored, missing="255")


def test_few_repeats_are_told_or_refused():
    with pytest.warns(UserWarning, match="image 0 has 2 trials of neuron 0, expected"):
        two = neural.Responses(TRIALS[:2] + np.arange(6)[:, None]).similarity()
    assert two.source == "recording"
    one = neural.Responses(TRIALS[:1])
    with pytest.raises(ValueError, match=r"single trial .* weights, such as np.ones"):
        one.similarity()
    np.testing.assert_allclose(
        one.similarity(weights=np.ones(5)), nf.response_similarity(TRIALS[0])
    )


def nwb_file(tables=("trials",), traces=()):
    pynwb = pytest.importorskip("pynwb", reason="needs pynwb, an optional package")
    from datetime import datetime, timezone

    nwb = pynwb.NWBFile(
        session_description="made up", identifier="made up",
        session_start_time=datetime(2026, 1, 1, tzinfo=timezone.utc),
    )  # fmt: skip
    for name in tables:
        table = pynwb.epoch.TimeIntervals(name=name, description="of images")
        table.add_column(name="picture", description="file of the image")
        for onset, image in zip(ONSETS, ORDER, strict=True):
            table.add_row(
                start_time=onset, stop_time=onset + 0.2, picture=f"im{image}.png"
            )
        if name == "trials":
            nwb.trials = table
        else:
            nwb.add_time_intervals(table)
    if not traces:
        nwb.add_unit_column(name="area", description="area of the unit")
        for number, train in enumerate(TRAINS):
            nwb.add_unit(spike_times=train, area=f"V{number}", id=number + 10)
        return nwb
    device = nwb.create_device(name="microscope")
    channel = pynwb.ophys.OpticalChannel(
        name="green", description="green", emission_lambda=500.0
    )
    plane = nwb.create_imaging_plane(
        name="plane", optical_channel=channel, description="", device=device,
        excitation_lambda=600.0, indicator="GCaMP", location="V1", imaging_rate=20.0,
    )  # fmt: skip
    module = nwb.create_processing_module(name="ophys", description="traces")
    segmentation = pynwb.ophys.ImageSegmentation()
    module.add(segmentation)
    regions = segmentation.create_plane_segmentation(
        name="regions", imaging_plane=plane, description="rois"
    )
    for _ in range(3):
        regions.add_roi(image_mask=np.ones((2, 2)))
    of = regions.create_roi_table_region(description="all", region=[0, 1, 2])
    for name in traces:
        kind = pynwb.ophys.DfOverF if name == "DfOverF" else pynwb.ophys.Fluorescence
        series = pynwb.ophys.RoiResponseSeries(
            name="series", data=TRACES, unit="n.a.", rois=of, starting_time=TIMES[0],
            rate=20.0,
        )  # fmt: skip
        module.add(kind(name=name, roi_response_series=series))
    return nwb


def test_spikes_of_an_nwb_file_are_counted(tmp_path):
    nwb = nwb_file()
    pynwb = sys.modules["pynwb"]
    path = tmp_path / "session.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as opened:
        opened.write(nwb)
    for file in (path, str(path), nwb_file()):
        found = neural.Responses.from_nwb(file, "picture", window=WINDOW)
        found = found.for_images([f"im{k}.png" for k in range(8)])
        np.testing.assert_array_equal(found.trials, counted())
        assert found.neuron["area"].tolist() == ["V0", "V1", "V2"]
        assert found.neuron["unit"].tolist() == [10, 11, 12]
    whole = neural.Responses.from_nwb(path, "picture")
    expected = neural.Responses.from_spikes(TRAINS, ONSETS, ORDER, window=(0.0, 0.2))
    whole = whole.for_images([f"im{k}.png" for k in range(8)])
    np.testing.assert_array_equal(whole.trials, expected.trials)


@pytest.mark.filterwarnings("ignore:The linked table:UserWarning")
def test_traces_of_an_nwb_file_are_averaged():
    found = neural.Responses.from_nwb(
        nwb_file(traces=("DfOverF",)), "picture", window=WINDOW, baseline=(-0.3, 0.0)
    )
    found = found.for_images([f"im{k}.png" for k in range(8)])
    np.testing.assert_allclose(found.trials, averaged((-0.3, 0.0)), atol=1e-12)
    assert found.neuron["roi"].tolist() == [0, 1, 2]
    both = nwb_file(traces=("DfOverF", "Fluorescence"))
    message = "got None, expected one of those in the file: DfOverF/series, Fluoresce"
    with pytest.raises(ValueError, match=f"responses: {message}nce/series"):
        neural.Responses.from_nwb(both, "picture", window=WINDOW)
    chosen = neural.Responses.from_nwb(
        both, "picture", window=WINDOW, responses="DfOverF/series"
    )
    assert chosen.n_neurons == 3


def test_files_that_leave_something_open_are_refused(tmp_path):
    two = nwb_file(tables=("trials", "natural_presentations"))
    message = "expected one of those with a column 'picture': natural_presentations, tr"
    with pytest.raises(ValueError, match=f"table: got None, {message}ials"):
        neural.Responses.from_nwb(two, "picture", window=WINDOW)
    neural.Responses.from_nwb(two, "picture", window=WINDOW, table="trials")
    with pytest.raises(ValueError, match="image: got 'file', expected a column"):
        neural.Responses.from_nwb(nwb_file(), "file")
    with pytest.raises(ValueError, match="baseline: got a window, expected None"):
        neural.Responses.from_nwb(nwb_file(), "picture", baseline=(-1.0, 0.0))
    uneven = nwb_file()
    uneven.trials["stop_time"].data[3] += 1.0
    with pytest.raises(ValueError, match=r"window: got None and .* of 0\.2 to"):
        neural.Responses.from_nwb(uneven, "picture")
    with pytest.raises(FileNotFoundError, match="file: there is no file"):
        neural.Responses.from_nwb(tmp_path / "absent.nwb", "picture")


def test_an_nwb_file_needs_pynwb(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    (tmp_path / "session.nwb").touch()
    with pytest.raises(ImportError, match=r"pip install neurofreq\[recordings\]"):
        neural.Responses.from_nwb(tmp_path / "session.nwb", "picture")
    with pytest.raises(TypeError, match=r"file: got .*, expected a path or a pynwb"):
        neural.Responses.from_nwb(ModuleType("a"), "picture")
    with pytest.raises(TypeError, match="image: got int"):
        neural.Responses.from_nwb("session.nwb", 3)


def recordings(data_dir):
    path = data_dir / "v4-recordings" / "responses.npz"
    if not path.exists():
        pytest.skip("the real data has no v4-recordings/responses.npz")
    return path


def profiles(responses):
    """Z-score each neuron, and subtract the mean over neurons from each image.

    The similarity of the result is the correlation of images over z-scored neurons, as
    in the README of the data.
    """
    mean = responses.mean()
    z = (responses.trials - mean.mean(0)) / mean.std(0)
    return neural.Responses(z - z.mean(axis=2, keepdims=True))


def halves(responses, rng):
    """Two responses with half of the trials of each image, at random."""
    first, second = np.full((2, 5, *responses.trials.shape[1:]), np.nan)
    for image in range(responses.n_images):
        had = np.flatnonzero(~np.isnan(responses.trials[:, image, 0]))
        order = rng.permutation(had)[: len(had) // 2 * 2]
        for half, chosen in ((first, order[::2]), (second, order[1::2])):
            half[: len(chosen), image] = responses.trials[chosen, image]
    return neural.Responses(first), neural.Responses(second)


@pytest.mark.data
def test_single_trials_of_v4_are_as_reliable_as_published(data_dir):
    """The README of the data: .598 (.75) per neuron, .56 (.72) for similarities."""
    path = recordings(data_dir)
    trials = neural.Responses.from_npz(path, "trials_210325", missing=255)
    assert repr(trials) == "Responses(6 to 10 trials, 640 images, 50 neurons)"
    for corrected, expected in ((False, 0.598), (True, 0.75)):
        each = neural.split_half(trials, n_splits=20, spearman_brown=corrected)
        assert np.median(each) == pytest.approx(expected, abs=0.01)
    rng, found = np.random.default_rng(0), []
    for _ in range(3):
        targets = [
            profiles(half).similarity(weights=np.ones(50))
            for half in halves(trials, rng)
        ]
        found.append(neural.similarity_correlation(*targets))
    r = np.mean(found)
    assert r == pytest.approx(0.56, abs=0.01)
    assert 2 * r / (1 + r) == pytest.approx(0.72, abs=0.01)


@pytest.mark.data
def test_two_days_of_v4_agree_as_published(data_dir):
    """The README of the data: .567 between the neurons of two days, 600 images."""
    path = recordings(data_dir)
    file = np.load(path)
    trials = neural.Responses.from_npz(path, "trials_210325", missing=255)
    first = trials.select(images=file["index_210325_of_same_images"])
    other = neural.Responses.from_npz(path, "mean_210322_same_images")
    targets = [
        profiles(one).similarity(weights=np.ones(one.n_neurons))
        for one in (first, other)
    ]
    found = neural.similarity_correlation(*targets)
    assert found == pytest.approx(0.567, abs=0.001)
    ceiling = neural.noise_ceiling(targets)
    assert ceiling.lower == pytest.approx(found)
    assert ceiling.upper == pytest.approx(((1 + found) / 2) ** 0.5, abs=1e-6)


@pytest.mark.data
@pytest.mark.parametrize(
    ("session", "shape"),
    [
        ("190923", (1200, 33)), ("201025", (1200, 89)), ("210224", (800, 67)),
        ("210225", (1200, 55)), ("210621", (1200, 51)),
    ],
)  # fmt: skip
def test_sessions_of_means_give_targets(data_dir, session, shape):
    path = recordings(data_dir)
    means = neural.Responses.from_npz(path, f"mean_{session}")
    assert (means.n_trials, means.n_images, means.n_neurons) == (1, *shape)
    assert len(means.similarity(weights=np.ones(shape[1]))) == shape[0]
    with pytest.raises(ValueError, match="expected at least 3 trials to estimate"):
        means.similarity()
