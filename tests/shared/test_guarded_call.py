"""How every measurement calls a user's model and reads its outputs."""

import threading
import types
import warnings

import numpy as np
import pytest
import torch
from helpers.tensors import Wrapper
from torch import nn

import neurofreq as nf
from neurofreq._shared.networks import calling, modes
from neurofreq.attacks import PGD, Boundary, BrendelBethge

N_CLASSES = 4


def images(n=8, channels=3, dtype=torch.float32, size=16):
    return torch.rand(
        n, channels, size, size, dtype=dtype, generator=torch.Generator().manual_seed(0)
    )


def labels(n=8):
    return np.arange(n) % N_CLASSES


def network(channels=3, dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(32, N_CLASSES),
    ).to(dtype)  # fmt: skip


MEASUREMENTS = {
    "hybrid_curve": lambda model, x: (
        nf.hybrid_curve(
            model, x, labels(len(x)), frequencies=[0.2, 0.6], seeds=[0], batch_size=3
        ).difference
    ),
    "corruption_accuracy": lambda model, x: (
        nf.corruption_accuracy(
            model, x, labels(len(x)), corruptions=["fog"], severities=[3], batch_size=3
        ).correct
    ),
    "fourier_sensitivity": lambda model, x: (
        nf.fourier_sensitivity(
            model, x[..., :2, :2], labels(len(x)), batch_size=3
        ).error_rate
    ),
    "filtered_accuracy": lambda model, x: (
        nf.filtered_accuracy(
            model, x, labels(len(x)), filters=["low-pass"], batch_size=3
        ).correct
    ),
    "band_masking": lambda model, x: (
        nf.band_masking(model, x, labels(len(x)), sds=[0.1], batch_size=3).correct
    ),
    "neural_similarity": lambda model, x: np.asarray(
        nf.neural.neural_similarity(nf.neural.Predictor(model, batch_size=3), x)
    ),
    "PGD": lambda model, x: PGD(steps=3, epsilon=0.02)(
        model, x, labels(len(x)), batch_size=3
    ).distance.numpy(),
    "BrendelBethge": lambda model, x: BrendelBethge("l2", steps=5)(
        model, x, labels(len(x)), batch_size=3
    ).distance.numpy(),
    "Boundary": lambda model, x: Boundary(max_queries=60)(
        model, x, labels(len(x)), batch_size=3
    ).distance.numpy(),
}
each = pytest.mark.parametrize("name", MEASUREMENTS)


def small(channels=3):
    """Return a network for images of any size, even two pixels."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, N_CLASSES),
    )  # fmt: skip


class OneBuffer(nn.Module):
    """Write into the images and return the same memory each time, like TensorRT."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.outputs = inner, {}

    def forward(self, x):
        if x.requires_grad:
            return self.inner(x * 0.5)
        answer = self.inner(x.mul_(0.5))
        buffer = self.outputs.setdefault(len(x), torch.empty_like(answer))
        return buffer.copy_(answer)


class Halving(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x * 0.5)


@each
def test_images_and_answers_are_the_measurements_own(name):
    model, x = small(), images()
    before = x.clone()
    expected = MEASUREMENTS[name](Halving(model), x)
    found = MEASUREMENTS[name](OneBuffer(model), x)
    np.testing.assert_array_equal(found, expected)
    assert torch.equal(x, before)


class BatchStatistics(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x / x.std(dim=(0, 1, 2, 3), keepdim=True))


@each
def test_answers_that_depend_on_the_batch_are_told(name):
    with pytest.warns(UserWarning, match="with the images beside it") as told:
        MEASUREMENTS[name](BatchStatistics(small()), images())
    assert len([one for one in told if "beside" in str(one.message)]) == 1


def test_a_model_that_refuses_one_image_alone_is_told():
    def model(x):
        if len(x) == 1:
            raise ValueError("expected more than one image")
        return small()(x)

    with pytest.warns(UserWarning, match="refuses a batch of one image"):
        nf.hybrid_curve(model, images(), labels(), seeds=[0], batch_size=4)


def test_a_model_for_batches_of_one_size_is_measured():
    inner = small()

    def model(x):
        if len(x) not in (2, 4):
            raise ValueError("batches of four")
        return inner(x)

    found = nf.hybrid_curve(model, images(), labels(), seeds=[0], batch_size=4)
    expected = nf.hybrid_curve(inner, images(), labels(), seeds=[0], batch_size=4)
    np.testing.assert_array_equal(found.difference, expected.difference)


@each
@pytest.mark.parametrize(
    "wrap",
    [
        lambda logits: {"logits": logits},
        lambda logits: types.SimpleNamespace(logits=logits, hidden_states=None),
        lambda logits: nn.Parameter(logits) if not logits.requires_grad else logits,
    ],
)
def test_containers_of_logits_are_read(name, wrap):
    inner = small()
    found = MEASUREMENTS[name](lambda x: wrap(inner(x)), images())
    np.testing.assert_array_equal(found, MEASUREMENTS[name](inner, images()))


