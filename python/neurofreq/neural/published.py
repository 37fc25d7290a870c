"""Published networks that predict responses, and their files of weights.

The networks are written from their published descriptions. Their modules have the names
of the keys in the files, as far as these keys are modules here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neurofreq._shared import runtime
from neurofreq._shared.inputs import validate
from neurofreq.models import weight_files
from neurofreq.neural._predictor import Predictor
from neurofreq.neural.network import PointReadout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_SCREEN = (36, 64)
"""Height and width of the images of SENSORIUM."""

# Parts of a file of SENSORIUM that only training uses.
_UNUSED = ("_input_weights_regularizer", "num_batches_tracked", ".sigma")

_V4_SIZE = (112, 112)
_V4_MEAN = (116.222, 109.270, 100.381)
# Neurons of each session in the published file of 219 neurons, in its order.
_V4_SESSIONS = {"190923": 33, "201025": 89, "210225": 55, "211022": 42}


def load_predictor(
    name: str, path: Path | str, *, device: torch.device | str = "cpu"
) -> Predictor:
    """Read a published model of visual cortex from its file of weights.

    Nothing is downloaded, and no code of the file runs.

    Parameters
    ----------
    name : {"sensorium", "v4-compact"}
        - "sensorium": mouse V1, a stacked core with a full Gaussian read-out (Willeke
          et al. 2022; Lurz et al. 2021), such as ``sensorium_sota_model.pth``, with
          7,776 neurons of scan 26872-17-20. Models with a shifter or with behavior
          are refused.
        - "v4-compact": macaque V4, the shared compact model of 219 neurons of four
          sessions (Cowley et al. 2023), with the names of its layers in torch.
    path : path
        A torch or safetensors file of tensors. If the file has the read-outs of several
        scans, ``FILE#SCAN`` chooses one.
    device : torch.device or str
        The network is moved to this device.

    Returns
    -------
    Predictor
        Its `recordings`, `size` and other fields state the source and the
        preprocessing. Use ``dataclasses.replace(predictor, mean=..., std=...)`` if you
        know the exact statistics of the images that the model was fitted to.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the name is unknown, or the file does not hold such a model.

    Notes
    -----
    SENSORIUM shows gray images of 36 x 64 pixels, standardized with the mean and the
    standard deviation of the scan's images. These are in the recordings and not in the
    file: about 113 and 59 for pixels from 0 to 255.

    References
    ----------
    Willeke et al. 2022, arXiv 2206.08666; Lurz et al. 2021, ICLR; Cowley, Stan, Pillow,
    Smith 2023, bioRxiv 2023.11.22.568315.

    Examples
    --------
    >>> import neurofreq as nf
    >>> nf.neural.load_predictor("sensorium", "absent.pth")
    Traceback (most recent call last):
        ...
    FileNotFoundError: weights: there is no file absent.pth
    """
    validate.one_of("name", name, tuple(READERS))
    place = validate.device(device)
    file, part = weight_files.split(validate.path("path", path))
    tensors = weight_files.read(file).tensors
    with torch.device("cpu"), runtime.seeded(0):  # keep torch's random state
        predictor = READERS[name](tensors, file, part)
    cast("nn.Module", predictor.model).to(place)
    return predictor


def _sensorium(tensors: Mapping[str, Tensor], file: Path, scan: str) -> Predictor:
    """Return the predictor of one scan in a file of SENSORIUM."""
    used = {k: one for k, one in tensors.items() if not any(u in k for u in _UNUSED)}
    scans = {k.split(".")[1] for k in used if k.startswith("readout.")}
    if scan:
        scans &= {scan}
    if len(scans) != 1:
        known = sorted({k.split(".")[1] for k in used if k.startswith("readout.")})
        raise ValueError(
            f"path: {file} has the read-outs of scans {known[:5]}, expected one scan: "
            f"FILE#SCAN"
        )
    (scan,) = scans
    core = _under(used, "core.features.")
    readout = _under(used, f"readout.{scan}.")
    others = [k for k in used if not k.startswith(("core.features.", "readout."))]
    missing = {"layer0.conv.weight", "layer0.norm.weight"} - core.keys()
    missing |= _READOUT - readout.keys()
    if missing or others:
        raise ValueError(
            f"path: {file} is no stacked core with a full Gaussian read-out: it lacks "
            f"{sorted(missing)} and also has {others[:3]}"
        )
    network = nn.Sequential(_StackedCore(core, file), _readout(readout, core))
    n_neurons = len(readout["bias"])
    return Predictor(
        network.eval(),
        recordings=f"mouse V1, predicted, {n_neurons} neurons, Willeke et al. 2022",
        gray=True, size=_SCREEN, value_range=(0.0, 255.0), mean=113.0, std=59.0,
        batch_size=32, neuron={"scan": np.full(n_neurons, scan)},
    )  # fmt: skip


_READOUT = {
    "_features", "bias", "source_grid", "mu_transform.0.weight",
    "mu_transform.0.bias", "mu_transform.2.weight", "mu_transform.2.bias",
}  # fmt: skip


class _StackedCore(nn.Module):
    """One convolution and then depth-separable ones, without padding in the first.

    Batch norm and ELU follow each convolution. The output is that of the last layer.
    """

    def __init__(self, tensors: Mapping[str, Tensor], file: Path) -> None:
        super().__init__()
        n_channels, n_inputs, size, _ = tensors["layer0.conv.weight"].shape
        n_layers = len({key.split(".")[0] for key in tensors})
        first = nn.Conv2d(n_inputs, n_channels, size, bias=False)
        layers = [self._layer(n_channels, conv=first)]
        for number in range(1, n_layers):
            key = f"layer{number}.ds_conv.spatial_conv.weight"
            if key not in tensors:
                raise ValueError(f"path: {file} lacks core.features.{key}")
            layers.append(
                self._layer(
                    n_channels, ds_conv=self._separable(n_channels, tensors[key])
                )
            )
        self.features = nn.Sequential(_named(layers))
        _fill(self.features, tensors, file)

    @staticmethod
    def _layer(n_channels: int, **convolution: nn.Module) -> nn.Module:
        norm = nn.BatchNorm2d(n_channels)
        return nn.Sequential(OrderedDict(convolution | {"norm": norm, "elu": nn.ELU()}))

    @staticmethod
    def _separable(n: int, spatial: Tensor) -> nn.Module:
        size = spatial.shape[-1]
        between = nn.Conv2d(n, n, size, padding=size // 2, groups=n, bias=False)
        parts = {
            "in_depth_conv": nn.Conv2d(n, n, 1, bias=False),
            "spatial_conv": between,
            "out_depth_conv": nn.Conv2d(n, n, 1, bias=False),
        }
        return nn.Sequential(OrderedDict(parts))

    def forward(self, images: Tensor) -> Tensor:
        """Return the last layer, (N, C, H - k + 1, W - k + 1)."""
        return self.features(images)


def _readout(tensors: Mapping[str, Tensor], core: Mapping[str, Tensor]) -> PointReadout:
    """Return a full Gaussian read-out as a `PointReadout` at the Gaussians' means.

    The published positions put -1 and 1 on the centers of the outer pixels of the
    core's output, and those of `PointReadout` on their outer edges.
    """
    first, second = (
        (tensors[f"mu_transform.{k}.weight"], tensors[f"mu_transform.{k}.bias"])
        for k in (0, 2)
    )
    hidden = F.elu(F.linear(tensors["source_grid"], *first))
    position = torch.tanh(F.linear(hidden, *second))
    border = core["layer0.conv.weight"].shape[-1] - 1
    height, width = (side - border for side in _SCREEN)
    position = position * torch.tensor([(width - 1) / width, (height - 1) / height])
    weights = tensors["_features"][0, :, 0].T
    readout = PointReadout(tensors["bias"], weights.shape[1], 1, positive=True)
    with torch.no_grad():
        for own, one in (
            (readout.position, position), (readout.weights, weights),
            (readout.bias, tensors["bias"]),
        ):  # fmt: skip
            own.copy_(one)
    return readout


def _v4_compact(tensors: Mapping[str, Tensor], file: Path, part: str) -> Predictor:
    """Return the predictor of a file of the compact model of V4."""
    if part:
        raise ValueError(f"path: got part {part!r}, expected {file} without a part")
    missing = {"layer0.conv.weight", "mixing.weight", "pool.weight"} - tensors.keys()
    if missing:
        raise ValueError(
            f"path: {file} is no compact model of V4: it lacks {sorted(missing)}"
        )
    network = _CompactV4(tensors, file).eval()
    n_neurons = len(tensors["pool.weight"])
    sessions: NDArray[Any] = np.repeat(list(_V4_SESSIONS), list(_V4_SESSIONS.values()))
    neuron = {"session": sessions} if len(sessions) == n_neurons else {}
    return Predictor(
        network,
        recordings=f"macaque V4, predicted, {n_neurons} neurons, Cowley et al. 2023",
        gray=False, size=_V4_SIZE, value_range=(0.0, 255.0), mean=_V4_MEAN,
        batch_size=32, neuron=neuron,
    )  # fmt: skip


class _CompactV4(nn.Module):
    """A convolution, four depth-separable ones, and one map and filter per neuron."""

    def __init__(self, tensors: Mapping[str, Tensor], file: Path) -> None:
        super().__init__()
        n_channels, n_inputs, size, _ = tensors["layer0.conv.weight"].shape
        n_layers = len({key.split(".")[0] for key in tensors if "layer" in key})
        first = nn.Conv2d(n_inputs, n_channels, size)
        layers: list[nn.Module] = [_SameLayer(1, conv=first)]
        for number in range(1, n_layers):
            key = f"layer{number}.pointwise.weight"
            if key not in tensors:
                raise ValueError(f"path: {file} lacks {key}")
            n_next = len(tensors[key])
            stride = 2 if number in (1, 2) else 1
            depthwise = nn.Conv2d(
                n_channels, n_channels, size, stride, groups=n_channels, bias=False
            )
            pointwise = nn.Conv2d(n_channels, n_next, 1)
            layers.append(_SameLayer(stride, depthwise=depthwise, pointwise=pointwise))
            n_channels = n_next
        self.layers = nn.Sequential(_named(layers))
        n_neurons, _, height, width = tensors["pool.weight"].shape
        self.mixing = nn.Conv2d(n_channels, n_neurons, 1)
        self.pool = nn.Conv2d(n_neurons, n_neurons, (height, width), groups=n_neurons)
        prefixed = {
            f"layers.{key}" if key.startswith("layer") else key: one
            for key, one in tensors.items()
        }
        _fill(self, prefixed, file)

    def forward(self, images: Tensor) -> Tensor:
        """Return responses, (N, K)."""
        maps = self.mixing(self.layers(images))
        return self.pool(maps).flatten(1)


class _SameLayer(nn.Module):
    """Convolutions with TensorFlow's padding "same", batch norm and ReLU.

    For an even number of pixels and stride 2, this padding is one pixel wider at the
    end than at the beginning.
    """

    def __init__(self, stride: int, **convolutions: nn.Conv2d) -> None:
        super().__init__()
        for name, one in convolutions.items():
            self.add_module(name, one)
        *_, last = convolutions.values()
        self.bn = nn.BatchNorm2d(last.out_channels, eps=1e-3)
        first = next(iter(convolutions.values()))
        self.total = first.kernel_size[0] - stride

    def forward(self, images: Tensor) -> Tensor:
        """Return the maps of the layer."""
        before = self.total // 2
        maps = F.pad(images, (before, self.total - before) * 2)
        for one in self.children():
            maps = one(maps)
        return F.relu(maps)


def _named(layers: list[nn.Module]) -> OrderedDict[str, nn.Module]:
    return OrderedDict({f"layer{number}": one for number, one in enumerate(layers)})


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): one
        for key, one in tensors.items()
        if key.startswith(prefix)
    }


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Load weights; raise ValueError if keys or shapes differ."""
    counters = {
        key: one
        for key, one in module.state_dict().items()
        if key.endswith("num_batches_tracked")
    }
    try:
        module.load_state_dict({**counters, **tensors})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"path: {file} does not fit its network ({reason})") from error


READERS: dict[str, Callable[[Mapping[str, Tensor], Path, str], Predictor]] = {
    "sensorium": _sensorium,
    "v4-compact": _v4_compact,
}
