"""Front ends: the Gaussian blur and principal components, alone and in a network."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import nn

from neurofreq import models

SIGMAS = (1.0, 1.1, 1.2, 1.5, 2.0, 3.0)


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# The published sizes (sigma 1, 1.5, 2 and 3) and others. For sigma 1.2, 2.5 sigma is
# the whole number 3.
@pytest.mark.parametrize(
    ("sigma", "size"),
    [(1.0, 7), (1.1, 7), (1.2, 7), (1.5, 9), (2.0, 11), (3.0, 17), (15.0, 77)],
)
def test_the_kernel_has_the_published_size_and_sums_to_one(sigma, size):
    blur = models.Blur(sigma)
    assert blur.kernel.shape == (size,)
    assert float(blur.kernel.double().sum()) == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(blur.kernel, blur.kernel.flip(0), rtol=0.0, atol=0.0)
    assert blur.sigma == pytest.approx(sigma, rel=1e-5)
    assert not list(blur.parameters())
    assert list(blur.state_dict()) == ["kernel"]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_an_impulse_shows_the_two_dimensional_gaussian(sigma):
    half = int(np.ceil(2.5 * sigma - 1e-9))
    image = torch.zeros(1, 1, 32, 32)
    image[0, 0, 16, 16] = 1.0
    steps = np.arange(-half, half + 1)
    expected = np.exp(-(steps[:, None] ** 2 + steps**2) / (2.0 * sigma**2))
    found = models.Blur(sigma)(image)[0, 0].numpy()
    window = slice(16 - half, 17 + half)
    np.testing.assert_allclose(found[window, window], expected / expected.sum(), 1e-4)
    assert found.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0])
def test_blur_equals_scipys_truncated_wrapped_gaussian(sigma):
    images = noise(2, 3, 32, 24)
    radius = int(np.ceil(2.5 * sigma))
    expected = scipy.ndimage.gaussian_filter(
        images.double().numpy(), sigma, mode="wrap", radius=radius, axes=(2, 3)
    )
    found = models.Blur(sigma)(images)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_a_constant_stays_and_shifts_commute():
    blur = models.Blur(1.5)
    constant = torch.full((1, 3, 16, 16), 0.3)
    torch.testing.assert_close(blur(constant), constant)
    images = noise(2, 1, 32, 32)
    shifted = images.roll((5, -7), dims=(2, 3))
    torch.testing.assert_close(blur(shifted), blur(images).roll((5, -7), dims=(2, 3)))


def test_channels_do_not_mix_and_gradients_pass():
    images = noise(1, 4, 16, 16).requires_grad_()
    blurred = models.Blur(1.0)(images)
    (gradient,) = torch.autograd.grad(blurred[:, 2].sum(), images)
    assert not gradient[:, [0, 1, 3]].any()
    torch.testing.assert_close(gradient[:, 2], torch.ones(1, 16, 16))


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_a_sigma_that_is_no_size_is_refused(sigma):
    with pytest.raises(ValueError, match="expected a number of pixels above 0"):
        models.Blur(sigma)


def test_images_smaller_than_the_kernel_are_refused():
    with pytest.raises(ValueError, match="got 7x32 pixels, expected sides of at least"):
        models.Blur(3.0)(torch.zeros(1, 1, 7, 32))
    models.Blur(3.0)(torch.zeros(1, 1, 8, 32))


def photographs(n=300, side=8, rank=20, seed=0):
    """Images with a known number of components of decreasing size, and some noise."""
    rng = np.random.default_rng(seed)
    size = 3 * side**2
    basis = np.linalg.qr(rng.standard_normal((size, rank)))[0]
    scores = rng.standard_normal((n, rank)) * np.geomspace(1.0, 0.1, rank)
    images = 0.5 + 0.1 * scores @ basis.T + 1e-4 * rng.standard_normal((n, size))
    return images.clip(0.0, 1.0).reshape(n, 3, side, side)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_are_those_of_the_exact_decomposition(dtype):
    images = photographs().astype(dtype)
    flat = images.reshape(len(images), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    exact = np.linalg.svd(flat - mean, full_matrices=False)[2][:12]
    pca = models.PCA.fit(images, 12, seed=3)
    found = pca.components.flatten(1).double().numpy()
    np.testing.assert_allclose(found.T @ found, exact.T @ exact, atol=2e-4)
    np.testing.assert_allclose(pca.mean.flatten().numpy(), mean, atol=1e-6)
    projected = pca(torch.from_numpy(images.astype(np.float32))).flatten(1).numpy()
    expected = mean + (flat - mean) @ exact.T @ exact
    np.testing.assert_allclose(projected, expected, atol=2e-4)


def test_a_slow_spectrum_is_kept_nearly_as_well_as_it_can_be():
    images = noise(400, 1, 12, 12)
    flat = images.flatten(1).double()
    left = torch.linalg.svdvals(flat - flat.mean(0))[40:].square().sum()
    lost = (models.PCA.fit(images, 40)(images) - images).double().square().sum()
    assert left <= lost * (1 + 1e-6)
    assert lost < 1.01 * left


def test_projecting_twice_is_projecting_once_and_all_components_lose_nothing():
    images = torch.from_numpy(photographs(40, 4).astype(np.float32))
    pca = models.PCA.fit(images, 10)
    torch.testing.assert_close(pca(pca(images)), pca(images))
    full = models.PCA.fit(images, 39)
    torch.testing.assert_close(full(images), images, rtol=0.0, atol=1e-5)
    assert "39 components of 48" in repr(full)


def test_a_seed_repeats_a_fit_and_leaves_the_generator_alone():
    images = noise(60, 1, 6, 6)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first = models.PCA.fit(images, 5, seed=1)
    assert torch.rand(1) == expected
    second = models.PCA.fit(images, 5, seed=1)
    assert torch.equal(first.components, second.components)
    other = models.PCA.fit(images, 5, seed=2)
    assert not torch.equal(first.components, other.components)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: models.PCA.fit(x, 0), ValueError, "n_components: got 0"),
        (lambda x: models.PCA.fit(x, 20), ValueError, "got 20, expected 1 to 19"),
        (lambda x: models.PCA.fit(x * 3.0, 2), ValueError, "images: got values in"),
        (lambda x: models.PCA.fit(x[0], 2), ValueError, "images: got shape"),
        (lambda x: models.PCA.fit(x, 2.0), TypeError, "n_components: got float"),
        (lambda x: models.PCA.fit(x, 2, seed=-1), ValueError, "seed: got -1"),
        (
            lambda x: models.PCA.fit(x, 2)(torch.zeros(1, 3, 6, 6)),
            ValueError,
            r"images: got shape \(1, 3, 6, 6\), expected \(N, 1, 6, 6\)",
        ),
        (
            lambda x: models.PCA(x[0], x[:2, :, :3]),
            ValueError,
            r"components: got shape \(2, 1, 3, 6\) with a mean",
        ),
        (lambda x: models.PCA(x[0], x[:2]), ValueError, "to be the identity"),
    ],
)
def test_bad_input_of_pca_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(noise(20, 1, 6, 6))


def fronts():
    return [models.Blur(1.5), models.PCA.fit(noise(80, 1, 32, 32), 30)]


@pytest.mark.parametrize("front", fronts(), ids=["blur", "pca"])
def test_a_front_end_acts_on_pixels_and_keeps_the_names_of_layers(front):
    torch.manual_seed(0)
    model = models.small_cnn(width=4).eval()
    images = noise(3, 1, 32, 32)
    expected = model(front(images))
    names = [name for name, _ in model.named_modules() if name.startswith("network")]
    model.front = front
    torch.testing.assert_close(model(images), expected)
    after = [name for name, _ in model.named_modules() if name.startswith("network")]
    assert after == names


def test_before_or_after_the_normalisation_is_the_same():
    model = models.Normalized(nn.Identity(), (0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
    images, blur = noise(2, 3, 16, 16), models.Blur(1.0)
    torch.testing.assert_close(blur(model(images)), model(blur(images)))


@pytest.mark.parametrize("front", fronts(), ids=["blur", "pca"])
def test_folding_keeps_a_front_end(front):
    model = models.resnet18_gray(base_width=4)
    model.front = front
    images = noise(4, 1, 32, 32)
    folded = models.fold_batch_norm(model, images)
    assert not any(isinstance(one, nn.BatchNorm2d) for one in folded.modules())
    torch.testing.assert_close(
        folded(images), model.eval()(images), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="images: got"):
        folded(noise(1, 1, 3, 3))


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("front", fronts(), ids=["blur", "pca"])
def test_weights_bring_their_front_end_along(tmp_path, front, suffix):
    from safetensors.torch import save_file

    model = models.small_cnn(width=4).eval()
    model.front = front
    path = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(model.state_dict(), path)
    images = noise(3, 1, 32, 32)
    loaded = models.load_model("small_cnn,width=4", weights=path)
    assert torch.equal(loaded(images), model(images))
    option = "blur=1.5" if isinstance(front, models.Blur) else "pca=30"
    again = models.load_model(f"small_cnn,width=4,{option}", weights=path)
    assert torch.equal(again(images), model(images))


def test_options_that_contradict_the_weights_are_refused(tmp_path):
    model = models.small_cnn(width=4)
    torch.save(model.state_dict(), tmp_path / "bare.pt")
    for name, front in zip(("blur", "pca"), fronts(), strict=True):
        model.front = front
        torch.save(model.state_dict(), tmp_path / f"{name}.pt")

    def load(options, file):
        path = file and tmp_path / f"{file}.pt"
        return models.load_model(f"small_cnn,width=4,{options}", weights=path)

    with pytest.raises(ValueError, match=r"blur: got 2\.0 and weights behind Blur"):
        load("blur=2", "blur")
    with pytest.raises(ValueError, match=r"blur: got 1\.5 and weights behind PCA"):
        load("blur=1.5", "pca")
    with pytest.raises(ValueError, match="pca: got 20 and weights behind PCA"):
        load("pca=20", "pca")
    with pytest.raises(ValueError, match="pca: got 30 and weights behind no front end"):
        load("pca=30", "bare")
    with pytest.raises(ValueError, match="pca: got 30 and no weights"):
        load("pca=30", None)
    with pytest.raises(ValueError, match="got blur and pca, expected one front end"):
        load("blur=1.5,pca=30", None)
    # With weights of the network only, the option sets the front end.
    assert load("blur=2", "bare").front.sigma == pytest.approx(2.0)


def test_a_kernel_that_is_none_is_refused():
    for kernel in (torch.ones(4) / 4, torch.ones(5), torch.ones(3, 3) / 9):
        with pytest.raises(ValueError, match="expected an odd number of taps"):
            models.Blur.from_kernel(kernel)
