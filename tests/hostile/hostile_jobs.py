"""Jobs that are killed, interrupted, out of disk space, or run twice at once.

`serve` runs in its own process, which has imported everything and computed nothing.
It forks a child for each job, so that a job starts at once and can be killed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hostile_made import image_set, images, labels, network
from torch import nn

import neurofreq as nf
from neurofreq import attacks, data, studies, training

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE = "HOSTILE_PAUSE"  # extra seconds for each call of a model


class Patient(nn.Module):
    """A slow network, so that a kill happens during the work."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        time.sleep(float(os.environ.get(PAUSE, "0")))
        return self.network(images)


def digest(*values: Any) -> str:
    """Return a hash of arrays and of the printed form of other values."""
    found = hashlib.sha256()
    for value in values:
        is_array = isinstance(value, np.ndarray) and value.dtype != object
        found.update(value.tobytes() if is_array else repr(value).encode())
    return found.hexdigest()


def evaluate(folder: Path) -> str:
    batches = [(images()[i : i + 1], labels()[i : i + 1]) for i in range(6)]
    table = attacks.evaluate(
        attacks.PGD("l2", 2.0, steps=4), Patient(), batches, out=folder, batch_size=2
    )
    return digest(table.to_csv())


def corruption_accuracy(folder: Path) -> str:
    found = nf.corruption_accuracy(
        Patient(), image_set(), corruptions=("contrast", "fog"), severities=(1, 3, 5),
        out=folder, batch_size=3,
    )  # fmt: skip
    return digest(found.correct, found.clean, found.cells.to_csv())


def fit(folder: Path) -> str:
    model = Patient()
    recipe = training.Recipe(epochs=6, batch_size=3, lr=0.01, validation=0.2)
    history = training.fit(model, images(), labels(), recipe, folder=folder)
    weights = [value.numpy() for value in model.state_dict().values()]
    return digest(history, *weights)


def study(folder: Path) -> str:
    spec = {
        "data": image_set(),
        "models": [studies.ModelEntry(Patient(), "mine")],
        "settings": {
            "n_attack": 2, "attack_steps": 2, "n_hybrid": 6, "n_corruption": 2,
            "frequencies": (0.0, 0.5, 1.0), "seeds": (0,), "corruptions": ("contrast",),
        },
    }  # fmt: skip
    found = studies.run(spec, folder, progress=False, batch_size=3)
    if found.failed or found.missing:
        raise RuntimeError(f"{found.failed} {found.missing}")
    arrays = [
        value
        for one in found.measured
        for _, part in sorted(one.results.items())
        for _, value in sorted(vars(part).items())
    ]
    return digest(*arrays, found.adversarial("mine"))


def write_corrupted(folder: Path) -> str:
    written = data.write_corrupted(
        image_set(12), folder, names=("contrast", "fog", "snow"), batch_size=2
    )
    cells = [written.cell(name, s).images for name in written.names for s in (1, 5)]
    return digest(written.names, *(np.asarray(cell) for cell in cells))


JOBS: dict[str, Callable[[Path], str]] = {
    "evaluate": evaluate,
    "corruption_accuracy": corruption_accuracy,
    "fit": fit,
    "study": study,
    "write_corrupted": write_corrupted,
}


def _large_features() -> None:
    features = torch.randn(2000, 64, 8, 8)
    target = torch.eye(2000)
    while True:
        nf.similarity_loss(features, target)


def _attack(attack: Any, **options: Any) -> None:
    shown, truth = images(64), labels(64)
    while True:
        attack(network(), shown, truth, **options)


def _for_ever(function: Callable[[], Any]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        while True:
            function()

    return run


RNG = np.random.default_rng(0)
LONG: dict[str, Callable[[Path], Any]] = {
    "BrendelBethge": lambda folder: _attack(attacks.BrendelBethge("l2", steps=10**6)),
    "PGD": lambda folder: _attack(attacks.PGD("l2", 1e-3, steps=10**6)),
    "Boundary": lambda folder: _attack(attacks.Boundary(max_queries=10**6)),
    "minimal_perturbation": lambda folder: _attack(
        lambda *given: attacks.minimal_perturbation(*given, norm="l2", repeats=1000)
    ),
    "fourier_sensitivity": _for_ever(
        lambda: nf.fourier_sensitivity(network(), images(200), labels(200))
    ),
    "hybrid_images": _for_ever(
        lambda: nf.hybrid_images(
            images(200, 3, 64), images(200, 3, 64), list(np.linspace(0, 1, 60))
        )
    ),
    "hybrid_curve": _for_ever(
        lambda: nf.hybrid_curve(network(), images(400), labels(400))
    ),
    "power_spectrum": _for_ever(lambda: nf.power_spectrum(images(400, 3, 99))),
    "corrupt": _for_ever(
        lambda: nf.corrupt(images(400, 3, 64), "snow", 5, seed=0, layout="nchw")
    ),
    "fit": _for_ever(
        lambda: training.fit(
            network(), images(64), labels(64), training.Recipe(epochs=10**6, lr=1e-4)
        )
    ),
    "write_corrupted": lambda folder: data.write_corrupted(image_set(3000), folder),
    "split_half": _for_ever(
        lambda: nf.neural.split_half(RNG.random((10, 100, 200)), n_splits=10**6)
    ),
    "resampled_means": _for_ever(
        lambda: nf.intervals.resampled_means(RNG.random((20000, 20)), n_resamples=10**5)
    ),
    "response_similarity": _for_ever(
        lambda: nf.response_similarity(RNG.random((3000, 4000), dtype=np.float32))
    ),
    "reliability": _for_ever(lambda: nf.reliability(RNG.random((20, 1000, 500)))),
    "similarity_loss": lambda folder: _large_features(),
}


def _limited(n_bytes: int) -> None:
    """Limit the size of files, so that writing fails as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, most))


def _child(order: dict[str, Any]) -> None:
    """Do one job, and write its result or error to a file."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ[PAUSE] = str(order["pause"])
    torch.set_num_threads(1)
    nf.set_num_threads(1)
    result = Path(order["result"])
    function = (LONG if order["long"] else JOBS)[order["job"]]
    with result.with_suffix(".part").open("w") as file:
        Path(order["result"] + ".started").touch()
        if order["limit"]:
            _limited(order["limit"])
        try:
            end = {"digest": function(Path(order["folder"]))}
        except BaseException as error:
            end = {"error": type(error).__name__, "text": str(error)[:500]}
            end["is_os"] = isinstance(error, OSError)
            end["trace"] = traceback.format_exc()[-1500:]
        end["spent"] = time.process_time()
        if order["limit"]:
            _limited(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        json.dump(end, file)
    os.replace(result.with_suffix(".part"), result)


def serve() -> None:
    """Fork a child for every line of JSON, and print the child's process id."""
    # An optimizer's first step imports this. In each child, that would take seconds.
    importlib.import_module("torch._dynamo")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children leave no zombies
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                _child(json.loads(line))
            finally:
                os._exit(0)
        print(child, flush=True)
