"""Deterministic corruptions against SciPy, matplotlib and PIL."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colors
from PIL import Image
from scipy import ndimage

import neurofreq as nf

# Constants from the published descriptions, not from the library.
CONTRAST = {
    "cifar": (0.75, 0.5, 0.4, 0.3, 0.15),
    "tinyimagenet": (0.4, 0.3, 0.2, 0.1, 0.05),
    "imagenet": (0.4, 0.3, 0.2, 0.1, 0.05),
}
BRIGHTNESS = {
    "cifar": (0.05, 0.1, 0.15, 0.2, 0.3),
    "tinyimagenet": (0.1, 0.2, 0.3, 0.4, 0.5),
    "imagenet": (0.1, 0.2, 0.3, 0.4, 0.5),
}
SATURATE = {
    "cifar": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    "tinyimagenet": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)),
    "imagenet": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
}
DEFOCUS = {
    "cifar": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "tinyimagenet": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    "imagenet": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
}
GAUSSIAN = {
    "cifar": (0.4, 0.6, 0.7, 0.8, 1),
    "tinyimagenet": (0.5, 0.75, 1, 1.25, 1.5),
    "imagenet": (1, 2, 3, 4, 6),
}
SMALL_ZOOM = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))
ZOOM = {
    "cifar": SMALL_ZOOM,
    "tinyimagenet": SMALL_ZOOM,
    "imagenet": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
}
PIXELATE = {
    "cifar": (0.95, 0.9, 0.85, 0.75, 0.65),
    "tinyimagenet": (0.9, 0.8, 0.7, 0.6, 0.5),
    "imagenet": (0.6, 0.5, 0.4, 0.3, 0.25),
}
JPEG = {
    "cifar": (80, 65, 58, 50, 40),
    "tinyimagenet": (65, 58, 50, 40, 25),
    "imagenet": (25, 18, 15, 10, 7),
}
SETS = tuple(CONTRAST)

every = pytest.mark.parametrize(
    ("parameters", "severity"), [(p, s) for p in SETS for s in range(1, 6)]
)


def pictures(n=2, size=(33, 48), channels=3, seed=0):
    """Noise at all scales, with smooth and fine parts."""
    rng = np.random.default_rng(seed)
    fine = rng.uniform(0.0, 1.0, (n, channels, *size))
    coarse = ndimage.gaussian_filter(fine, (0, 0, 4, 4))
    coarse = (coarse - coarse.min()) / np.ptp(coarse)
    return 0.8 * coarse + 0.2 * fine


def agrees(name, severity, parameters, images, expected, atol=2e-6):
    ours = nf.corrupt(images, name, severity, seed=0, parameters=parameters)
    np.testing.assert_allclose(ours, expected.clip(0, 1), rtol=0, atol=atol)


@every
def test_contrast_is_the_formula(parameters, severity):
    images = pictures()
    mean = images.mean(axis=(2, 3), keepdims=True)
    factor = CONTRAST[parameters][severity - 1]
    expected = (images - mean) * factor + mean
    agrees("contrast", severity, parameters, images, expected)


def through_hsv(images, change):
    hsv = colors.rgb_to_hsv(images.transpose(0, 2, 3, 1))
    change(hsv)
    return colors.hsv_to_rgb(hsv).transpose(0, 3, 1, 2)


@every
def test_brightness_is_the_value_of_hsv(parameters, severity):
    images = pictures()
    images[0, :, :4] = 0.0
    images[0, :, 4:8] = 0.7

    def brighter(hsv):
        addition = BRIGHTNESS[parameters][severity - 1]
        hsv[..., 2] = (hsv[..., 2] + addition).clip(0, 1)

    agrees("brightness", severity, parameters, images, through_hsv(images, brighter))
    gray = images[:, :1]
    expected = gray + BRIGHTNESS[parameters][severity - 1]
    agrees("brightness", severity, parameters, gray, expected)


@every
def test_saturate_is_the_saturation_of_hsv(parameters, severity):
    images = pictures()
    images[0, :, :4] = 0.0
    images[0, :, 4:8] = 0.7

    def more(hsv):
        factor, addition = SATURATE[parameters][severity - 1]
        hsv[..., 1] = (hsv[..., 1] * factor + addition).clip(0, 1)

    # The saturation is multiplied by up to 30, and so is its rounding error.
    expected = through_hsv(images, more)
    agrees("saturate", severity, parameters, images, expected, atol=1e-5)


def disk(radius, sigma):
    """The published kernel, by SciPy: a disk smoothed by a short Gaussian."""
    half = 8 if radius <= 8 else int(radius)
    reach = 1 if radius <= 8 else 2
    at = np.arange(-half, half + 1)
    kernel = (at[:, None] ** 2 + at**2 <= radius**2).astype(float)
    kernel /= kernel.sum()
    return ndimage.gaussian_filter(kernel, sigma, mode="mirror", radius=reach)


@every
def test_defocus_agrees_with_scipy(parameters, severity):
    images = pictures()
    kernel = disk(*DEFOCUS[parameters][severity - 1])
    expected = ndimage.correlate(images, kernel[None, None], mode="mirror")
    agrees("defocus_blur", severity, parameters, images, expected)


@every
def test_gaussian_blur_agrees_with_scipy(parameters, severity):
    images = pictures()
    sigma = GAUSSIAN[parameters][severity - 1]
    expected = ndimage.gaussian_filter(images, (0, 0, sigma, sigma), mode="nearest")
    agrees("gaussian_blur", severity, parameters, images, expected)


@every
def test_zoom_blur_agrees_with_scipy(parameters, severity):
    images = pictures()
    end, step = ZOOM[parameters][severity - 1]
    factors = np.arange(1, end, step)
    total = images.copy()
    for factor in factors:
        height, width = (int(np.ceil(side / factor)) for side in images.shape[2:])
        top, left = (
            (a - b) // 2 for a, b in zip((33, 48), (height, width), strict=True)
        )
        part = images[:, :, top : top + height, left : left + width]
        # SciPy's last pixel may lie beyond the edge, hence mode "nearest".
        zoomed = ndimage.zoom(part, (1, 1, factor, factor), order=1, mode="nearest")
        total += zoomed[:, :, :33, :48]
    expected = total / (len(factors) + 1)
    agrees("zoom_blur", severity, parameters, images, expected)


def by_pil(images, work):
    """Apply `work`, a function of a PIL image, to each uint8 image (C, H, W)."""
    out = []
    for image in images:
        pixels = image.transpose(1, 2, 0)
        picture = Image.fromarray(pixels if len(image) == 3 else pixels[..., 0])
        out.append(np.asarray(work(picture)).reshape(pixels.shape).transpose(2, 0, 1))
    return np.stack(out)


def jpeg(quality):
    def work(picture):
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return work


def pixelated(share):
    """Resize horizontally, then vertically. Pillow 13 begins with the shorter side;
    the rounding may then differ for images that are not square."""

    def resize(picture, width, height):
        across = picture.resize((width, picture.height), Image.Resampling.BOX)
        return across.resize((width, height), Image.Resampling.BOX)

    def work(picture):
        small = [int(side * share) for side in picture.size]
        return resize(resize(picture, *small), *picture.size)

    return work


@settings(max_examples=60, deadline=None)
@given(
    parameters=st.sampled_from(SETS),
    severity=st.integers(1, 5),
    size=st.tuples(st.integers(16, 70), st.integers(16, 70)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
    harsh=st.booleans(),
)
def test_jpeg_and_pixelate_are_those_of_pil(
    parameters, severity, size, channels, seed, harsh
):
    images = (pictures(1, size, channels, seed) * 255).astype(np.uint8)
    if harsh:  # noise of black and white pixels
        images = np.uint8(255) * (images > np.median(images))
    for name, work in (
        ("jpeg_compression", jpeg(JPEG[parameters][severity - 1])),
        ("pixelate", pixelated(PIXELATE[parameters][severity - 1])),
    ):
        expected = by_pil(images, work)
        for form, scale in ((images, 1), (images / 255.0, 255)):
            ours = nf.corrupt(
                form, name, severity, seed=0, parameters=parameters, layout="nchw"
            )
            np.testing.assert_array_equal(np.round(ours * scale), expected)
