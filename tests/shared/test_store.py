"""Stored files: complete writes, exact reads, and warnings of damage."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import zipfile

import numpy as np
import pytest
import torch
from helpers.small_study import run, study

from neurofreq import studies
from neurofreq._shared.files import archives, locks, storage

RECORD = {"measurement": "clean", "x": np.int64(1)}


def flipped(path, place, mask=0x10):
    """Flip a bit of a file."""
    whole = bytearray(path.read_bytes())
    whole[place] ^= mask
    path.write_bytes(bytes(whole))


@pytest.mark.filterwarnings("ignore:.*is damaged")
@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_whatever_byte_is_damaged_an_item_is_not_read_wrongly(tmp_path, suffix):
    store = storage.Store(tmp_path)
    kept = {"correct": np.random.default_rng(0).random(100), "words": np.array(["a"])}
    store.save(RECORD, kept)
    path = store.path(RECORD, suffix)
    same = {"measurement": "clean", "x": 1}
    assert store.path(same, suffix) == path
    whole = path.read_bytes()
    for damaged in (b"", whole[:40], bytes(len(whole))):
        path.write_bytes(damaged)
        assert store.load(RECORD) is None
    n_lost = 0
    for place in range(len(whole)):
        path.write_bytes(whole)
        flipped(path, place, 1 << place % 8)
        found = store.load(RECORD)
        n_lost += found is None
        if found is not None:  # the byte is not part of a number, such as the date
            assert found.keys() == kept.keys()
            for name, values in kept.items():
                np.testing.assert_array_equal(found[name], values)
    assert n_lost > len(whole) // 2
    path.write_bytes(whole)
    assert store.load(same) is not None


def test_a_damaged_item_is_told_once_and_kept_again(tmp_path):
    store = storage.Store(tmp_path)
    store.save(RECORD, {"correct": np.arange(5)})
    flipped(store.path(RECORD, ".npz"), 90)
    with pytest.warns(
        UserWarning, match=r"clean-.* is damaged .*: this result is ignored"
    ):
        assert store.load(RECORD) is None
    assert store.load(RECORD) is None
    store.save(RECORD, {"correct": np.arange(5)})
    assert store.load(RECORD) is not None
    other = RECORD | {"x": 2}
    store.path(RECORD, ".json").rename(store.path(other, ".json"))
    store.path(RECORD, ".npz").rename(store.path(other, ".npz"))
    with pytest.warns(UserWarning, match="holds another record"):
        assert store.load(other) is None


def test_every_bit_of_a_file_of_tensors_counts(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {
        "weight": torch.randn(3, 4), "half": torch.randn(5).bfloat16(),
        "n": torch.tensor(3), "none": torch.zeros(0, 2),
    }  # fmt: skip
    storage.write_tensors(path, tensors, {"run": "text"})
    found, metadata = storage.read_tensors(path)
    assert metadata == {"run": "text"}
    assert all(torch.equal(found[name], one) for name, one in tensors.items())
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole)
        flipped(path, place, 1 << place % 8)
        with contextlib.suppress(ValueError):
            # The bit is in the name of the checksum or in a space.
            found, metadata = storage.read_tensors(path)
            assert all(torch.equal(found[name], one) for name, one in tensors.items())
            assert metadata.get("run") == "text"
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"a\.safetensors is damaged"):
        storage.read_tensors(path)


def test_json_takes_numbers_of_numpy_and_refuses_what_json_has_not(tmp_path):
    path = tmp_path / "a.json"
    value = {"n": np.int64(3), "x": np.float32(0.5), "is": np.bool_(True)}
    storage.write_json(path, value)
    assert storage.read_json(path) == {"n": 3, "x": 0.5, "is": True}
    path.write_text('{"n": 3}')  # like earlier releases, without a checksum
    assert storage.read_json(path) == {"n": 3}
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"a\.json is damaged"):
        storage.read_json(path)
    store = storage.Store(tmp_path)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            storage.write_json(path, {"x": bad})
        with pytest.raises(ValueError, match="JSON"):
            store.path(RECORD | {"x": bad}, ".npz")
    with pytest.raises(TypeError, match="set is not JSON"):
        store.path({"measurement": "clean", "x": {1}}, ".npz")


def bomb(path, header, size, n_bytes=100):
    """Write an npz file whose member declares more data than it has."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header + bytes(n_bytes))
    if size:
        whole = path.read_bytes()
        real = (len(header) + n_bytes).to_bytes(4, "little")
        path.write_bytes(whole.replace(real, size.to_bytes(4, "little")))


