"""What a step asks of a device: operators that start kernels, and waits of the host."""

import numpy as np
import pytest
import torch
from helpers.counts import Count

import neurofreq as nf
from neurofreq import training

LOSS = {"forward": 58, "backward": 13}
"""Operators of the similarity loss of five layers; 239 before."""
JOINT = {"two passes": 82, "one pass": 98}
"""Operators of a joint step of a ResNet18 beyond the operators of its passes."""


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(0)
    model = nf.models.resnet18_gray(base_width=4)
    stimuli = torch.rand(24, 1, 32, 32)
    target = nf.response_similarity(np.random.default_rng(0).normal(size=(24, 9)))
    return model, stimuli, target, torch.rand(8, 1, 32, 32), torch.arange(8)


def counted(work, n=3):
    for _ in range(n):  # the first calls try the layers and make states
        work()
    with Count() as count:
        work()
    return count


def parameters(model, pull=None):
    return [*model.parameters(), *(pull.parameters() if pull else ())]


def test_the_loss_starts_few_kernels_and_waits_once():
    criterion = nf.SimilarityLoss(5)
    features = [
        torch.rand(6, 4, side, side, requires_grad=True) for side in range(2, 7)
    ]
    target = torch.eye(6)
    criterion(features, target)
    with Count() as forward:
        loss = criterion(features, target)
    with Count() as backward:
        loss.backward()
    assert forward.launches <= LOSS["forward"], forward.names
    assert backward.launches <= LOSS["backward"], backward.names
    assert sum(forward.waits.values()) <= 1
    assert not backward.waits


@pytest.mark.parametrize("all_pairs", [False, True])
@pytest.mark.parametrize("joint", [False, True])
def test_a_joint_step_reads_all_values_at_once(setting, joint, all_pairs):
    """`tolist` of one tensor is the only read: it is no operator."""
    model, stimuli, target, images, labels = setting
    pull = nf.SimilarityRegularizer(
        model, "auto", target, stimuli, n_pairs=4, all_pairs=all_pairs
    )
    optimizer = torch.optim.SGD(parameters(model, pull), lr=0.01, fused=True)

    def step():
        nf.training_step(model, optimizer, images, labels, pull, joint=joint)

    def passes():
        total = model(images).sum()
        if not joint:
            total = total + model(stimuli[:8]).sum()
        optimizer.zero_grad()
        total.backward()

    count = counted(step)
    assert not count.waits
    extra = count.launches - counted(passes).launches
    assert extra <= JOINT["one pass" if joint else "two passes"], count.names


def test_a_step_with_responses_waits_for_nothing(setting):
    model, stimuli, _, images, labels = setting
    responses = np.random.default_rng(0).random((24, 5))
    pull = training.CoTraining(model, "network.layer1", responses, stimuli)
    optimizer = torch.optim.SGD(parameters(model, pull), lr=0.01)
    step = training.CapturedStep(model, optimizer, pull)
    assert not counted(lambda: step(images, labels)).waits


@pytest.mark.cuda
@pytest.mark.parametrize("joint", [False, True])
def test_a_recorded_step_never_waits_on_a_device(setting, joint):
    model, stimuli, target, images, labels = setting
    model.cuda()
    pull = nf.SimilarityRegularizer(model, "auto", target, stimuli, all_pairs=True)
    optimizer = torch.optim.SGD(parameters(model, pull), lr=0.01, momentum=0.9)
    images, labels = images.cuda(), labels.cuda()
    with training.CapturedStep(model, optimizer, pull, joint=joint) as step:
        for _ in range(6):
            step(images, labels)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(4):
                step(images, labels)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert step.refusal is None
        assert step.n_replayed == 7


@pytest.mark.cuda
def test_recorded_steps_of_a_device_are_eager_steps(setting):
    _, stimuli, target, images, labels = setting
    found = []
    for capture in (False, True):
        torch.manual_seed(0)
        model = nf.models.resnet18_gray(base_width=4).cuda()
        pull = nf.SimilarityRegularizer(model, "auto", target, stimuli, all_pairs=True)
        optimizer = torch.optim.SGD(parameters(model, pull), lr=0.01, momentum=0.9)
        step = training.CapturedStep(model, optimizer, pull, 1.0, capture=capture)
        with step:
            rows = [step(images.cuda(), labels.cuda())["loss"] for _ in range(10)]
        found.append(rows)
    assert found[1] == pytest.approx(found[0], rel=2e-2)
