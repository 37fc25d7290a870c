"""Co-training with responses: the loss, its weights, the draws, a whole recipe."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.training import network, problem
from torch.nn.functional import cross_entropy, mse_loss

import neurofreq as nf
from neurofreq import training
from neurofreq.training import CoTraining


def recorded(images, k=5, seed=0):
    """Responses that are a linear function of the images, plus an offset."""
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
        ({"responses": np.ones((60, 0))}, ValueError, "and one neuron"),
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


def containers(truth):
    """The same recording in every container that is read by names."""
    n, k = truth.shape
    images, neurons = pd.RangeIndex(n, name="image"), pd.RangeIndex(k, name="neuron")
    frame = pd.DataFrame(truth, index=images, columns=neurons)
    trials = np.stack([truth - 0.25, truth + 0.25, np.full_like(truth, np.nan)])
    order = np.random.default_rng(0).permutation(n)
    return {
        "turned": frame.T,
        "permuted": frame.loc[order],
        "without names": pd.DataFrame(truth),
        "several trials": nf.neural.Responses(trials),
        "with an index": nf.neural.Responses(trials, images=range(n)),
    }


@pytest.mark.parametrize("k", [5, 60])
def test_responses_in_containers_are_read_by_their_names(k):
    images, _ = problem(n=60)
    truth = recorded(images, k=k)
    expected = CoTraining(network(), "4", truth, images).responses
    for kind, one in containers(truth).items():
        found = CoTraining(network(), "4", one, images).responses
        torch.testing.assert_close(found, expected, msg=kind)


def test_responses_of_xarray_are_read_by_their_names():
    xr = pytest.importorskip("xarray", reason="needs xarray, an optional package")
    images, _ = problem(n=60)
    truth = recorded(images, k=60)
    expected = CoTraining(network(), "4", truth, images).responses
    array = xr.DataArray(truth.T, dims=("neuron", "image"), coords={"image": range(60)})
    order = np.random.default_rng(0).permutation(60)
    for one in (array, array[:, order], xr.concat([array, array], "trial")):
        found = CoTraining(network(), "4", one, images).responses
        torch.testing.assert_close(found, expected)


def test_responses_to_other_images_than_the_stimuli_are_refused():
    images, _ = problem(n=60)
    truth = recorded(images)
    frame = pd.DataFrame(truth)
    shuffled = frame.sample(frac=1, random_state=0)
    names = np.array([f"im{k}.png" for k in range(60)])
    both = nf.neural.Responses(truth, images=names)
    CoTraining(network(), "4", both, images)
    gaps = truth.copy()
    gaps[3, 1] = np.nan
    for one, message in (
        (shuffled, r"responses: got images in another order.*for_images\(range\(60"),
        (nf.neural.Responses(shuffled), "responses: got images in another order"),
        (frame[:59], r"responses: got shape \(59, 5\), expected \(60, K\)"),
        (pd.DataFrame(gaps), "responses: got NaN or infinite"),
        (nf.neural.Responses(gaps), "responses: got NaN or infinite"),
        (frame.rename_axis("time"), "responses: got "),
    ):
        with pytest.raises(ValueError, match=message):
            CoTraining(network(), "4", one, images)


def test_named_stimuli_must_be_those_of_the_responses():
    pixels, _ = problem(n=60)
    truth = recorded(pixels)
    names = [f"im{k}" for k in range(60)]
    places = tuple(f"im{k}.npy" for k in range(60))
    stimuli = Named(pixels.numpy(), places)
    right = nf.neural.Responses(truth, images=names)
    CoTraining(network(), "4", right, stimuli)
    with pytest.raises(ValueError, match=r"stimuli: got images in another.*responses"):
        CoTraining(network(), "4", right.for_images(names[::-1]), stimuli)


class Named(np.ndarray):
    """Images with names, like images from files."""

    def __new__(cls, pixels, names):
        one = np.asarray(pixels).view(cls)
        one.names = names
        return one
