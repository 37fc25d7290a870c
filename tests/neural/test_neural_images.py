"""The order of images in tables and targets, compared with that of the stimuli."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import neurofreq as nf
from neurofreq import neural

TRUTH = np.random.default_rng(0).normal(size=(8, 20))
NAMES = np.array([f"im{k}.png" for k in (3, 0, 7, 1, 2, 6, 5, 4)])


def table(seed=0, images=range(8)):
    """Trials of 8 images, with another order in every block."""
    rng = np.random.default_rng(seed)
    rows = [
        (trial, image, neuron, TRUTH[image, neuron] + trial)
        for trial in range(4)
        for image in rng.permutation(8)
        for neuron in range(20)
    ]
    frame = pd.DataFrame(rows, columns=["trial", "image", "neuron", "response"])
    return frame.assign(image=np.array(images)[frame["image"]])


def similarity(frame, **columns):
    responses = neural.Responses.from_frame(frame, **columns)
    return responses.similarity(weights=np.ones(20))


@pytest.mark.parametrize("kind", [int, np.uint8, float, object, "Int64", "category"])
def test_images_that_are_an_index_are_in_its_order(kind):
    frame = table().astype({"image": kind})
    target = similarity(frame)
    np.testing.assert_allclose(target, nf.response_similarity(TRUTH), atol=1e-12)
    assert target.images.tolist() == list(range(8))
    assert target.images.dtype.kind in "iu"
    responses = neural.Responses.from_frame(frame.sample(frac=1.0, random_state=3))
    np.testing.assert_allclose(responses.mean(), TRUTH + 1.5)
    assert responses.neuron["neuron"].tolist() == list(range(20))


def test_an_index_with_holes_is_kept_as_names_in_its_order():
    frame = table(images=[2, 3, 5, 7, 11, 13, 17, 19])
    target = similarity(frame)
    assert target.images.tolist() == [2, 3, 5, 7, 11, 13, 17, 19]
    np.testing.assert_allclose(target, nf.response_similarity(TRUTH), atol=1e-12)
    negative = similarity(table(images=[0.5, 1.0, 2, 3, 4, 5, 6, 7]))
    assert sorted(negative.images.tolist()) == [0.5, 1.0, 2, 3, 4, 5, 6, 7]


def test_names_are_in_the_order_of_their_first_rows_which_the_target_carries():
    frame = table(images=NAMES)
    target = similarity(frame)
    assert target.images.tolist() == frame["image"].drop_duplicates().tolist()
    ordered = target.for_images(NAMES)
    np.testing.assert_allclose(ordered, nf.response_similarity(TRUTH), atol=1e-12)
    assert ordered.images.tolist() == NAMES.tolist()
    responses = neural.Responses.from_frame(frame).for_images(NAMES[:5])
    np.testing.assert_allclose(responses.mean(), TRUTH[:5] + 1.5)
    assert responses.images.tolist() == NAMES[:5].tolist()


def test_an_ordered_categorical_is_in_its_order():
    frame = table(images=NAMES)
    kind = pd.CategoricalDtype([*NAMES, "never shown"], ordered=True)
    target = similarity(frame.astype({"image": kind}))
    assert target.images.tolist() == NAMES.tolist()
    np.testing.assert_allclose(target, nf.response_similarity(TRUTH), atol=1e-12)


def test_trials_are_read_by_their_column_and_may_be_numbered_through():
    frame = table()
    shuffled = neural.Responses.from_frame(frame.sample(frac=1.0, random_state=1))
    expected = TRUTH + np.arange(4)[:, None, None]
    np.testing.assert_allclose(shuffled.trials, expected)
    number = frame.groupby(["trial", "image"], sort=False).ngroup()
    through = neural.Responses.from_frame(frame.assign(trial=number))
    np.testing.assert_allclose(through.trials, expected)
    twice = pd.concat([frame, frame.iloc[[5]]])
    for trial in (None, "trial"):
        with pytest.raises(ValueError, match="two rows of one trial, image and neuron"):
            neural.Responses.from_frame(twice, trial=trial)


def test_trials_that_are_missing_are_said():
    frame = table()
    frame = frame[(frame["trial"] < 3) | (frame["image"] != 2)]
    responses = neural.Responses.from_frame(frame)
    assert np.isnan(responses.trials[3, 2]).all()
    assert "3 to 4 trials, 8 images" in repr(responses)
    np.testing.assert_allclose(responses.mean()[2], TRUTH[2] + 1.0)


def test_the_order_travels_through_selections_files_and_merges(tmp_path):
    responses = neural.Responses.from_frame(table(images=NAMES)).for_images(NAMES)
    part = responses.select(images=[5, 1, 2])
    assert part.images.tolist() == NAMES[[5, 1, 2]].tolist()
    part.save(tmp_path / "part.npz")
    again = neural.Responses.from_npz(tmp_path / "part.npz")
    assert again.images.tolist() == part.images.tolist()
    target = responses.similarity(weights=np.ones(20))
    target.save(tmp_path / "target.npz")
    for one in (
        neural.Target.load(tmp_path / "target.npz"),
        target.shuffled(),
        neural.threshold_similarity(target),
        neural.mean_target([target, target]),
        neural.Responses.join([responses, responses]),
    ):
        assert one.images.tolist() == NAMES.tolist()
    assert target.select([4, 0]).images.tolist() == NAMES[[4, 0]].tolist()
    np.testing.assert_array_equal(
        target.for_images(NAMES[::-1]), target.select(np.arange(8)[::-1])
    )


def test_files_and_arrays_without_names_have_none(tmp_path):
    trials = np.random.default_rng(0).normal(size=(3, 8, 20))
    np.savez(tmp_path / "old.npz", trials=trials, images=np.zeros((8, 4, 4)))
    old = neural.Responses.from_npz(tmp_path / "old.npz")
    assert old.images is None
    assert old.select(images=[3, 1]).similarity(weights=np.ones(20)).images is None
    np.savez(
        tmp_path / "target.npz", similarity=np.eye(3), source="pixel", detail="old"
    )
    assert neural.Target.load(tmp_path / "target.npz").images is None
    named = neural.Responses(trials, image={"movie": [1] * 8, "stimulus_id": NAMES})
    assert named.images.tolist() == NAMES.tolist()
    assert neural.Responses(trials, image={"image": [1] * 8}).images is None
    assert neural.Responses(trials, images=NAMES).images.tolist() == NAMES.tolist()


def test_two_orders_are_never_compared_in_silence():
    first = similarity(table(images=NAMES)).for_images(NAMES)
    other = first.for_images(NAMES[::-1])
    calls = {
        r"second: got images in another order": neural.similarity_correlation,
        r"similarities\[1\]: got images in another order": lambda *two: (
            neural.noise_ceiling(two)
        ),
        r"targets\[1\]: got images in another order": lambda *two: neural.mean_target(
            two
        ),
    }
    for message, call in calls.items():
        with pytest.raises(ValueError, match=message):
            call(first, other)
        call(first, other.for_images(NAMES))
        call(first, neural.Target(np.asarray(first), "recording"))
    with pytest.raises(TypeError, match="similarities: got one Target, expected one p"):
        neural.noise_ceiling(first)
    with pytest.raises(TypeError, match="targets: got ndarray, expected Targets"):
        neural.mean_target([np.eye(3)])
    with pytest.raises(TypeError, match="stimuli: got int, expected images or their"):
        first.require_images(8)
    renamed = neural.Target(first.similarity, "recording", images=range(8))
    with pytest.raises(ValueError, match="second: got other images"):
        neural.similarity_correlation(first, renamed)
    frame = pd.DataFrame(first.similarity, index=NAMES, columns=NAMES)
    assert neural.Target(frame, "recording").images.tolist() == NAMES.tolist()
    with pytest.raises(ValueError, match="similarity, columns: got images in another"):
        neural.Target(frame[NAMES[::-1]], "recording")
    with pytest.raises(ValueError, match="second: got images in another order"):
        neural.similarity_correlation(first, frame.loc[NAMES[::-1], NAMES[::-1]])


def test_a_target_refuses_stimuli_of_another_number_names_or_order():
    target = similarity(table(images=NAMES)).for_images(NAMES)
    files = types_of_files(f"cats/{name}" for name in NAMES)
    target.require_images(files)
    target.require_images(NAMES.tolist())
    target.require_images(torch.zeros(8, 1, 4, 4))
    target.require_images(np.zeros((8, 1, 4, 4)))
    for stimuli, message in (
        (torch.zeros(7, 1, 4, 4), "stimuli: got 7 images, expected 8"),
        (NAMES[::-1], "stimuli: got images in another order"),
        (types_of_files(reversed(NAMES)), "stimuli: got images in another order"),
        ([f"x{name}" for name in NAMES], "stimuli: got other images"),
    ):
        with pytest.raises(ValueError, match=message):
            target.require_images(stimuli)


def types_of_files(names):
    """A stand-in for an array of image files, with names and a length."""
    from pathlib import Path

    return nf.data.ImageFiles(Path("nowhere"), tuple(names), (4, 4))


T = np.random.default_rng(0).normal(size=(3, 4, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neural.Responses(T, images=list("aabc")), "images: got 'a' twice"),
        (lambda: neural.Responses(T, images=list("abc")), r"names of shape \(3,\)"),
        (lambda: neural.Responses(T, images=["a", 1.5, None, "b"]), "holds objects"),
        (lambda: neural.Responses(T).for_images([0, 1]), "images that have none"),
        (
            lambda: neural.Responses(T, images=range(4)).for_images([0, 4]),
            "images: got 4",
        ),
        (
            lambda: neural.Responses(T, images=range(4)).for_images([1, 1]),
            "images: got 1 twice",
        ),
        (
            lambda: neural.Target(np.eye(3), "pixel", images="abc"),
            r"images: got names of shape \(\)",
        ),
    ],
)
def test_names_that_name_nothing_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# rsatoolbox fills an array of integers with NaN.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_the_order_survives_rsatoolbox():
    pytest.importorskip("rsatoolbox", reason="needs rsatoolbox")
    frame = table(images=NAMES)
    frame = frame[(frame["trial"] > 0) | (frame["image"] != NAMES[0])]
    responses = neural.Responses.from_frame(frame).for_images(NAMES)
    again = neural.Responses.from_rsatoolbox(responses.to_rsatoolbox())
    assert again.images.tolist() == NAMES.tolist()
    np.testing.assert_allclose(again.mean(), responses.mean())


def test_a_regularizer_refuses_named_stimuli_in_another_order(tmp_path):
    (tmp_path / "all").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / "all" / f"{number}.png")
    stimuli = nf.data.open_folder(tmp_path)
    names = [f"{number}.png" for number in range(5)]
    model = nf.models.small_cnn(in_channels=3)
    target = nf.neural.Target(np.eye(5), "pixel", images=names)
    nf.SimilarityRegularizer(model, "auto", target, stimuli)
    turned = nf.neural.Target(np.eye(5), "pixel", images=names[::-1])
    with pytest.raises(ValueError, match="stimuli: got images in another order"):
        nf.SimilarityRegularizer(model, "auto", turned, stimuli)


def shuffled_table():
    """A table of similarities, and the same table in another order."""
    matrix = np.corrcoef(np.random.default_rng(0).random((20, 50)))
    frame = pd.DataFrame(matrix)
    shuffled = frame.sample(frac=1, random_state=0)
    return frame, shuffled[shuffled.index]


def test_a_table_without_names_is_not_compared_with_itself_shuffled():
    frame, shuffled = shuffled_table()
    turned = frame.iloc[::-1, ::-1]  # the index of the rows is reversed
    target = neural.Target(frame, "recording")
    for other in (shuffled, turned):
        calls = {
            "second: got images in another order": lambda other=other: (
                neural.similarity_correlation(frame, other)
            ),
            "first: got images in another order": lambda other=other: (
                neural.similarity_correlation(other, np.asarray(frame))
            ),
            r"similarities\[1\]: got images in another": lambda other=other: (
                neural.noise_ceiling([frame, other, frame])
            ),
            r"targets\[1\]: got images in another order": lambda other=other: (
                neural.mean_target([target, neural.Target(other, "recording")])
            ),
        }
        for message, call in calls.items():
            with pytest.raises(ValueError, match=message):
                call()
        inner = neural.Target(other, "recording").for_images(range(20))
        assert neural.similarity_correlation(frame, inner) == pytest.approx(1.0)
        assert neural.similarity_correlation(other, other) == pytest.approx(1.0)


def test_scans_without_names_are_not_joined_to_shuffled_ones():
    scan = pd.DataFrame(np.random.default_rng(0).random((20, 5)))
    shuffled = neural.Responses(scan.sample(frac=1, random_state=0))
    whole = neural.Responses(scan)
    with pytest.raises(ValueError, match=r"scans\[1\]: got images in another order"):
        neural.Responses.join([whole, shuffled])
    joined = neural.Responses.join([whole, shuffled.for_images(range(20))])
    np.testing.assert_array_equal(joined.mean()[:, :5], joined.mean()[:, 5:])


def test_a_shuffled_target_refuses_stimuli_without_names():
    frame, shuffled = shuffled_table()
    target = neural.Target(shuffled, "recording")
    stimuli = torch.rand(20, 1, 16, 16)
    message = r"similarities: got images in another.*for_images\(range\(20\)\)"
    with pytest.raises(ValueError, match=message):
        target.require_images(stimuli)
    with pytest.raises(ValueError, match=message):
        nf.SimilarityRegularizer(nf.models.small_cnn(), "auto", target, stimuli)
    target.for_images(range(20)).require_images(stimuli)
    with pytest.raises(ValueError, match="stimuli: got images in another order"):
        neural.Target(frame, "recording").require_images(list(shuffled.index))


@pytest.mark.parametrize(
    "names",
    [range(4), [1, 2, 3, 4], [7, 3, 9, 1], [0.5, 2, 1, 0], list("dbca")],
)
def test_names_that_number_no_places_are_accepted_beside_none(names):
    matrix = np.corrcoef(np.random.default_rng(0).random((4, 9)))
    frame = pd.DataFrame(matrix, index=names, columns=names)
    assert neural.similarity_correlation(frame, matrix) == pytest.approx(1.0)
    neural.Target(frame, "recording").require_images(np.zeros((4, 1, 4, 4)))
    rows = pd.DataFrame(matrix, index=names)
    assert neural.Target(rows, "recording").similarity == pytest.approx(matrix)
