"""Attacks of foolbox and torchattacks here, and ours in foolbox's call."""

import numpy as np
import pytest
import torch
from helpers.attack import batch, predicted, relu
from torch import nn

import neurofreq as nf

EPSILON = 0.05


class LikeTorchattacks:
    """Has the call and the modes of an attack of torchattacks."""

    def __init__(self, model, eps=EPSILON, change=lambda images: images):
        self.model, self.eps, self.change = model, eps, change
        self.targeted = False

    def set_mode_targeted_by_label(self, quiet=False):
        assert quiet
        self.targeted = True

    def set_mode_default(self):
        self.targeted = False

    def __call__(self, images, labels):
        images = images.clone().requires_grad_(True)
        loss = nn.functional.cross_entropy(self.model(images), labels)
        (gradient,) = torch.autograd.grad(loss, images)
        step = self.eps * gradient.sign() * (-1 if self.targeted else 1)
        return self.change((images + step).detach())


class LikeFoolbox:
    """Has the call of an attack of foolbox with a fixed budget."""

    def __init__(self, *, minimizes=False, p=np.inf):
        self.minimizes, self.calls = minimizes, []
        self.distance = type("Distance", (), {"p": p})

    def __call__(self, model, inputs, criterion, *, epsilons, **kwargs):
        if epsilons is None and not self.minimizes:
            raise NotImplementedError  # as foolbox's attacks with a fixed budget do
        assert model.bounds == (0, 1)
        labels = getattr(criterion, "target_classes", criterion)
        sign = -1 if hasattr(criterion, "target_classes") else 1
        images = inputs.clone().requires_grad_(True)
        loss = nn.functional.cross_entropy(model(images), labels)
        (gradient,) = torch.autograd.grad(loss, images)
        self.calls.append(epsilons)
        if epsilons is None:
            return [(images + sign * 0.2 * gradient.sign()).detach()] * 3
        found = [(images + sign * e * gradient.sign()).detach() for e in epsilons]
        return found, found, None


def loader(images, labels):
    return [(images[:7], labels[:7]), (images[7:], labels[7:])]


def one_step(model, images, labels, epsilon, sign=1):
    images = images.clone().requires_grad_(True)
    loss = nn.functional.cross_entropy(model(images), labels)
    (gradient,) = torch.autograd.grad(loss, images)
    return (images + sign * epsilon * gradient.sign()).detach().clamp(0, 1)


def test_an_attack_of_labels_runs_in_evaluate():
    model, images = relu(), batch(15)
    labels = predicted(model, images)
    labels[2] = (labels[2] + 1) % 4
    table = nf.attacks.evaluate(LikeTorchattacks(model), model, loader(images, labels))
    moved = one_step(model, images, labels, EPSILON)
    expected = (predicted(model, moved) != labels).numpy()
    expected[2] = True
    assert 1 < expected.sum() < 15
    np.testing.assert_array_equal(table["success"], expected)
    assert table["status"][2] == "already_adversarial"
    assert table["distance"][2] == 0
    rest = expected & (np.arange(15) != 2)
    np.testing.assert_allclose(table["distance"][rest], EPSILON)
    assert np.isinf(table["distance"][~expected]).all()
    assert table["n_queries"].max() == 2
    assert table["n_gradients"].max() == 1


def test_targets_set_the_targeted_mode_for_the_call_only():
    model, images = relu(), batch(15)
    labels = predicted(model, images)
    targets = (labels + 1) % 4
    attack = LikeTorchattacks(model, eps=0.1)
    table = nf.attacks.evaluate(attack, model, loader(images, labels), targets=targets)
    moved = one_step(model, images, targets, 0.1, sign=-1)
    np.testing.assert_array_equal(table["success"], predicted(model, moved) == targets)
    assert table["success"].any()
    assert not attack.targeted
    plain = nf.attacks.Wrapped(lambda images, labels: images, "l2")
    with pytest.raises(ValueError, match="targets: got some for function"):
        plain(model, images, labels, targets=targets)


