"""Compare a joint training step with a plain one, and the loss with eager torch.

Usage: python benches/joint_step.py [--repeats 15] [--device cuda] [--compiled]
           [--scale 1]

ResNet18 at full width, 64 images of 32 x 32 pixels and 32 stimuli, five layers, all
pairs. The plain step has 96 images and cross-entropy alone. Contestants take turns.
Raw times go to benches/results/<date>-<n>cores/joint-step.json and the tables into
docs/results/bench-joint-step.md; tables of a CUDA device have their own marks. With
--compiled, some networks and losses go through `torch.compile`. With --scale K there
are K times as many images and stimuli, for a device that 96 images do not fill.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pages import fill
from torch.nn.functional import cross_entropy

import neurofreq as nf
from neurofreq import models
from neurofreq._shared.runtime import processor

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
PAGE = ROOT / "docs" / "results" / "bench-joint-step.md"
TITLES = {
    "plain": "cross-entropy, all images (base)",
    "ours": "joint, two passes, as in the paper",
    "joint": "joint, one pass (`joint=True`)",
    "eager": "joint, two passes, loss in eager torch",
    "compiled plain": "cross-entropy, all images, network compiled",
    "compiled ours": "joint, two passes, loss by neurofreq, network compiled",
    "compiled eager": "joint, two passes, loss and network compiled",
}
LOSS_TITLES = {
    "ours": "loss alone, neurofreq",
    "eager": "loss alone, eager torch (base)",
    "compiled": "loss alone, compiled torch",
}
WARM = 3
N_IMAGES, N_STIMULI, ALPHA, BETA = 64, 32, 20.0, 0.9
EPSILON = 1e-5


def eager_loss(
    features: list[torch.Tensor],
    target: torch.Tensor,
    means: list[torch.Tensor],
    logits: torch.Tensor,
) -> torch.Tensor:
    """Return the same loss from plain torch code; update the running means."""
    mixture = torch.zeros((), device=target.device)
    for layer, feature in enumerate(features):
        batch = feature.detach().mean(dim=(0, 2, 3))
        means[layer].mul_(BETA).add_(batch, alpha=1 - BETA)
        centred = (feature - means[layer].view(1, -1, 1, 1)).flatten(1)
        unit = torch.nn.functional.normalize(centred, dim=1)
        mixture = mixture + logits.softmax(0)[layer] * (unit @ unit.T)
    first, second = torch.triu_indices(
        len(target), len(target), 1, device=target.device
    )
    gap = arctanh(mixture[first, second]) - arctanh(target[first, second])
    return gap.square().mean()


def arctanh(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * (torch.log(1 + x + EPSILON) - torch.log(1 - x + EPSILON))


class Staged(torch.nn.Module):
    """A ResNet18 that returns its stages without hooks, so it compiles in one piece."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return logits, and the features for the loss."""
        network = self.net.network
        x = (images - self.net.mean) / self.net.std
        x = network.relu(network.bn1(network.conv1(x)))
        features = [x]
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = network.get_submodule(name)(x)
            features.append(x)
        return network.linear(x.mean(dim=(2, 3))), features


