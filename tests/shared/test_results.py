"""Every result shows itself: in a line, in a notebook, as a table and as a picture."""

import base64
import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import made_up
from matplotlib.figure import Figure

import neurofreq as nf
from neurofreq._shared import progress, results

PNG = b"\x89PNG"


def images(n=4, side=8):
    return np.random.default_rng(0).random((n, 3, side, side))


def brightness(x):
    bright = x.mean((1, 2, 3)) - 0.5
    return torch.stack([-bright, bright], 1)


def correct(*shape):
    return np.random.default_rng(1).random(shape) > 0.3


def spectrum():
    return nf.SpectrumAccumulator(8, 8).update(images() - 0.5)


def robust():
    distance = np.array([0.0, 0.01, 0.2, np.inf])
    counts = np.ones(4, np.int64)
    return nf.attacks.RobustAccuracy(
        "l2", np.array([0.0, 0.1]), distance, images(), np.array([""] * 4), counts,
        counts,
    )  # fmt: skip


def attacked():
    counts, sizes = np.ones(3, np.int64), np.array([0.01, 0.03, np.inf])
    return nf.attacks.AttackResult(
        torch.zeros(3, 1, 8, 8), torch.from_numpy(sizes), torch.tensor([1, 1, 0]) > 0,
        counts, np.array(["completed", "completed", "no_start"]), counts, norm="linf",
    )  # fmt: skip


def predictive():
    responses = nf.neural.Responses(nf.neural.simulate_v1(images(12, 16), n_neurons=3))
    model = nf.neural.PredictiveModel(n_channels=2, n_folds=3, max_epochs=1)
    return model.fit(images(12, 16), responses)


def study(folder):
    spec = {"data": "synthetic", "n_images": 8, "models": ["small_cnn@random"]}
    how = {"measurements": ["clean"], "progress": False}
    return nf.studies.run(spec, folder, **how)


def report(folder):
    data = nf.data.load_data("synthetic", n=8)
    how = {"measurements": ["clean"], "progress": False}
    return nf.report.run(nf.models.small_cnn(), data, folder, **how)


def answered():
    low = np.array([[False, True], [False, False], [True, True], [False, True]])
    return nf.frequency.HybridAccumulator([0.1, 0.5], n_resamples=20).update(
        np.arange(4), low, ~low
    )


def cells():
    one = nf.corruptions.CellAccumulator(["fog"], [1, 2], n_resamples=20)
    for severity in (1, 2):
        one.update("fog", severity, np.arange(9), correct(9))
    return one


LABELS = np.arange(4) % 2
MADE = {
    "RadialProfile": lambda _: nf.radial_profile(nf.power_spectrum(images() - 0.5)),
    "SpectrumAccumulator": lambda _: spectrum(),
    "HybridAccumulator": lambda _: answered(),
    "ImageSpectra": lambda _: nf.frequency.image_spectra(images() - 0.5),
    "SpectrumRelations": lambda _: nf.frequency.image_spectra(images()).related(
        {"label": LABELS}
    ),
    "CellAccumulator": lambda _: cells(),
    "HybridCurve": lambda _: nf.hybrid_curve(brightness, images(), LABELS),
    "FourierSensitivity": lambda _: nf.fourier_sensitivity(
        brightness, images(), LABELS
    ),
    "FilteredAccuracy": lambda _: nf.filtered_accuracy(brightness, images(), LABELS),
    "BandMasking": lambda _: nf.band_masking(
        brightness, images(), LABELS, contrast=1.0, criterion=0.3
    ),
    "AttackResult": lambda _: attacked(),
    "RobustAccuracy": lambda _: robust(),
    "CorruptionAccuracy": lambda _: nf.CorruptionAccuracy(
        ("fog",), (1, 2), correct(1, 2, 9), correct(9)
    ),
    "ImageSet": lambda _: nf.data.ImageSet(images(), LABELS, ("a", "b"), "mine"),
    "Clean": lambda _: nf.measured.Clean(correct(9)),
    "Hybrid": lambda _: made_up.hybrid(),
    "Attack": lambda _: made_up.attack(),
    "Corrupted": lambda _: nf.measured.Corrupted(correct(5, 9)),
    "Measured": lambda _: made_up.model("a"),
    "Target": lambda _: nf.neural.pixel_similarity(images()),
    "Responses": lambda _: nf.neural.Responses(np.random.default_rng(0).random((4, 3))),
    "PredictiveModel": lambda _: predictive(),
    "Trained": lambda _: nf.training.Trained(
        torch.nn.Identity(), [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]
    ),
    "StudyResult": study,
    "Report": report,
}


