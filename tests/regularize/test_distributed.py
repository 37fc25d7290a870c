"""The regularizer in loops that split, compile, accumulate or use half precision."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import neurofreq as nf
from neurofreq import training

HERE = Path(__file__).parent


def network():
    """Return a network without batch norm, so that splits do not change the result."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Conv2d(6, 8, 3), nn.Tanh(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3),
    )  # fmt: skip


def stimuli(n=9):
    rng = np.random.default_rng(0)
    target = nf.response_similarity(rng.normal(size=(n, 20)))
    return target, torch.from_numpy(rng.uniform(size=(n, 1, 12, 12))).float()


def batch():
    rng = np.random.default_rng(1)
    images = torch.from_numpy(rng.uniform(size=(8, 1, 12, 12))).float()
    return images, torch.from_numpy(rng.integers(0, 3, 8))


def regularizer(model, **keywords):
    target, images = stimuli()
    return nf.SimilarityRegularizer(model, ["1", "3"], target, images, **keywords)


def steps(model, pull, images, labels, n=3):
    """Take a few optimizer steps; return losses and final parameters."""
    parameters = [*model.parameters(), *pull.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    losses = [
        nf.training_step(model, optimizer, images, labels, pull, 3.0)["similarity"]
        for _ in range(n)
    ]
    state = [*parameters, *pull.criterion.buffers()]
    return np.array(losses), [value.detach().numpy() for value in state]


def cotraining(model):
    responses = np.random.default_rng(3).uniform(size=(9, 4))
    return training.CoTraining(model, "1", responses, stimuli()[1], batch_size=4)


def meet(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )


def cotrained(model, images, labels):
    """Take a few steps of co-training; return the final parameters."""
    pull = cotraining(model)
    parameters = [*model.parameters(), *pull.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(3):
        nf.training_step(model, optimizer, images, labels, pull)
    return [value.detach().numpy() for value in parameters]


def cotraining_main(rank, folder):
    """Co-train as one of two processes, and try one joint pass."""
    meet(rank, folder)
    model = nn.parallel.DistributedDataParallel(network())
    images, labels = batch()
    pull = regularizer(model)
    with pytest.raises(ValueError, match="joint: got a model that runs in 2 proc"):
        pull.joint(images)
    with pytest.raises(ValueError, match="model: got a model that runs in 2 proc"):
        training.fit(model, images, labels)
    state = cotrained(model, images[rank::2], labels[rank::2])
    np.savez(f"{folder}/rank{rank}.npz", *state)
    torch.distributed.destroy_process_group()


def rank_main(rank, folder, all_pairs, n_pairs):
    """Train as one of two processes, and write the result of this rank."""
    meet(rank, folder)
    model = nn.parallel.DistributedDataParallel(network().double())
    pull = regularizer(model, all_pairs=all_pairs, n_pairs=n_pairs)
    images, labels = batch()
    images = images.double()
    losses, state = steps(model, pull, images[rank::2], labels[rank::2])
    np.savez(f"{folder}/rank{rank}.npz", losses, *state)
    torch.distributed.destroy_process_group()


def in_two_processes(call):
    code = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import test_distributed
        rank = int(sys.argv[1])
        test_distributed.{call}
    """)
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(rank)]) for rank in (0, 1)
    ]
    assert [child.wait(100) for child in children] == [0, 0]


# 4 drawn images split evenly; with 6 and 7 of 9, one part must be filled up.
@pytest.mark.parametrize(("all_pairs", "n_pairs"), [(True, 2), (False, 3), (True, 7)])
def test_two_processes_equal_one(all_pairs, n_pairs, tmp_path):
    model = network().double()
    pull = regularizer(model, all_pairs=all_pairs, n_pairs=n_pairs)
    images, labels = batch()
    losses, state = steps(model, pull, images.double(), labels)
    in_two_processes(f"rank_main(rank, {str(tmp_path)!r}, {all_pairs}, {n_pairs})")
    for rank in (0, 1):
        with np.load(tmp_path / f"rank{rank}.npz") as file:
            found = [file[name] for name in file]
        np.testing.assert_allclose(found[0], losses, rtol=1e-9)
        for ours, theirs in zip(found[1:], state, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_cotraining_in_two_processes_learns_one_variance(tmp_path):
    expected = cotrained(network(), *batch())
    in_two_processes(f"cotraining_main(rank, {str(tmp_path)!r})")
    for rank in (0, 1):
        with np.load(tmp_path / f"rank{rank}.npz") as file:
            found = [file[name] for name in file]
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_a_distributed_model_is_named_as_the_one_inside(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        model = network()
        shared = regularizer(nn.parallel.DistributedDataParallel(model))
        assert shared.model is model
        both = nn.parallel.DistributedDataParallel(model)
        compiled = torch.compile(both, backend="eager")
        assert regularizer(compiled)._ranks.group is not None
        assert shared.loss().item() == regularizer(model).loss().item()
    finally:
        torch.distributed.destroy_process_group()


def test_a_compiled_model_gives_the_loss_of_the_module_inside():
    model = network()
    compiled = torch.compile(model, backend="eager")
    images, labels = batch()
    expected = steps(network(), regularizer(network()), images, labels)[0][:1]
    pull = regularizer(compiled)
    assert pull.model is model
    losses, _ = steps(compiled, pull, images, labels)
    np.testing.assert_allclose(losses[:1], expected, rtol=1e-6)
    assert losses[-1] != losses[0]


def test_a_model_compiled_in_place_is_read_without_the_trace():
    model = network()
    model.compile(backend="eager")
    images, labels = batch()
    expected = steps(network(), regularizer(network()), images, labels)[0][:1]
    model(images)  # traced before the hooks exist
    losses, _ = steps(model, regularizer(model), images, labels)
    np.testing.assert_allclose(losses[:1], expected, rtol=1e-6)
    assert losses[-1] != losses[0]


def test_under_autocast_the_loss_is_in_float32_and_near():
    model = network()
    pull = regularizer(model, all_pairs=True).eval()
    exact = pull.loss()
    with torch.autocast("cpu", torch.bfloat16):
        half = pull.loss()
    half.backward()
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(exact.item(), rel=0.05)
    assert half.item() != exact.item()
    assert model[0].weight.grad.isfinite().all()


def test_accumulated_gradients_are_the_sum_over_draws():
    model, twin = network(), network()
    pull, pull_twin = regularizer(model), regularizer(twin)
    (sum(pull.loss() for _ in range(3)) / 3).backward()
    for _ in range(3):
        (pull_twin.loss() / 3).backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        if theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad)
    assert int(pull_twin.step) == 3


def test_one_pass_for_both_is_two_passes_without_batch_norm():
    images, labels = batch()
    model, twin = network(), network()
    pull, pull_twin = regularizer(model), regularizer(twin)
    logits, loss = pull.joint(images)
    torch.testing.assert_close(logits, twin(images))
    torch.testing.assert_close(loss, pull_twin.loss())
    (cross_entropy(logits, labels) + loss).backward()
    (cross_entropy(twin(images), labels) + regularizer(twin).loss()).backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_one_pass_needs_one_shape_and_a_row_per_image():
    pull = regularizer(network())
    with pytest.raises(ValueError, match=r"images: got shape \(4, 1, 10, 12\), exp"):
        pull.joint(torch.rand(4, 1, 10, 12))
    pull = regularizer(nn.Sequential(*network()[:4], nn.Flatten(0)))
    with pytest.raises(nf.ModelError, match="expected a row for each"):
        pull.joint(torch.rand(4, 1, 12, 12))
