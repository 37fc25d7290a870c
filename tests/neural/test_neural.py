"""The simulated V1 and pixel targets: preferred stimuli, and bad input."""

import numpy as np
import pytest
import torch

import neurofreq as nf
from neurofreq import neural


def gratings(cycles, n=8, size=32, contrast=1.0):
    """Gratings of all orientations, in [0, 1]."""
    y, x = np.mgrid[:size, :size] / size
    angles = np.pi * np.arange(n) / n
    waves = [
        np.cos(2 * np.pi * cycles * (x * np.cos(a) + y * np.sin(a))) for a in angles
    ]
    return 0.5 + 0.5 * contrast * np.array(waves)[:, None]


def rates(images, **keywords):
    return neural.simulate_v1(images, n_trials=200, **keywords).mean(axis=0)


def test_noise_is_poisson():
    images = gratings(2.0)
    trials = neural.simulate_v1(images, n_trials=2000, n_neurons=40, seed=1)
    assert trials.shape == (2000, 8, 40)
    assert trials.dtype == np.float32
    assert (trials == np.round(trials)).all()
    mean, variance = trials.mean(axis=0), trials.var(axis=0)
    busy = mean > 1.0
    assert busy.sum() > 100
    # The variance of 2000 draws has an error of about 3 %.
    assert np.abs(variance[busy] / mean[busy] - 1).mean() < 0.06


def test_gaussian_noise_has_the_moments_of_poisson_noise():
    images = gratings(2.0)
    pair = [
        neural.simulate_v1(images, n_trials=3000, n_neurons=20, noise=kind)
        for kind in ("poisson", "gaussian")
    ]
    poisson, gaussian = pair
    np.testing.assert_allclose(gaussian.mean(0), poisson.mean(0), atol=0.35)
    total = [trials.var(axis=0).sum() for trials in pair]
    assert total[1] == pytest.approx(total[0], rel=0.03)


def test_cells_ignore_phase_and_prefer_low_frequencies():
    x = np.mgrid[:32, :32][1] / 32
    phases = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    moving = np.array([0.5 + 0.5 * np.cos(4 * np.pi * x + p) for p in phases])
    fixed = rates(moving[:, None], n_neurons=200)
    assert nf.response_similarity(gratings(2).reshape(8, -1)).min() < 0.0
    correlation = np.corrcoef(fixed)
    assert correlation.min() > 0.9
    # At low contrast, normalization does not hide the drive.
    drive = [rates(gratings(c, contrast=0.05)).mean() for c in (2, 4, 8, 12)]
    assert drive == sorted(drive, reverse=True)
    assert drive[0] > 10 * drive[-1]


def test_uniform_images_evoke_nothing_and_contrast_saturates():
    blank = np.full((1, 1, 24, 32), 0.7)
    assert neural.simulate_v1(blank).max() == 0.0
    weak, half, full = (rates(gratings(2.0, contrast=c)).mean() for c in (0.1, 0.5, 1))
    assert weak < half < full
    assert full < 1.3 * half


def test_the_seed_fixes_cells_and_noise():
    images = gratings(2.0)
    first = neural.simulate_v1(images, seed=1)
    np.testing.assert_array_equal(first, neural.simulate_v1(images, seed=1))
    other = neural.simulate_v1(images, seed=2)
    assert not np.array_equal(first, other)
    tensor = neural.simulate_v1(torch.from_numpy(images), seed=1)
    np.testing.assert_array_equal(first, tensor)


def test_colour_enters_as_luminance():
    gray = gratings(3.0)
    colour = np.repeat(gray, 3, axis=1)
    np.testing.assert_allclose(
        neural.pixel_similarity(colour), neural.pixel_similarity(gray), atol=1e-12
    )


def test_the_target_is_reliable_low_frequency_similarity():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(40, 1, 32, 32))
    grid = np.fft.fftfreq(32)
    mask = np.hypot(grid[:, None], grid) < 0.1
    low = np.fft.ifft2(np.fft.fft2(low) * mask).real
    low = 0.5 + 0.1 * low / low.std()
    noisy = (low + rng.uniform(-0.2, 0.2, low.shape)).clip(0, 1)
    upper = np.triu_indices(40, 1)
    clean, fresh, pixels = (
        target.similarity[upper]
        for target in (
            neural.v1_similarity(low.clip(0, 1), seed=1),
            neural.v1_similarity(noisy, seed=1),
            neural.pixel_similarity(noisy),
        )
    )
    assert np.corrcoef(clean, fresh)[0, 1] > 0.8
    assert np.isfinite(pixels).all()