def test_a_minimizing_attack_runs_once_and_others_at_each_budget():
    model, images = relu(), batch(15)
    labels = predicted(model, images)
    minimal, fixed = LikeFoolbox(minimizes=True), LikeFoolbox()
    epsilons = [0.1, 0.0, 0.03]
    wrapped = nf.attacks.Wrapped(minimal)
    found = wrapped(model, images, labels, epsilons=[0.3, 0.1])
    assert minimal.calls == [None]
    assert torch.equal(found.within[0], found.success)
    assert not found.within[1].any()
    found = nf.attacks.Wrapped(fixed)(model, images, labels, epsilons=epsilons)
    assert fixed.calls == [[0.03, 0.1]]
    for within, epsilon in zip(found.within, epsilons, strict=True):
        moved = one_step(model, images, labels, epsilon)
        is_hit = predicted(model, moved) != labels
        assert (within >= is_hit).all()
    assert found.within[2].sum() < found.within[0].sum()
    with pytest.raises(ValueError, match="epsilons: got none above 0"):
        nf.attacks.Wrapped(fixed)(model, images, labels)


def test_a_criterion_of_targets_reaches_the_attack():
    model, images = relu(), batch(15)
    labels = predicted(model, images)
    targets = (labels + 1) % 4
    found = nf.attacks.Wrapped(LikeFoolbox())(
        model, images, labels, targets=targets, epsilons=[0.1]
    )
    moved = one_step(model, images, targets, 0.1, sign=-1)
    assert torch.equal(found.success, predicted(model, moved) == targets)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda images: images * torch.nan, "not_finite"),
        (lambda images: images.mul(0) + 0.5, "completed"),
    ],
)
def test_what_an_attack_returns_is_checked(change, status):
    model, images = relu(), batch(5)
    labels = predicted(model, torch.full_like(images, 0.5))
    images = images.where(predicted(model, images)[:, None, None, None] < 9, images)
    attack = LikeTorchattacks(model, change=change)
    found = nf.attacks.Wrapped(attack)(model, images, labels)
    is_right = predicted(model, images) == labels
    assert not found.success[is_right].any()
    assert set(found.status[is_right.numpy()]) == {status}


def test_images_out_of_range_are_clipped_before_they_count():
    model, images = relu(), batch(10)
    labels = predicted(model, images)
    attack = LikeTorchattacks(model, eps=9.0)
    found = nf.attacks.Wrapped(attack)(model, images, labels)
    moved = one_step(model, images, labels, 9.0)
    assert torch.equal(found.success, predicted(model, moved) != labels)
    assert 0 <= found.adversarial.min() <= found.adversarial.max() <= 1


def test_bad_attacks_are_refused(tmp_path):
    model, images = relu(), batch(4)
    data = [(images, predicted(model, images))]
    for bad in (3, None, "pgd", LikeFoolbox, relu()):
        with pytest.raises(TypeError, match="attack: got"):
            nf.attacks.evaluate(bad, model, data)
    with pytest.raises(ValueError, match="norm: got none for function"):
        nf.attacks.evaluate(lambda images, labels: images, model, data)
    short = nf.attacks.Wrapped(lambda images, labels: images[:1], "linf")
    with pytest.raises(TypeError, match="attack: got Tensor of shape"):
        short(model, *data[0])
    with pytest.raises(TypeError, match="attack: got one of another package"):
        nf.attacks.evaluate(LikeTorchattacks(model), model, data, out=tmp_path)
    with pytest.raises(ValueError, match="candidates: not used by Wrapped"):
        nf.attacks.evaluate(LikeTorchattacks(model), model, data, candidates=images)


class FoolboxModel:
    """Has the call and the bounds of a model of foolbox."""

    def __init__(self, model, bounds):
        self.model, self.bounds = model, bounds

    def __call__(self, images):
        low, high = self.bounds
        return self.model((images - low) / (high - low))


class Criterion:
    """A criterion of foolbox."""

    def __init__(self, **values):
        vars(self).update(values)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-2.0, 3.0)])
def test_our_attacks_have_the_call_of_foolbox(norm, bounds):
    images = batch(10)
    labels = predicted(relu(), images)
    low, high = bounds
    model, shown = FoolboxModel(relu(), bounds), images * (high - low) + low
    attack = nf.attacks.BrendelBethge(norm, steps=30)
    direct = attack(relu(), images, labels)
    scale = 1.0 if norm == "l0" else high - low
    middle = float(direct.distance.median()) * scale * 1.001
    raw, clipped, success = nf.attacks.as_foolbox(attack)(
        model, shown, Criterion(labels=labels), epsilons=[middle, 100 * middle]
    )
    assert success.shape == (2, 10)
    assert success[1].all()
    assert 5 <= success[0].sum() < 10
    assert len(raw) == len(clipped) == 2
    for one, hits, epsilon in zip(
        clipped, success, (middle, 100 * middle), strict=True
    ):
        size = nf.attacks.perturbation_size(one, shown, norm)
        assert (size <= epsilon * (1 + 1e-6) + 1e-9).all()
        assert torch.equal(model(one).argmax(1) != labels, hits)
    one, _, hits = nf.attacks.as_foolbox(attack)(model, shown, labels, epsilons=None)
    assert torch.equal(one, raw[0])
    assert hits.all()