def public_results():
    modules = [getattr(nf, name) for name in nf.__all__]
    classes = [getattr(m, n) for m in modules for n in getattr(m, "__all__", ())]
    classes += [one for one in modules if isinstance(one, type)]
    return {
        one.__name__
        for one in classes
        if isinstance(one, type) and issubclass(one, results.Result)
    }


def test_every_public_result_is_tried():
    assert public_results() == set(MADE)


@pytest.mark.filterwarnings("ignore:.* accuracy .* is that of guessing")
@pytest.mark.parametrize("name", MADE)
def test_a_result_shows_itself(name, tmp_path):
    found = MADE[name](tmp_path)
    assert type(found).__name__ == name
    text = repr(found)
    assert text.startswith(f"{name}(")
    assert len(text) < 300
    assert "\n" not in text
    assert "array" not in text
    table = found.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert len(table) > 0
    ax = Figure().subplots()
    assert found.plot(ax) is ax
    assert ax.lines or ax.images or ax.patches or ax.collections
    shown = found._repr_html_()
    assert shown.startswith("<table>")
    if name != "Report":  # its page has the pictures
        (picture,) = re.findall(r"base64,([^']+)'", shown)
        assert base64.b64decode(picture).startswith(PNG)


def test_nothing_to_draw_leaves_the_picture_out():
    for empty in (
        nf.SpectrumAccumulator(8, 8),
        nf.measured.Measured("a", "base", {}),
        nf.neural.PredictiveModel(),
        nf.training.Trained(torch.nn.Identity(), []),
    ):
        assert "<img" not in empty._repr_html_()
        assert "<table>" in empty._repr_html_()


def test_names_of_users_are_escaped():
    data = nf.data.ImageSet(images(), LABELS, ("a", "b"), "<b>\x1b[31m")
    shown = data._repr_html_()
    assert "&lt;b&gt;\\x1b[31m" in shown
    assert "<b>" not in shown
    assert "\x1b" not in repr(data)


def test_a_long_result_is_cut():
    text = results.line(nf, {f"key {i}": i for i in range(9)})
    assert text.endswith("key 5: 5, ...)")


def test_without_pandas_the_error_names_it(monkeypatch):
    found = nf.radial_profile(nf.power_spectrum(images() - 0.5))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame: got no package pandas"):
        found.to_frame()
    assert "<table>" in found._repr_html_()


def test_tables_have_the_numbers():
    table = attacked().to_frame()
    assert table["distance"].tolist() == [0.01, 0.03, np.inf]
    assert attacked().plot().get_lines()[0].get_ydata()[-1] == pytest.approx(200 / 3)
    assert robust().to_frame()["accuracy"].tolist() == [0.75, 0.5]
    rates = np.zeros((4, 4))
    rates[2, 3] = 1.0  # a quarter of the sampling frequency along x
    table = nf.FourierSensitivity(
        rates, 0.0, np.array([0.25, 0.5]), np.zeros((1, 2))
    ).to_frame()
    row = table.loc[table["error_rate"] == 1.0].iloc[0]
    assert (row["frequency_y"], row["frequency_x"]) == (0.0, 0.25)


def test_responses_survive_a_table():
    rng = np.random.default_rng(0)
    trials = rng.random((3, 5, 2))
    trials[2, 1] = np.nan
    before = nf.neural.Responses(trials, neuron={"region": ["V1", "V4"]})
    table = before.to_frame()
    assert len(table) == np.isfinite(trials).sum()
    after = nf.neural.Responses.from_frame(table, neuron_descriptors=["region"])
    np.testing.assert_array_equal(after.trials, before.trials)
    assert after.neuron["region"].tolist() == ["V1", "V4"]


def test_a_curve_prints_no_arrays():
    curve = nf.plot.Curve(np.arange(50), np.arange(50), mark=0.25)
    assert repr(curve) == "Curve(points: 50, mark: 0.25)"


def test_bars_are_silent_where_nobody_sees_them(capsys):
    nf.hybrid_curve(brightness, images(), LABELS, seeds=[0], progress=True)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_the_bar(terminal):
    nf.hybrid_curve(brightness, images(), LABELS, seeds=[0])
    assert terminal.readouterr().err == ""
    nf.hybrid_curve(brightness, images(), LABELS, seeds=[0, 1], progress=True)
    assert "104/104" in terminal.readouterr().err  # 2 pairings, 4 images, 13 mixes


def test_a_notebook_shows_the_bar(monkeypatch):
    class Shell:
        config = {"IPKernelApp": {}}  # noqa: RUF012

    class IPython:
        get_ipython = staticmethod(Shell)

    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not progress.is_seen()
    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert progress.is_seen()