@each
@pytest.mark.parametrize(
    "wrap", [lambda y: (y, y), lambda y: {"output": y}, lambda y: y.numpy(force=True)]
)
def test_other_containers_are_refused_with_the_way_out(name, wrap):
    with pytest.raises(nf.ModelError, match=r"a tensor of (logits|responses) .*lambda"):
        MEASUREMENTS[name](lambda x: wrap(small()(x)), images())


@each
def test_logits_without_memory_are_refused(name):
    inner = small().requires_grad_(False)
    with pytest.raises(nf.ModelError, match="class Wrapper without memory"):
        MEASUREMENTS[name](lambda x: Wrapper(inner(x).detach()), images())


@each
def test_a_model_in_half_precision_is_measured(name):
    half = small().to(torch.bfloat16)
    found = MEASUREMENTS[name](half, images())
    expected = MEASUREMENTS[name](lambda x: half(x.bfloat16()).float(), images())
    np.testing.assert_array_equal(found, expected)


def test_a_model_in_half_precision_that_takes_the_images_gets_them_whole():
    class OwnType(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = small().to(torch.bfloat16), set()

        def forward(self, x):
            self.seen.add(x.dtype)
            return self.inner(x.sub(0.5).to(torch.bfloat16))

    model = OwnType()
    nf.hybrid_curve(model, images(), labels(), seeds=[0])
    assert model.seen == {torch.float32}


def test_bytes_are_shown_in_the_type_of_the_model():
    pixels = (images() * 255).byte().numpy()
    options = {"corruptions": ["fog"], "severities": [1]}
    double = nf.corruption_accuracy(
        small().double(), pixels, labels(), **options
    ).correct
    single = nf.corruption_accuracy(small(), pixels, labels(), **options).correct
    np.testing.assert_array_equal(double, single)


@pytest.mark.parametrize("channels", [4, 8, 16])
def test_what_an_attribute_says_of_channels_is_tried(channels):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_channels = channels  # many networks store their current width here
            self.inner = small()

        def forward(self, x):
            return self.inner(x)

    for gray in ("auto", False):
        nf.corruption_accuracy(
            Network(), images(), labels(), corruptions=["fog"], severities=[1],
            gray=gray,
        )  # fmt: skip


def test_a_curve_of_a_gray_network_is_that_of_luma():
    x = images()
    for colors in (x, x.numpy()):
        found = nf.hybrid_curve(small(1), colors, labels(), seeds=[0])
        luma = torch.einsum("nchw,c->nhw", x, torch.tensor(nf.data.LUMA))[:, None]
        expected = nf.hybrid_curve(small(1), luma, labels(), seeds=[0])
        np.testing.assert_array_equal(found.difference, expected.difference)
    with pytest.raises(ValueError, match="images of 1 channels, expected 3"):
        nf.hybrid_curve(small(1), x, labels(), gray=False)
    with pytest.raises(ValueError, match="gray: got 'yes'"):
        nf.hybrid_curve(small(1), x, labels(), gray="yes")


def test_a_mistake_in_the_model_comes_out_as_it_is():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.conv(x).flatten_all()

    for measure in MEASUREMENTS.values():
        with pytest.raises(AttributeError, match="flatten_all"):
            measure(Broken(), images())


@pytest.mark.filterwarnings("ignore:model. accuracy")
@each
def test_a_function_around_a_network_in_training_mode_is_asked_about(name):
    inner = nn.Sequential(nn.BatchNorm2d(3), small()).train()
    with pytest.warns(UserWarning, match="a network inside of it in training mode"):
        MEASUREMENTS[name](lambda x: inner(x), images())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MEASUREMENTS[name](inner, images())  # the measurement sets its mode


class Ending(nn.Module):
    """Raise StopIteration from a certain call on, like `next` of an empty iterator."""

    def __init__(self, n_calls):
        super().__init__()
        self.network, self.left, self.raised = network(), n_calls, StopIteration()

    def forward(self, x):
        self.left -= 1
        if self.left <= 0:
            raise self.raised
        return self.network(x)


@pytest.mark.filterwarnings("ignore:model. it refuses a batch of one image")
@pytest.mark.parametrize("n_calls", [1, 6, 12])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    "measure",
    [
        lambda model, x, y, out: nf.corruption_accuracy(
            model, x, y, corruptions=["fog"], batch_size=2, out=out
        ),
        lambda model, x, y, out: nf.attacks.evaluate(
            PGD(steps=20, epsilon=1e-5), model, [(x, y)], out=out
        ),
    ],
    ids=["corruption_accuracy", "evaluate"],
)
def test_a_stop_iteration_of_the_model_comes_out(measure, kept, n_calls, tmp_path):
    x, model = images(), Ending(n_calls)
    with pytest.raises(StopIteration) as found:
        measure(model, x, network()(x).argmax(1), tmp_path if kept else None)
    assert found.value is model.raised


