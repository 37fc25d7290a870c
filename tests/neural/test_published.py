"""Published predictive models, on small made-up files and on the real ones."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest
import torch
from helpers.predictors import SCAN, sensorium, v4
from PIL import Image
from torch.nn import functional as F

import neurofreq as nf
from neurofreq import neural


def of_sensorium(t, images):
    """The responses by the published description, one pixel at a time at the end."""
    x = images
    for layer in range(3):
        home = f"core.features.layer{layer}"
        if layer == 0:
            x = F.conv2d(x, t[f"{home}.conv.weight"])
        else:
            x = F.conv2d(x, t[f"{home}.ds_conv.in_depth_conv.weight"])
            kernel = t[f"{home}.ds_conv.spatial_conv.weight"]
            x = F.conv2d(x, kernel, padding=3, groups=len(kernel))
            x = F.conv2d(x, t[f"{home}.ds_conv.out_depth_conv.weight"])
        mean, var = t[f"{home}.norm.running_mean"], t[f"{home}.norm.running_var"]
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        x = x * t[f"{home}.norm.weight"][:, None, None]
        x = F.elu(x + t[f"{home}.norm.bias"][:, None, None])
    g = t[f"{SCAN}.source_grid"]
    hidden = F.elu(
        g @ t[f"{SCAN}.mu_transform.0.weight"].T + t[f"{SCAN}.mu_transform.0.bias"]
    )
    place = torch.tanh(
        hidden @ t[f"{SCAN}.mu_transform.2.weight"].T + t[f"{SCAN}.mu_transform.2.bias"]
    )
    height, width = x.shape[2:]
    columns = []
    for neuron, (across, down) in enumerate(place.tolist()):
        # -1 and 1 are the centers of the first and the last pixel.
        column, row = (across + 1) / 2 * (width - 1), (down + 1) / 2 * (height - 1)
        left, top = int(column), int(row)
        a, b = column - left, row - top
        above = (1 - a) * x[:, :, top, left] + a * x[:, :, top, left + 1]
        below = (1 - a) * x[:, :, top + 1, left] + a * x[:, :, top + 1, left + 1]
        point = (1 - b) * above + b * below
        drive = point @ t[f"{SCAN}._features"][0, :, 0, neuron]
        columns.append(F.elu(drive + t[f"{SCAN}.bias"][neuron]) + 1)
    return torch.stack(columns, 1)


def test_a_file_of_sensorium_gives_the_published_responses(tmp_path):
    tensors = sensorium()
    torch.save(tensors, tmp_path / "model.pth")
    before = torch.random.get_rng_state()
    predictor = neural.load_predictor("sensorium", tmp_path / "model.pth")
    assert torch.equal(torch.random.get_rng_state(), before)
    images = np.random.default_rng(0).random((6, 3, 36, 64), dtype=np.float32)
    shown = predictor.prepare(images)
    gray = images.transpose(0, 2, 3, 1) @ np.array([0.2989, 0.587, 0.114], np.float32)
    np.testing.assert_allclose(shown[:, 0], (gray * 255 - 113) / 59, atol=1e-4)
    np.testing.assert_allclose(
        predictor.predict(images), of_sensorium(tensors, shown), rtol=1e-4, atol=1e-5
    )
    target = neural.neural_similarity(predictor, images)
    source = "mouse V1, predicted, 5 neurons, Willeke et al. 2022"
    assert target.label == f"predicted from recordings ({source})"
    assert predictor.neuron["scan"].tolist() == ["12345-1-2"] * 5
    exact = dataclasses.replace(predictor, mean=111.5, std=60.0)
    np.testing.assert_allclose(
        exact.prepare(images)[:, 0], (gray * 255 - 111.5) / 60.0, atol=1e-4
    )


def test_one_of_several_scans_is_chosen_by_name(tmp_path):
    tensors = sensorium()
    other = {k.replace(SCAN, "readout.9-9-9"): -v for k, v in sensorium().items()}
    both = {**{k: v for k, v in other.items() if "9-9-9" in k}, **tensors}
    path = tmp_path / "model.pth"
    torch.save(both, path)
    images = np.random.default_rng(0).random((4, 1, 36, 64), dtype=np.float32)
    with pytest.raises(
        ValueError, match=r"scans \['12345-1-2', '9-9-9'\], expected on"
    ):
        neural.load_predictor("sensorium", path)
    found = neural.load_predictor("sensorium", f"{path}#12345-1-2")
    expected = of_sensorium(tensors, found.prepare(images))
    np.testing.assert_allclose(found.predict(images), expected, rtol=1e-4, atol=1e-5)


def same(x, kernel, stride, groups):
    """Convolution with TensorFlow's definition of the padding "same"."""
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), kernel, stride=stride, groups=groups)


