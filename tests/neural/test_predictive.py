"""The predictive model learns cells, denoises similarities, and resumes."""

import numpy as np
import pytest
import torch

import neurofreq as nf
from neurofreq import neural
from neurofreq.neural import _fit, _predictive, network

SMALL = {
    "front": "learned", "n_channels": 8, "n_layers": 2, "kernels": (7, 3),
    "n_scales": 2, "n_folds": 3, "max_epochs": 25, "patience": 8, "lr": 1e-2,
}  # fmt: skip


@pytest.fixture(scope="module")
def scan():
    """Noisy linear cells, each with its own Gaussian receptive field."""
    rng = np.random.default_rng(0)
    images = rng.random((240, 1, 12, 12))
    y, x = np.mgrid[:12, :12]
    centres = rng.uniform(3, 9, size=(12, 2))
    fields = np.exp(
        -((y - centres[:, :1, None]) ** 2 + (x - centres[:, 1:, None]) ** 2) / 4
    )
    drive = np.einsum("nhw,khw->nk", images[:, 0], fields)
    rate = 0.7 * np.exp(0.8 * (drive - drive.mean(0)) / drive.std(0))
    trials = rng.poisson(rate, (5, *rate.shape))
    names = [f"im{k}" for k in range(240)]
    return images, neural.Responses(trials, images=names), rate


@pytest.fixture(scope="module")
def fitted(scan):
    images, responses, _ = scan
    return neural.PredictiveModel(**SMALL).fit(images, responses)


def test_it_predicts_images_it_never_saw(scan, fitted):
    _, responses, rate = scan
    observed = [
        np.corrcoef(fitted.held_out[:, k], responses.mean()[:, k])[0, 1]
        for k in range(12)
    ]
    np.testing.assert_allclose(fitted.v, observed, atol=1e-9)
    assert np.median(fitted.v) > 0.5
    truth = [np.corrcoef(fitted.held_out[:, k], rate[:, k])[0, 1] for k in range(12)]
    assert np.median(truth) > np.median(fitted.v)
    assert all(row["epoch"] > 0 for row in fitted.history)


def test_it_denoises_the_similarity(scan, fitted):
    _, responses, rate = scan
    truth = nf.response_similarity(rate, weights=responses.reliability())
    single = neural.Responses(responses.trials[:1])
    raw = single.similarity(weights=responses.reliability())
    model = fitted.held_out_similarity()
    gain = [neural.similarity_correlation(x, truth) for x in (model, raw)]
    assert gain[0] > gain[1] + 0.1
    assert model.source == "predicted from recordings"
    assert model.images.tolist() == responses.images.tolist()


def test_similarity_of_new_images_is_that_of_scaled_predictions(fitted):
    images = np.random.default_rng(5).random((9, 1, 24, 24))  # another size
    rhohat = fitted.predict(images)
    assert rhohat.shape == (9, 12)
    assert (rhohat > 0.0).all()
    expected = nf.response_similarity(
        rhohat * (fitted.w * fitted.v.clip(0)).astype(np.float32)
    )
    target = neural.neural_similarity(fitted, images)
    np.testing.assert_allclose(target, expected, atol=1e-5)
    both = neural.neural_similarity([fitted, fitted], images)
    np.testing.assert_allclose(both, target, atol=1e-12)
    assert both.label == "predicted from recordings (mean of 2 scans)"


def test_a_stopped_fit_goes_on_and_a_seed_repeats(scan, fitted, tmp_path, monkeypatch):
    images, responses, _ = scan
    train, calls = _predictive._fit.train, []

    def interrupted(*args):
        calls.append(args[-1])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*args)

    monkeypatch.setattr(_predictive._fit, "train", interrupted)
    model = neural.PredictiveModel(**SMALL)
    with pytest.raises(KeyboardInterrupt):
        model.fit(images, responses, folder=tmp_path)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        model.predict(images)
    model.fit(images, responses, folder=tmp_path)
    assert calls == [0, 1, 1, 2]  # the first fold is read, not fitted again
    np.testing.assert_allclose(model.held_out, fitted.held_out, rtol=1e-4)
    assert model.history[0]["epoch"] == fitted.history[0]["epoch"]


def test_groups_stay_together_and_no_fold_sees_its_part():
    groups = np.repeat(np.arange(10), 7)
    folds = _fit.folds(groups, 70, 4, seed=1)
    seen = np.zeros(70, dtype=int)
    for fold in folds:
        parts = np.stack(fold)
        assert (parts.sum(axis=0) == 1).all()
        assert all(part.any() for part in parts)
        for group in range(10):
            assert (parts[:, groups == group].sum(axis=1) % 7 == 0).all()
        seen += fold.test
    assert (seen == 1).all()


