"""A small attack, and networks and images to attack."""

import torch
from torch import nn

import neurofreq as nf

SHAPE = (3, 6, 5)
ATTACK = nf.attacks.BrendelBethge(steps=200)


def relu(dtype=torch.float64):
    torch.manual_seed(1)
    layers = nn.Flatten(), nn.Linear(90, 40), nn.ReLU(), nn.Linear(40, 4)
    return nn.Sequential(*layers).to(dtype)


def batch(n=12, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(n, *SHAPE, generator=generator, dtype=dtype) * 0.6 + 0.2


def predicted(model, images):
    with torch.no_grad():
        return model(images).argmax(1)