def test_an_archive_declares_no_more_than_it_holds(tmp_path):
    path = tmp_path / "a.npz"
    file = path.open("wb")
    np.lib.format.write_array_header_1_0(
        file, {"shape": (10**13,), "fortran_order": False, "descr": "<f8"}
    )
    file.close()
    header = path.read_bytes()
    for size in (0, 2**31):
        bomb(path, header, size)
        with pytest.raises(ValueError, match=r"a\.npz is damaged"):
            archives.read(path)
    bomb(path, header[:0], 0, n_bytes=2**27)  # really this large when unpacked
    with pytest.raises(ValueError, match="declares 134217728 bytes"):
        archives.read(path)
    np.savez(path, x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="objects, which is not read"):
        archives.read(path)
    kept = {
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "s": np.array("word"),
        "n": np.zeros((0, 3)), "b": np.array([True]), "e": np.array([""]),
    }  # fmt: skip
    np.savez_compressed(path, **kept)
    found = archives.read(path)
    for name, values in kept.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_what_a_living_process_writes_is_not_swept(tmp_path):
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from neurofreq._shared.files import storage
        def write(file):
            file.write(b"half")
            file.flush()
            print("begun", flush=True)
            sys.stdin.readline()
        storage.write_atomically(Path(sys.argv[1]), write)
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a")]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    living, dead = (subprocess.Popen(command, **options) for _ in range(2))
    for one in (living, dead):
        assert one.stdout.readline() == "begun\n"
    assert len(list(tmp_path.glob(".a.*.part"))) == 2
    dead.kill()
    dead.communicate()
    link = tmp_path / ".b.0.part"
    link.symlink_to(tmp_path / "c")
    (tmp_path / "c").write_text("somebody's own")
    storage.Store(tmp_path)
    assert len(list(tmp_path.glob(".a.*.part"))) == 1
    assert (tmp_path / "c").read_text() == "somebody's own"
    living.communicate("\n")
    assert living.returncode == 0
    assert (tmp_path / "a").read_bytes() == b"half"
    assert not list(tmp_path.glob(".a.*.part"))


