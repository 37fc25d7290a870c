"""Training: a single step, the loop, and the effect of regularization."""

import numpy as np
import pytest
import torch
from helpers.training import SHORT, network, problem, regularizer
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy

import neurofreq as nf
from neurofreq import training
from neurofreq.training import _run, _schedule


class Soft(nn.Module):
    """A network that ends in a softmax or a log-softmax."""

    def __init__(self, end):
        super().__init__()
        self.network, self.end = network(), end

    def forward(self, x):
        return self.end(self.network(x), dim=1)


@pytest.mark.parametrize("how", ["step", "fit", "bfloat16"])
def test_probabilities_in_place_of_logits_are_told_where_one_trains(how):
    images, labels = problem()
    recipe = training.Recipe(
        epochs=1, precision="bfloat16" if how == "bfloat16" else "float32"
    )

    def train(end):
        model = Soft(end)
        if how != "step":
            return training.fit(model, images, labels, recipe)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return nf.training_step(model, optimizer, images, labels)

    with pytest.warns(UserWarning, match=r"model: got probabilities .* hardly learns"):
        train(torch.softmax)
    train(torch.log_softmax)  # warnings are errors here


def test_a_step_is_the_sum_of_both_losses():
    images, labels = problem()
    model, twin = network().eval(), network().eval()
    r, r_twin = regularizer(model, images), regularizer(twin, images)
    parameters = [*model.parameters(), *r.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    losses = nf.training_step(model, optimizer, images, labels, r, 2.0)
    classification = cross_entropy(twin(images), labels)
    similarity = r_twin.loss()
    total = classification + 2.0 * similarity
    assert losses == pytest.approx(
        {
            "loss": total.item(),
            "cross_entropy": classification.item(),
            "similarity": similarity.item(),
        }
    )
    total.backward()
    expected = [p - 0.1 * p.grad for p in [*twin.parameters(), *r_twin.parameters()]]
    for ours, theirs in zip(parameters, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_a_regularizer_a_step_is_cross_entropy():
    images, labels = problem()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = nf.training_step(model, optimizer, images, labels)
    assert set(losses) == {"loss", "cross_entropy"}


def test_the_loop_learns_is_seeded_and_leaves_flags_and_random_state():
    images, labels = problem()
    state = torch.random.get_rng_state()
    runs = []
    for seed in (3, 3, 4):
        model = network()
        state = torch.random.get_rng_state()
        model[1].eval()
        seen = []
        history = training.fit(
            model,
            images,
            labels,
            training.Recipe(epochs=6, batch_size=16, lr=0.2),
            seed=seed,
            augment=training.shift_and_flip,
            callback=seen.append,
        )
        assert seen == history
        assert not model[1].training
        assert model[0].training
        assert torch.equal(state, torch.random.get_rng_state())
        runs.append(history)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert [row["epoch"] for row in runs[0]] == [1, 2, 3, 4, 5, 6]
    assert runs[0][-1]["cross_entropy"] < 0.7 * runs[0][0]["cross_entropy"]
    assert runs[0][-1]["lr"] == 0.0


def test_the_regularizer_pulls_similarities_towards_the_target():
    images, labels = problem()
    gaps = {}
    for alpha in (0.0, 20.0):
        model = network()
        r = regularizer(model, images, all_pairs=True)
        history = training.fit(
            model,
            images,
            labels,
            training.Recipe(epochs=15, batch_size=20, lr=0.01, alpha=alpha),
            regularizer=r,
        )
        gaps[alpha] = np.mean([row["similarity"] for row in history[-3:]])
    assert gaps[20.0] < 0.3 * gaps[0.0]


def test_the_learning_rate_rises_and_falls():
    rates = [_schedule.triangle(step, 100) for step in range(101)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0.0


def test_shift_and_flip_agrees_with_a_loop():
    images = torch.rand(20, 3, 12, 9)
    ours = training.shift_and_flip(images, torch.Generator().manual_seed(0), padding=2)
    padded = nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    flips = 0
    for image, source in zip(ours, padded, strict=True):
        crops = {
            (top, left): source[:, top : top + 12, left : left + 9]
            for top in range(5)
            for left in range(5)
        }
        plain = [torch.equal(image, crop) for crop in crops.values()]
        flipped = [torch.equal(image, crop.flip(2)) for crop in crops.values()]
        assert sum(plain) + sum(flipped) == 1
        flips += sum(flipped)
    assert 2 < flips < 18


def test_a_last_batch_of_one_image_is_dropped():
    sizes = [len(batch) for batch in _run._batches(torch.arange(9), 4)]
    assert sizes == [4, 4]
    sizes = [len(batch) for batch in _run._batches(torch.arange(1), 4)]
    assert sizes == [1]


def test_a_loss_that_turns_nan_stops_before_the_step():
    images, labels = problem()
    model = network()
    with torch.no_grad():
        model[-1].weight[0, 0] = np.nan
    before = model[0].weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(nf.ModelError, match="cross_entropy nan, expected finite"):
        nf.training_step(model, optimizer, images, labels)
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": torch.full((60,), 3)}, ValueError, "labels: got 3 to 3, expected"),
        ({"labels": torch.zeros(59).long()}, ValueError, r"labels: got shape \(59,\)"),
        ({"labels": torch.zeros(60)}, TypeError, "labels: got dtype torch.float32"),
        (
            {"images": torch.zeros(0, 1, 16, 16), "labels": torch.zeros(0).long()},
            ValueError,
            "images: got an empty batch",
        ),
        ({"alpha": -1.0}, ValueError, "alpha: got -1.0"),
        ({"alpha": np.nan}, ValueError, "alpha: got nan"),
        (
            {"label_smoothing": 2},
            ValueError,
            "label_smoothing: got 2.0, expected 0 to 1",
        ),
        ({"model": nn.Conv2d(1, 1, 1)}, nf.ModelError, r"model: returned \(60, 1, 16"),
    ],
)
def test_bad_steps_are_named(change, error, message):
    images, labels = problem()
    given = {"images": images, "labels": labels, "alpha": 1.0}
    arguments = {"model": network(), **given, **change}
    optimizer = torch.optim.SGD(arguments["model"].parameters(), lr=0.1)
    with pytest.raises(error, match=message):
        nf.training_step(optimizer=optimizer, **arguments)


def test_a_regularizer_of_another_model_is_refused():
    images, labels = problem()
    r = regularizer(network(), images)
    with pytest.raises(ValueError, match="got a regularizer of another model"):
        training.fit(network(), images, labels, regularizer=r)


def loop(model, recipe, **keywords):
    images, labels = problem()
    return training.fit(model, images, labels, recipe, **keywords)


def test_a_compiled_model_gets_its_best_weights():
    model = network()
    history = loop(torch.compile(model, backend="eager"), SHORT.replace(validation=0.2))
    twin = network()
    assert loop(twin, SHORT.replace(validation=0.2)) == history
    for name, value in twin.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize(("validation", "steps"), [(0.0, 4), (0.2, 3)])
def test_a_last_step_that_diverges_leaves_the_last_good_epoch(
    validation, steps, tmp_path
):
    recipe = SHORT.replace(epochs=3, validation=validation, schedule="constant")
    model, weight = network(), []

    def diverge(images, _):
        if len(images) == 8:  # the images that identify the augmentation
            return images
        if len(weight) == 2 * steps - 1:  # the last step of the second epoch
            model[0].weight.register_hook(lambda gradient: gradient * np.inf)
        weight.append(1)
        return images

    with pytest.raises(
        nf.ModelError, match=r"model: got NaN .* '0.weight' after ep.* 2"
    ):
        loop(model, recipe.replace(batch_size=16), augment=diverge, folder=tmp_path)
    for name in ("last", "best"):
        kept = load_file(tmp_path / f"{name}.safetensors")
        assert all(value.isfinite().all() for value in kept.values())


def test_a_validation_loss_of_nan_is_not_kept():
    model = network()
    model[-1].register_forward_hook(
        lambda module, _, output: None if module.training else output * np.nan
    )
    with pytest.raises(nf.ModelError, match="validation loss: got nan after epoch 1"):
        loop(model, SHORT.replace(validation=0.2))


def test_a_bad_step_is_named_by_epoch_and_step():
    model, seen = network(), []

    def poison(images, _):
        seen.append(1)
        return images * (np.nan if len(seen) == 5 else 1.0)

    with pytest.raises(nf.ModelError, match=r"nan.*\(epoch 2, step 2 of 3\)"):
        loop(model, SHORT, augment=poison)


def test_a_fall_brings_back_the_regularizer_of_the_best_epoch(tmp_path):
    recipe = SHORT.replace(
        epochs=3, schedule="plateau", patience=1, validation=0.2, monitor="accuracy"
    )
    images, _ = problem()
    model = network()
    both = training.CoTraining(
        model, "4", np.random.default_rng(0).random((60, 4)), images, batch_size=20
    )
    states = []

    def note(row):
        states.append({k: v.clone() for k, v in both.state_dict().items()} | row)

    loop(model, recipe, regularizer=both, callback=note, folder=tmp_path)
    score = [row["validation_accuracy"] for row in states]
    falls = [e for e in (1, 2) if score[e] <= max(score[:e])]
    assert falls  # the test needs a fall of the rate
    for epoch in falls:
        best = states[int(np.argmax(score[: epoch + 1]))]
        for name in ("log_variance", "readout.weights"):
            assert torch.equal(states[epoch][name], best[name])
        assert states[epoch]["step"] > best["step"]
    kept = load_file(tmp_path / "last.safetensors")
    assert "best_regularizer.readout.weights" in kept
    assert "best_regularizer.step" not in kept


def test_an_autocast_of_the_caller_is_left_on():
    images, labels = problem()
    model, seen = network(), []
    model[4].register_forward_hook(lambda *args: seen.append(args[2].dtype))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    adversary = training.Adversary()
    with torch.autocast("cpu", torch.bfloat16):
        nf.training_step(model, optimizer, images, labels)
        adversary.perturb(model, images, labels, torch.Generator())
    assert seen == [torch.bfloat16] * 2


def test_under_an_autocast_of_the_caller_every_step_uses_the_new_weights():
    images, labels = problem()
    model = network().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(2):
            nf.training_step(model, optimizer, images, labels)
            inside = model(images)
            torch.clear_autocast_cache()
            assert torch.equal(inside, model(images))


def test_images_may_be_turned_around():
    images, labels = problem()
    turned = images.numpy()[::-1, :, :, ::-1]
    assert loop_over(turned, labels) == loop_over(turned.copy(), labels)


def loop_over(images, labels):
    model = network()
    target = nf.neural.v1_similarity(images, n_neurons=64)
    pull = nf.SimilarityRegularizer(model, ["0"], target, images)
    return training.fit(model, images, labels, SHORT, regularizer=pull)


def test_a_label_beyond_the_classes_is_found_before_any_step(tmp_path):
    images, labels = problem()
    labels[-1] = 99
    model = network()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="labels: got 0 to 99, expected 0 to"):
        training.fit(model, images, labels, SHORT, folder=tmp_path)
    assert all(map(torch.equal, before, model.parameters()))
    assert not list(tmp_path.iterdir())