def test_probabilities_are_told_where_logits_are_needed():
    def model(x):
        return small()(x).mul(30).softmax(1)

    with pytest.warns(UserWarning, match="got probabilities"):
        MEASUREMENTS["PGD"](model, images())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MEASUREMENTS["PGD"](lambda x: model(x).log(), images())
        MEASUREMENTS["Boundary"](model, images())  # needs classes only
        MEASUREMENTS["hybrid_curve"](model, images())


@each
def test_a_default_device_elsewhere_changes_nothing(name):
    expected = MEASUREMENTS[name](small(), images())
    model, x = small(), images()
    with torch.device("meta"):
        found = MEASUREMENTS[name](model, x)
    np.testing.assert_array_equal(found, expected)


class Gated(nn.Module):
    """Wait in the first call of each thread until the test releases it."""

    def __init__(self):
        super().__init__()
        self.norm, self.inner = nn.BatchNorm2d(3), small()
        self.modes, self.gates = [], {}

    def forward(self, x):
        self.modes.append(self.training)
        self.gates.pop(threading.current_thread().name, lambda: None)()
        return self.inner(self.norm(x))


def test_the_last_of_two_threads_gives_the_mode_back():
    model = Gated().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    first_is_in, second_is_in, first_is_done = (threading.Event() for _ in range(3))
    model.gates = {
        "first": lambda: (first_is_in.set(), second_is_in.wait(20)),
        "second": lambda: (second_is_in.set(), first_is_done.wait(20)),
    }
    threads = [
        threading.Thread(
            target=MEASUREMENTS["hybrid_curve"], args=(model, images()), name=name
        )
        for name in ("first", "second")
    ]
    threads[0].start()
    first_is_in.wait(20)
    threads[1].start()
    threads[0].join()
    first_is_done.set()
    threads[1].join()
    assert not any(model.modes)
    assert all(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])
    assert not modes._held


def test_probabilities_that_saturate_are_told_and_hard_labels_are_not():
    def saturated(x):
        return (small()(x) * 1e4).softmax(1)

    with torch.no_grad():
        assert (saturated(images()) == 1.0).any()
        soft = saturated(images()).clone()
    soft[0] = torch.tensor([0.25] * N_CLASSES)
    with pytest.warns(UserWarning, match="got probabilities"):
        calling.warn_of_probabilities(
            soft, "they saturate", is_half=False, stacklevel=1
        )
    calling.warn_of_probabilities(
        torch.eye(4), "they saturate", is_half=False, stacklevel=1
    )


@pytest.mark.parametrize(
    "form",
    [
        lambda y: y.to_sparse(),
        lambda y: y.to_sparse_csr(),
        lambda y: y.to(torch.complex64),
        lambda y: torch.nested.nested_tensor(list(y)),
        lambda y: torch.quantize_per_tensor(y, 0.1, 0, torch.qint8),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_logits_that_are_not_dense_real_numbers_are_refused(form):
    inner = small().requires_grad_(False)
    for name in ("hybrid_curve", "PGD"):
        with pytest.raises(nf.ModelError, match="expected a dense tensor of real"):
            MEASUREMENTS[name](lambda x: form(inner(x).detach()), images())


def test_frozen_scripts_are_measured():
    frozen = torch.jit.freeze(torch.jit.script(small().eval()))
    found = MEASUREMENTS["PGD"](frozen, images())
    np.testing.assert_allclose(found, MEASUREMENTS["PGD"](small(), images()), rtol=1e-4)


class Delegating(nn.Module):
    """Look up attributes in the inner module, like adapters."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, x):
        return self.base(x**4)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base"), name)


def test_a_wrapper_that_delegates_attributes_is_not_taken_off():
    model = Delegating(torch.compile(small(), backend="eager"))
    target = nf.neural.pixel_similarity(images())
    regularizer = nf.SimilarityRegularizer(model, ["base.1"], target, images())
    assert regularizer.model is model


def test_bytes_and_masks_given_to_a_report(tmp_path):
    pixels = (images() * 255).byte().numpy()
    found = nf.report.run(
        small(), (pixels, labels()), tmp_path / "a", measurements=["clean"],
        progress=False,
    )  # fmt: skip
    assert len(found.summary) == 1
    with pytest.raises(TypeError, match="data: got a masked array"):
        nf.report.run(small(), (np.ma.array(pixels), labels()), tmp_path / "b")


def test_networks_are_made_on_the_host_whatever_the_default_device():
    with torch.device("meta"):
        model = nf.models.load_model("small_cnn")
        pixels = torch.full((1, 16, 16), 128, dtype=torch.uint8, device="cpu")
        assert nf.Corruption("gaussian_noise", 1)(pixels).device.type == "cpu"
    assert {value.device.type for value in model.state_dict().values()} == {"cpu"}
