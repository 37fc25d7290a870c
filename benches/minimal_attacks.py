"""Compare minimal attacks by the protocol of AttackBench, by counts of passes.

Usage: python benches/minimal_attacks.py run --data DIR --cifar10 DIR [--images 40]
           [--models cnn_a_mix4 ...] [--norms linf ...] [--targeted] [--only TEXT]
       python benches/minimal_attacks.py page --out FOLDER

The peers are foolbox and adversarial-library (github.com/jeromerony) on PYTHONPATH; one
that is absent is left out. Networks and folders are those of
robust_accuracy.py; the images are the first ones of the test set that a network
classifies correctly. A wrapper of the network counts the passes of each image and notes
each nearer adversarial image that it is shown, whatever the attack returns. Every run
goes to a CSV; `page` fills the tables of docs/results/bench-minimal-attacks.md.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib.util
import warnings
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attack_schedules import images_of
from pages import fill
from robust_accuracy import CORES, ROOT, SPECS, load
from torch import nn

import neurofreq as nf

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = ROOT / "docs/results/bench-minimal-attacks.md"
NORMS = ("linf", "l2", "l1", "l0")
ORDERS = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}
BUDGETS = (50, 100, 200, 500, 1000, 2000)  # forward and backward passes of an image
STEPS = BUDGETS[-1] // 2


class Ledger(nn.Module):
    """A network that keeps the nearest adversarial image of each within every budget.

    A row of a batch belongs to the attacked image that is nearest to it.
    """

    def __init__(self, model: nn.Module, task: dict[str, Any], norm: str) -> None:
        super().__init__()
        self.model, self.task, self.norm = model, task, norm
        n = len(task["images"])
        self.passes = np.zeros(n, np.int64)
        self.best = np.full((n, len(BUDGETS)), np.inf)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Count, note what is adversarial, and return logits."""
        shown, images = x.detach(), self.task["images"]
        far = torch.cdist(shown.flatten(1), images.flatten(1))
        rows = far.argmin(1).numpy()
        logits = self.model(x)
        if logits.requires_grad:
            logits.register_hook(lambda _: np.add.at(self.passes, rows, 1))
        np.add.at(self.passes, rows, 1)
        outside = ((shown < 0) | (shown > 1)).flatten(1).any(1)
        hit = is_adversarial(logits, self.task, rows) & ~outside
        size = nf.attacks.perturbation_size(shown, images[rows], self.norm).numpy()
        for row in np.flatnonzero(hit.numpy()):
            image = rows[row]
            late = np.searchsorted(BUDGETS, self.passes[image])
            open_ = self.best[image, late:]
            np.minimum(open_, size[row], out=open_)
        return logits


def is_adversarial(logits: torch.Tensor, task: dict[str, Any], rows: Any) -> Any:
    predicted = logits.detach().argmax(1)
    if task["targets"] is not None:
        return predicted == task["targets"][rows]
    return predicted != task["labels"][rows]


def ours(norm: str) -> dict[str, Callable[..., Any]]:
    attack = nf.attacks.BrendelBethge
    made = {
        "neurofreq: default": attack(norm),
        "neurofreq: two starts": attack(norm, n_starts=2, restarts=1),
        "neurofreq: descent": attack(norm, descent=STEPS - 250, n_starts=3, restarts=2),
        "neurofreq: version 0.1": attack.v0_1(norm),
    }

    def run(one: Any, model: nn.Module, x: Any, y: Any, t: Any) -> Any:
        return one(model, x, y, targets=t).adversarial

    return {name: functools.partial(run, one) for name, one in made.items()}