def test_a_folder_takes_images_of_a_model_in_half_precision(tmp_path):
    images, labels = problem()
    training.fit(network().bfloat16(), images, labels, SHORT, folder=tmp_path)
    assert (tmp_path / "last.safetensors").exists()


def test_what_a_kill_after_the_last_epoch_left_out_is_written(tmp_path):
    history = loop(network(), SHORT, folder=tmp_path)
    whole = (tmp_path / "curves.csv").read_bytes()
    (tmp_path / "curves.csv").write_bytes(whole.splitlines(keepends=True)[0])
    (tmp_path / "curves.png").unlink()
    assert loop(network(), SHORT, folder=tmp_path) == history
    assert (tmp_path / "curves.csv").read_bytes() == whole
    assert (tmp_path / "curves.png").exists()


def test_the_best_weights_of_a_resumed_run_are_those_of_its_own_epoch(tmp_path):
    recipe = SHORT.replace(validation=0.25)
    loop(network(), recipe, folder=tmp_path)
    best = (tmp_path / "best.safetensors").read_bytes()
    other = {k: v + 1.0 for k, v in load_file(tmp_path / "best.safetensors").items()}
    save_file(other, tmp_path / "best.safetensors")  # of a lost later epoch
    model = network()
    loop(model, recipe, folder=tmp_path)
    (tmp_path / "kept").write_bytes(best)
    kept = load_file(tmp_path / "kept")
    assert all(torch.equal(kept[k], v) for k, v in model.state_dict().items())


def test_the_rate_of_a_row_is_the_one_it_was_trained_with():
    recipe = SHORT.replace(schedule="cyclic", phase_epochs=1, n_phases=2)
    history = loop(network(), recipe)
    assert [row["lr"] for row in history] == pytest.approx([0.05, 0.05 * recipe.factor])


def test_a_regularizer_trains_while_fitting_and_images_need_no_gradient(tmp_path):
    images, labels = problem()
    model = network()
    pull = regularizer(model, images).eval()
    images.requires_grad_(True)
    training.fit(model, images, labels, SHORT, regularizer=pull, folder=tmp_path)
    assert int(pull.step) == 6
    assert not pull.training
    assert images.grad is None