def of_v4(t, x):
    for layer in range(5):
        if layer == 0:
            x = same(x, t["layer0.conv.weight"], 1, 1)
            x = x + t["layer0.conv.bias"][:, None, None]
        else:
            depth = t[f"layer{layer}.depthwise.weight"]
            x = same(x, depth, 2 if layer in (1, 2) else 1, len(depth))
            point = t[f"layer{layer}.pointwise.weight"][:, :, 0, 0]
            x = torch.einsum("nchw,kc->nkhw", x, point)
            x = x + t[f"layer{layer}.pointwise.bias"][:, None, None]
        mean, var = (
            t[f"layer{layer}.bn.running_mean"],
            t[f"layer{layer}.bn.running_var"],
        )
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-3).sqrt()
        x = x * t[f"layer{layer}.bn.weight"][:, None, None]
        x = (x + t[f"layer{layer}.bn.bias"][:, None, None]).clamp_min(0)
    maps = torch.einsum("nchw,kc->nkhw", x, t["mixing.weight"][:, :, 0, 0])
    maps = maps + t["mixing.bias"][:, None, None]
    return (maps * t["pool.weight"][:, 0]).sum((2, 3)) + t["pool.bias"]


def test_a_file_of_the_compact_v4_model_gives_the_published_responses(tmp_path):
    tensors = v4(pool=28)
    torch.save(tensors, tmp_path / "v4.pth")
    predictor = neural.load_predictor("v4-compact", tmp_path / "v4.pth")
    images = np.random.default_rng(0).random((3, 3, 112, 112), dtype=np.float32)
    shown = predictor.prepare(images)
    mean = np.array([116.222, 109.270, 100.381], np.float32)[:, None, None]
    np.testing.assert_allclose(shown, images * 255 - mean, atol=1e-3)
    expected = of_v4(tensors, shown)
    found = predictor.predict(images)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std())
    assert predictor.name == "macaque V4, predicted, 3 neurons, Cowley et al. 2023"
    gray = predictor.prepare(images[:, :1])
    np.testing.assert_allclose(gray, images[:, [0, 0, 0]] * 255 - mean, atol=1e-3)


