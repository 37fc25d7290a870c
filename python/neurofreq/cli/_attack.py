"""The command that attacks images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from neurofreq.cli import _common, _reports
from neurofreq.cli._common import (
    Batch,
    Data,
    Device,
    Epsilons,
    Images,
    Json,
    Models,
    NAttack,
    Out,
    Quiet,
    Seed,
    Steps,
    Trace,
    Untargeted,
)
from neurofreq.cli._errors import plainly, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neurofreq.attacks import Attack

METHODS = ("bb", "pgd", "boundary")
Method = Annotated[
    Literal["bb", "pgd", "boundary"],
    typer.Option(
        "--attack",
        help="bb: Brendel-Bethge, minimal perturbations; pgd: within the budgets of "
        "--epsilons; boundary: from labels alone.",
    ),
]
Norm = Annotated[
    str | None,
    typer.Option(
        "--norm",
        help="linf, l2, l1 or l0; pgd and boundary have linf and l2. By default linf, "
        "and l2 for boundary.",
    ),
]


def attack(
    model: Models,
    data: Data,
    out: Out,
    method: Method = "bb",
    norm: Norm = None,
    n_images: Images = None,
    n_attack: NAttack = None,
    attack_steps: Steps = None,
    untargeted: Untargeted = False,
    epsilons: Epsilons = None,
    seed: Seed = 0,
    batch_size: Batch = None,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
    traceback: Trace = False,
) -> None:
    """Find small perturbations: their sizes, their spectrum and the success curve.

    With the Brendel-Bethge attack in the Linf norm, this is the part of a report
    (`neurofreq report`) on attacks, and it resumes. Other attacks and norms write the
    same tables and pictures.
    """
    with plainly(traceback):
        budgets = _common.epsilons(epsilons)
        chosen = _made(method, norm, attack_steps, budgets)
        if method == "bb" and chosen.norm == "linf":
            found = _reports.run(
                model, data, out, n_images, device, not quiet,
                n_attack=n_attack, attack_steps=attack_steps,
                targeted=_reports.targeted(untargeted), seed=seed,
                batch_size=batch_size, measurements=("clean", "attack"),
                epsilons=budgets,
            )  # fmt: skip
            _reports.finish(found, as_json)
            return
        from neurofreq.report import attack_page

        place = _common.place(device)
        images = _common.data(data, n_images, progress=not quiet)
        written = attack_page.write(
            _common.load(model, place), images, out, chosen,
            command=_common.command(), n_attack=n_attack, targeted=not untargeted,
            epsilons=budgets, seed=seed, batch_size=batch_size, device=place,
            progress=not quiet,
        )  # fmt: skip
        if as_json:
            say(_common.as_json({"out": out, **written.tables}))
            return
        say(written.text)
        say(f"written to {out}")


def _made(
    method: str, norm: str | None, steps: int | None, epsilons: Sequence[float] | None
) -> Attack:
    """Return the attack that the options ask for."""
    from neurofreq import attacks

    norm = ("l2" if method == "boundary" else "linf") if norm is None else norm
    if method == "bb":
        return attacks.BrendelBethge(norm, steps=300 if steps is None else steps)
    if method == "boundary":
        if steps is not None:
            raise ValueError(f"--attack-steps: got {steps}, expected none for boundary")
        return attacks.Boundary(norm)
    if not epsilons or max(epsilons) <= 0.0:
        raise ValueError("--epsilons: expected budgets above 0 with --attack pgd")
    options: dict[str, Any] = {} if steps is None else {"steps": steps}
    return attacks.PGD(norm, max(epsilons), **options)
