"""Read the outputs of named layers of a user's network in one pass."""

from __future__ import annotations

import difflib
from contextlib import ExitStack
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.nn.parallel import DataParallel, DistributedDataParallel

from neurofreq._neurofreq import ModelError
from neurofreq._shared import runtime
from neurofreq._shared.networks import calling, passes
from neurofreq._shared.networks.stages import stages as stages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The pass of this thread: hooks of other passes ignore it.
_pass: ContextVar[object] = ContextVar("pass", default=None)


class _Reached(BaseException):
    """Ends a pass early, once the last layer has returned.

    Not an `Exception`, so that ``except Exception`` in the user's code does not catch
    it.
    """


class Features:
    """Reads layers of a model; hooks exist only while a pass runs.

    The model is not changed. A distributed or compiled model is unwrapped, and compiled
    parts run eagerly, because compiled code does not call hooks. For layers "auto",
    `stages` chooses the layers. `argument` names the layers in error messages, and
    `example` are images for the shapes in these. Raises
    TypeError for a model that is not a module, and ValueError for unknown or repeated
    layers, or for none.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[str] | str,
        argument: str = "layers",
        example: Any = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model: got {type(model).__name__}, expected an nn.Module")
        self.model = unwrapped(model)
        if layers == "auto":
            layers = stages(self.model, example)
        self.layers = _check_layers(self.model, layers)
        self._argument = argument
        # Layers that a gradient reaches, for each (training mode, gradients enabled).
        self._joined: dict[tuple[bool, bool], set[str]] = {}

    def of(
        self, images: Tensor, *, whole: bool = True, copies: bool = False
    ) -> tuple[Any, list[Tensor]]:
        """Return the outputs of the model and of its layers, from one pass.

        The model's output is None if the pass ended early (`whole` is False). Each
        layer's tensor has one row per image; a layer called several times gives its
        last output. The tensors have a graph, except with gradients off, with `copies`,
        or for layers before which all parameters are frozen. `copies` allows later
        modules to change a layer's output in place. Raises ModelError for a layer that
        cannot be used.

        After the first pass in each mode (training or evaluation, with or without
        gradients), a second pass with two or three images checks that the first axis
        is the batch: its length must follow the number of images. The second pass
        changes neither buffers nor random state.
        """
        one = _Pass(self, whole, copies)
        output = one.run(images)
        for name in self.layers:
            if name not in one.found:
                raise ModelError(
                    f"{self._argument}: {name!r} was not reached by the model's "
                    "forward pass"
                )
            if not isinstance(one.found[name], Tensor):
                raise ModelError(
                    f"{self._argument}: {name!r} returned "
                    f"{type(one.found[name]).__name__}, expected a Tensor"
                )
            if _version(one.found[name]) != one.versions[name]:
                raise ModelError(
                    f"{self._argument}: {name!r} is changed in place by a later "
                    "module; name that one, or make it work out of place "
                    "(inplace=False)"
                )
        self._check_rows(one.found, len(images))
        joined = self._look(images, whole)
        if torch.is_grad_enabled() and not copies:
            self._check_graph(one.found, joined)
        return output, [one.found[name] for name in self.layers]

    def _look(self, images: Tensor, whole: bool) -> set[str]:
        """Return the layers that a graph reaches; check rows once per mode."""
        state = getattr(self.model, "training", False), torch.is_grad_enabled()
        if state not in self._joined:
            few = 2 if len(images) != 2 else 3
            index = torch.arange(few, device=images.device) % len(images)
            sample = images.detach()[index].requires_grad_(state[1])
            one = _Pass(self, whole, copies=False)
            device = calling.device_of(self.model)
            with passes.undisturbed(self.model), runtime.seeded(0, device):
                one.run(sample)
            tensors = {k: v for k, v in one.found.items() if isinstance(v, Tensor)}
            self._check_rows(tensors, few)
            self._joined[state] = {k for k, v in tensors.items() if v.requires_grad}
        return self._joined[state]

    def _check_rows(self, found: Mapping[str, Tensor], n_images: int) -> None:
        for name, output in found.items():
            if output.shape[:1] != (n_images,):
                raise ModelError(
                    f"{self._argument}: {name!r} returned shape {tuple(output.shape)} "
                    f"for {n_images} images, expected a row for each"
                )

    def _check_graph(self, found: Mapping[str, Tensor], joined: set[str]) -> None:
        without = [name for name in self.layers if not found[name].requires_grad]
        for name in without:
            if name not in joined:
                raise ModelError(
                    f"{self._argument}: {name!r} returned no graph, expected one to "
                    "train by: it ran without gradients (torch.no_grad, "
                    "inference_mode, detach, or checkpointing with use_reentrant=True)"
                )
        if len(without) == len(self.layers):
            raise ModelError(
                f"{self._argument}: got {without}, before which all parameters are "
                "frozen (requires_grad=False), expected one to train; to measure "
                "without training, use torch.no_grad()"
            )


class _Pass:
    """One pass; its hooks record layer outputs in this thread only."""

    def __init__(self, features: Features, whole: bool, copies: bool) -> None:
        self.model, self.layers = features.model, features.layers
        # An early end would skip hooks of the user that must always run.
        self.whole = whole or bool(
            torch_modules._global_forward_hooks_always_called
            or any(m._forward_hooks_always_called for m in self.model.modules())
        )
        self.copies = copies
        self.found: dict[str, Any] = {}
        self.versions: dict[str, int] = {}
        self._end = _Reached()

    def run(self, images: Tensor) -> Any:
        """Return the model's output, or None if the pass ended early."""
        shown = images.to(calling.device_of(self.model), copy=True)
        with ExitStack() as undo:
            undo.enter_context(passes.eagerly())
            undo.callback(_pass.reset, _pass.set(self))
            for hook in self._hooks():
                undo.enter_context(hook)
            try:
                return self.model(shown)
            except BaseException as error:
                if not self._has_ended(error):
                    raise
                return None

    def _hooks(self) -> Iterator[Any]:
        modules = passes.named(self.model)
        for name in self.layers:

            def keep(_: Any, __: Any, output: Any, name: str = name) -> None:
                if _pass.get() is self:
                    self._keep(name, output)

            yield modules[passes.plain(name)].register_forward_hook(keep)

    def _keep(self, name: str, output: Any) -> None:
        if isinstance(output, Tensor) and self.copies:
            output = output.detach().clone()
        self.found[name], self.versions[name] = output, _version(output)
        if not self.whole and len(self.found) == len(self.layers):
            raise self._end

    def _has_ended(self, error: BaseException) -> bool:
        """Return whether the error is our `_Reached`, or was raised because of it."""
        if error is self._end:
            return True
        before = [one for one in (error.__cause__, error.__context__) if one]
        return isinstance(error, Exception) and any(map(self._has_ended, before))


def _version(output: Any) -> int:
    """Return how often a tensor was changed in place; 0 where torch does not count."""
    counts = isinstance(output, Tensor) and not output.is_inference()
    return output._version if counts else 0


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside (Distributed)DataParallel and ``torch.compile``."""
    while True:
        children = dict(model.named_children())
        if isinstance(model, (DistributedDataParallel, DataParallel)):
            model = model.module
        elif "_orig_mod" in children:
            model = children["_orig_mod"]
        else:
            return model


def _check_layers(model: nn.Module, layers: Sequence[str] | str) -> list[str]:
    if isinstance(layers, str):
        raise TypeError(
            f"layers: got the single string {layers!r}, expected a sequence of names "
            "or 'auto'"
        )
    names = list(layers)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"layers: got {names}, expected distinct names, at least one")
    known = [name for name in passes.named(model) if name]
    for name in names:
        if passes.plain(str(name)) not in known:
            nearest = difflib.get_close_matches(str(name), known, 3, 0.0)
            raise ValueError(
                f"layers: the model has no {name!r}; the nearest names are "
                f"{', '.join(map(repr, nearest)) or 'none'}"
            )
    return names
