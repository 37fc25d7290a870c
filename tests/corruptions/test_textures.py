"""The user's pictures of frost are used everywhere and enter the keys of results."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import neurofreq as nf
from neurofreq import cli, data
from neurofreq.corruptions import _textures


class Counting(nn.Module):
    """A small network that counts its images."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 5, stride=3), nn.Flatten(), nn.Linear(400, 3)
        )
        self._n_images = 0

    def forward(self, images):
        self._n_images += len(images)
        return self.layers(images)


def clean(n=6):
    images = np.random.default_rng(0).integers(0, 256, (n, 3, 32, 32), np.uint8)
    return data.ImageSet(images, np.arange(n) % 3, ("ant", "bee", "cat"), "random")


@pytest.mark.parametrize("layout", ["arrays", "files"])
def test_textures_reach_frost_and_are_noted(tmp_path, frost_folder, layout):
    how = {"names": ["frost"], "seed": 1, "layout": layout}
    written = data.write_corrupted(clean(), tmp_path, textures=frost_folder, **how)
    expected = nf.corrupt(
        clean().images, "frost", 4, seed=1, layout="nchw", textures=frost_folder
    )
    drawn = nf.corrupt(clean().images, "frost", 4, seed=1, layout="nchw")
    got = written.cell("frost", 4).images[:].astype(float).mean(axis=(1, 2, 3))
    rows = (
        np.argsort(np.arange(6) % 3, kind="stable") if layout == "files" else slice(6)
    )
    np.testing.assert_allclose(got, expected.mean(axis=(1, 2, 3))[rows], atol=1)
    assert np.abs(got - drawn.mean(axis=(1, 2, 3))[rows]).max() > 5
    with pytest.raises(ValueError, match="holds corruptions of another textures"):
        data.write_corrupted(clean(), tmp_path, **how)
    (frost_folder / "frost4.jpg").unlink()
    _textures.digest.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"without frost4.jpg"):
        data.write_corrupted(
            clean(), tmp_path / "new", textures=frost_folder, names=["contrast"]
        )
    assert not (tmp_path / "new").exists()


def test_textures_reach_frost_and_name_its_cells_alone(
    tmp_path, frost_folder, monkeypatch
):
    model, whole = Counting(), clean(20)
    given = []
    corrupt = nf.corruptions.corrupt

    def noting(*arguments, textures=None, **rest):
        given.append(textures)
        return corrupt(*arguments, textures=textures, **rest)

    monkeypatch.setattr(nf.corruptions, "corrupt", noting)
    how = {"corruptions": ["fog", "frost"], "severities": [3], "out": tmp_path}
    nf.corruption_accuracy(model, whole, **how)
    assert given == [None, None]
    nf.corruption_accuracy(model, whole, **how, textures=frost_folder)
    # Clean images and fog are stored already; frost with pictures is new.
    assert given[2:] == [frost_folder]
    other = frost_folder.parent / f"{frost_folder.name}-moved"
    frost_folder.rename(other)
    nf.corruption_accuracy(model, whole, **how, textures=other)
    assert len(given) == 3
    Image.new("RGB", (50, 40)).save(other / "frost1.png")
    _textures.digest.cache_clear()
    nf.corruption_accuracy(model, whole, **how, textures=other)
    assert len(given) == 4
    (other / "frost1.png").unlink()
    _textures.digest.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"textures: got .* without frost1.png"):
        nf.corruption_accuracy(model, whole, textures=other)


def test_the_commands_pass_textures_on(tmp_path, frost_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["--data", "synthetic", "--n-images", "8", "--quiet"]
    given += ["--textures", str(frost_folder), "--out"]
    found = CliRunner().invoke(cli.app, ["corrupt", *given, "made"])
    assert found.exit_code == 0, found.output
    noted = json.loads((tmp_path / "made" / "corrupted.json").read_text())
    assert noted["textures"] == _textures.digest(str(frost_folder))
    found = CliRunner().invoke(
        cli.app, ["corruptions", "--model", "small_cnn@random", *given, "measured"]
    )
    assert found.exit_code == 0, found.output
    kept = json.loads((tmp_path / "measured" / "settings.json").read_text())
    assert kept["textures"] == str(frost_folder)


def test_textures_are_read_by_the_rule_of_all_image_files(frost_folder):
    Image.new("RGBA", (50, 40), (200, 100, 50, 254)).save(frost_folder / "frost2.png")
    with pytest.raises(ValueError, match=r"textures: .*frost2.png has transparent"):
        _textures.read(str(frost_folder))
    (frost_folder / "frost2.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    with pytest.raises(ValueError, match=r"textures: .*frost2.png is no complete"):
        _textures.read(str(frost_folder))
