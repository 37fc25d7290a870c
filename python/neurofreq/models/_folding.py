"""Fold batch normalization into the convolutions before it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch.fx
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling

if TYPE_CHECKING:
    from neurofreq._shared.inputs.validate import Array

# float32 rounding reaches 2e-5 behind a strong blur; a wrong fold differs far more.
TOLERANCE = 1e-4


def fold_batch_norm(
    model: nn.Module, images: Array, *, tolerance: float = TOLERANCE
) -> nn.Module:
    """Return a copy of a model whose batch norms are folded into its convolutions.

    In evaluation mode, a batch norm is a fixed scale and shift per channel. In the
    copy, the convolution before the batch norm includes this scale and shift. The copy
    computes the same function with fewer passes over memory. Use it to measure, not to
    train.

    Parameters
    ----------
    model : nn.Module
        The model does not change. ``torch.fx`` must be able to trace it.
    images : ndarray or Tensor, shape (N, C, H, W)
        Images in [0, 1], on which model and copy are compared.
    tolerance : float
        The largest allowed difference of logits, relative to the largest logit.

    Returns
    -------
    nn.Module
        In evaluation mode, on the same device.

    Raises
    ------
    TypeError
        If `model` is not a module.
    ValueError
        If the model cannot be traced, or the copy differs by more than
        `tolerance`.

    Notes
    -----
    An exception that the model raises for `images` is passed on unchanged.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=4).images
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> folded = nf.models.fold_batch_norm(model, images)
    >>> any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
    False
    """
    if not isinstance(model, nn.Module):
        got = validate.shown(model)
        raise TypeError(f"model: got {got}, expected an nn.Module")
    tolerance = validate.number("tolerance", tolerance)
    positive = 0.0 <= tolerance < float("inf")
    validate.within("tolerance", tolerance, positive, "0 or more")
    checked = calling.to_tensor(validate.images(images), calling.device_of(model))
    expected = calling.predict(model, checked)  # the model's own errors pass through
    with calling.evaluating(model):
        copied = copy.deepcopy(model)
    folded = _folded(_traced(copied))
    difference = float((calling.predict(folded, checked) - expected).abs().max())
    scale = float(expected.abs().max())
    if difference > tolerance * scale:
        raise ValueError(
            f"model: got logits that differ by {difference:.3g} after folding, "
            f"expected at most {tolerance:g} of the largest, {scale:.3g}"
        )
    return folded


def _traced(model: nn.Module) -> torch.fx.GraphModule:
    """Trace a model that has already run, so that any error is due to tracing."""
    try:
        return torch.fx.symbolic_trace(model)
    except Exception as error:  # the user's code may raise anything on traced values
        raise ValueError(
            f"model: got one that cannot be traced, expected one without control flow "
            f"that depends on values ({type(error).__name__}: {error})"
        ) from error


def _folded(graph: torch.fx.GraphModule) -> nn.Module:
    """Fold each batch norm whose input is a convolution that nothing else uses."""
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        source = node.all_input_nodes[0]
        convolution = modules.get(str(source.target))
        if not isinstance(convolution, nn.Conv2d) or len(source.users) > 1:
            continue
        parent, _, name = str(source.target).rpartition(".")
        setattr(graph.get_submodule(parent), name, fuse_conv_bn_eval(convolution, norm))
        node.replace_all_uses_with(source)
        graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph.eval()
