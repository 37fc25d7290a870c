"""A model is identified by its state and outputs, not by its source code."""

import textwrap
import warnings

import numpy as np
import pytest
import torch
from helpers.small_study import Network, images, run
from torch import nn

import neurofreq as nf
from neurofreq._shared.networks import fingerprint
from neurofreq.models import Normalized
from neurofreq.studies import ModelEntry, Study

PIXELS = np.random.default_rng(0).random((30, 3, 8, 8), dtype=np.float32)
PROBES = fingerprint.probes(PIXELS)


def base(n=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, n))


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.base, self._scale = base(), scale

    def forward(self, x):
        return self.base(x * self._scale)


class Changed(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.base, self.change = base(), change

    def forward(self, x):
        return self.base(self.change(x))


class Times:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        return x * self.scale


def closure(scale):
    return Changed(lambda x: x * scale)


def thing(scale):
    return Changed(Times(scale))


def hooked(scale):
    model = Changed(nn.Identity())
    model.register_forward_pre_hook(lambda module, given: (given[0] * scale,))
    return model


def compiled(text):
    """Return a class whose source Python cannot find, as in a notebook."""
    space = {"nn": nn, "base": base}
    exec(textwrap.dedent(text), space)
    return space


def digest(folder, model, name="mine", shown=PROBES, **options):
    found = fingerprint.behaviour(model, shown, name=name, **options)
    return fingerprint.Known(folder).digest(name, found)


@pytest.mark.parametrize("make", [Scaled, closure, thing, hooked])
def test_models_of_one_state_are_told_by_what_they_answer(tmp_path, make):
    first = digest(tmp_path, make(1.0))
    assert digest(tmp_path, make(1.0)) == first
    with pytest.warns(UserWarning, match="model 'mine' has other logits or gradients"):
        other = digest(tmp_path, make(-1.0))
    slightly = digest(tmp_path, make(1.01), "other name")  # no warning for another name
    assert len({first, other, slightly}) == 3
    for _ in range(2):  # both stay in the folder
        assert digest(tmp_path, make(1.0)) == first
        assert digest(tmp_path, make(-1.0)) == other
        assert digest(tmp_path, make(1.01), "other name") == slightly


def test_source_names_and_wrappers_tell_nothing(tmp_path):
    first = compiled(
        """
        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.base = base()
            def forward(self, x):
                return self.base(x)
        """
    )["Mine"]
    second = compiled(
        """
        class Renamed(nn.Module):
            "It says more now."
            def __init__(self):
                super().__init__()
                self.base = base()
            def forward(self, images):  # a comment
                return 1.0 * self.base(images)
        """
    )["Renamed"]
    found = {digest(tmp_path, one()) for one in (first, second)}
    assert len(found) == 1
    assert digest(tmp_path, torch.compile(first(), backend="eager")) in found
    rolled = compiled(
        """
        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.base = base()
            def forward(self, x):
                return self.base(x).roll(1, dims=1)
        """
    )["Mine"]
    with pytest.warns(UserWarning, match="has other logits or gradients"):
        assert digest(tmp_path, rolled()) not in found


def test_a_study_is_not_measured_again_for_a_new_name_or_docstring(tmp_path):
    class Renamed(Network):
        """Says more."""

    def entries(kind):
        return Study(images(), [ModelEntry(kind(), "m")], measurements=["clean"])

    assert run(entries(Network), tmp_path).n_measured == 1
    assert run(entries(Renamed), tmp_path).n_measured == 0


def test_models_of_another_state_differ_though_they_answer_alike(tmp_path):
    one, other = base(), base()
    other.register_buffer("unused", torch.zeros(2), persistent=False)
    more = base()
    more.register_buffer("unused", torch.ones(2), persistent=False)
    assert len({digest(tmp_path, model) for model in (one, other, more)}) == 3


def test_buffers_that_are_not_stored_tell_models_apart(tmp_path):
    models = [Normalized(base(), (mean,) * 3, (1.0,) * 3) for mean in (0.0, 0.0, 0.5)]
    one, same, other = (digest(tmp_path, model) for model in models)
    assert one == same != other


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
        for _ in range(4):
            layers += [nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 5))

    def forward(self, x):
        return self.layers(x)