class Steps:
    """One step of every contestant, each on its own network."""

    def __init__(self, device: str, scale: int, *, compiled: bool = False) -> None:
        rng = np.random.default_rng(0)
        self.n_images, n_stimuli = scale * N_IMAGES, scale * N_STIMULI
        total = self.n_images + n_stimuli
        images = torch.from_numpy(rng.random((total, 1, 32, 32), np.float32))
        self.images = images.to(device)
        self.labels = torch.from_numpy(rng.integers(0, 10, total)).to(device)
        target = nf.response_similarity(rng.normal(size=(n_stimuli, 99)))
        self.target = torch.from_numpy(target).float().to(device)
        self.stimuli = self.images[:n_stimuli]
        self.plain_net, self.ours_net, self.joint_net, self.eager_net = (
            models.resnet18_gray().to(device) for _ in range(4)
        )
        make = nf.SimilarityRegularizer
        keywords = {"n_pairs": n_stimuli // 2, "all_pairs": True}
        self.pull = make(self.ours_net, "auto", target, self.stimuli, **keywords)
        self.joint_pull = make(self.joint_net, "auto", target, self.stimuli, **keywords)
        widths = (64, 64, 128, 256, 512)
        self.means = [torch.zeros(c, device=device) for c in widths]
        self.logits = torch.zeros(5, requires_grad=True, device=device)
        self.eager_loss = torch.compile(eager_loss) if compiled else eager_loss
        nets = (self.plain_net, self.ours_net, self.joint_net, self.eager_net)
        self.optimizers = {
            id(net): torch.optim.SGD(net.parameters(), lr=0.01) for net in nets
        }
        self.staged = Staged(self.eager_net)
        if compiled:
            for net in (self.plain_net, self.ours_net, self.staged):
                net.compile()

    def plain(self) -> None:
        """Cross-entropy on all images."""
        self._finish(self.plain_net, self._cost(self.plain_net(self.images)))

    def ours(self) -> None:
        """neurofreq, two passes as in the paper."""
        loss = self._cost(self.ours_net(self.images[: self.n_images]))
        self._finish(self.ours_net, loss + ALPHA * self.pull.loss())

    def joint(self) -> None:
        """neurofreq, one pass."""
        logits, pull = self.joint_pull.joint(self.images[: self.n_images])
        self._finish(self.joint_net, self._cost(logits) + ALPHA * pull)

    def eager(self) -> None:
        """Eager torch, two passes."""
        logits, _ = self.staged(self.images[: self.n_images])
        loss = self._cost(logits)
        _, features = self.staged(self.stimuli)
        pull = self.eager_loss(features, self.target, self.means, self.logits)
        self._finish(self.eager_net, loss + ALPHA * pull)

    def _cost(self, logits: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits, self.labels[: len(logits)])

    def _finish(self, net: torch.nn.Module, loss: torch.Tensor) -> None:
        optimizer = self.optimizers[id(net)]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


class Losses:
    """The loss alone, forward and backward, on features of the five layers."""

    def __init__(self, device: str, scale: int) -> None:
        n_stimuli = scale * N_STIMULI
        shapes = [(64, 32), (64, 32), (128, 16), (256, 8), (512, 4)]
        self.features = [
            torch.rand(n_stimuli, c, side, side, requires_grad=True, device=device)
            for c, side in shapes
        ]
        rng = np.random.default_rng(0)
        target = nf.response_similarity(rng.normal(size=(n_stimuli, 99)))
        self.target = torch.from_numpy(target).float().to(device)
        self.criterion = nf.SimilarityLoss(5).to(device)
        self.means = [torch.zeros(c, device=device) for c, _ in shapes]
        self.logits = torch.zeros(5, requires_grad=True, device=device)
        self.compiled_loss = torch.compile(eager_loss)

    def ours(self) -> torch.Tensor:
        """Neurofreq."""
        return self.criterion(self.features, self.target)

    def eager(self) -> torch.Tensor:
        """Eager torch."""
        return eager_loss(self.features, self.target, self.means, self.logits)

    def compiled(self) -> torch.Tensor:
        """Eager torch, compiled."""
        return self.compiled_loss(self.features, self.target, self.means, self.logits)


def timed(contestants: dict[str, Callable[[], object]], n: int) -> dict[str, list]:
    """Return seconds of n rounds with a turn for each, after some warm-up rounds."""
    times: dict[str, list] = {name: [] for name in contestants}
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    for turn in range(n + WARM):
        for name, work in contestants.items():
            wait()
            start = time.perf_counter()
            work()
            wait()
            if turn >= WARM:
                times[name].append(time.perf_counter() - start)
    return times


def kept_bytes(loss: Callable[[], torch.Tensor], given: list[torch.Tensor]) -> int:
    """Return bytes that autograd keeps for the backward pass, without the features."""
    known = {tensor.untyped_storage().data_ptr() for tensor in given}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = loss()  # alive, so that no storage is used twice
    del result
    return sum(kept.values())


def contestants(
    device: str, scale: int, has_compiled: bool
) -> tuple[dict[str, Any], dict[str, Any], Losses]:
    """Return the steps and the losses that take turns on a device."""
    steps, losses = Steps(device, scale), Losses(device, scale)
    whole = {name: getattr(steps, name) for name in ("plain", "ours", "joint", "eager")}
    alone = {
        "ours": lambda: losses.ours().backward(),
        "eager": lambda: losses.eager().backward(),
    }
    if has_compiled:
        compiled = Steps(device, scale, compiled=True)
        for name in ("plain", "ours", "eager"):
            whole[f"compiled {name}"] = getattr(compiled, name)
        alone["compiled"] = lambda: losses.compiled().backward()
    return whole, alone, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compiled", action="store_true", help="compile some, too")
    parser.add_argument("--scale", type=int, default=1, help="times as many images")
    options = parser.parse_args()
    is_cuda = options.device != "cpu"
    whole, alone, losses = contestants(options.device, options.scale, options.compiled)
    step_times = timed(whole, options.repeats)
    loss_times = timed(alone, 5 * options.repeats)
    memory = {
        "ours": kept_bytes(losses.ours, losses.features),
        "eager": kept_bytes(losses.eager, losses.features),
    }
    raw = {
        "machine": torch.cuda.get_device_name() if is_cuda else processor(),
        "cores": CORES,
        "images": options.scale * N_IMAGES,
        "stimuli": options.scale * N_STIMULI,
        "threads": torch.get_num_threads(),
        "neurofreq": nf.__version__,
        "torch": torch.__version__,
        "step_seconds": step_times,
        "loss_seconds": loss_times,
        "loss_kept_bytes": memory,
    }
    day = datetime.date.today().isoformat()
    place = options.device if is_cuda else f"{CORES}cores"
    folder = ROOT / "benches" / "results" / f"{day}-{place}"
    folder.mkdir(parents=True, exist_ok=True)
    suffix = "" if options.scale == 1 else f"-x{options.scale}"
    (folder / f"joint-step{suffix}.json").write_text(json.dumps(raw, indent=1) + "\n")
    write(raw, ("cuda" if is_cuda else "numbers") + suffix)


def write(raw: dict[str, Any], mark: str) -> None:
    """Print the tables, and write them between their marks of the page."""
    text = tables(raw)
    print(text)
    fill(PAGE, mark, text)


def tables(raw: dict[str, Any]) -> str:
    """Return the text between the marks of the page."""
    memory = raw["loss_kept_bytes"]
    parts = [
        f"{datetime.date.today():%-d %B %Y}, {raw['machine']}, {raw['cores']} cores, "
        f"{raw['threads']} threads; torch {raw['torch']}. {raw['images']} images, "
        f"{raw['stimuli']} stimuli.\n",
        table(raw["step_seconds"], "plain", TITLES),
        table(raw["loss_seconds"], "eager", LOSS_TITLES),
        "Memory that autograd keeps for the backward pass of the loss, without the "
        f"features: neurofreq {memory['ours'] / 1e6:.1f} MB, eager torch "
        f"{memory['eager'] / 1e6:.1f} MB.\n",
    ]
    return "\n".join(parts)


def table(times: dict[str, list], base: str, titles: dict[str, str]) -> str:
    """Return medians, minima, and ratios of each round's times to the base's."""
    lines = [
        "| contestant | median, ms | least, ms | ratio to the base, median "
        "| ratio to the base, least |",
        "|---|---|---|---|---|",
    ]
    for name, values in times.items():
        rounds = zip(values, times[base], strict=True)
        ratio = statistics.median(ours / theirs for ours, theirs in rounds)
        least = min(values) / min(times[base])
        lines.append(
            f"| {titles[name]} | {1e3 * statistics.median(values):.1f} | "
            f"{1e3 * min(values):.1f} | {ratio:.3f} | {least:.3f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
