"""Random corruptions: their distributions, and the effect of one draw."""

import numpy as np
import pytest
from scipy import ndimage, stats

import neurofreq as nf

# Constants from the published descriptions, not from the library.
NOISE = {
    "cifar": (0.04, 0.06, 0.08, 0.09, 0.10),
    "tinyimagenet": (0.04, 0.08, 0.12, 0.15, 0.18),
    "imagenet": (0.08, 0.12, 0.18, 0.26, 0.38),
}
SPECKLE = {
    "cifar": (0.06, 0.1, 0.12, 0.16, 0.2),
    "tinyimagenet": (0.15, 0.2, 0.25, 0.3, 0.35),
    "imagenet": (0.15, 0.2, 0.35, 0.45, 0.6),
}
SHOT = {
    "cifar": (500, 250, 100, 75, 50),
    "tinyimagenet": (250, 100, 50, 30, 15),
    "imagenet": (60, 25, 12, 5, 3),
}
IMPULSE = {
    "cifar": (0.01, 0.02, 0.03, 0.05, 0.07),
    "tinyimagenet": (0.01, 0.02, 0.05, 0.08, 0.14),
    "imagenet": (0.03, 0.06, 0.09, 0.17, 0.27),
}
MOTION = {
    "cifar": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "tinyimagenet": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    "imagenet": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
}
GLASS = {
    "cifar": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "tinyimagenet": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "imagenet": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
}
FOG = {
    "cifar": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    "tinyimagenet": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
    "imagenet": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
}
FROST = {
    "cifar": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    "tinyimagenet": ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
    "imagenet": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
}

every = pytest.mark.parametrize(
    ("parameters", "severity"), [(p, s) for p in NOISE for s in range(1, 6)]
)


def gray(level, n=4, size=64):
    return np.full((n, 1, size, size), level)


def pictures(n, size=32, channels=1, seed=0):
    """Smooth noise in [0, 1]."""
    rng = np.random.default_rng(seed)
    images = ndimage.gaussian_filter(
        rng.uniform(size=(n, channels, size, size)), (0, 0, 1.5, 1.5)
    )
    return (images - images.min()) / np.ptp(images)


def run(images, name, severity, parameters, **keywords):
    return nf.corrupt(
        images, name, severity, seed=1, parameters=parameters, layout="nchw", **keywords
    )


@every
def test_noise_is_gaussian_of_the_published_spread(parameters, severity):
    for name, sd in (
        ("gaussian_noise", NOISE[parameters][severity - 1]),
        ("speckle_noise", 0.5 * SPECKLE[parameters][severity - 1]),
    ):
        ours = run(gray(0.5), name, severity, parameters)
        inside = np.sort((ours - 0.5)[(ours > 0.0) & (ours < 1.0)].ravel())
        limit = 0.5 / sd
        truth = stats.truncnorm(-limit, limit, scale=sd)
        assert stats.kstest(inside, truth.cdf).pvalue > 1e-3
        clipped = np.mean((ours == 0.0) | (ours == 1.0))
        assert clipped == pytest.approx(2 * stats.norm.sf(limit), abs=0.01)


@every
def test_shot_noise_counts_photons(parameters, severity):
    photons = SHOT[parameters][severity - 1]
    for level in (0.03, 0.5):
        ours = run(gray(level, n=2), "shot_noise", severity, parameters) * photons
        counts = np.round(ours).astype(int).ravel()
        np.testing.assert_allclose(ours.ravel(), counts, atol=1e-3)
        truth = stats.poisson(level * photons)
        # Counts with at least ten expected pixels; all other counts in one bin.
        kept = np.arange(photons)[len(counts) * truth.pmf(np.arange(photons)) > 10]
        observed = np.array([(counts == count).sum() for count in kept])
        expected = len(counts) * truth.pmf(kept)
        rest = len(counts) - expected.sum()
        if rest > 10:
            observed = np.append(observed, len(counts) - observed.sum())
            expected = np.append(expected, rest)
        expected *= observed.sum() / expected.sum()
        assert stats.chisquare(observed, expected).pvalue > 1e-4


