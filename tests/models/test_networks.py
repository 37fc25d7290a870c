"""Architectures: shapes, published sizes, names of layers."""

import pytest
import torch
from torch import nn

from neurofreq import models

BUILT_IN = [
    info
    for info in models.list_models()
    if info.availability == "built in" and "pca" not in info.name
]


@pytest.mark.parametrize("info", BUILT_IN, ids=lambda info: info.name)
def test_every_built_in_model_maps_images_to_logits(info):
    narrow = info.name.startswith(("resnet18", "vgg19"))
    model = models.load_model(info.name + (",base_width=4" if narrow else ""))
    assert not model.training
    assert model.in_channels == info.in_channels
    side = 64 if info.name in ("vgg19_bn", "torchvision:resnet50,blur=3") else 32
    with torch.no_grad():
        logits = model(torch.rand(2, info.in_channels, side, side))
    assert logits.shape == (2, info.n_classes)
    assert logits.isfinite().all()


# Parameter counts: He et al. 2016 (0.27 M), and a ResNet-18 for small images,
# 11,173,962 in color, minus 2 * 9 * 64 weights of the other input channels.
# A 7x7 stem has 40 * 64 more weights per input channel.
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet20", 269_722),
        ("resnet18", 11_173_962),
        ("resnet18,stem=7", 11_173_962 + 3 * 40 * 64),
        ("resnet18_gray", 11_172_810),
    ],
)
def test_parameter_counts_are_the_published_ones(name, count):
    model = models.load_model(name)
    assert sum(p.numel() for p in model.parameters()) == count


def test_option_a_shortcut_subsamples_and_pads():
    features = torch.rand(1, 2, 4, 4)
    out = models.SubsampledIdentity(2, 4)(features)
    torch.testing.assert_close(out[:, 1:3], features[:, :, ::2, ::2])
    assert not out[:, [0, 3]].any()


def test_a_wider_base_width_scales_every_stage():
    narrow, wide = (models.resnet18(base_width=width) for width in (4, 8))
    for index, factor in enumerate((1, 2, 4, 8)):
        first = narrow.get_submodule(f"network.layer{index + 1}")[1].conv2
        second = wide.get_submodule(f"network.layer{index + 1}")[1].conv2
        assert (first.out_channels, second.out_channels) == (4 * factor, 8 * factor)


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    return models.vgg19_bn(base_width=8, n_classes=5).eval()


def test_vgg_features_are_torchvisions():
    from torchvision.models import vgg19_bn as reference

    with torch.device("meta"):
        ours, theirs = models.vgg19_bn(), reference()
    features = [*ours.network.shared, *ours.network.private]
    assert [str(one) for one in features] == [str(one) for one in theirs.features]
    # 512 * 4096, 4096 * 4096 and 4096 * 200 weights, and biases.
    count = sum(p.numel() for p in ours.network.readout.parameters())
    assert count == 513 * 4096 + 4097 * 4096 + 4097 * 200


def test_vgg_computes_what_torchvisions_features_do():
    from torchvision.models import vgg

    model = models.vgg19_bn(base_width=8, n_classes=5).eval()
    layout = [one if one == "M" else one // 8 for one in vgg.cfgs["E"]]
    features = vgg.make_layers(layout, batch_norm=True).eval()
    network = model.network
    states = [network.shared.state_dict(), network.private.state_dict()]
    features.load_state_dict(states[0] | states[1])
    images = torch.rand(3, 1, 64, 64)
    with torch.no_grad():
        normalized = ((images - 0.4519) / 0.2221).expand(-1, 3, -1, -1)
        expected = network.readout[:-2](features(normalized)).amax(dim=(2, 3))
        torch.testing.assert_close(model(images), expected)


def test_the_trunk_of_vgg_is_reached_by_a_hook(vgg):
    seen = []
    trunk = vgg.get_submodule("network.shared")
    hook = trunk.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        vgg(torch.rand(2, 1, 64, 64))
    hook.remove()
    assert len(trunk) == 17
    assert isinstance(trunk[-1], nn.ReLU)
    assert seen[0].shape == (2, 4 * 8, 16, 16)
    assert seen[0].min() == 0.0


def test_vgg_takes_gray_images_only(vgg):
    assert vgg.in_channels == 1
    with pytest.raises(ValueError, match="images: got 3 channels, expected 1"):
        vgg(torch.rand(2, 3, 64, 64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.vgg19_bn(base_width=0), "base_width: got 0"),
        (lambda: models.vgg19_bn(n_classes=0), "n_classes: got 0"),
        (lambda: models.resnet18(base_width=-1), "base_width: got -1"),
        (lambda: models.resnet18(n_classes=0), "n_classes: got 0"),
        (lambda: models.resnet18_gray(stem=5), "stem: got 5, expected 3 or 7"),
        (lambda: models.small_cnn(width=0), "width: got 0"),
        (
            lambda: models.Normalized(nn.Identity(), (0.5,), (0.2, 0.2)),
            "std: got 2 values, expected 1",
        ),
    ],
)
def test_impossible_sizes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
