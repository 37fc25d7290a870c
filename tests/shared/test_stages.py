"""The layers of "auto": stem and stages of known networks, and lists for others."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import neurofreq as nf
from neurofreq._shared.networks import features, stages


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        (
            "resnet18_gray,base_width=2",
            ["relu", "layer1", "layer2", "layer3", "layer4"],
        ),
        ("small_cnn,width=2", ["stage1", "stage2", "stage3"]),
        ("torchvision:vgg11,n_classes=2", [f"features.{i}" for i in (1, 4, 9, 14, 19)]),
        (
            "vgg19_bn,base_width=4",
            ["shared.5", "shared.12", "private.25", "private.38", "private.51"],
        ),
    ],
)
def test_auto_is_the_stages(spec, layers):
    found = stages.stages(nf.models.load_model(spec))
    assert [name.removeprefix("network.") for name in found] == layers


def numbered(prefix, *places):
    return [f"{prefix}{place}" for place in places]


DENSE = ["features.relu0", *numbered("features.denseblock", 1, 2, 3, 4)]
TORCHVISION = {
    "resnext50_32x4d": ["relu", *numbered("layer", 1, 2, 3, 4)],
    "wide_resnet50_2": ["relu", *numbered("layer", 1, 2, 3, 4)],
    "densenet121": DENSE,
    "efficientnet_b0": numbered("features.", *range(9)),
    "efficientnet_v2_s": numbered("features.", *range(8)),
    "convnext_tiny": numbered("features.", 0, 1, 3, 5, 7),
    "swin_t": numbered("features.", 0, 1, 3, 5, 7),
    "swin_v2_t": numbered("features.", 0, 1, 3, 5, 7),
    "vit_b_32": numbered("encoder.layers.encoder_layer_", *range(12)),
}
TIMM = {
    "resnet18": ["act1", *numbered("layer", 1, 2, 3, 4)],
    "resnet50d": ["act1", *numbered("layer", 1, 2, 3, 4)],
    "densenet121": ["features.norm0", *DENSE[1:]],
    "efficientnet_b0": ["bn1", *numbered("blocks.", *range(7)), "bn2"],
    "efficientnetv2_rw_t": ["bn1", *numbered("blocks.", *range(6)), "bn2"],
    "convnext_tiny": ["stem", *numbered("stages.", *range(4))],
    "convnextv2_nano": ["stem", *numbered("stages.", *range(4))],
    "swin_tiny_patch4_window7_224": ["patch_embed", *numbered("layers.", *range(4))],
    "vit_tiny_patch16_224": numbered("blocks.", *range(12)),
    "deit_tiny_distilled_patch16_224": numbered("blocks.", *range(12)),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_auto_finds_the_stages_of_torchvision(name):
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
    assert stages.stages(model) == TORCHVISION[name]


@pytest.mark.parametrize("name", TIMM)
def test_auto_finds_the_stages_of_timm(name):
    timm = pytest.importorskip("timm", reason="needs timm, which is optional")
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    assert stages.stages(model) == TIMM[name]


@pytest.mark.parametrize("name", ["convnext_tiny", "swin_t", "densenet121"])
def test_layers_of_auto_can_be_read(name):
    model = torchvision.models.get_model(name, weights=None, num_classes=2).eval()
    with torch.no_grad():
        found = features.Features(model, "auto").of(torch.rand(2, 3, 64, 64))[1]
    assert len(found) == len(TORCHVISION[name])
    assert all(len(one) == 2 and one.abs().sum() > 0 for one in found)


@pytest.mark.parametrize("name", ["convnext_tiny", "densenet121", "vit_b_32"])
def test_a_convolution_elsewhere_refuses_every_family(name):
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
        model.extra = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="layers: got 'auto'"):
        stages.stages(model)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
        self.head = nn.Linear(5, 2)

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))


def test_without_auto_the_layers_are_listed_with_their_shapes():
    model = Plain()
    wanted = r"body\.0 \(2, 4, 6, 6\), .*body\.2 \(2, 5, 4, 4\), head \(2, 2\)$"
    images = torch.rand(4, 3, 8, 8)
    with pytest.raises(ValueError, match=wanted):
        features.Features(model, "auto", example=images)
    with pytest.raises(ValueError, match=wanted):
        nf.SimilarityRegularizer(model, "auto", np.eye(4), images.numpy())
    without = r"such as body\.0, body\.1, body\.2, head$"
    for bad in (None, torch.rand(4, 1, 8, 8), np.zeros(3), object()):
        with pytest.raises(ValueError, match=without):
            stages.stages(model, bad)
    assert not any(module._forward_hooks for module in model.modules())


def test_no_stages_are_named():
    with pytest.raises(ValueError, match="layers: got 'auto' for a model that is not"):
        stages.stages(nn.Sequential(nn.Linear(2, 2)))


@pytest.mark.parametrize(
    "name",
    ["squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "fcn_resnet50",
     "ssd300_vgg16", "r3d_18", "mnasnet0_5", "fasterrcnn_resnet50_fpn"],
)  # fmt: skip
def test_families_whose_stages_are_not_known_are_refused(name):
    keywords = (
        {"weights_backbone": None} if "_resnet50" in name or "ssd" in name else {}
    )
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, **keywords)
    with pytest.raises(ValueError, match="layers: got 'auto' for a model that is not"):
        stages.stages(model)


def test_a_part_of_a_network_is_not_taken_for_the_whole():
    whole = torchvision.models.resnet18()
    assert stages.stages(whole)[0] == "relu"
    whole.extra = nn.Conv2d(512, 8, 1)
    with pytest.raises(ValueError, match="layers: got 'auto'"):
        stages.stages(whole)
    vgg = nn.Module()
    vgg.features = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU()
    )
    with pytest.raises(ValueError, match="layers: got 'auto'"):
        stages.stages(vgg)
    vgg.features.append(nn.MaxPool2d(2))
    assert stages.stages(vgg) == ["features.1", "features.4"]