def test_gaps_and_negative_responses_are_learned_from(scan):
    images, responses, _ = scan
    trials = np.array(responses.trials) - 2.0
    trials[:, ::5, 3] = np.nan
    model = neural.PredictiveModel(**SMALL | {"loss": "gaussian", "max_epochs": 15})
    model.fit(images, neural.Responses(trials))
    assert np.isfinite(model.held_out).all()
    assert np.median(model.v) > 0.3
    assert model.held_out.min() < 0.0


def test_what_does_not_fit_is_refused(scan):
    images, responses, _ = scan
    model = neural.PredictiveModel(**SMALL)
    trials = np.array(responses.trials)
    with pytest.raises(ValueError, match="responses: got 240 images, expected 10"):
        model.fit(images[:10], responses)
    swapped = neural.Responses(trials.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"trials are \(T, N, K\), not \(5, 12, 240\)"):
        model.fit(images, swapped)
    with pytest.raises(TypeError, match="responses: got ndarray, expected Responses"):
        model.fit(images, trials)
    with pytest.raises(ValueError, match="got -1, expected 0 or more for loss 'poiss"):
        model.fit(images, neural.Responses(trials - trials.min() - 1.0))
    with pytest.raises(ValueError, match="single trial"):
        model.fit(images, neural.Responses(trials[:1]))
    with pytest.raises(ValueError, match="weights: got 1, expected"):
        model.fit(images, responses, weights=[1.0])
    with pytest.raises(ValueError, match=r"groups: got shape \(3,\)"):
        model.fit(images, responses, groups=[0, 1, 2])
    with pytest.raises(ValueError, match="groups: got 2, expected at least 3"):
        model.fit(images, responses, groups=np.arange(240) % 2)
    with pytest.raises(RuntimeError, match="not fitted yet"):
        neural.neural_similarity(model, images)
    trials[..., 4] = 0.0
    with pytest.raises(ValueError, match="neuron 4 never differ"):
        model.fit(images, neural.Responses(trials))
    with pytest.raises(ValueError, match="images: got values in"):
        model.fit(images * 255, responses)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_folds": 2}, "n_folds: got 2, expected at least 3"),
        ({"kernels": (8, 3)}, r"kernels: got \(8, 3\), expected odd sizes"),
        ({"loss": "l2"}, "loss: got 'l2'"),
        ({"lr": 0.0}, "lr: got 0.0, expected a positive number"),
        ({"sparsity": -1.0}, "sparsity: got -1.0, expected 0 or more"),
        ({"batch_size": 1}, "batch_size: got 1, expected at least 2"),
        ({"patience": 0}, "patience: got 0, expected at least 1"),
        ({"size": (0, 3)}, "size: got 0, expected at least 1"),
        ({"size": 3}, "size: got 3, expected two positive integers"),
        ({"kernels": (3,)}, r"kernels: got \(3,\), expected two positive integers"),
        ({"n_folds": 3.5}, "n_folds: got float, expected an integer"),
        ({"batch_size": 2.5}, "batch_size: got float"),
        ({"n_layers": 1.5}, "n_layers: got float"),
        ({"device": "cuda:99"}, "device: got cuda:99"),
    ],
)
def test_bad_settings_are_refused(keywords, message):
    with pytest.raises((TypeError, ValueError), match=message):
        neural.PredictiveModel(**keywords)


def test_the_fixed_front_is_gabor_energy():
    front = network.GaborEnergy()
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    for index, wavelength in enumerate(front.WAVELENGTHS):
        for turn in range(6):
            angle = torch.tensor(torch.pi * turn / 6)
            along = x * torch.cos(angle) + y * torch.sin(angle)
            waves = torch.stack(
                [
                    torch.cos(2 * torch.pi * along / wavelength + phase)
                    for phase in (0.0, 0.8, 1.6)
                ]
            )
            energy = front(waves[:, None])[:, 1:, 12, 12]
            assert (energy.argmax(1) == 6 * index + turn).all()
            best = energy[:, 6 * index + turn]
            assert best.std() < 0.05 * best.mean()  # for every phase
    uniform = front(torch.full((1, 1, 20, 21), 0.7))
    assert uniform.shape == (1, front.n_channels, 10, 11)
    np.testing.assert_allclose(uniform[:, 1:], 0.0, atol=1e-6)
    np.testing.assert_allclose(uniform[:, 0], 0.7, atol=1e-6)


