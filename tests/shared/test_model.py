"""Run a user's model: batches, modes, devices, copies, dtypes."""

import numpy as np
import pytest
import torch
from torch import nn

from neurofreq import ModelError, hybrid_curve
from neurofreq._shared.networks import calling
from neurofreq.attacks import BrendelBethge


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Dropout())


def test_predictions_do_not_depend_on_batches():
    images = np.random.default_rng(0).random((9, 3, 2, 2), dtype=np.float32)
    model = network().train()
    found = calling.predict(model, images[::-1], batch_size=4)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(images[::-1].copy()))
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad


def test_flags_come_back_one_by_one():
    model = network().train()
    model[2].eval()
    with calling.evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model] == [True, True, False]
    with calling.evaluating(lambda x: x):
        pass


def test_exported_programs_have_no_mode():
    exported = torch.export.export(network().eval(), (torch.zeros(2, 3, 2, 2),))
    logits = calling.predict(exported.module(), np.zeros((2, 3, 2, 2), np.float32))
    assert logits.shape == (2, 4)


def test_classes_may_not_change():
    images = np.zeros((3, 3, 2, 2), np.float32)
    with pytest.raises(ModelError, match="got 1 classes, expected 2"):
        calling.predict(lambda x: torch.zeros(len(x), len(x)), images, batch_size=2)
    with pytest.raises(ValueError, match="batch_size: got 0"):
        calling.predict(network(), images, batch_size=0)
    with pytest.raises(TypeError, match="batch_size: got float, expected an integer"):
        calling.predict(network(), images, batch_size=2.5)


def test_device_is_that_of_the_parameters():
    assert calling.device_of(network()).type == "cpu"
    assert calling.device_of(network().to("meta")).type == "meta"
    assert calling.device_of(print).type == "cpu"
    elsewhere = torch.zeros(1, device="meta")
    assert calling.device_of(print, elsewhere).type == "meta"
    assert calling.device_of(network(), elsewhere).type == "cpu"
    assert calling.device_of(print, np.zeros(1)).type == "cpu"


def test_a_model_may_write_into_its_images():
    images = torch.rand(3, 3, 2, 2)
    before = images.clone()
    calling.predict(lambda x: x.mul_(2.0).flatten(1), images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("layer", [nn.Linear(12, 4), nn.Conv2d(3, 4, 2)])
def test_a_refused_dtype_is_named(layer):
    flatten = nn.Flatten() if isinstance(layer, nn.Linear) else nn.Identity()
    model = nn.Sequential(flatten, layer, nn.Flatten())
    images = np.full((3, 3, 2, 2), 0.5)
    refused = "images: got float64 for a model of float32, expected both alike"
    with pytest.raises(TypeError, match=refused):
        calling.predict(model, images)
    with pytest.raises(TypeError, match=refused):
        BrendelBethge("l2")(model, torch.from_numpy(images), [0, 1, 2])
    # `hybrid_curve` makes the hybrids in the type of the model.
    made = hybrid_curve(model, images, [0, 1, 2], seeds=[0])
    single = hybrid_curve(model, images.astype(np.float32), [0, 1, 2], seeds=[0])
    np.testing.assert_array_equal(made.difference, single.difference)
    # A model that takes another type than its parameters', and a model that fails.
    cast = CastFirst(model)
    assert calling.predict(cast, images).shape == (3, 4)
    with pytest.raises(RuntimeError, match=r"shapes cannot|channels|size"):
        calling.predict(cast, images[..., :1, :1])


class CastFirst(nn.Sequential):
    def forward(self, images):
        return super().forward(images.float())