@every
def test_impulses_are_as_many_as_published_half_of_them_white(parameters, severity):
    ours = run(gray(0.5), "impulse_noise", severity, parameters)
    share = IMPULSE[parameters][severity - 1] / 2
    for level in (0.0, 1.0):
        count = int((ours == level).sum())
        assert stats.binomtest(count, ours.size, share).pvalue > 1e-4
    assert set(np.unique(ours)) == {0.0, 0.5, 1.0}


@every
def test_motion_blur_is_a_correlation_with_its_streak(parameters, severity):
    point = np.zeros((6, 1, 96, 96))
    point[:, :, 48, 48] = 1.0
    images = pictures(6, 96)
    streaks = run(point, "motion_blur", severity, parameters)
    ours = run(images, "motion_blur", severity, parameters)
    radius, sigma = MOTION[parameters][severity - 1]
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    for streak, image, blurred in zip(
        streaks[:, 0], images[:, 0], ours[:, 0], strict=True
    ):
        # The blurred point is the kernel, rotated by 180 degrees.
        kernel = streak[1:, 1:][::-1, ::-1]
        expected = ndimage.correlate(image, kernel, mode="nearest")
        np.testing.assert_allclose(blurred, expected, atol=2e-6)
        # Each column of the kernel has one sample, or more if the streak is steep.
        columns = kernel.sum(axis=0)[47:]
        assert columns.sum() == pytest.approx(1.0, abs=1e-6)
        np.testing.assert_allclose(kernel[47, 47], weights[0], atol=1e-6)
        y, x = np.nonzero(kernel)
        assert (x >= 47).all()
        assert (abs(y - 47) <= x - 47 + 1).all()


def test_motion_blur_has_all_angles_up_to_45_degrees():
    point = np.zeros((400, 1, 64, 64), dtype=np.float32)
    point[:, :, 32, 32] = 1.0
    ours = run(point, "motion_blur", 5, "imagenet")[:, 0]
    y, x = np.mgrid[:64, :64] - 32
    angles = np.degrees(np.arctan2(-(ours * y).sum((1, 2)), -(ours * x).sum((1, 2))))
    assert stats.kstest(angles, stats.uniform(-45, 90).cdf).pvalue > 1e-3


def glass(image, sigma, reach, rounds, rng):
    """Glass blur of a gray uint8 image by the published loop, which copies pixels."""
    x = (ndimage.gaussian_filter(image / 255.0, sigma, mode="nearest") * 255).astype(
        np.uint8
    )
    height, width = x.shape
    for _ in range(rounds):
        for h in range(height - reach, reach, -1):
            for w in range(width - reach, reach, -1):
                dx, dy = rng.integers(-reach, reach, 2)
                x[h, w] = x[h + dy, w + dx]
    return ndimage.gaussian_filter(x / 255.0, sigma, mode="nearest")


@pytest.mark.parametrize(
    ("parameters", "severity"),
    [("cifar", 3), ("cifar", 5), ("tinyimagenet", 5), ("imagenet", 3)],
)
def test_glass_blur_changes_as_much_as_the_loop(parameters, severity):
    images = (pictures(24) * 255).astype(np.uint8)
    rng = np.random.default_rng(0)
    constants = GLASS[parameters][severity - 1]
    theirs = [glass(image[0], *constants, rng) for image in images]
    theirs = np.stack(theirs)[:, None] - images / 255.0
    ours = run(images / 255.0, "glass_blur", severity, parameters) - images / 255.0
    same_distribution(ours, theirs)


def same_distribution(ours, theirs):
    """Require the same distribution of the mean and the spread per image."""
    assert ours.shape == theirs.shape
    for measure in (np.mean, np.std, lambda x, axis: np.quantile(x, 0.9, axis)):
        a, b = (measure(change, axis=(1, 2, 3)) for change in (ours, theirs))
        error = np.hypot(stats.sem(a), stats.sem(b))
        assert abs(a.mean() - b.mean()) < 4 * error
    power = [nf.power_spectrum(np.ascontiguousarray(c)) for c in (ours, theirs)]
    curves = [nf.radial_profile(p, n_thresholds=50).cumulative for p in power]
    np.testing.assert_allclose(*curves, atol=0.06)


