"""Draw the pictures of the pages in docs/concepts, from the package itself."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.cbook import get_sample_data
from PIL import Image

import neurofreq as nf

WIDTHS = Path(__file__).resolve().parents[1] / "concepts/intervals.csv"
NAMES = {
    "f_rev": "half width of $f_{rev}$, of Nyquist",
    "f_half": "half width of $f_{0.5}$, cycles/pixel",
    "median_linf": "half width of the median, 1/255",
    "clean_accuracy": "half width of clean accuracy, points",
    "corruption_accuracy": "half width of corruption accuracy, points",
}


def photograph(size=128):
    """Return the sample photograph of matplotlib as an image (1, 3, size, size)."""
    with get_sample_data("grace_hopper.jpg") as file:
        face = Image.open(file).convert("RGB").crop((80, 30, 430, 380))
    small = np.asarray(face.resize((size, size), Image.Resampling.BOX))
    return small.transpose(2, 0, 1)[None].astype(np.float32) / 255


def patches(n=8, size=32):
    """Return n parts of the photograph as images (n, 3, size, size)."""
    whole = photograph(256)[0]
    corners = np.random.default_rng(3).integers(0, 256 - 2 * size, (n, 2))
    cut = np.stack([whole[:, y : y + 2 * size, x : x + 2 * size] for y, x in corners])
    return cut.reshape(n, 3, size, 2, size, 2).mean(axis=(3, 5), dtype=np.float32)


def shown(ax, image, title):
    """Show one image (C, H, W), without axes."""
    pixels = np.clip(image, 0, 1).transpose(1, 2, 0)
    ax.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


def gratings():
    """Draw gratings of 32 pixels, from one cycle in 16 pixels to Nyquist."""
    axes = plt.subplots(1, 4, figsize=(8, 2.3), layout="constrained")[1]
    x = np.arange(32)
    for ax, frequency in zip(axes, (1 / 16, 1 / 8, 1 / 4, 1 / 2), strict=True):
        row = 0.5 + 0.5 * np.cos(2 * np.pi * frequency * x)
        title = f"{frequency:g} cycles/pixel\n{2 * frequency:g} of Nyquist"
        shown(ax, np.broadcast_to(row, (1, 32, 32)), title)
    plt.show()


def filters():
    """Draw a photograph after each filter and change of phase."""
    image, f = photograph(), nf.frequency
    made = {
        "low-pass\n8 cycles/image": f.low_pass(image, 8, unit="cycles/image"),
        "high-pass\n8 cycles/image": f.high_pass(image, 8, unit="cycles/image"),
        "octave around\n16 cycles/image": f.band_pass(
            image, 11.3, 22.6, unit="cycles/image"
        ),
        "vertical bars\nwidth 40 degrees": f.orientation_pass(image, 90, 40),
        "phase noise\nwidth 90 degrees": f.phase_noise(image, 90, seed=0),
        "phase noise\nwidth 180 degrees": f.phase_noise(image, 180, seed=0),
        "whitened": f.whiten(image),
        "phases of the image,\namplitudes of noise": f.combine_spectra(
            np.random.default_rng(0).random(image.shape, dtype=np.float32), image
        ),
    }
    axes = plt.subplots(2, 4, figsize=(8, 4.8), layout="constrained")[1]
    for ax, (title, changed) in zip(axes.flat, made.items(), strict=True):
        shown(ax, changed[0], title)
    plt.show()


def masking():
    """Draw a gray photograph of low contrast in noise of one octave each."""
    image = photograph().mean(axis=1, keepdims=True)
    reduced = (image - image.mean()) * 0.2 + 0.449
    white = np.random.default_rng(0).normal(size=image.shape).astype(np.float32)
    axes = plt.subplots(1, 4, figsize=(8, 2.4), layout="constrained")[1]
    shown(axes[0], reduced[0], "no noise")
    for ax, center in zip(axes[1:], (4, 16, 64), strict=True):
        ends = center / np.sqrt(2), min(center * np.sqrt(2), 128 * np.sqrt(0.5))
        noise = nf.frequency.band_pass(
            white, *ends, kind="ideal", unit="cycles/image", keep_mean=False
        )
        noise *= 0.08 / noise.std()
        shown(ax, (reduced + noise)[0], f"{center} cycles/image")
    plt.show()


def bands():
    """Draw a photograph below and above three frequencies."""
    image = photograph()
    flat = np.broadcast_to(image.mean((2, 3), keepdims=True), image.shape).copy()
    axes = plt.subplots(2, 4, figsize=(8, 4.3), layout="constrained")[1]
    cuts = (0.06, 0.12, 0.25)
    shown(axes[0, 0], image[0], "the image, 128 pixels")
    axes[1, 0].set_axis_off()
    for (above, below), cut in zip(axes[:, 1:].T, cuts, strict=True):
        low = nf.hybrid_images(image, flat, cut)
        high = np.clip(image - low + 0.5, 0, 1)
        shown(above, low[0], f"below {0.5 * cut:g} cycles/pixel")
        shown(below, high[0], f"above {0.5 * cut:g} cycles/pixel")
    plt.show()


def hybrids():
    """Draw hybrids of two synthetic images, at several mixing frequencies."""
    images = nf.data.load_data("synthetic", n=8).images
    ax = plt.subplots(figsize=(8, 4), layout="constrained")[1]
    nf.plot.plot_hybrid_examples(images[1], images[6], ax=ax)
    plt.show()


def answered(model, images):
    """Return the classes that a network gives to images."""
    with torch.no_grad():
        return model(torch.from_numpy(images)).argmax(1).numpy()


def perturbations(names=("standard-0", "adversarial-8"), n=6):
    """Draw minimal perturbations of two networks, their spectra and radial power."""
    images = patches(n)
    figure, axes = plt.subplots(
        2, 4, figsize=(9, 4.6), layout="constrained",
        width_ratios=[1, 1, 1.2, 1.6],
    )  # fmt: skip
    profiles = {}
    for row, name in zip(axes, names, strict=True):
        model = nf.models.load_model(f"zoo:{name}")
        labels = answered(model, images)
        found = nf.attacks.BrendelBethge("linf", steps=60)(model, images, labels)
        change = found.adversarial - images
        power = nf.power_spectrum(change)
        profiles[name] = nf.radial_profile(power)
        size = 255 * np.median(found.distance)
        shown(row[0], found.adversarial[0], f"{name}\nadversarial image")
        scale = 0.5 / np.abs(change[0]).max()
        shown(
            row[1], 0.5 + scale * change[0], f"change, enlarged\nmedian {size:.1f}/255"
        )
        nf.plot.plot_spectrum(power, row[2], colorbar=False)
        row[2].set_title("power spectrum", fontsize=9)
    for ax in axes[:, 3]:
        ax.remove()
    nf.plot.plot_radial_profiles(
        profiles, figure.add_subplot(axes[0, 3].get_gridspec()[:, 3])
    )
    plt.show()


def corruptions(severity=3):
    """Draw a photograph under the fifteen corruptions, one group a row."""
    image = photograph(64)
    rows = nf.CORRUPTION_GROUPS
    axes = plt.subplots(3, 7, figsize=(9, 4.6), layout="constrained")[1]
    for ax in axes.ravel():
        ax.set_axis_off()
    for row, (group, names) in zip(axes, rows.items(), strict=True):
        for ax, name in zip(row, names, strict=False):
            title = name.replace("_", " ")
            shown(ax, nf.corrupt(image, name, severity, seed=0)[0], title)
            ax.title.set_fontsize(8)
        row[0].text(
            -0.1,
            0.5,
            group,
            rotation=90,
            va="center",
            ha="right",
            transform=row[0].transAxes,
        )
    plt.show()


def corruption_power(severity=3):
    """Draw the cumulative power of what each group of corruptions changes."""
    images = patches(40)
    profiles = {}
    for group, names in nf.CORRUPTION_GROUPS.items():
        total = nf.SpectrumAccumulator(32, 32)
        for name in names:
            total.update(nf.corrupt(images, name, severity, seed=0) - images)
        profiles[group] = nf.radial_profile(total.power)
    ax = plt.subplots(figsize=(5, 3.2), layout="constrained")[1]
    nf.plot.plot_radial_profiles(profiles, ax)
    plt.show()


def widths(quantity, models=("standard-0", "adversarial-8"), level=None):
    """Draw the half width of an interval against the number of images."""
    table = pd.read_csv(WIDTHS).fillna({"minus": ""})
    table = table[table["quantity"] == quantity]
    ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")[1]
    lines = [(name, "") for name in models]
    lines += [(other, models[0]) for other in ("standard-1",)]
    for position, (name, minus) in enumerate(lines):
        part = table[(table["model"] == name) & (table["minus"] == minus)]
        label = f"{name} - {minus}, paired" if minus else name
        color = nf.plot.color(position)
        ax.plot(part["n"], part["half_width"], "o-", color=color, label=label)
    n = np.geomspace(25, 1000)
    last = table[(table["model"] == models[0]) & (table["minus"] == "")].iloc[-1]
    law = last["half_width"] * np.sqrt(last["n"] / n)
    ax.plot(n, law, ":", color="gray", label=r"proportional to $1/\sqrt{n}$")
    if level is not None:
        ax.axhline(level, color="gray", lw=0.8)
        ax.text(25, level, f" {level:g}", va="bottom", color="gray", fontsize=8)
    ax.set(xscale="log", xlabel="images", ylabel=NAMES[quantity], ylim=(0, None))
    sizes = [25, 50, 100, 200, 400, 1000]
    ax.set_xticks(sizes, [str(one) for one in sizes])
    ax.minorticks_off()
    ax.legend(fontsize=8, frameon=False)
    plt.show()


def table(quantity):
    """Return half widths by number of images, one column for each network."""
    rows = pd.read_csv(WIDTHS).fillna({"minus": ""})
    rows = rows[rows["quantity"] == quantity]
    name = rows["model"] + np.where(rows["minus"] == "", "", " - " + rows["minus"])
    shape = rows.assign(network=name).pivot(
        index="n", columns="network", values="half_width"
    )
    return shape[list(dict.fromkeys(name))].round(4)


def similarities():
    """Draw the similarities of images in a simulated V1, in pixels and in a network."""
    data = nf.data.load_data("synthetic", n=48)
    order = np.argsort(data.labels, kind="stable")
    images = data.images[order]
    trials = nf.neural.simulate_v1(images, n_neurons=128)
    model = nf.models.load_model("zoo:gray-standard")
    panels = {
        "simulated V1": nf.neural.Responses(trials).similarity(),
        "pixels": nf.neural.pixel_similarity(images),
        "gray-standard, last layer": nf.response_similarity(logits(model, images)),
    }
    figure, axes = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
    for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
        drawn = ax.imshow(np.asarray(matrix), cmap="RdBu_r", vmin=-1, vmax=1)
        ax.set(title=title, xticks=[], yticks=[], xlabel="image", ylabel="image")
    figure.colorbar(drawn, ax=axes, label="similarity", shrink=0.8)
    plt.show()


def logits(model, images):
    """Return the logits of images."""
    with torch.no_grad():
        return model(torch.from_numpy(images)).numpy()


def reliabilities(sizes=(25, 50, 100), counts=(2, 4, 8, 16)):
    """Draw the reliability of similarities against the number of trials."""
    images = nf.data.load_data("synthetic", n=60).images
    trials = nf.neural.simulate_v1(images, n_neurons=max(sizes), n_trials=max(counts))
    ax = plt.subplots(figsize=(5, 3.2), layout="constrained")[1]
    for position, size in enumerate(sizes):
        found = [
            nf.neural.split_half(trials[:n, :, :size], level="similarity", n_splits=20)
            for n in counts
        ]
        label = f"{size} neurons"
        ax.plot(counts, found, "o-", color=nf.plot.color(position), label=label)
    ax.set(xscale="log", xlabel="trials", ylabel="split-half reliability", ylim=(0, 1))
    ax.set_xticks(counts, [str(n) for n in counts])
    ax.minorticks_off()
    ax.legend(frameon=False)
    plt.show()


def measured_widths():
    """Return the mean half width over networks, by quantity and number of images."""
    rows = pd.read_csv(WIDTHS).fillna({"minus": ""})
    return rows[rows["minus"] == ""].groupby(["quantity", "n"])["half_width"].mean()


def every_width():
    """Draw the half width of every quantity against the number of images."""
    found = measured_widths()
    axes = plt.subplots(2, 3, figsize=(8, 5), layout="constrained")[1].ravel()
    axes[-1].set_axis_off()
    for ax, (quantity, label) in zip(axes[:-1], NAMES.items(), strict=True):
        part = found[quantity]
        n = part.index.to_numpy()
        ax.plot(n, part, "o-", color=nf.plot.color(0))
        ax.plot(n, part.iloc[-1] * np.sqrt(n[-1] / n), ":", color="gray")
        ax.set(xscale="log", xlabel="images", ylim=(0, None))
        ax.set_ylabel(label, fontsize=8)
        ax.set_xticks(n, [str(one) for one in n])
        ax.minorticks_off()
    plt.show()


def widths_by_n(further=(400, 1000)):
    """Return the table of mean half widths, extrapolated to more images."""
    long = measured_widths()
    found = long.unstack("n")
    for n in further:
        found[f"{n} (law)"] = [
            long[name].iloc[-1] * np.sqrt(long[name].index[-1] / n)
            for name in found.index
        ]
    return found.loc[list(NAMES)].round(4)


def paired_widths(least=0.02):
    """Return differences of networks, and the images at which .02 can be seen."""
    rows = pd.read_csv(WIDTHS).dropna(subset="minus")
    last = rows.loc[rows.groupby(["model", "minus", "quantity"])["n"].idxmax()]
    step = np.where(last["unit"] == "points", 100 * least, least)
    step = np.where(last["unit"] == "1/255", np.nan, step)
    needed = np.ceil(last["n"] * (last["half_width"] / step) ** 2)
    shown = last.assign(
        difference=last["model"] + " - " + last["minus"], images_for_02=needed
    )
    columns = ["quantity", "unit", "n", "value", "half_width", "images_for_02"]
    return shown.set_index("difference")[columns].round(4)
