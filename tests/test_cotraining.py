"""Co-training with responses: the loss, its weights, draws, a whole recipe."""

import numpy as np
import pytest
import torch
from test_training import network, problem
from torch.nn.functional import cross_entropy, mse_loss

import neurofreq as nf
from neurofreq import training
from neurofreq.training import CoTraining


def recorded(images, k=5, seed=0):
    """Responses that are linear in the images, plus an offset."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(images[0].numel(), k)) / 16
    drive = images.flatten(1).numpy() @ weights
    return np.abs(drive - drive.mean(0)) + 0.5


def cotraining(model, images, **keywords):
    return CoTraining(model, "4", recorded(images), images, **keywords)


def test_the_loss_is_the_error_of_the_read_out_on_the_drawn_stimuli():
    images, _ = problem()
    model = network().eval()
    both = cotraining(model, images, batch_size=20).eval()
    index = both._draw()
    features = model[:5](images[index])
    truth = torch.from_numpy(recorded(images)).float()
    truth = (truth / truth.std())[index]
    assert both.loss().item() == pytest.approx(
        mse_loss(both.readout(features), truth).item(), rel=1e-5
    )
    both.loss().backward()
    assert model[0].weight.grad.abs().sum() > 0
    assert model[-1].weight.grad is None


def test_the_pass_ends_at_the_layer():
    images, _ = problem()
    model = network()
    reached = []
    model[6].register_forward_hook(lambda *_: reached.append(1))
    cotraining(model, images).loss()
    assert not reached
    assert not model[4]._forward_hooks


def test_the_total_is_that_of_the_paper_and_trains_its_weights():
    images, labels = problem()
    model = network().eval()
    both = cotraining(model, images)
    with torch.no_grad():
        both.log_variance.copy_(torch.tensor([0.3, -0.7]))
    ce, mse = torch.tensor(1.7), torch.tensor(0.4)
    expected = np.exp(-0.3) * 1.7 + 0.15 + np.exp(0.7) / 2 * 0.4 - 0.35
    assert both.total(ce, mse, 20.0).item() == pytest.approx(expected, rel=1e-6)
    optimizer = torch.optim.SGD([*model.parameters(), *both.parameters()], lr=0.1)
    before = both.log_variance.detach().clone()
    losses = nf.training_step(model, optimizer, images, labels, both)
    assert set(losses) == {"loss", "cross_entropy", "responses"}
    gradient = [
        0.5 - np.exp(-0.3) * losses["cross_entropy"],
        0.5 - np.exp(0.7) / 2 * losses["responses"],
    ]
    moved = (before - both.log_variance.detach()) / 0.1
    np.testing.assert_allclose(moved, gradient, rtol=1e-4)


def test_every_stimulus_is_used_before_any_is_again():
    images, _ = problem(n=60)
    both = cotraining(network(), images, batch_size=20, seed=4)
    seen = []
    for _ in range(3):
        seen += both._draw().tolist()
        both.loss()
    assert sorted(seen) == list(range(60))
    twin = cotraining(network(), images, batch_size=20, seed=4)
    twin.load_state_dict(both.state_dict())
    assert torch.equal(twin._draw(), both._draw())


def test_a_run_learns_both_and_resumes(tmp_path):
    images, labels = problem(n=120)
    recipe = training.Recipe(
        epochs=12, batch_size=20, lr=0.05, validation=0.2, schedule="plateau",
        monitor="accuracy", patience=3, momentum=0.75,
    )  # fmt: skip

    def run(folder, stop=None):
        def callback(row):
            if row["epoch"] == stop:
                raise KeyboardInterrupt

        model = network()
        both = cotraining(model, images, batch_size=20)
        try:
            return training.fit(
                model, images, labels, recipe, regularizer=both, folder=folder,
                callback=callback,
            )  # fmt: skip
        except KeyboardInterrupt:
            return None

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", stop=2)
    assert run(tmp_path / "parts") == whole
    assert whole[-1]["responses"] < 0.9 * whole[0]["responses"]  # after a fall
    assert whole[-1]["cross_entropy"] < 0.8 * whole[0]["cross_entropy"]
    assert whole[-1]["log variance of classes"] != 0.0


def test_half_precision_reads_out_in_float32():
    images, labels = problem()
    model = network().eval()
    both = cotraining(model, images).eval()
    exact = both.loss().item()
    with torch.autocast("cpu", torch.bfloat16):
        half = both.loss()
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(exact, rel=0.05)
    assert cross_entropy(model(images), labels).isfinite()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"layer": "nine"}, ValueError, "layers: the model has no 'nine'"),
        ({"layer": "6"}, nf.ModelError, r"layer: '6' returned shape \(2, 32\)"),
        ({"responses": np.ones((59, 3))}, ValueError, r"responses: got shape \(59, 3"),
        ({"responses": np.ones((60, 3))}, ValueError, r"never differ.*\[0, 1, 2\]"),
        ({"responses": np.full((60, 3), np.nan)}, ValueError, "responses: got NaN"),
        ({"responses": np.eye(60, 3) - 2}, ValueError, "responses: got -2, expected 0"),
        ({"responses": np.ones((60, 0))}, ValueError, "and a neuron"),
        ({"layer": ["4"]}, TypeError, "layer: got list, expected one name"),
        ({"batch_size": 0}, ValueError, "batch_size: got 0"),
        ({"stimuli": torch.rand(60, 16, 16)}, ValueError, "stimuli: got shape"),
        ({"seed": -1}, ValueError, "seed: got -1"),
    ],
)
def test_bad_input_is_named(change, error, message):
    images, _ = problem()
    arguments = {
        "layer": "4", "responses": recorded(images), "stimuli": images, **change
    }  # fmt: skip
    with pytest.raises(error, match=message):
        CoTraining(network(), **arguments)


def test_features_that_turn_nan_are_named():
    images, labels = problem()
    model = network()
    both = cotraining(model, images)
    both.loss()
    with torch.no_grad():
        model[4].weight[0, 0] = np.nan
    with pytest.raises(nf.ModelError, match="layer '4' at step 1"):
        both.loss()
    with pytest.raises(ValueError, match="joint: got True"):
        both.joint(images)
    both.close()
    with pytest.raises(RuntimeError, match="closed"):
        both.loss()
    del labels