class Coarse(Convolutions):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, None])
def test_rounding_makes_no_other_model(tmp_path, kind):
    model = Coarse() if kind is None else Convolutions().to(kind)
    shown = fingerprint.Probes(*(one.to(kind or torch.float32) for one in PROBES))
    first = digest(tmp_path, model, shown=shown)
    assert digest(tmp_path, model, shown=shown, batch_size=1) == first
    assert digest(tmp_path, model.to(memory_format=torch.channels_last),
                  shown=shown, batch_size=3) == first  # fmt: skip
    changed = nn.Sequential(model, Times10())
    assert digest(tmp_path, changed, "other", shown=shown) != first


class Times10(nn.Module):
    def forward(self, x):
        return 10 * x


def test_what_a_model_counts_while_it_answers_is_no_state(tmp_path):
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = base()
            self.register_buffer("n_calls", torch.zeros(()))

        def forward(self, x):
            self.n_calls += 1
            return self.base(x)

    model = Counted()
    assert digest(tmp_path, model) == digest(tmp_path, model)


def drawn(x):
    return nn.functional.dropout(x, 0.5)


def unseeded(x):
    return x * float(np.random.default_rng().random())


@pytest.mark.filterwarnings("ignore:model. got logits that differ")
@pytest.mark.parametrize("change", [drawn, unseeded])
def test_a_model_that_draws_is_told_and_not_measured_for_ever(tmp_path, change):
    models = [
        ModelEntry(nn.Sequential(Times10(), Network(), Change(change)), "drawing")
    ]
    study = Study(images(), models, measurements=["clean"])
    state = torch.get_rng_state()
    for expected in (1, 0, 0):
        with pytest.warns(UserWarning, match="'drawing' gives different logits"):
            assert run(study, tmp_path).n_measured == expected
    if change is unseeded:
        assert torch.equal(torch.get_rng_state(), state)


class Change(nn.Module):
    def __init__(self, change):
        super().__init__()
        self._change = change

    def forward(self, x):
        return self._change(x)


def test_a_model_without_answers_to_made_images_is_known_by_the_data(tmp_path):
    class Whitened(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = base()

        def forward(self, x):
            return self.base(x / (x.amin((1, 2, 3), keepdim=True) > 0))

    low = fingerprint.probes(0.1 + 0.8 * PIXELS)
    assert digest(tmp_path, Whitened(), shown=low) == digest(
        tmp_path, Whitened(), shown=low
    )
    with pytest.raises(nf.ModelError, match="NaN or infinite"):
        digest(tmp_path, Whitened(), shown=fingerprint.probes(0 * PIXELS))


def test_models_side_by_side_in_one_folder_evict_nobody(tmp_path):
    data = images()
    models = {
        f"power {power}": nn.Sequential(
            Change(lambda x, power=power: x**power), Network()
        )
        for power in (1.0, 0.5, 3.0)
    }
    options = {"corruptions": ["brightness"], "severities": [1], "out": tmp_path}
    first = nf.corruption_accuracy(models, data, **options)
    assert len(list(tmp_path.glob("*.json"))) == 6
    again = nf.corruption_accuracy(models, data, **options)
    assert len(list(tmp_path.glob("*.json"))) == 6
    for name, found in first.items():
        np.testing.assert_array_equal(found.correct, again[name].correct)


def test_probes_are_some_of_the_data_and_show_more_than_these():
    assert PROBES.data.shape == (16, 3, 8, 8)
    assert float(PROBES.made.min()) == 0.0
    assert float(PROBES.made.max()) == 1.0
    gray = fingerprint.probes((255 * PIXELS).astype(np.uint8), gray=True)
    assert gray.made.shape[1:] == (1, 8, 8)
    assert gray.data.dtype == torch.float32
    one = fingerprint.probes(torch.from_numpy(PIXELS[:1]).bfloat16())
    assert one.made.dtype == torch.bfloat16
    same, more = fingerprint.probes(PIXELS[:8]), fingerprint.probes(PIXELS[:9])
    assert same.data.shape == (8, 3, 8, 8) != more.data.shape


def test_models_that_differ_on_dark_images_alone_differ(tmp_path):
    def dark(x):
        return torch.where(x.mean((1, 2, 3), keepdim=True) < 0.1, 1 - x, x)

    assert digest(tmp_path, Changed(dark)) != digest(
        tmp_path, Changed(torch.clone), "b"
    )


def test_a_damaged_list_of_models_is_written_again(tmp_path):
    first = digest(tmp_path, Scaled(1.0))
    for path in (tmp_path / "models").glob("*.json"):
        path.write_text("{")
    assert digest(tmp_path, Scaled(1.0)) == first
    with pytest.warns(UserWarning, match="has other logits or gradients"):
        assert digest(tmp_path, Scaled(2.0)) != first


def rounded(x):
    return (x * 15).round() / 15


def straight_through(x):
    return x + (rounded(x) - x).detach()


def backwards(x):
    x = 1.0 * x
    if x.requires_grad:
        x.register_hook(lambda gradient: -gradient)
    return x


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (rounded, straight_through),
        (torch.clone, torch.Tensor.detach),
        (torch.clone, backwards),
    ],
)
def test_models_that_differ_in_their_gradients_alone_stand_side_by_side(
    tmp_path, one, other
):
    first = digest(tmp_path, Changed(one))
    with pytest.warns(UserWarning, match="other logits or gradients"):
        second = digest(tmp_path, Changed(other))
    assert first != second
    for _ in range(2):
        assert digest(tmp_path, Changed(one)) == first
        assert digest(tmp_path, Changed(other), batch_size=2) == second


