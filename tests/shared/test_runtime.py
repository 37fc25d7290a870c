"""The runtime: version, thread count, forks, and requirements of the import."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import neurofreq as nf
from neurofreq import _neurofreq
from neurofreq._shared import installation, runtime


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_version_is_the_installed_one():
    from importlib.metadata import version

    # A wheel may name its torch in the local version.
    assert nf.__version__ == version("neurofreq").partition("+")[0]


def test_thread_count_is_settable():
    before = nf.num_threads()
    try:
        nf.set_num_threads(3)
        assert nf.num_threads() == 3
    finally:
        nf.set_num_threads(before)


def test_thread_count_follows_the_environment():
    result = run_python(
        "import neurofreq as nf; print(nf.num_threads())", RAYON_NUM_THREADS="5"
    )
    assert result.stdout.strip() == "5", result.stderr


@pytest.mark.parametrize("count", [0, -1])
def test_a_thread_count_below_one_is_refused(count):
    with pytest.raises(ValueError, match=f"n_threads: got {count}, expected at least"):
        nf.set_num_threads(count)


@pytest.mark.parametrize("count", [True, 2.0, "2", None])
def test_a_thread_count_that_is_no_integer_is_refused(count):
    with pytest.raises(TypeError, match=r"n_threads: got \w+, expected an integer"):
        nf.set_num_threads(count)


@pytest.mark.parametrize("count", [10**6, 2**31 - 1])
def test_more_threads_than_are_of_use_are_not_started_with_a_warning(count):
    before = nf.num_threads()
    try:
        with pytest.warns(RuntimeWarning, match=f"n_threads: got {count}, used"):
            nf.set_num_threads(count)
        assert 16 <= nf.num_threads() <= 1024
        nf.set_num_threads(np.int32(2))
        assert nf.num_threads() == 2
    finally:
        nf.set_num_threads(before)


def test_the_environment_is_limited_with_a_warning():
    result = run_python(
        "import neurofreq as nf; print(nf.num_threads())", RAYON_NUM_THREADS="100000"
    )
    assert int(result.stdout) <= 1024
    assert result.stderr.count("RAYON_NUM_THREADS: got 100000, used") == 1


def test_another_torch_is_named_at_import():
    result = run_python(
        "import torch; torch.__version__ = '2.9.1+cpu'; import neurofreq"
    )
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert f"built for torch {_neurofreq.built_for()}" in last
    assert "torch 2.9.1+cpu is installed" in last


@pytest.mark.parametrize(
    "module",
    ["matplotlib", "pandas", "torchvision", "scipy", "typer", "tqdm.auto", "PIL"],
)
def test_import_leaves_heavy_packages_alone(module):
    code = (
        "import sys, torch; before = set(sys.modules); import neurofreq; "
        f"sys.exit({module!r} in set(sys.modules) - before)"
    )
    assert run_python(code).returncode == 0


def test_an_attack_does_not_import_sympy():
    # torch imports it, for half a second to five, where a backward pass gets weights.
    code = """
import sys, torch, neurofreq as nf
images, labels = torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)).eval()
nf.attacks.BrendelBethge(steps=2)(model, images, model(images).argmax(1))
nf.attacks.robust_accuracy(model, images, labels, epsilons=[0.1])
sys.exit("sympy" in sys.modules)
"""
    assert run_python(code).returncode == 0


class ParallelWork(Dataset):
    """Each item runs a parallel loop in the process that loads it."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        rows = np.full((64, 4), float(index))
        return torch.from_numpy(nf.intervals.resampled_means(rows, n_resamples=32))


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
def test_forked_workers_do_not_hang_after_the_parent_used_the_pool():
    nf.intervals.resampled_means(np.ones((64, 4)))
    loader = DataLoader(
        ParallelWork(), batch_size=2, num_workers=2, multiprocessing_context="fork"
    )
    for _ in range(2):
        values = torch.cat([batch[:, 0, 0] for batch in loader])
        assert values.tolist() == list(map(float, range(8)))


def test_seeded_draws_are_those_of_manual_seed_and_leave_the_state():
    state = torch.get_rng_state()
    with runtime.seeded(7):
        found = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found, torch.rand(3, generator=torch.Generator().manual_seed(7)))


def test_everything_but_its_own_networks_works_without_torchvision():
    code = """
import sys
sys.modules["torchvision"] = None  # its import fails
import numpy as np, torch, neurofreq as nf
images = np.random.default_rng(0).random((4, 3, 32, 32), np.float32)
model = nf.models.load_model("resnet20", weights="random")
nf.hybrid_curve(model, images, [0, 1, 2, 3], frequencies=(0.0, 1.0), seeds=(0,))
nf.corruption_accuracy(model, images, range(4), corruptions=["fog"], severities=[1])
recipe = nf.training.Recipe(epochs=1, batch_size=4, augment='shift_and_flip')
nf.training.fit(nf.models.resnet18(base_width=2), images, [0, 1, 2, 3], recipe)
nf.Corruption("contrast", 1)(torch.from_numpy(images[0]))
import neurofreq.figures, neurofreq.report, neurofreq.studies, neurofreq.cli
try:
    nf.models.load_model("torchvision:resnet18", weights="random")
except ImportError as error:
    print(error)
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    assert "needs the package torchvision, which " in result.stdout


@pytest.mark.cuda
def test_seeding_the_host_leaves_the_device_alone():
    state = torch.cuda.get_rng_state()
    with runtime.seeded(3):
        torch.rand(2)
    assert torch.equal(torch.cuda.get_rng_state(), state)
    with runtime.seeded(3, torch.device("cuda")):
        assert torch.cuda.initial_seed() == 3
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_fast_recipes_use_half_precision_only_where_the_processor_has_it():
    assert nf.training.STANDARD.fast().precision == runtime.fast_precision()


def test_what_the_extension_is_built_for_is_read_without_loading_it():
    path = installation.extension_file()
    assert str(path) == _neurofreq.__file__
    assert installation.built_for(path) == _neurofreq.built_for() != ""
