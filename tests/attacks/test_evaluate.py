"""A whole loader gives one table, even if it is split, stopped or shared."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.evaluation import ATTACK, Counting, images, loader
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    WeightedRandomSampler,
)

import neurofreq as nf
from neurofreq.attacks import _evaluate


@pytest.fixture
def attacked(monkeypatch):
    """The number of images of every call of an attack."""
    counts, call = [], nf.attacks.BrendelBethge.__mro__[1].__call__

    def counted(self, model, images, *arguments, **options):
        counts.append(len(images))
        return call(self, model, images, *arguments, **options)

    monkeypatch.setattr(nf.attacks.BrendelBethge.__mro__[1], "__call__", counted)
    return counts


def test_the_split_of_the_loader_changes_nothing():
    model = Counting()
    targets = (np.arange(10) + 1) % 3
    one = nf.attacks.evaluate(ATTACK, model, loader(10), targets=targets, seed=3)
    many = nf.attacks.evaluate(ATTACK, model, loader(3), targets=targets, seed=3)
    assert list(one["index"]) == list(range(10))
    assert list(one["target"]) == list(targets)
    pd.testing.assert_frame_equal(one, many, rtol=1e-6)
    direct = ATTACK(model, images(), np.arange(10) % 3, targets=targets, seed=3)
    np.testing.assert_allclose(one["distance"], direct.distance, rtol=1e-6)
    assert list(one["status"]) == list(direct.status)


class Shuffling:
    """A user's own loader: another order of the batches in every pass."""

    def __iter__(self):
        order = torch.randperm(10)
        labels = torch.arange(10) % 3
        yield from zip(images()[order].split(4), labels[order].split(4), strict=True)


class Stream(IterableDataset):
    """Items that can be read only once."""

    def __init__(self):
        self._items = iter(zip(images(), np.arange(10) % 3, strict=True))

    def __iter__(self):
        return self._items


def unread():
    raise AssertionError("a batch was read")
    yield


def shuffled(**options):
    return DataLoader(loader().dataset, batch_size=4, **options)


@pytest.mark.parametrize(
    "unsteady",
    [
        lambda: shuffled(shuffle=True),
        lambda: shuffled(sampler=WeightedRandomSampler([1.0] * 10, 10)),
        Shuffling,
        lambda: DataLoader(Stream(), batch_size=4),
    ],
)
def test_targets_need_a_loader_of_one_order(unsteady, attacked):
    with pytest.raises(ValueError, match="loader: got a loader that shuffles"):
        nf.attacks.evaluate(
            ATTACK, Counting(), unsteady(), targets=(np.arange(10) + 1) % 3
        )
    assert not attacked
    nf.attacks.evaluate(ATTACK, Counting(), unsteady())  # no values per image


@pytest.mark.parametrize(
    "steady",
    [
        lambda: shuffled(sampler=[3, 1, 0, 2, 9, 8, 7, 6, 5, 4]),
        lambda: iter(shuffled(sampler=[3, 1, 0, 2, 9, 8, 7, 6, 5, 4])),
    ],
)
def test_targets_follow_the_order_of_the_loader(steady):
    order = np.array([3, 1, 0, 2, 9, 8, 7, 6, 5, 4])
    targets = (np.arange(10) + 1) % 3
    found = nf.attacks.evaluate(ATTACK, Counting(), steady(), targets=targets[order])
    assert found["label"].tolist() == (order % 3).tolist()


def test_starting_points_belong_to_images_of_the_whole_loader():
    start = nf.attacks.BrendelBethge(steps=3)(Counting(), images(), np.arange(10) % 3)
    points = start.adversarial
    whole, parts = (
        nf.attacks.evaluate(ATTACK, Counting(), loader(n), starting_points=points)
        for n in (10, 5)
    )
    pd.testing.assert_frame_equal(whole, parts)
    with pytest.raises(ValueError, match="starting_points: got 5, expected one per"):
        nf.attacks.evaluate(
            ATTACK, Counting(), list(loader(5)), starting_points=points[:5]
        )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"margin": -1.0}, ValueError, "margin: got -1.0"),
        ({"min_probability": 2}, ValueError, "min_probability: got 2"),
        ({"autocast": torch.int8}, TypeError, "autocast: got torch.int8"),
        ({"deterministic": 3}, TypeError, "deterministic: got 3"),
        ({"criterion": 3}, TypeError, "criterion: got int"),
        ({"candidates": np.full((1, 3, 4, 4), 2.0)}, ValueError, "candidates: got val"),
        ({"first_index": 3}, TypeError, "first_index: not an option here"),
        (
            {"epsilon": 3},
            TypeError,
            "epsilon: unknown option, expected some of criterion",
        ),
    ],
)
def test_options_are_checked_before_anything_is_read_or_made(
    options, error, message, tmp_path
):
    with pytest.raises(error, match=message):
        nf.attacks.evaluate(
            ATTACK, Counting(), unread(), out=tmp_path / "out", **options
        )
    assert not (tmp_path / "out").exists()


def test_a_start_that_an_attack_does_not_need_is_refused_before_anything_is_read():
    points = np.zeros((1, 3, 4, 4))
    with pytest.raises(ValueError, match="candidates: not used by PGD, expected None"):
        nf.attacks.evaluate(
            nf.attacks.PGD(steps=1), Counting(), unread(), candidates=points
        )


def test_a_criterion_is_told_positions_in_the_whole_loader():
    model, generator = Counting(), torch.Generator().manual_seed(5)
    level = torch.rand(10, generator=generator, dtype=torch.float64) / 4
    with torch.no_grad():
        level += model(images())[:, 2]

    def raised(points, logits, index):
        return level[index] - logits[:, 2]

    one, many = (
        nf.attacks.evaluate(ATTACK, model, loader(size), criterion=raised)
        for size in (10, 3)
    )
    assert one["success"].all()
    pd.testing.assert_frame_equal(one, many, rtol=1e-6)


