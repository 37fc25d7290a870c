"""Made-up measurements with known results, and checks of tables and figures."""

import io

import numpy as np

from neurofreq.corruptions import CORRUPTIONS, grouping
from neurofreq.measured import Attack, Clean, Corrupted, Hybrid, Measured

N = 20
FIFTEEN = grouping.averaged(CORRUPTIONS)
THRESHOLDS = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
LOW_PROFILE = (0.0, 0.25, 0.5, 0.75, 1.0)  # half of the power is below 0.2
HIGH_PROFILE = (0.0, 0.0, 0.0, 0.5, 1.0)  # half of the power is below 0.3
MIXING = np.array([0.0, 0.2, 0.6, 1.0])
# The number of correct images, of 20, at each severity.
RIGHT = (18, 16, 14, 12, 10)


def attack(profile=LOW_PROFILE, size=2.0, failed=0):
    weight = np.linspace(0.5, 1.5, N)  # images differ in total power, not in profile
    distance = np.full(N, size / 255) * np.linspace(0.5, 1.5, N)
    distance[N - failed :] = np.inf
    found = np.isfinite(distance)
    power = np.random.default_rng(0).random((8, 8))
    power[4, 4] = np.nan
    return Attack(
        distance=distance,
        success=found,
        status=np.where(found, "completed", "failed"),
        n_queries=np.full(N, 100),
        targets=np.full(N, -1),
        power=power,
        radial=np.outer(weight * found, profile),
        frequency=THRESHOLDS,
        adversarial=np.zeros((6, 1, 8, 8)),
    )


def hybrid(reversal=0.4):
    """Differences that are linear between the table points."""
    mean = np.interp(MIXING, [0.0, reversal, 1.0], [-0.8, 0.0, 0.6])
    spread = np.linspace(-0.1, 0.1, N)[:, None]
    difference = mean + spread
    return Hybrid(MIXING, difference, (1 + mean) / 2, (1 - mean) / 2)


def cells(name, shift=0):
    """Equal results for all corruptions, but 0 % for those of high frequency."""
    if grouping.group_of(name) == "high":
        return Corrupted(np.zeros((5, N), bool))
    return Corrupted(np.stack([np.arange(N) < right + shift for right in RIGHT]))


def model(name="one", group="base", *, shift=0, leave_out=(), **changes):
    results = {
        "clean": Clean(np.arange(2 * N) < N - 1),
        "attack": attack(),
        "hybrid": hybrid(),
        **{f"corruption/{one}": cells(one, shift) for one in FIFTEEN},
    }
    kept = {key: one for key, one in results.items() if key not in leave_out}
    return Measured(name, group, kept | changes)


def several():
    return [
        model("first", "base", attack=attack(LOW_PROFILE)),
        model("second", "base", attack=attack(HIGH_PROFILE, 1.0), hybrid=hybrid(0.6)),
        model("strong", "adv", attack=attack((0.0, 0.5, 1.0, 1.0, 1.0), 16.0)),
    ]


def pick(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def value(table, **wanted):
    rows = pick(table, **wanted)
    assert len(rows) == 1, rows
    return rows["value"].item()


def panels(figure):
    """Return the Axes by the letter above them."""
    return {ax.get_title(loc="left"): ax for ax in figure.axes if ax.get_title("left")}


def solid_lines(ax, color):
    """Return the curves of a color, without the dots and drop lines of marks."""
    return [
        line
        for line in ax.get_lines()
        if line.get_color() == color and len(line.get_xdata()) > 2
    ]


def check_intervals(table):
    known = table[table["low"].notna()]
    tolerance = 1e-9 * known["value"].abs() + 1e-12
    assert (known["low"] <= known["value"] + tolerance).all()
    assert (known["value"] <= known["high"] + tolerance).all()
    columns = (
        "figure", "panel", "model", "group", "quantity", "x", "value", "low", "high",
        "n", "unit", "paper", "weights",
    )  # fmt: skip
    assert tuple(table.columns) == columns


def check_drawn(figure):
    """Check that the figure draws without a warning, and leaves pyplot empty."""
    import matplotlib.pyplot as plt

    figure.savefig(io.BytesIO(), format="png", dpi=40)
    assert figure.dpi == 300
    assert plt.get_fignums() == []


def a_pair():
    base = model("plain", attack=attack(HIGH_PROFILE, 1.0), hybrid=hybrid(0.6))
    neural = model("v1", "neural", shift=2, attack=attack(LOW_PROFILE, 3.0))
    return [base, neural]


def blur_series():
    """Models whose accuracy is a parabola of f_rev, so that the fit is exact."""
    return {
        sigma: model(f"sigma {sigma}", "blur", hybrid=hybrid(f), shift=shift)
        for sigma, f, shift in ((3.0, 0.2, 0), (2.0, 0.4, 2), (1.0, 0.6, 0))
    }
