"""Attacks: bad input, interruption, progress, devices, and the success curve."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from helpers.attack import ATTACK, batch, predicted, relu

import neurofreq as nf


def call(**changes):
    arguments = {"images": batch(3), "labels": [3, 3, 3]} | changes
    return ATTACK(
        changes.pop("model", relu()),
        **{k: v for k, v in arguments.items() if k != "model"},
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"images": batch(3)[:0]}, ValueError, "images: got shape"),
        ({"images": batch(3)[0]}, ValueError, r"expected \(N, C, H, W\)"),
        ({"images": batch(3).half()}, TypeError, "images: got dtype float16"),
        ({"images": (batch(3) * 255).byte()}, TypeError, "divide by 255"),
        ({"images": batch(3) + 0j}, TypeError, "images: got dtype complex128"),
        ({"images": batch(3) * torch.nan}, ValueError, "images: got NaN"),
        ({"images": batch(3) * torch.inf}, ValueError, "images: got NaN or infinite"),
        ({"images": batch(3) + 0.5}, ValueError, r"out of \[0, 1\] by"),
        ({"images": [[0.0]]}, TypeError, "images: got list"),
        ({"labels": [0, 1]}, ValueError, "labels: got 2, expected 3"),
        ({"labels": [0.0, 1.0, 2.0]}, TypeError, "labels: got dtype"),
        ({"labels": [0, 1, -1]}, ValueError, "labels: got -1"),
        ({"labels": [0, 1, 4]}, ValueError, "labels: got 4, expected 0 to 3"),
        ({"targets": [1, 2, 9]}, ValueError, "targets: got 9, expected 0 to 3"),
        ({"targets": [1, 3, 1]}, ValueError, "targets: got 3 for image 1"),
        ({"starting_points": batch(2)}, ValueError, "starting_points: got shape"),
        (
            {"starting_points": batch(3).float()},
            ValueError,
            "starting_points: got dtype",
        ),
        ({"candidates": batch(3)[..., :2]}, ValueError, "candidates: got shape"),
        (
            {"candidates": batch(3), "starting_points": batch(3)},
            ValueError,
            "candidates: got both candidates and starting_points",
        ),
        ({"seed": -1}, ValueError, "seed: got -1"),
        ({"first_index": 1.5}, TypeError, "first_index: got float"),
        ({"batch_size": 0}, ValueError, "batch_size: got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size: got float, expected an int"),
        ({"margin": "x"}, TypeError, "margin: got str, expected a number"),
        ({"min_probability": None}, TypeError, "min_probability: got NoneType"),
        ({"autocast": "bf16"}, TypeError, "autocast: got 'bf16', expected torch.bfl"),
        ({"autocast": torch.int8}, TypeError, "autocast: got torch.int8"),
        ({"model": lambda x: relu()(x)[:, :0]}, nf.ModelError, "at least 2 classes"),
        ({"model": lambda x: x}, nf.ModelError, "got logits of shape"),
        ({"model": lambda x: relu()(x)[:1]}, nf.ModelError, "for 3 images"),
        ({"model": lambda x: relu()(x)[:, :1]}, nf.ModelError, "at least 2 classes"),
        ({"model": lambda x: {"scores": x}}, nf.ModelError, "got dict"),
        ({"model": lambda x: relu()(x).long()}, nf.ModelError, "floating point"),
        ({"model": lambda x: relu()(x).detach()}, nf.ModelError, "without a graph"),
    ],
)
def test_bad_input_is_said(changes, error, message):
    with pytest.raises(error, match=message):
        call(**changes)


def test_images_that_ask_for_a_gradient_get_none():
    model, images = relu(), batch(3)
    labels = predicted(model, images)
    asking = images.clone().requires_grad_()
    found = ATTACK(model, asking, labels)
    assert asking.grad is None
    assert asking.requires_grad
    assert not found.adversarial.requires_grad
    expected = ATTACK(model, images, labels).adversarial
    torch.testing.assert_close(found.adversarial, expected, rtol=0, atol=0)


def test_rounding_out_of_bounds_is_clipped():
    images = batch(3)
    images[0, 0, 0, 0] = 1 + 1e-7
    found = call(images=images)
    assert found.adversarial.max() <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "l3"}, "norm: got 'l3', expected one of 'linf'"),
        ({"steps": 0}, "steps: got 0"),
        ({"restarts": -1}, "restarts: got -1"),
        ({"radius": "mine"}, "radius: got 'mine'"),
        ({"first_radius": 0.0}, "first_radius: got 0.0"),
        ({"first_radius": float("nan")}, "first_radius: got nan"),
        ({"decay": 1.0}, r"decay: got 1.0, expected \(0, 1\)"),
        ({"tolerance": -0.1}, "tolerance: got -0.1"),
        ({"momentum": 1.0}, "momentum"),
        ({"first_radius": 0.5, "last_radius": 2.0}, "last_radius"),
        ({"overshoot": 2.0}, "overshoot"),
        ({"overshoot_rule": "mine"}, "overshoot_rule"),
    ],
)
def test_bad_settings_are_said(changes, message):
    with pytest.raises(ValueError, match=message):
        nf.attacks.BrendelBethge(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_radius": "a"}, "first_radius: got str, expected a number"),
        ({"momentum": None}, "momentum: got NoneType, expected a number"),
        ({"steps": 10.0}, "steps: got float, expected an integer"),
        ({"restarts": 0.0}, "restarts: got float, expected an integer"),
    ],
)
def test_settings_of_a_wrong_type_are_said(changes, message):
    with pytest.raises(TypeError, match=message):
        nf.attacks.BrendelBethge(**changes)


@pytest.mark.parametrize("epsilon", [None, True, "0.1", ["a"]])
def test_budgets_of_a_wrong_type_are_said(epsilon):
    with pytest.raises(TypeError, match=r"epsilon: got .*, expected positive"):
        nf.attacks.PGD(epsilon=epsilon)


def test_settings_of_numpy_are_kept_as_pythons():
    attack = nf.attacks.BrendelBethge(steps=np.int64(5), decay=np.float32(0.5))
    assert (type(attack.steps), type(attack.decay)) == (int, float)
    attack = nf.attacks.Boundary(max_queries=np.int32(5), reach=np.float64(0.5))
    assert (type(attack.max_queries), type(attack.reach)) == (int, float)
    attack = nf.attacks.PGD(epsilon=np.float32(0.5), step_size=np.float64(0.5))
    assert (type(attack.epsilon), type(attack.step_size)) == (float, float)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("other", {}, "internal error: attack 'other': not known"),
        (
            "pgd",
            {"steps": None},
            "attack pgd: setting steps: got None, expected a count",
        ),
        ("boundary", {}, "attack boundary: setting proposal: got nothing"),
        (
            "brendel_bethge",
            {"radius": 3},
            r"setting radius: got Whole\(3\), expected ada",
        ),
        (
            "pgd",
            {"step_rule": "fast"},
            'got Text."fast".*, expected adaptive or constant',
        ),
    ],
)
def test_settings_that_rust_cannot_use_are_named(method, settings, message):
    class Odd(nf.attacks.PGD):
        _method = method

        def _settings(self, *, is_surveyed):
            return super()._settings(is_surveyed=is_surveyed) | settings

    with pytest.raises(nf.InternalError, match=message):
        Odd()(relu(), batch(2), [0, 1])


def test_a_setting_that_rust_does_not_read_does_no_harm():
    class Noted(nf.attacks.PGD):
        def _settings(self, *, is_surveyed):
            return super()._settings(is_surveyed=is_surveyed) | {
                "note": {"any": object()}
            }

    model, images = relu(), batch(3)
    labels = predicted(model, images)
    plain = nf.attacks.PGD(epsilon=0.1)(model, images, labels)
    found = Noted(epsilon=0.1)(model, images, labels)
    assert plain.success.any()
    assert torch.equal(found.adversarial, plain.adversarial)


def test_what_the_model_raises_passes_through():
    class Odd(Exception):
        pass

    error = Odd("mine")

    def model(x):
        raise error

    with pytest.raises(Odd) as caught:
        call(model=model)
    assert caught.value is error


def test_progress_is_silent_unless_asked(terminal):
    model, images = relu(), batch(5)
    labels = predicted(model, images)
    ATTACK(model, images, labels)
    captured = terminal.readouterr()
    assert captured.out + captured.err == ""
    ATTACK(model, images, labels, batch_size=2, progress=True)
    assert "1005/1005" in terminal.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_stops_within_one_call():
    script = """
        import signal, sys, time, torch, neurofreq as nf
        # A shell starts what it puts in the background with this signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, 3))
        images = torch.rand(4, 3, 6, 5)
        labels = model(images).argmax(1)
        model.train()
        started = []
        def slow(x):
            if not started:
                started.append(1)
                print("started", flush=True)
            time.sleep(0.01)
            return model(x)
        class Slow(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model
            def forward(self, x):
                return slow(x)
        outer = Slow()
        try:
            attack = nf.attacks.BrendelBethge.published()
            attack(outer, images, labels)
        except KeyboardInterrupt:
            print("stopped", outer.training, model.training, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        # If Ctrl-C does not stop the call, the timeout of the test does.
        assert process.stdout.readline() == "stopped True True\n"
    assert process.returncode == 0


@pytest.mark.cuda
def test_on_a_cuda_device():
    model, images = relu(torch.float32), batch(6, torch.float32)
    labels = predicted(model, images)
    on_host = ATTACK(model, images, labels)
    model.cuda()
    found = ATTACK(model, images.cuda(), labels.cuda())
    assert found.adversarial.is_cuda
    torch.testing.assert_close(
        found.distance.cpu(), on_host.distance, rtol=1e-2, atol=1e-5
    )
    assert isinstance(ATTACK(model, images.numpy(), labels.numpy())[0], np.ndarray)


def test_success_curve():
    distance = np.array([0.1, 0.3, np.inf, 0.2])
    curve = nf.attacks.success_curve(distance, [0.0, 0.1, 0.25, np.inf])
    np.testing.assert_array_equal(curve, [0.0, 0.25, 0.5, 1.0])
    tensor = torch.tensor([8 / 255, 0.5])
    curve = nf.attacks.success_curve(tensor, [8 / 255])
    assert isinstance(curve, torch.Tensor)
    assert curve.tolist() == [0.5]


@pytest.mark.parametrize(
    ("distance", "epsilons", "message"),
    [
        ([], [0.1], "distance: got no values"),
        ([0.1, np.nan], [0.1], "distance: got NaN"),
        ([0.1], [np.nan], "epsilons: got NaN"),
        ([[0.1]], [0.1], "distance: got shape"),
    ],
)
def test_success_curve_bad_input(distance, epsilons, message):
    with pytest.raises(ValueError, match=message):
        nf.attacks.success_curve(distance, epsilons)
