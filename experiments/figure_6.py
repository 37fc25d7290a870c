"""Draw Figure 6 from 80 sample photographs, to show that the code works.

Usage: python experiments/figure_6.py --images imagenet-sample-80.zip --out OUT

Sorts the photographs into OUT/images/val/CLASS and trains three small networks until
they know the photographs by heart: a plain network, one behind a blur, and one trained
with noise. ``neurofreq figures`` measures and draws them like networks of ImageNet.
The figure and its table go to docs/results/figure-6-sample/.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

import neurofreq as nf

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results" / "figure-6-sample"
NETWORK = "torchvision:shufflenet_v2_x0_5,n_classes=80"
RECIPE = nf.training.Recipe(
    name="by heart", network=NETWORK, epochs=100, batch_size=16, lr=0.1
)
RECIPES = {
    "base": RECIPE,
    "blur": RECIPE.replace(network=f"{NETWORK},blur=3.0"),
    "crp": RECIPE.replace(noise=0.1),
}


def sorted_photographs(archive: Path, folder: Path) -> Path:
    """Return a folder that holds val/CLASS/*.JPEG, a class for each photograph.

    Folders named by WordNet ids alone would get the labels of ImageNet.
    """
    with zipfile.ZipFile(archive) as photographs:
        for name in photographs.namelist():
            one = folder / "val" / Path(name).stem / Path(name).name
            one.parent.mkdir(parents=True, exist_ok=True)
            one.write_bytes(photographs.read(name))
    return folder


def trained(name: str, images: nf.data.ImageSet, out: Path) -> Path:
    """Return the weights of a network that was trained on these images."""
    recipe = RECIPES[name]
    torch.manual_seed(0)
    model = nf.models.load_model(recipe.network)
    folder = out / f"network-{name}"
    history = nf.training.fit(
        model, images.images, images.labels, recipe, folder=folder, seed=0
    )
    print(name, history[-1], flush=True)
    return folder / "best.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    folder = sorted_photographs(options.images, options.out / "images")
    spec = f"imagenet:{folder}"
    images = nf.data.load_data(spec)
    words = ["figures", "--data", spec, "--out", str(options.out / "figures")]
    for name, recipe in RECIPES.items():
        weights = trained(name, images, options.out)
        words += ["--model", f"{name}={recipe.network}@{weights}"]
        words += ["--group", f"{name}={name}"]
    subprocess.run([Path(sys.executable).with_name("neurofreq"), *words], check=True)
    PAGE.mkdir(parents=True, exist_ok=True)
    for name in ("fig6.png", "fig6.csv"):
        shutil.copy(options.out / "figures" / name, PAGE / name)


if __name__ == "__main__":
    main()