def test_thresholding_leaves_three_values():
    similarity = np.array([[1.0, 0.8, -0.81], [0.8, 1.0, 0.2], [-0.81, 0.2, 1.0]])
    expected = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    np.testing.assert_array_equal(neural.threshold_similarity(similarity), expected)
    target = neural.threshold_similarity(neural.Target(similarity, "pixel"))
    np.testing.assert_array_equal(target, expected)
    assert target.label == "pixel (threshold 0.8)"


def test_every_target_says_where_it_comes_from():
    images = np.random.default_rng(0).random((6, 1, 12, 12))
    teacher = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
    targets = [
        neural.v1_similarity(images, n_neurons=32),
        neural.pixel_similarity(images),
        neural.teacher_similarity(teacher.double(), "0", images, batch_size=4),
    ]
    assert [t.source for t in targets] == ["simulated", "pixel", "teacher"]
    assert targets[2].label == "teacher (0)"
    for target in targets:
        control = target.shuffled(seed=3)
        assert control.source == "shuffled"
        assert control.detail == f"{target.label}; seed 3"


def test_a_teacher_gives_the_similarity_of_its_features_and_is_left_as_found():
    images = np.random.default_rng(1).random((7, 1, 9, 9), dtype=np.float32)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten()
    )
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ours = neural.teacher_similarity(model, "1", images, batch_size=3)
    assert model.training
    assert not model[1]._forward_hooks
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    model.eval()
    with torch.no_grad():
        features = model(torch.from_numpy(images)).numpy().astype(float)
    centred = features - features.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, unit @ unit.T, atol=1e-5)
    with pytest.raises(ValueError, match="the model has no 'conv'; the nearest"):
        neural.teacher_similarity(model, "conv", images)
    double = neural.teacher_similarity(model, "0", images.astype(np.float64))
    single = neural.teacher_similarity(model, "0", images)
    np.testing.assert_array_equal(double.similarity, single.similarity)
    torch.nn.init.zeros_(model[0].weight)
    with pytest.raises(ValueError, match="image 0 equals the mean"):
        neural.teacher_similarity(model, "0", images)


def test_a_teacher_s_layer_is_what_it_returned_before_a_later_one_changed_it():
    images = np.random.default_rng(1).random((6, 1, 9, 9), dtype=np.float32)
    conv = torch.nn.Conv2d(1, 4, 3)
    pair = [
        neural.teacher_similarity(
            torch.nn.Sequential(conv, torch.nn.ReLU(inplace=inplace)), "0", images
        )
        for inplace in (True, False)
    ]
    np.testing.assert_array_equal(*pair)
    rows = torch.nn.Sequential(conv, torch.nn.Flatten(0))
    with pytest.raises(nf.ModelError, match="layer: '1' returned shape"):
        neural.teacher_similarity(rows, "1", images)


@pytest.mark.parametrize("is_training", [True, False])
def test_a_teacher_whose_features_depend_on_the_batch_is_told(is_training):
    images = np.random.default_rng(1).random((24, 1, 9, 9), dtype=np.float32)
    norm = torch.nn.BatchNorm2d(4, track_running_stats=False)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), norm).train(is_training)
    message = "got features of one image that differ by .* with the images beside it"
    with pytest.warns(UserWarning, match=message) as told:
        neural.teacher_similarity(model, "1", images, batch_size=4)
    assert [one.filename for one in told] == [__file__]
    neural.teacher_similarity(model, "0", images, batch_size=4)  # no warning
    assert model.training == is_training


def test_a_teacher_with_dropout_or_that_refuses_one_image_is_told():
    images = np.random.default_rng(1).random((8, 1, 9, 9), dtype=np.float32)

    class Dropping(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.dropout(x, 0.5, training=True)

    with pytest.warns(UserWarning, match="features that differ .* two equal calls"):
        neural.teacher_similarity(torch.nn.Sequential(Dropping()), "0", images)
    norm = torch.nn.BatchNorm1d(81, track_running_stats=False)
    model = torch.nn.Sequential(torch.nn.Flatten(), norm)
    with pytest.warns(UserWarning, match="it refuses a batch of one image"):
        neural.teacher_similarity(model, "1", images)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_sound_teachers_are_told_nothing(dtype):
    images = np.random.default_rng(1).random((8, 1, 16, 16), dtype=np.float32)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(inplace=True),
        torch.nn.Dropout(), torch.nn.InstanceNorm2d(8), torch.nn.Conv2d(8, 8, 3),
    ).to(dtype)  # fmt: skip
    for layer in ("1", "3", "5"):
        neural.teacher_similarity(model, layer, images, batch_size=3)