def plasma(size, decay, rng):
    """Diamond-square algorithm on a torus, by np.roll."""
    map_ = np.zeros((size, size))
    step, wobble = size, 1.0
    while step >= 2:
        half = step // 2

        def noisy(total, wobble=wobble):
            return total / 4 + wobble * rng.uniform(-wobble, wobble, total.shape)

        corner = map_[::step, ::step]
        square = corner + np.roll(corner, -1, 0)
        square = square + np.roll(square, -1, 1)
        map_[half::step, half::step] = centre = noisy(square)
        across = centre + np.roll(centre, 1, 0) + corner + np.roll(corner, -1, 1)
        down = centre + np.roll(centre, 1, 1) + corner + np.roll(corner, -1, 0)
        map_[::step, half::step] = noisy(across)
        map_[half::step, ::step] = noisy(down)
        step, wobble = half, wobble / decay
    map_ -= map_.min()
    return map_ / map_.max()


@pytest.mark.parametrize(
    ("parameters", "severity"), [("cifar", 2), ("cifar", 5), ("imagenet", 3)]
)
def test_fog_has_the_distribution_of_the_fractal(parameters, severity):
    images = pictures(300)
    density, decay = FOG[parameters][severity - 1]
    rng = np.random.default_rng(0)
    fogs = np.stack([plasma(32, decay, rng) for _ in images])[:, None]
    most = images.max(axis=(1, 2, 3), keepdims=True)
    theirs = (images + density * fogs) * most / (most + density)
    ours = run(images, "fog", severity, parameters)
    same_distribution(ours - images, theirs - images)


def snow(image, constants, rng):
    """The published snow on a gray image; a streak blurs the flakes."""
    mean, sd, zoom, threshold, radius, sigma, rest = constants
    size = len(image)
    layer = rng.normal(mean, sd, image.shape)
    centre = int(np.ceil(size / zoom))
    top = (size - centre) // 2
    layer = layer[top : top + centre, top : top + centre]
    layer = ndimage.zoom(layer, zoom, order=1, mode="nearest")
    trim = (len(layer) - size) // 2
    layer = layer[trim : trim + size, trim : trim + size]
    layer = np.floor(np.where(layer < threshold, 0, layer).clip(0, 1) * 255) / 255
    angle = np.radians(rng.uniform(-135, -45))
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
    y, x = np.mgrid[:size, :size]
    blurred = np.zeros_like(image)
    for i, weight in enumerate(weights / weights.sum()):
        row = (y + np.ceil(i * np.sin(angle) - 0.5)).clip(0, size - 1).astype(int)
        column = (x + np.ceil(i * np.cos(angle) - 0.5)).clip(0, size - 1).astype(int)
        blurred += weight * layer[row, column]
    blurred = np.round(blurred * 255) / 255
    white = rest * image + (1 - rest) * np.maximum(image, 1.5 * image + 0.5)
    return (white + blurred + blurred[::-1, ::-1]).clip(0, 1)


@pytest.mark.parametrize(
    ("parameters", "severity", "constants"),
    [
        ("cifar", 2, (0.1, 0.2, 1, 0.5, 10, 4, 0.9)),
        ("cifar", 4, (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85)),
        ("tinyimagenet", 5, (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6)),
        ("imagenet", 1, (0.1, 0.3, 3, 0.5, 10, 4, 0.8)),
    ],
)
def test_snow_has_the_distribution_of_the_recipe(parameters, severity, constants):
    images = 0.6 * pictures(300)
    rng = np.random.default_rng(0)
    theirs = np.stack([snow(image[0], constants, rng) for image in images])[:, None]
    ours = run(images, "snow", severity, parameters)
    same_distribution(ours - images, theirs - images)


def test_elastic_transform_reads_where_its_map_says():
    """At severity 1 and 32 pixels there is no displacement: ramps give the map."""
    y, x = np.mgrid[:32, :32] / 31.0
    n = 8
    images = pictures(n)
    flat = np.broadcast_to(np.stack([y, x])[:, None, None], (2, n, 1, 32, 32))
    rows, columns = (run(ramp.copy(), "elastic_transform", 1, "cifar") for ramp in flat)
    ours = run(images, "elastic_transform", 1, "cifar")
    for image, out, row, column in zip(
        images[:, 0], ours[:, 0], rows[:, 0] * 31, columns[:, 0] * 31, strict=True
    ):
        inside = (row > 0.5) & (row < 30.5) & (column > 0.5) & (column < 30.5)
        assert inside.mean() > 0.5
        expected = ndimage.map_coordinates(image, [row, column], order=1)
        np.testing.assert_allclose(out[inside], expected[inside], atol=1e-4)
        # The map is affine; in the center it reads no mirrored pixels.
        middle = (slice(8, 24), slice(8, 24))
        ones = np.stack([y[middle], x[middle], np.ones((16, 16))], axis=-1)
        _, residual, *_ = np.linalg.lstsq(
            ones.reshape(-1, 3), row[middle].ravel(), rcond=None
        )
        assert residual < 1e-6
        # Each corner of the square moves by at most 8 % of 32 pixels.
        moved = np.abs(row - 31 * y)[middle].max()
        assert 0.05 < moved < 12