def test_targets_for_more_images_than_there_are_are_refused_at_once():
    model = Counting()
    with pytest.raises(ValueError, match="targets: got 12, expected 10"):
        nf.attacks.evaluate(ATTACK, model, loader(), targets=[1, 2, 0] * 4)
    assert model._n_calls == 0


def test_finished_batches_are_read_again(tmp_path, attacked):
    model = Counting()
    first = nf.attacks.evaluate(ATTACK, model, loader(), out=tmp_path)
    assert attacked == [4, 4, 2]
    again = nf.attacks.evaluate(ATTACK, model, loader(), out=tmp_path, batch_size=1)
    assert attacked == [4, 4, 2]
    pd.testing.assert_frame_equal(first, again)
    for item in sorted(tmp_path.glob("*.json"))[:1]:
        item.unlink()  # like a killed run
    resumed = nf.attacks.evaluate(ATTACK, model, loader(), out=tmp_path)
    assert len(attacked) == 4
    pd.testing.assert_frame_equal(first, resumed)
    with torch.no_grad():
        model.inner[1].bias += 0.1
    other = nf.attacks.evaluate(ATTACK, model, loader(), out=tmp_path)
    assert not np.allclose(first["distance"], other["distance"])
    records = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert {record["attack"]["steps"] for record in records} == {30}


def test_images_are_kept_where_asked(tmp_path):
    model = Counting()
    table = nf.attacks.evaluate(ATTACK, model, loader(), out=tmp_path, keep_images=True)
    kept = [np.load(path)["adversarial"] for path in tmp_path.glob("*.npz")]
    assert sum(map(len, kept)) == len(table) == 10


@pytest.mark.parametrize("n_runs", [1, 2])
def test_kept_images_are_not_held_until_the_end(tmp_path, monkeypatch, n_runs):
    gathered = []

    def watched(parts, n_ranks):
        gathered.extend(parts.values())
        return parts

    monkeypatch.setattr(_evaluate, "_gathered", watched)
    for _ in range(n_runs):  # first measured, then read
        nf.attacks.evaluate(ATTACK, Counting(), loader(), out=tmp_path,
                            keep_images=True)  # fmt: skip
    assert len(gathered) == 3 * n_runs
    assert not any("adversarial" in part for part in gathered)


def test_numbers_of_numpy_name_what_plain_ones_do(tmp_path, attacked):
    model = Counting()
    plain = nf.attacks.PGD(epsilon=0.25, steps=3)
    first = nf.attacks.evaluate(plain, model, loader(), out=tmp_path, margin=0.5)
    n_attacked = len(attacked)
    same = nf.attacks.PGD(epsilon=np.float32(0.25), steps=np.int64(3))
    again = nf.attacks.evaluate(
        same, model, loader(), out=tmp_path, margin=np.float32(0.5)
    )
    assert len(attacked) == n_attacked == 3
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"loader": []}, ValueError, "loader: got no batches"),
        ({"targets": [1, 2]}, ValueError, "targets: got 2, expected one per image"),
        (
            {"loader": list(loader()), "targets": [1, 2, 0] * 4},
            ValueError,
            "targets: got 12, expected 10",
        ),
        ({"keep_images": True}, ValueError, "keep_images: got True without out"),
        ({"margin": -1.0}, ValueError, "margin: got -1.0"),
    ],
)
def test_bad_input_is_said(changes, error, message):
    arguments = {"loader": loader()} | changes
    with pytest.raises(error, match=message):
        nf.attacks.evaluate(ATTACK, Counting(), **arguments)


def test_what_cannot_be_told_apart_is_not_kept(tmp_path):
    with pytest.raises(TypeError, match="model: got function"):
        nf.attacks.evaluate(ATTACK, lambda x: x, loader(), out=tmp_path)
    with pytest.raises(TypeError, match="criterion: got a callable"):
        nf.attacks.evaluate(
            ATTACK, Counting(), loader(), out=tmp_path, criterion=lambda x, z: z[:, 0]
        )


@pytest.mark.timeout(300)
def test_ranks_share_the_work_and_all_get_the_table_every_time(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys
            sys.path.insert(0, sys.argv[1])
            import torch
            torch.set_num_threads(1)
            import neurofreq as nf
            from helpers.evaluation import ATTACK, Counting, loader
            for seed in (1, 2, 3):
                model = Counting()
                table = nf.attacks.evaluate(ATTACK, model, loader(3), seed=seed)
            table["n_calls"] = model._n_calls
            table.to_csv(f"{sys.argv[2]}/{os.environ['RANK']}.csv", index=False)
            """
        )
    )
    # As in torchrun, the store exists longer than the ranks.
    store = torch.distributed.TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False
    )
    shared = os.environ | {
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
    }
    arguments = [sys.executable, str(script), os.path.dirname(__file__), str(tmp_path)]
    ranks = [
        subprocess.Popen(arguments, env=shared | {"RANK": str(rank)})
        for rank in range(2)
    ]
    try:
        assert [rank.wait(timeout=280) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    whole = Counting()
    expected = nf.attacks.evaluate(ATTACK, whole, loader(3), seed=3)
    for rank in range(2):
        table = pd.read_csv(tmp_path / f"{rank}.csv")
        assert table.pop("n_calls").max() < whole._n_calls
        pd.testing.assert_frame_equal(table, expected, rtol=1e-9, check_dtype=False)