def test_shuffling_moves_every_image_and_keeps_the_values():
    target = neural.pixel_similarity(np.random.default_rng(0).random((30, 1, 5, 5)))
    control = target.shuffled(seed=1)
    np.testing.assert_array_equal(np.sort(control.upper), np.sort(target.upper))
    rows = [np.sort(row) for row in np.asarray(target)]
    moved = [np.sort(row) for row in np.asarray(control)]
    assert not any(np.allclose(a, b) for a, b in zip(rows, moved, strict=True))
    assert abs(neural.similarity_correlation(control, target)) < 0.2
    np.testing.assert_array_equal(control, target.shuffled(seed=1))
    assert not np.array_equal(control, target.shuffled(seed=2))


def test_targets_merge_select_and_survive_a_file(tmp_path):
    rng = np.random.default_rng(0)
    scans = [
        neural.Responses(rng.poisson(4.0, (4, 9, 20))).similarity() for _ in range(3)
    ]
    mean = neural.mean_target(scans)
    np.testing.assert_allclose(mean, np.mean([s.similarity for s in scans], axis=0))
    assert mean.label == "recording (mean of 3 scans)"
    simulated = neural.Target(scans[0].similarity, "simulated").shuffled()
    control = neural.mean_target([scans[0].shuffled(), simulated])
    assert "recording" in control.label
    assert "simulated" in control.label
    part = mean.select([4, 1])
    assert part.similarity[0, 1] == mean.similarity[4, 1]
    mean.save(tmp_path / "target.npz")
    again = neural.Target.load(tmp_path / "target.npz")
    np.testing.assert_array_equal(again, mean)
    assert again.label == mean.label


def test_a_regularizer_takes_a_target():
    images = torch.rand(6, 1, 8, 8)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))
    target = neural.pixel_similarity(images)
    regularizer = nf.SimilarityRegularizer(model, ["0"], target, images)
    np.testing.assert_allclose(regularizer.similarity, target, atol=1e-6)


S = np.eye(3)


@pytest.mark.parametrize(
    ("matrix", "source", "message"),
    [
        (S[:2], "pixel", r"similarity: got shape \(2, 3\)"),
        (S[:1, :1], "pixel", "similarity: got 1 images, expected at least two"),
        (S * 2, "pixel", r"similarity: got values in \[0, 2\], expected \[-1, 1\]"),
        (S * np.nan, "pixel", "similarity: got NaN"),
        (np.triu(np.ones((3, 3))), "pixel", "similarity: got a matrix that is not sym"),
        (S, "mouse", "source: got 'mouse', expected one of 'recording'"),
    ],
)
def test_what_is_no_target_is_refused(matrix, source, message):
    with pytest.raises(ValueError, match=message):
        neural.Target(matrix, source)


def test_targets_that_do_not_fit_are_refused():
    pixel, other = neural.Target(S, "pixel"), neural.Target(np.eye(4), "pixel")
    with pytest.raises(ValueError, match=r"targets: got \[3, 4\] images"):
        neural.mean_target([pixel, other])
    with pytest.raises(ValueError, match=r"got sources \['pixel', 'teacher'\]"):
        neural.mean_target([pixel, neural.Target(S, "teacher")])
    with pytest.raises(ValueError, match="targets: got none"):
        neural.mean_target([])
    with pytest.raises(ValueError, match="images: got 0 to 3, expected 0 to 2"):
        pixel.select([0, 3])


X = gratings(2.0)


@pytest.mark.parametrize(
    ("images", "keywords", "error", "message"),
    [
        (X, {"n_trials": 0}, ValueError, "n_trials: got 0, expected at least 1"),
        (X, {"n_neurons": 0}, ValueError, "n_neurons: got 0, expected at least 1"),
        (X, {"mean_count": 0.0}, ValueError, "mean_count: got 0.0"),
        (X, {"mean_count": np.nan}, ValueError, "mean_count: got nan"),
        (X, {"noise": "pink"}, ValueError, "noise: got 'pink'"),
        (X, {"seed": -1}, ValueError, "seed: got -1"),
        (X * 2, {}, ValueError, "images: got values in"),
        (X[:0], {}, ValueError, "expected no empty axis"),
        (X[0], {}, ValueError, "images: got shape"),
        (np.repeat(X, 2, 1), {}, ValueError, "images: got 2 channels"),
        ((X * 255).astype(np.uint8), {}, TypeError, "images: got dtype uint8"),
    ],
)
def test_bad_input_is_named(images, keywords, error, message):
    with pytest.raises(error, match=message):
        neural.simulate_v1(images, **keywords)


def test_bad_targets_are_named():
    with pytest.raises(ValueError, match="single trial"):
        neural.v1_similarity(X, n_trials=1)
    with pytest.raises(ValueError, match="threshold: got 2"):
        neural.threshold_similarity(np.eye(2), threshold=2)
    with pytest.raises(ValueError, match="similarity: got NaN"):
        neural.threshold_similarity(np.eye(2) * np.nan)