@pytest.mark.parametrize(
    ("parameters", "severity", "size", "sigma"),
    [("cifar", 5, 3.2, 0.96), ("tinyimagenet", 2, 3.2, 19.2), ("imagenet", 2, 488, 19)],
)
def test_elastic_displacement_has_the_spread_of_smoothed_noise(
    parameters, severity, size, sigma
):
    """Use second differences of a ramp, because those of an affine map are zero."""
    x = np.broadcast_to(np.linspace(0.3, 0.7, 256), (40, 1, 256, 256))
    ours = run(x.copy(), "elastic_transform", severity, parameters)
    bend = np.diff(ours, 2)[:, :, 100:156, 100:156] * 255 / 0.4
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, (40, 256, 256))
    smooth = ndimage.gaussian_filter(
        noise, (0, sigma, sigma), mode="reflect", truncate=3
    )
    expected = np.diff(size * smooth, 2)[:, 100:156, 100:156]
    # The affine map changes the effect of the displacement by some percent.
    assert np.sqrt((bend**2).mean()) == pytest.approx(
        np.sqrt((expected**2).mean()), rel=0.25
    )


@every
def test_frost_adds_one_of_five_given_textures(frost_folder, parameters, severity):
    folder = frost_folder
    ours = run(
        np.full((200, 3, 16, 16), 0.2), "frost", severity, parameters, textures=folder
    )
    own, ice = FROST[parameters][severity - 1]
    levels = 40 * np.arange(1, 6)
    expected = (own * 0.2 + ice * levels / 255).clip(0, 1)
    means = ours[:, 0].mean(axis=(1, 2))
    nearest = np.abs(means[:, None] - expected).argmin(axis=1)
    np.testing.assert_allclose(means, expected[nearest], atol=0.008)
    distinct = len(np.unique(expected.round(3)))
    counts = np.bincount(nearest, minlength=5)[: distinct if distinct < 5 else 5]
    if distinct == 5:
        assert stats.chisquare(counts).pvalue > 1e-4


def test_drawn_frost_needs_no_files_and_brightens():
    images = pictures(8, 64, 3)
    ours = run(images, "frost", 3, "tinyimagenet")
    assert (ours.mean(axis=(1, 2, 3)) > images.mean(axis=(1, 2, 3))).all()
    change = ours - 0.8 * images
    assert change.std() > 0.02


@pytest.mark.parametrize("parameters", NOISE)
def test_spatter_is_water_then_mud(parameters):
    images = np.full((40, 3, 64, 64), 0.5)
    water = [run(images, "spatter", s, parameters) - images for s in (1, 2, 3)]
    mud = [run(images, "spatter", s, parameters) - images for s in (4, 5)]
    turquoise, brown = np.array([175, 238, 238]) / 255, np.array([63, 42, 20]) / 255
    for change in water:
        assert change.min() == 0.0
        where = change[:, 0] > 0.01
        assert 0.01 < where.mean() < 0.9
        inside = where & (images + change).max(axis=1).__lt__(1.0)
        ratio = change[:, 1][inside] / change[:, 0][inside]
        np.testing.assert_allclose(ratio, turquoise[1] / turquoise[0], rtol=1e-3)
    for change in mud:
        cover = change / (brown - 0.5)[:, None, None]
        np.testing.assert_allclose(cover[:, 0], cover[:, 2], atol=1e-4)
        covered = cover[:, 0][cover[:, 0] > 1e-3]
        assert covered.min() >= 0.8 - 1e-4
        assert 0.01 < (cover[:, 0] > 1e-3).mean() < 0.6
