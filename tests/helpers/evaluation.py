"""A network that counts calls, and a loader."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import neurofreq as nf

ATTACK = nf.attacks.BrendelBethge(steps=30)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        layers = nn.Flatten(), nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, 3)
        self.inner = nn.Sequential(*layers).double()
        self._n_calls = 0

    def forward(self, x):
        self._n_calls += 1
        return self.inner(x)


def images(n=10):
    generator = torch.Generator().manual_seed(2)
    return torch.rand(n, 3, 4, 4, generator=generator, dtype=torch.float64)


def loader(size=4, n=10):
    labels = torch.arange(n) % 3
    return DataLoader(TensorDataset(images(n), labels), batch_size=size)