def test_files_obey_the_umask_which_nobody_touches(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", None)
        threads = [
            threading.Thread(target=storage.write_text, args=(tmp_path / str(k), "x"))
            for k in range(8)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
        assert len(list(tmp_path.iterdir())) == 8
    finally:
        monkeypatch.undo()
        os.umask(before)


def test_a_link_is_replaced_and_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("somebody's own")
    (tmp_path / "a.json").symlink_to(target)
    storage.write_json(tmp_path / "a.json", {})
    assert target.read_text() == "somebody's own"
    assert not (tmp_path / "a.json").is_symlink()


def test_a_full_disk_names_the_file_and_keeps_what_was_there(tmp_path):
    script = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        import numpy as np
        from neurofreq._shared.files import storage
        store = storage.Store(Path(sys.argv[1]))
        store.save({"measurement": "a"}, {"x": np.arange(10)})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        noise = np.random.default_rng(0).random(10**5)
        try:
            store.save({"measurement": "b"}, {"x": noise})
        except OSError as error:
            print(type(error).__name__, error.filename)
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True
    )
    store = storage.Store(tmp_path)
    path = store.path({"measurement": "b"}, ".npz")
    assert found.stdout.split() == ["OSError", str(path)], found.stderr
    assert store.load({"measurement": "a"}) is not None
    assert store.load({"measurement": "b"}) is None
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_gone_is_named(tmp_path):
    path = tmp_path / "gone" / "a.json"
    with pytest.raises(FileNotFoundError) as error:
        storage.write_json(path, {})
    assert error.value.filename == str(path)


def test_a_lock_that_is_held_is_told_and_ctrl_c_ends_the_wait(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.2)
    looks = []

    def look(self):
        looks.append(Waiting_look(self))
        if len(looks) == 6:
            raise KeyboardInterrupt

    Waiting_look = locks.Waiting.look
    monkeypatch.setattr(locks.Waiting, "look", look)
    with (
        locks.claim(tmp_path / "lock") as is_mine,
        pytest.raises(KeyboardInterrupt),
        locks.held(tmp_path / "lock", "the list"),
    ):
        raise AssertionError("held twice")
    assert is_mine
    line = f"neurofreq: waiting for another process: the list (lock {tmp_path}/lock)\n"
    assert capsys.readouterr().err == line
    with locks.held(tmp_path / "lock", "the list"):
        pass


@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_damaged_items_of_a_study_are_missing_and_measured_again(tmp_path):
    whole = run(study(1), tmp_path)
    items = tmp_path / "items"
    for name in ("clean", "hybrid"):
        next(items.glob(f"{name}-*.npz")).write_bytes(b"")
    next(items.glob("attack-*.safetensors")).write_bytes(b"")
    path = next(items.glob("clean-*.json"))
    path.with_suffix(".failed.json").write_text("")
    assert studies.load(tmp_path).missing == ("m0: clean", "m0: hybrid")
    table = studies.status(tmp_path).set_index("measurement")
    assert table["missing"].to_dict() == {
        "clean": 1, "hybrid": 1, "attack": 0, "corruption": 0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="model: got 'm0', expected a model whose"):
        studies.load(tmp_path).adversarial("m0")
    again = run(study(1), tmp_path)
    assert (again.n_measured, again.is_complete) == (3, True)
    assert again.tables["study"].equals(whole.tables["study"])
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(ValueError, match=r"study\.json that cannot be read"):
        studies.load(tmp_path)
    assert run(study(1), tmp_path).n_measured == 0
    assert studies.load(tmp_path).is_complete


def test_a_flipped_bit_of_kept_images_is_noticed(tmp_path):
    found = run(study(1), tmp_path)
    kept = found.adversarial("m0")
    path = next((tmp_path / "items").glob("attack-*.safetensors"))
    flipped(path, -5, 2)
    with (
        pytest.warns(UserWarning, match="is damaged .its checksum differs"),
        pytest.raises(ValueError, match="model: got 'm0', expected a model whose"),
    ):
        studies.load(tmp_path).adversarial("m0")
    with pytest.warns(UserWarning, match="is damaged"):
        again = run(study(1), tmp_path)
    assert again.n_measured == 1
    np.testing.assert_array_equal(again.adversarial("m0"), kept)


def spoiled(changes):
    def spoil(path):
        values = json.loads(path.read_text())
        values.pop("checksum")
        values["settings"] |= changes
        path.write_text(json.dumps(values))

    return spoil


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text('{"models": 3}'),
        lambda path: flipped(path, path.read_bytes().index(b"attack_steps") + 15, 1),
        spoiled({"n_attack": 10**12}),
        spoiled({"n_attack": "many"}),
        spoiled({"n_attack": True}),
        spoiled({"seeds": [0.5]}),
        spoiled({"frequencies": 3}),
        spoiled({"unknown": 3}),
    ],
)
def test_a_damaged_plan_is_named_and_written_anew(tmp_path, damage):
    one = study(1, measurements=["clean"])
    run(one, tmp_path)
    damage(tmp_path / "study.json")
    with pytest.raises(ValueError, match=r"study\.json that cannot be read"):
        studies.load(tmp_path)
    with pytest.raises(ValueError, match="run the study again to rewrite it"):
        studies.status(tmp_path)
    assert run(one, tmp_path).n_measured == 0
    assert studies.load(tmp_path).is_complete


def test_an_atomic_write_leaves_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        storage.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