def test_the_fixed_front_predicts_energy_cells():
    rng = np.random.default_rng(2)
    images = rng.random((300, 1, 16, 16), dtype=np.float32)
    front = network.GaborEnergy()
    with torch.no_grad():
        energy = front(torch.from_numpy(images))[:, [3, 9, 14], 3:5, 4].mean(2).numpy()
    z = (energy - energy.mean(0)) / energy.std(0)
    trials = rng.poisson(3.0 * np.exp(0.4 * z), (4, 300, 3))
    model = neural.PredictiveModel(
        n_layers=0, n_scales=2, n_folds=3, max_epochs=40, lr=2e-2
    )
    model.fit(images, neural.Responses(trials))
    assert model.v.min() > 0.4


def few(**keywords):
    """A small fit to the counts of 3 neurons for 5 movies of 6 images."""
    images = np.random.default_rng(0).random((30, 1, 8, 8), dtype=np.float32)
    trials = np.random.default_rng(1).poisson(5.0, (3, 30, 3)).astype(float)
    model = neural.PredictiveModel(n_layers=0, n_scales=1, batch_size=8, **keywords)
    return model, images, trials


def test_a_neuron_without_responses_to_a_fold_is_left_out_of_that_fold(monkeypatch):
    model, images, trials = few(max_epochs=2)
    groups = np.arange(30) // 6
    trials[:, groups != 1, 2] = np.nan  # neuron 2 has responses to one movie only
    predict, rows = _fit.predict, []
    monkeypatch.setattr(
        _fit, "predict", lambda *args: rows.append(predict(*args)) or rows[-1]
    )
    model.fit(images, neural.Responses(trials), groups=groups)
    assert all(np.isfinite(row["loss"]) for row in model.history)
    blind = np.isnan(model.held_out[:, 2])
    assert (blind == (groups == 1)).sum() == 24  # its own movie, and another fold
    assert blind[groups == 1].all()
    assert np.isfinite(model.held_out[:, :2]).all()
    assert np.isnan(model.v[2])
    assert model.weights[2] == 0.0
    del rows[:]
    predicted = model.predict(images)
    seen = np.stack([row.numpy() for row in rows])
    knows = [blind[fold.test].any() for fold in _fit.folds(groups, 30, 5, 0)]
    mean = seen[~np.array(knows), :, 2].mean(0) * model._scale[2]
    np.testing.assert_allclose(predicted[:, 2], mean, rtol=1e-5)
    model.v[:2] = 0.5
    assert len(model.held_out_similarity()) == 30
    model.v[2] = 0.5
    with pytest.raises(ValueError, match="neuron 2 has no held-out prediction"):
        model.held_out_similarity()


def test_a_fold_without_any_response_to_stop_by_is_refused():
    model, images, trials = few()
    groups = np.arange(30) // 6
    trials[:, groups == 1] = np.nan
    with pytest.raises(
        ValueError, match="has no response to its early-stopping images"
    ):
        model.fit(images, neural.Responses(trials), groups=groups)


def test_a_loss_that_is_not_finite_ends_the_fit():
    model, images, trials = few(lr=1e30)
    with pytest.raises(nf.ModelError, match=r"loss: got (nan|inf) in epoch"):
        model.fit(images, neural.Responses(trials))
    with pytest.raises(RuntimeError, match="not fitted yet"):
        model.predict(images)


def test_random_state_is_as_found_where_folds_are_read(tmp_path):
    for _ in range(2):
        model, images, trials = few(max_epochs=1)
        state = torch.get_rng_state()
        model.fit(images, neural.Responses(trials), folder=tmp_path)
        assert torch.equal(torch.get_rng_state(), state)
    assert '"neurofreq"' in next(tmp_path.glob("*.json")).read_text()


def test_a_second_fit_has_the_size_of_its_own_images():
    model, images, trials = few(max_epochs=1)
    model.fit(images, neural.Responses(trials))
    first = model.predict(images)
    tall = np.random.default_rng(2).random((30, 1, 16, 12), dtype=np.float32)
    model.fit(tall, neural.Responses(trials))
    assert model._inputs(tall[:, 0].astype(float)).shape == (30, 1, 16, 12)
    model.fit(images, neural.Responses(trials))
    np.testing.assert_array_equal(model.predict(images), first)


def test_a_position_of_nan_is_a_response_of_nan():
    readout = network.PointReadout(torch.tensor([0.5, torch.nan]), 3, 2, True)
    assert readout.bias[1] == 0.0
    features = torch.rand(4, 3, 6, 6, requires_grad=True)
    with torch.no_grad():
        readout.position[1, 0] = torch.nan
    found = readout(features)
    assert found.isnan().tolist() == [[False, True]] * 4
    found.nansum().backward()
    assert features.grad.isfinite().all()