def without(tensors, word):
    return {key: one for key, one in tensors.items() if word not in key}


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [
        ("mouse", {}, "name: got 'mouse', expected one of 'sensorium', 'v4-compact'"),
        ("v4-compact", sensorium(), "no compact model of V4: it lacks"),
        ("sensorium", v4(), "has the read-outs of scans"),
        ("sensorium", without(sensorium(), "_features"), "it lacks .*_features"),
        (
            "sensorium",
            sensorium() | {"shifter.weight": torch.ones(2)},
            "no stacked core .* also has .'shifter.weight'",
        ),
        (
            "sensorium",
            without(sensorium(), "layer1.ds_conv"),
            "lacks core.features.lay",
        ),
        ("sensorium", without(sensorium(), "layer2.norm"), "does not fit its network"),
        ("v4-compact", without(v4(), "layer2.pointwise"), "lacks layer2.pointwise.wei"),
        ("v4-compact", v4() | {"mixing.bias": torch.ones(9)}, "does not fit its netw"),
    ],
)
def test_files_of_other_models_are_refused(name, tensors, message, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(tensors or {"a": torch.ones(1)}, path)
    with pytest.raises(ValueError, match=message):
        neural.load_predictor(name, path)


def test_no_code_of_a_file_runs(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"layer0.conv.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="it lacks"):
        neural.load_predictor("v4-compact", tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(FileNotFoundError, match="there is no file"):
        neural.load_predictor("v4-compact", tmp_path / "absent.pth")


def real(data_dir, *parts):
    path = data_dir.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the real data has no {'/'.join(parts)}")
    return path


def of_profiles(responses):
    """Similarities as the data's README has them: z-score neurons, correlate images."""
    return np.corrcoef((responses - responses.mean(0)) / responses.std(0))


@pytest.mark.data
def test_the_mouse_model_agrees_with_recordings_of_other_mice(data_dir):
    """The README of the data: .255, .200, .121; 99 % of permutations below .08."""
    path = real(data_dir, "mouse-v1-model", "sensorium_sota_model.pth")
    recordings = np.load(real(data_dir, "neural", "mouse_v1_antolik2016.npz"))
    predictor = neural.load_predictor("sensorium", path)
    assert predictor.name == "mouse V1, predicted, 7776 neurons, Willeke et al. 2022"
    predictor = dataclasses.replace(predictor, fit="stretch")
    for region, expected in ((1, 0.255), (2, 0.200), (3, 0.121)):
        images = recordings[f"region{region}_images"][:, None] / np.float32(255)
        recorded = recordings[f"region{region}_mean"].astype(np.float64)
        rows = predictor.predict(images).astype(np.float64)
        found = neural.similarity_correlation(of_profiles(rows), of_profiles(recorded))
        assert found == pytest.approx(expected, abs=0.001), region
        target = neural.Target(nf.response_similarity(rows), predictor.source)
        order = neural.image_order(images, recorded, expected=target)
        assert order.p_value < 0.02, region


def v4_session(data_dir, session, step=8):
    """Every eighth image of a session, and the responses to these images."""
    path = real(data_dir, "v4-recordings", f"images_{session}.zip")
    with zipfile.ZipFile(path) as archive:
        names = sorted(one for one in archive.namelist() if one.endswith(".jpg"))[
            ::step
        ]
        images = [Image.open(io.BytesIO(archive.read(one))) for one in names]
        pixels = np.stack([np.asarray(one.convert("RGB")) for one in images])
    means = np.load(data_dir / "v4-recordings" / "responses.npz")[f"mean_{session}"]
    return pixels.transpose(0, 3, 1, 2) / np.float32(255), means[::step]


@pytest.mark.data
@pytest.mark.timeout(600)  # 150 images take a busy processor more than a minute
@pytest.mark.parametrize(
    ("session", "r", "similarity"),
    [("190923", 0.701, 0.60), ("201025", 0.732, 0.72), ("210225", 0.664, 0.58)],
)
def test_the_v4_model_predicts_the_recordings(data_dir, session, r, similarity):
    """The README of the data: medians over neurons, there on every second image."""
    predictor = neural.load_predictor(
        "v4-compact", real(data_dir, "v4-model", "v4_shared_compact_200.pth")
    )
    images, recorded = v4_session(data_dir, session)
    rows = predictor.predict(images)[:, predictor.neuron["session"] == session]
    n = recorded.shape[1]
    every = np.corrcoef(rows.T, recorded.T)[:n, n:]
    assert np.median(np.diag(every)) == pytest.approx(r, abs=0.03)
    assert np.median(np.diag(np.roll(every, 1, axis=1))) < r - 0.4  # wrong neurons
    found = neural.similarity_correlation(of_profiles(rows), of_profiles(recorded))
    assert found == pytest.approx(similarity, abs=0.04)
    target = neural.Target(nf.response_similarity(rows), predictor.source)
    order = neural.image_order(images, recorded, expected=target, n_orders=100)
    assert order.problem == ""
    early = neural.image_order(
        images, np.roll(recorded, 1, axis=0), expected=target, n_orders=100
    )
    assert early.likely == "an order in which row i holds image i - 1"
