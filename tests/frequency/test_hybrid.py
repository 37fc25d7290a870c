"""Hybrid images and curves."""

import numpy as np
import pytest
import torch
from torch import nn

import neurofreq as nf
from neurofreq import _neurofreq

SHAPES = [(3, 2, 8, 8), (2, 3, 7, 12), (5, 1, 9, 5), (1, 1, 16, 1), (2, 1, 31, 33)]
FREQUENCIES = [0.0, 0.16, 0.5, 0.16, 1.0, 1.3, 2**0.5]


def pair(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).random((2, *shape)).astype(dtype)


def mask(shape, a):
    fy, fx = np.fft.fftfreq(shape[-2]), np.fft.fftfreq(shape[-1])
    return np.hypot(fy[:, None], fx) <= 0.5 * a * (1 + 1e-12)


def reference(low, high, a):
    low, high = (np.fft.fft2(x.astype(np.float64)) for x in (low, high))
    return np.clip(np.fft.ifft2(np.where(mask(low.shape, a), low, high)).real, 0, 1)


def tolerance(dtype, shape):
    return 4 * np.finfo(dtype).eps * max(1.0, np.log2(shape[-1] * shape[-2]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_paths_equal_numpy(shape, dtype):
    low, high = pair(shape, dtype)
    host = nf.hybrid_images(low, high, FREQUENCIES)
    tensors = torch.from_numpy(low), torch.from_numpy(high)
    device = nf.hybrid_images(*tensors, FREQUENCIES)
    assert host.dtype == device.numpy().dtype == dtype
    assert host.shape == tuple(device.shape) == (len(FREQUENCIES), *shape)
    bound = tolerance(dtype, shape)
    for f, a in enumerate(FREQUENCIES):
        expected = reference(low, high, a)
        np.testing.assert_allclose(host[f], expected, rtol=0, atol=bound)
        np.testing.assert_allclose(device[f].numpy(), expected, rtol=0, atol=bound)
        assert np.array_equal(nf.hybrid_images(low, high, a), host[f])
        assert torch.equal(nf.hybrid_images(*tensors, a), device[f])


def test_the_ends_of_the_mask():
    low, high = pair((4, 3, 32, 32))
    low, high = 0.3 + 0.4 * low, 0.3 + 0.2 * high  # no clipping
    for convert in (np.asarray, torch.from_numpy):
        zero, one, beyond = np.asarray(
            nf.hybrid_images(convert(low), convert(high), [0, 1, 1.5])
        )
        # a = 0 keeps only DC of the low image.
        means = low.mean((2, 3), keepdims=True) - high.mean((2, 3), keepdims=True)
        np.testing.assert_allclose(zero, high + means, atol=1e-12)
        # a = 1 keeps all |f| <= 0.5 and leaves the corners to the high image.
        spectrum, corner = np.fft.fft2(one), ~mask(one.shape, 1)
        np.testing.assert_allclose(
            spectrum[..., corner], np.fft.fft2(high)[..., corner], atol=1e-10
        )
        np.testing.assert_allclose(
            spectrum[..., ~corner], np.fft.fft2(low)[..., ~corner], atol=1e-10
        )
        assert np.array_equal(beyond, low)


def test_a_returned_low_image_is_a_copy():
    low, high = map(torch.from_numpy, pair((1, 1, 4, 4)))
    before = low.clone()
    nf.hybrid_images(low, high, 2.0).zero_()
    assert torch.equal(low, before)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_with_itself_is_itself(shape):
    image = pair(shape, np.float32)[0]
    for a in (0.0, 0.3, 0.9, 1.2):
        assert np.array_equal(nf.hybrid_images(image, image, a), image)
        tensor = torch.from_numpy(image)
        assert torch.equal(nf.hybrid_images(tensor, tensor, a), tensor)


def test_strided_arrays_are_read_as_they_look():
    low, high = pair((6, 3, 14, 11))
    for view in (
        lambda x: x[::-1],
        lambda x: x[:, ::2, ::-1, 1::3],
        lambda x: x.transpose(0, 1, 3, 2),
        lambda x: np.broadcast_to(x[:1], x.shape),
    ):
        found = nf.hybrid_images(view(low), view(high[::2].repeat(2, 0)), 0.4)
        expected = reference(view(low), view(high[::2].repeat(2, 0)), 0.4)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_batches_and_threads_change_no_bit():
    low, high = pair((40, 1, 20, 20), np.float32)
    whole = nf.hybrid_images(low, high, [0.2, 0.7])
    before = nf.num_threads()
    try:
        for count in (1, 4):
            nf.set_num_threads(count)
            assert np.array_equal(nf.hybrid_images(low, high, [0.2, 0.7]), whole)
    finally:
        nf.set_num_threads(before)
    parts = [
        nf.hybrid_images(low[i : i + 10], high[i : i + 10], 0.2)
        for i in range(0, 40, 10)
    ]
    assert np.array_equal(np.concatenate(parts), whole[0])


def test_tensor_gradient():
    low, high = map(torch.from_numpy, 0.3 + 0.4 * pair((2, 1, 5, 6)))
    inputs = low.requires_grad_(), high.requires_grad_()
    for a in (0.4, 1.5):
        mix = lambda x, y, a=a: nf.hybrid_images(x, y, a)  # noqa: E731
        assert torch.autograd.gradcheck(mix, inputs)
    assert torch.autograd.gradcheck(
        lambda x, y: nf.hybrid_images(x, y, [0.0, 0.7]), inputs
    )


@pytest.mark.cuda
def test_cuda_equals_host():
    low, high = pair((5, 3, 31, 32), np.float32)
    tensors = torch.from_numpy(low).cuda(), torch.from_numpy(high).cuda()
    found = nf.hybrid_images(*tensors, FREQUENCIES)
    assert found.is_cuda
    np.testing.assert_allclose(
        found.cpu().numpy(),
        nf.hybrid_images(low, high, FREQUENCIES),
        rtol=0,
        atol=tolerance(np.float32, low.shape),
    )


IMAGE = np.full((2, 1, 4, 4), 0.5)


@pytest.mark.parametrize(
    ("low", "high", "a", "error", "message"),
    [
        (IMAGE[:0], IMAGE[:0], 0.5, ValueError, "low: got shape .*no empty axis"),
        (IMAGE, IMAGE[0], 0.5, ValueError, r"high: got shape .*\(N, C, H, W\)"),
        (IMAGE, IMAGE[:1], 0.5, ValueError, "high: got shape .*that of low"),
        (
            IMAGE,
            IMAGE.astype("f"),
            0.5,
            ValueError,
            r"high: got dtype (torch\.)?float32",
        ),
        (IMAGE * np.nan, IMAGE, 0.5, ValueError, "low: got NaN or infinite"),
        (IMAGE, IMAGE + 1, 0.5, ValueError, r"high: got values in \[1.5, 1.5\]"),
        (IMAGE - 1, IMAGE, 0.5, ValueError, "low: got values in"),
        (IMAGE.astype(np.uint8), IMAGE, 0.5, TypeError, "low: got dtype uint8"),
        (IMAGE.astype(np.float16), IMAGE, 0.5, TypeError, "low: got dtype float16"),
        (IMAGE.astype(complex), IMAGE, 0.5, TypeError, "low: got dtype complex128"),
        (IMAGE, IMAGE, -0.1, ValueError, "frequency: got -0.1"),
        (IMAGE, IMAGE, [0.1, np.nan], ValueError, "frequency: got nan"),
        (IMAGE, IMAGE, [], ValueError, r"frequency: got shape \(0,\)"),
        (IMAGE, IMAGE, [[0.1]], ValueError, r"frequency: got shape \(1, 1\)"),
    ],
)
@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_bad_input_is_named(convert, low, high, a, error, message):
    with pytest.raises(error, match=message):
        nf.hybrid_images(convert(low), convert(high), a)


def test_arrays_and_tensors_do_not_mix():
    with pytest.raises((TypeError, ValueError), match="high: got "):
        nf.hybrid_images(IMAGE, torch.from_numpy(IMAGE), 0.5)


# --- pairs ---


def test_pairs_differ_in_class_and_use_every_image_once():
    labels = np.random.default_rng(0).integers(0, 10, 500)
    low, high = nf.hybrid_pairs(labels, seed=3)
    assert np.array_equal(low, np.arange(500))
    assert np.array_equal(np.sort(high), np.arange(500))
    assert not np.any(labels[low] == labels[high])
    assert np.array_equal(nf.hybrid_pairs(labels, seed=3)[1], high)
    assert not np.array_equal(nf.hybrid_pairs(labels, seed=4)[1], high)


# --- curves ---


class LowPassed(nn.Module):
    """Predict the class (one of ten gray levels) from the mean of the image."""

    def __init__(self):
        super().__init__()
        self.levels = nn.Parameter(torch.linspace(0.3, 0.7, 10))
        self.inner = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout())

    def forward(self, images):
        assert not self.training
        assert not self.inner[1].training
        assert not torch.is_grad_enabled()
        return -((images.mean((1, 2, 3))[:, None] - self.levels) ** 2)


class Striped(nn.Module):
    """Predict the class from the wave number of the image along x."""

    def forward(self, images):
        return torch.fft.rfft(images.mean((1, 2))).abs()[:, 1:11]


def levels_and_stripes(n=60, size=32):
    """Images whose class is both a gray level and a wave number."""
    labels = np.arange(n) % 10
    x = np.arange(size)
    waves = np.cos(2 * np.pi * (labels[:, None] + 1) * x / size)
    images = np.linspace(0.3, 0.7, 10)[labels][:, None, None] + 0.1 * waves[:, None]
    texture = 0.02 * np.random.default_rng(0).random((n, 1, size, size))
    return (images[:, None] + texture).astype(np.float32), labels


def test_curve_of_a_model_that_sees_the_mean():
    images, labels = levels_and_stripes()
    curve = nf.hybrid_curve(LowPassed(), images, labels, seeds=range(2))
    np.testing.assert_array_equal(curve.frequency, nf.frequency.FREQUENCIES)
    np.testing.assert_array_equal(curve.p_low, 1)
    np.testing.assert_array_equal(curve.p_high, 0)
    assert np.isnan(curve.reversal_frequency)
    assert np.isnan(curve.interval).all()
    np.testing.assert_array_equal(curve.difference, np.ones((60, 13)))


def naive_curve(model, images, labels, frequencies, seeds):
    rates = np.zeros((2, len(frequencies)))
    for seed in seeds:
        low, high = nf.hybrid_pairs(labels, seed=seed)
        for f, a in enumerate(frequencies):
            mixed = reference(images[low], images[high], a).astype(np.float32)
            chosen = model(torch.from_numpy(mixed)).argmax(1).numpy()
            rates[:, f] += [np.mean(chosen == labels[i]) for i in (low, high)]
    return rates / len(seeds)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("batch_size", [7, 60, 1000])
def test_curve_equals_its_definition(batch_size, convert):
    images, labels = levels_and_stripes()
    curve = nf.hybrid_curve(
        Striped(), convert(images), labels, seeds=[4, 9], batch_size=batch_size
    )
    p_low, p_high = naive_curve(Striped(), images, labels, curve.frequency, [4, 9])
    np.testing.assert_allclose(curve.p_low, p_low, atol=1e-12)
    np.testing.assert_allclose(curve.p_high, p_high, atol=1e-12)
    np.testing.assert_allclose(curve.difference.mean(0), p_low - p_high, atol=1e-12)
    expected = np.interp(0, p_low - p_high, curve.frequency)
    assert curve.reversal_frequency == pytest.approx(expected)
    low, high = curve.interval
    assert low <= curve.reversal_frequency <= high
    assert 0.2 < low < high < 0.6


def test_any_callable_and_any_ascending_frequencies():
    images, labels = levels_and_stripes()
    model = Striped()
    curve = nf.hybrid_curve(lambda x: model(x), images, labels, frequencies=[0, 1, 1.5])
    np.testing.assert_array_equal(curve.p_high[[0]], 1)
    np.testing.assert_array_equal(curve.p_low[1:], 1)
    with pytest.raises(ValueError, match=r"frequencies: got .*ascending"):
        nf.hybrid_curve(model, images, labels, frequencies=[0.5, 0.1])
    with pytest.raises(ValueError, match=r"frequencies: got .*two or more"):
        nf.hybrid_curve(model, images, labels, frequencies=[0.5])
    with pytest.raises(ValueError, match="seeds: got none"):
        nf.hybrid_curve(model, images, labels, seeds=[])
    with pytest.raises(ValueError, match="batch_size: got 0"):
        nf.hybrid_curve(model, images, labels, batch_size=0)
    with pytest.raises(ValueError, match="labels: got 59, expected 60"):
        nf.hybrid_curve(model, images, labels[1:])


def test_model_is_left_as_found():
    images, labels = levels_and_stripes()
    model = LowPassed().train()
    model.inner[0].eval()
    flags = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    nf.hybrid_curve(model, images, labels, seeds=[0])
    assert [module.training for module in model.modules()] == flags
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())

    def fail(*_):
        raise KeyError("mine")

    model.register_forward_hook(fail)
    with pytest.raises(KeyError, match="mine"):
        nf.hybrid_curve(model, images, labels, seeds=[0])
    assert [module.training for module in model.modules()] == flags


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: torch.full((len(x), 10), torch.nan), "NaN or infinite logits"),
        (lambda x: x, r"logits of shape \(2, 1, 32, 32\) for 2 images"),
        (lambda x: torch.zeros(3, 10), r"logits of shape \(3, 10\) for 2 images"),
        (lambda x: torch.zeros(len(x), 9), "got 9 classes, expected at least 10"),
        (lambda x: torch.zeros(len(x), 10, dtype=torch.int64), "dtype int64"),
        (lambda x: None, "got NoneType, expected a tensor"),
    ],
)
def test_model_faults_are_named(answer, message):
    images, labels = levels_and_stripes()
    with pytest.raises(nf.ModelError, match=message):
        nf.hybrid_curve(answer, images, labels)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": None}, TypeError, "model: got NoneType, expected a callable"),
        ({"model": "resnet18"}, TypeError, "model: got str, expected a callable"),
        ({"seeds": 3}, TypeError, "seeds: got 3, expected a sequence"),
        ({"batch_size": 2.5}, TypeError, "batch_size: got float, expected an integer"),
        ({"device": "gpu"}, ValueError, "device: got gpu, expected cpu, cuda or cuda"),
        ({"device": "cuda:99"}, ValueError, "device: got cuda:99, expected one that"),
    ],
)
def test_arguments_of_a_curve_are_named(changes, error, message):
    images, labels = levels_and_stripes()
    with pytest.raises(error, match=message):
        nf.hybrid_curve(
            **{"model": LowPassed(), "images": images, "labels": labels} | changes
        )


def test_an_array_and_a_tensor_do_not_mix():
    low = torch.rand(2, 1, 8, 8)
    with pytest.raises(TypeError, match="high: got ndarray, expected Tensor, as low"):
        nf.hybrid_images(low, low.numpy(), 0.5)


@pytest.mark.cuda
def test_curve_on_cuda_equals_the_host():
    images, labels = levels_and_stripes()
    host = nf.hybrid_curve(LowPassed(), images, labels)
    device = nf.hybrid_curve(LowPassed().cuda(), images, labels)
    np.testing.assert_allclose(host.difference, device.difference)


def test_crossing_interpolates_each_curve():
    x = np.array([0.0, 1.0, 2.0])
    curves = np.array([[-1, 1, 2], [1, 2, 3], [-2, -1, 0], [-1, np.nan, 1]], float)
    found = _neurofreq.crossing(x, curves, 0.0)
    np.testing.assert_allclose(found, [0.5, np.nan, 2.0, np.nan])
