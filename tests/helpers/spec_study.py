"""A study of specs alone, whose networks can be slow, for workers elsewhere."""

NETWORKS = """
import os
import time

import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(1024, 8))

    def forward(self, x):
        time.sleep(float(os.environ.get("SLEEP", "0")))
        return self.inner(x)


def first():
    return Network(0)


def second():
    return Network(1)
"""


def write(folder):
    """Write the networks into a folder, and return the study as a mapping."""
    (folder / "networks.py").write_text(NETWORKS)
    return {
        "data": "synthetic",
        "n_images": 12,
        "name": "specs",
        "models": [
            {"spec": f"networks.py:{name}", "name": name, "group": "base"}
            for name in ("first", "second")
        ],
        "settings": {
            "n_attack": 4,
            "attack_steps": 3,
            "seeds": [0, 1],
            "frequencies": [0.0, 0.3, 1.0],
            "corruptions": ["gaussian_noise", "brightness"],
        },
    }


def as_toml(study):
    """Return the study as the text of a TOML file."""
    lines = [f"{key} = {study[key]!r}" for key in ("data", "n_images", "name")]
    lines += ["[settings]", *(f"{k} = {v!r}" for k, v in study["settings"].items())]
    for model in study["models"]:
        lines += ["[[models]]", *(f"{k} = {v!r}" for k, v in model.items())]
    return "\n".join(lines) + "\n"