def test_an_attack_on_other_gradients_is_made_anew(tmp_path):
    pixels = torch.from_numpy(PIXELS[:4])
    batches = [(pixels, Changed(rounded)(pixels).argmax(1))]

    def attacked(change, **options):
        return nf.attacks.evaluate(
            nf.attacks.PGD("linf", 0.1, steps=3), Changed(change), batches, **options
        )

    kept = attacked(rounded, out=tmp_path)
    with pytest.warns(UserWarning, match="other logits or gradients"):
        found = attacked(straight_through, out=tmp_path)
    expected = attacked(straight_through)
    assert found.equals(expected)
    assert not kept.equals(expected)


def test_gradients_are_taken_whatever_the_caller_holds_and_leave_none(tmp_path):
    model = Changed(straight_through)
    model.base[1].bias.requires_grad_(False)
    first = digest(tmp_path, model)
    for holding in (torch.no_grad, torch.inference_mode):
        with holding():
            assert digest(tmp_path, model) == first
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == [True, False]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(base(), PROBES.data)
    assert digest(tmp_path, traced) == digest(tmp_path, traced)


def test_a_model_that_refuses_gradients_or_draws_them_is_known_again(tmp_path):
    def refusing(x):
        if x.requires_grad:
            raise RuntimeError("no")
        return x

    def drawing(x):
        amount = float(np.random.default_rng().random())
        return x * amount + ((1 - amount) * x).detach()

    found = {}
    for change in (refusing, torch.Tensor.detach, drawing):
        name = change.__name__
        found[name] = digest(tmp_path, Changed(change), name)
        assert digest(tmp_path, Changed(change), name) == found[name]
    assert found["refusing"] == found["detach"] != found["drawing"]


@pytest.mark.parametrize("front", [nf.models.Blur(1.5), "pca"])
def test_a_front_end_makes_another_model(front):
    images = np.random.default_rng(0).random((84, 1, 32, 32), dtype=np.float32)
    front = nf.models.PCA.fit(images[:80], 30) if front == "pca" else front
    torch.manual_seed(0)
    model = nf.models.small_cnn(width=4).eval()
    probes = fingerprint.probes(images[80:])
    before = fingerprint.behaviour(model, probes, name="m")
    model.front = front
    now = fingerprint.behaviour(model, probes, name="m")
    assert not np.allclose(now.answers, before.answers)
