"""The build backend: the torch that it finds, and the files that it writes."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "backend"))

import neurofreq_build as build  # noqa: E402
from torches import DIGESTS, NEWEST, OLDEST, REQUIREMENT, TORCHES  # noqa: E402

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def written(name):
    return (ROOT / name).read_text(encoding="utf-8")


def site(folder, version):
    """A folder of packages with only the torch file that the backend reads."""
    (folder / "torch").mkdir(parents=True)
    text = f"from typing import Optional\n\n__version__ = '{version}'\ncuda = None\n"
    (folder / "torch" / "version.py").write_text(text)
    return str(folder)


def test_the_metadata_of_the_sources_takes_every_row():
    wanted = tomllib.loads(written("pyproject.toml"))["project"]["dependencies"]
    assert REQUIREMENT in wanted
    assert [row.minor for row in TORCHES] == [
        f"2.{n}" for n in range(int(OLDEST.minor[2:]), int(NEWEST.minor[2:]) + 1)
    ]


def test_python_and_rust_name_one_version():
    package = tomllib.loads(written("Cargo.toml"))["package"]
    assert (
        tomllib.loads(written("pyproject.toml"))["project"]["version"]
        == (package["version"])
    )


def test_every_header_and_digest_of_the_table_is_there():
    for row in TORCHES:
        assert set(DIGESTS[row.tch]) == {"tch", "torch-sys"}
        assert not row.header or (ROOT / "backend" / row.header).is_file()


@pytest.mark.parametrize("row", TORCHES, ids=lambda row: row.minor)
def test_lock_and_manifest_of_a_row_differ_in_tch_alone(row):
    lock = tomllib.loads(build._lock(row))["package"]
    before = tomllib.loads(written("Cargo.lock"))["package"]
    for ours, tree in zip(lock, before, strict=True):
        if ours["name"] in DIGESTS[row.tch]:
            assert ours["version"] == row.tch
            assert ours["checksum"] == DIGESTS[row.tch][ours["name"]]
            assert ours["dependencies"] == tree["dependencies"]
        else:
            assert ours == tree
    manifest = tomllib.loads(build._manifest(row))
    assert manifest["dependencies"]["tch"]["version"] == f"={row.tch}"
    assert manifest["dependencies"]["torch-sys"]["version"] == f"={row.tch}"


@pytest.mark.parametrize("row", TORCHES, ids=lambda row: row.minor)
def test_a_wheel_asks_for_the_torch_that_it_is_built_for(row):
    text = build._metadata(row)
    project = tomllib.loads(text)["project"]
    assert f"torch=={row.minor}.*" in project["dependencies"]
    assert REQUIREMENT not in project["dependencies"]
    version = tomllib.loads(written("pyproject.toml"))["project"]["version"]
    assert project["version"] == version
    named = build._metadata(row, {"local-version": "torch"})
    assert tomllib.loads(named)["project"]["version"] == f"{version}+torch{row.minor}"


def test_the_torch_that_would_be_imported_is_found(tmp_path):
    path = site(tmp_path / "a", "2.13.1+cpu")
    assert build._installed([str(tmp_path), path, path]) == "2.13.1+cpu"
    assert build._row("2.13.1+cpu").tch == "0.26.0"
    assert build._installed([str(tmp_path)]) == ""


def test_a_torch_of_a_vendor_counts_by_its_numbers():
    assert build._row("2.14.0a0+1a2b3c.nv26.9").minor == "2.14"


def test_two_torches_on_the_path_are_refused(tmp_path):
    paths = [site(tmp_path / "a", "2.11.0"), site(tmp_path / "b", "2.15.0")]
    with pytest.raises(SystemExit, match=r"two versions .* 2\.11\.0 .* 2\.15\.0"):
        build._installed(paths)


@pytest.mark.parametrize("version", ["2.10.2", "2.99.0", "3.0.0", "of unknown version"])
def test_a_torch_outside_the_table_is_refused(version):
    with pytest.raises(SystemExit, match=f"torch {version} is installed, .* 2.11 to "):
        build._row(version)


def test_no_torch_is_said():
    with pytest.raises(SystemExit, match="not installed: run \"pip install 'torch>=2"):
        build._row("")


def test_a_compiler_without_the_standard_is_refused(monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(SystemExit, match=r"torch 2\.15 needs a C\+\+20 compiler"):
        build._refuse_old_compiler(NEWEST)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SystemExit, match="'no-such-compiler' does not compile"):
        build._refuse_old_compiler(NEWEST)


def test_a_python_without_its_lock_is_refused(monkeypatch):
    monkeypatch.setattr(build.sysconfig, "get_config_var", lambda name: 1)
    with pytest.raises(SystemExit, match="free-threaded Python is not"):
        build.get_requires_for_build_wheel()


def test_a_torch_in_another_folder_is_linked_again(tmp_path):
    """A second `pip install .` builds in a new environment, the first one is gone."""
    mark = tmp_path / "target" / "release" / ".fingerprint" / "torch-sys-0a"
    for name, is_new in (("first", True), ("first", False), ("second", True)):
        mark.mkdir(parents=True, exist_ok=True)
        paths = [site(tmp_path / name, "2.15.0")] if is_new else [str(tmp_path / name)]
        build._link_again(tmp_path, tmp_path / "target", paths)
        assert mark.exists() != is_new


def test_flags_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("CXXFLAGS", "-march=x86-64-v3")
    environment = tomllib.loads(build._cargo_settings(NEWEST))["env"]
    flags = environment["CXXFLAGS"]["value"].split()
    assert flags[0] == "-march=x86-64-v3"
    assert flags[-2:] == ["-include", NEWEST.header]
    assert environment["LIBTORCH_USE_PYTORCH"] == "1"


def test_a_wheel_is_packed_from_a_copy_of_the_sources(tmp_path):
    (tmp_path / "pyproject.toml").write_text(build._metadata(NEWEST), encoding="utf-8")
    build._copy_package(tmp_path)
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["maturin"]["python-source"] == "python"
    copied = {path.name for path in (tmp_path / "python" / "neurofreq").iterdir()}
    kept = {
        path.name
        for path in (ROOT / "python" / "neurofreq").iterdir()
        if path.suffix != ".so" and path.name != "__pycache__"
    }
    assert copied == kept


def test_an_unchanged_file_is_not_written_again(tmp_path):
    path = tmp_path / "new" / "file"
    build._write(path, "text")
    before = path.stat().st_mtime_ns
    build._write(path, "text")
    assert path.stat().st_mtime_ns == before
    build._write(path, "other")
    assert path.read_text() == "other"