def test_target_classes_need_no_labels():
    images, model = batch(8), FoolboxModel(relu(), (0, 1))
    targets = (predicted(relu(), images) + 1) % 4
    targets[0] = predicted(relu(), images)[0]  # already reached
    attack = nf.attacks.as_foolbox(nf.attacks.PGD(steps=20), seed=1)
    raw, clipped, success = attack(
        model, images, Criterion(target_classes=targets), epsilons=0.2
    )
    assert success.all()
    assert torch.equal(relu()(clipped).argmax(1), targets)
    assert torch.equal(raw[0], images[0])
    assert "PGD" in repr(attack)


def test_bad_calls_in_the_manner_of_foolbox_are_refused():
    attack = nf.attacks.as_foolbox(nf.attacks.PGD())
    images = batch(2)
    with pytest.raises(TypeError, match="attack: got"):
        nf.attacks.as_foolbox(relu())
    with pytest.raises(TypeError, match="speed: unknown option"):
        nf.attacks.as_foolbox(nf.attacks.PGD(), speed=2)
    with pytest.raises(TypeError, match="inputs: got"):
        attack(relu(), images.numpy(), torch.zeros(2), epsilons=0.1)
    with pytest.raises(ValueError, match="inputs: got values in"):
        attack(relu(), images * 9, torch.tensor([0, 1]), epsilons=0.1)
    with pytest.raises(TypeError, match="criterion: got"):
        attack(relu(), images, torch.zeros(2), epsilons=0.1)
    with pytest.raises(ValueError, match="epsilons: got no budgets"):
        attack(relu(), images, torch.tensor([0, 1]), epsilons=[])
    with pytest.raises(ValueError, match="epsilons: got -1"):
        attack(relu(), images, torch.tensor([0, 1]), epsilons=-1.0)


def test_attacks_of_foolbox_itself():
    foolbox = pytest.importorskip("foolbox")
    model = relu(torch.float32).eval()
    images = batch(10, torch.float32)
    labels = predicted(model, images)
    table = nf.attacks.evaluate(
        foolbox.attacks.LinfPGD(steps=10), model, loader(images, labels),
        epsilons=[0.02, 0.05],
    )  # fmt: skip
    assert (table["distance"] <= 0.05).sum() == table["success"].sum() > 0
    minimal = nf.attacks.evaluate(
        foolbox.attacks.L2FMNAttack(steps=30), model, loader(images, labels),
        targets=(labels + 1) % 4,
    )  # fmt: skip
    assert minimal["success"].all()
    ours = nf.attacks.as_foolbox(nf.attacks.BrendelBethge("l2"))
    known = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    criterion = foolbox.TargetedMisclassification((labels + 1) % 4)
    _, clipped, success = ours(known, images, criterion, epsilons=[0.1, 5.0])
    assert success[1].all()
    assert torch.equal(model(clipped[1]).argmax(1), (labels + 1) % 4)
    import eagerpy

    wrapped = ours(known, eagerpy.astensor(images), criterion, epsilons=5.0)
    assert isinstance(wrapped[1], eagerpy.PyTorchTensor)


def test_attacks_of_torchattacks_itself():
    torchattacks = pytest.importorskip("torchattacks")
    model = relu(torch.float32).eval()
    images = batch(10, torch.float32)
    labels = predicted(model, images)
    attack = torchattacks.PGD(model, eps=0.05, alpha=0.01, steps=10)
    table = nf.attacks.evaluate(attack, model, loader(images, labels), epsilons=[0.05])
    assert (table["distance"] <= np.float32(0.05)).sum() == table["success"].sum() > 0
    targets = (labels + 1) % 4
    table = nf.attacks.evaluate(attack, model, loader(images, labels), targets=targets)
    assert attack.get_mode() == "default"