def library(norm: str, *, is_targeted: bool) -> dict[str, Callable[..., Any]]:
    """Return the attacks of adversarial-library, with all steps of the budget."""
    if importlib.util.find_spec("adv_lib") is None:
        return {}
    import adv_lib.attacks as peers

    order, part = ORDERS[norm], functools.partial
    first = 10.0 if norm == "linf" else 1.0
    made = {"FMN": part(peers.fmn, norm=order, steps=STEPS, α_init=first)}
    more = {"proximal_operator": 23} if norm == "l0" else {}
    made["PDPGD"] = part(peers.pdpgd, norm=order, num_steps=STEPS, **more)
    if norm == "l2":
        made["DDN"] = part(peers.ddn, steps=STEPS, levels=None)
        made["PDGD"] = part(peers.pdgd, num_steps=STEPS)
    if norm in ("l2", "l1"):
        rate = 0.1 if norm == "l2" else 0.5
        made["ALMA"] = part(
            peers.alma, distance=norm, num_steps=STEPS, α=0.9, init_lr_distance=rate
        )
    if not is_targeted and norm == "l0":
        made["sigma-zero"] = part(peers.sigma_zero, num_steps=STEPS)
    if not is_targeted and norm != "l0":
        made["FAB"] = part(peers.fab, norm=order, n_iter=2 * STEPS // 11)
        made["FAB-T"] = part(
            peers.fab, norm=order, n_iter=2 * STEPS // 27, targeted_restarts=True
        )

    def run(one: Any, model: nn.Module, x: Any, y: Any, t: Any) -> Any:
        return one(model, x.clone(), y if t is None else t, targeted=is_targeted)

    return {name: part(run, one) for name, one in made.items()}


def foolbox(norm: str, *, is_targeted: bool) -> dict[str, Callable[..., Any]]:
    """Return foolbox's attacks, with all steps of the budget."""
    if importlib.util.find_spec("foolbox") is None:
        return {}
    import foolbox as peer

    made = {}
    if norm == "l1":
        made["EAD"] = functools.partial(
            peer.attacks.EADAttack, steps=STEPS // 9, binary_search_steps=9
        )
    if norm == "l2":
        made["Carlini-Wagner"] = functools.partial(
            peer.attacks.L2CarliniWagnerAttack, steps=STEPS // 9, binary_search_steps=9
        )
        if not is_targeted:
            made["DeepFool"] = functools.partial(peer.attacks.L2DeepFoolAttack)
    if norm == "linf" and not is_targeted:
        made["DeepFool"] = functools.partial(peer.attacks.LinfDeepFoolAttack)

    def run(make: Any, model: nn.Module, x: Any, y: Any, t: Any) -> Any:
        asked = peer.PyTorchModel(model, bounds=(0, 1), device="cpu")
        goals = peer.criteria
        goal = goals.Misclassification(y) if t is None else (
            goals.TargetedMisclassification(t)
        )  # fmt: skip
        return make().run(asked, x, goal)

    return {name: functools.partial(run, make) for name, make in made.items()}


def run(options: argparse.Namespace) -> None:
    """Attack, and write one CSV for each network, norm and attack."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        model = load(name, options.data)
        x, labels, targets = images_of(model, options.cifar10, options.images)
        y = torch.from_numpy(labels)
        t = torch.from_numpy(targets) if options.targeted else None
        task = {"images": x, "labels": y, "targets": t}
        kind = "targeted" if options.targeted else "untargeted"
        for norm in options.norms:
            attacks = ours(norm)
            attacks |= library(norm, is_targeted=options.targeted)
            attacks |= foolbox(norm, is_targeted=options.targeted)
            for attack, one in attacks.items():
                label = attack.replace(": ", "-").replace(" ", "-")
                path = options.out / f"{kind}+{name}+{norm}+{label}.csv"
                if path.exists() or options.only not in attack:
                    continue
                torch.manual_seed(0)
                ledger = Ledger(model, task, norm).eval()
                try:
                    one(ledger, x.clone(), y, t)
                except Exception as error:  # a peer's failure is a row without images
                    print(path.stem, repr(error)[:200], flush=True)
                    continue
                write(path, attack, ledger)
                middle = float(np.median(ledger.best[:, -1]))
                print(path.stem, f"{middle:.5g} {ledger.passes.mean():.0f}", flush=True)


def write(path: Path, attack: str, ledger: Ledger) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["attack", "image", "passes", *BUDGETS])
        for row, (passes, best) in enumerate(
            zip(ledger.passes, ledger.best, strict=True)
        ):
            writer.writerow([attack, row, passes, *(f"{d:.7g}" for d in best)])


def optimality(distance: Any, envelope: Any) -> float:
    """Return the optimality of AttackBench: 1 for the envelope, 0 without success.

    It compares areas under robust accuracy up to the largest distance of the envelope;
    the area is the mean of the distances, clipped there.
    """
    top = envelope.max()
    clipped = np.minimum(distance, top).mean()
    return float((top - clipped) / (top - envelope.mean()))


def page(options: argparse.Namespace) -> None:
    """Fill the tables of the page."""
    read: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for path in sorted(options.out.glob("*.csv")):
        kind, name, norm, _ = path.stem.split("+")
        with path.open() as file:
            rows = list(csv.DictReader(file))
        best = np.array([[float(row[str(b)]) for b in BUDGETS] for row in rows])
        passes = np.mean([int(row["passes"]) for row in rows])
        cell = read.setdefault((kind, norm), {}).setdefault(name, {})
        cell[rows[0]["attack"]] = (best, passes)
    for kind in ("untargeted", "targeted"):
        parts = [
            table(norm, read[kind, norm]) for norm in NORMS if (kind, norm) in read
        ]
        fill(PAGE, kind, "\n\n".join(parts) or "Not measured.")


def table(norm: str, cells: dict[str, dict[str, Any]]) -> str:
    """Return the optimality of each attack, on each network and on average."""
    names = [name for name in SPECS if name in cells]
    counts = [len(next(iter(cells[name].values()))[0]) for name in names]
    heads = [f"{name} ({n})" for name, n in zip(names, counts, strict=True)]
    attacks = {attack for name in names for attack in cells[name]}
    scores: dict[str, list[list[float]]] = {attack: [] for attack in attacks}
    for name in names:
        envelope = np.min([best[:, -1] for best, _ in cells[name].values()], axis=0)
        for attack in attacks:
            if attack in cells[name]:
                best = cells[name][attack][0].T
                scores[attack].append([optimality(d, envelope) for d in best])
            else:
                scores[attack].append([np.nan] * len(BUDGETS))
    order = sorted(attacks, key=lambda a: -np.nanmean(np.array(scores[a])[:, -1]))
    lines = [
        f"**{norm}**\n",
        f"| attack | passes | {' | '.join(heads)} | mean | "
        + " | ".join(f"within {b}" for b in BUDGETS[:-1]) + " |",
        "|---" * (3 + len(names) + len(BUDGETS) - 1) + "|",
    ]  # fmt: skip
    for attack in order:
        found = np.array(scores[attack])
        passes = [cells[name][attack][1] for name in names if attack in cells[name]]
        last = ["-" if np.isnan(v) else f"{v:.4f}" for v in found[:, -1]]
        within = [f"{v:.3f}" for v in np.nanmean(found[:, :-1], axis=0)]
        cells_ = [attack, f"{np.mean(passes):.0f}", *last]
        cells_ += [f"**{np.nanmean(found[:, -1]):.4f}**", *within]
        lines.append(f"| {' | '.join(cells_)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "page"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--models", nargs="*", default=list(SPECS)[:3])
    parser.add_argument("--norms", nargs="*", default=list(NORMS))
    parser.add_argument("--targeted", action="store_true")
    parser.add_argument("--only", default="", help="attacks with this text alone")
    folder = f"{date.today().isoformat()}-{CORES}cores/minimal-attacks"
    parser.add_argument("--out", type=Path, default=ROOT / "benches/results" / folder)
    options = parser.parse_args()
    {"run": run, "page": page}[options.command](options)


if __name__ == "__main__":
    main()
