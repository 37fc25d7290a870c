"""A training step that is recorded once in a CUDA graph and then replayed."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from neurofreq._neurofreq import ModelError
from neurofreq._shared.inputs import validate
from neurofreq._shared.networks import calling, graphs
from neurofreq._shared.ranks import Ranks
from neurofreq.training._form import Form
from neurofreq.training._losses import Losses
from neurofreq.training._objective import Objective, Settings
from neurofreq.training._recorded import Recorded
from neurofreq.training._step import take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn
    from typing_extensions import Self

    from neurofreq._shared.networks.graphs import Graphs
    from neurofreq.training._objective import Regularizer

MOST = 4
"""Graphs that are kept; further shapes run eagerly."""
MOST_FORMS = 16


class CapturedStep:
    """Take optimizer steps as `training_step`, recorded in CUDA graphs.

    On a CUDA device, the first three steps of each shape of inputs run as usual. The
    next step is recorded, and later steps replay the recording. A replay needs no time
    of the host for each operator, and the host does not wait for the device: it reads
    the losses of a step while the next step runs. On other devices, and for models that
    cannot be recorded, each call is a `training_step`.

    Parameters
    ----------
    model, optimizer, regularizer, alpha, joint, autocast, label_smoothing, consistency
        As in `training_step`. The optimizer must be SGD, Adam or AdamW. Change learning
        rates in ``optimizer.param_groups`` or with a scheduler, as usual.
    capture : bool, optional
        None (default) records on a CUDA device if possible, and otherwise warns with
        the reason. True raises ValueError instead of the warning. False never records.

    Attributes
    ----------
    refusal : str or None
        The reason why steps are not recorded.
    n_replayed : int
        Number of steps that were replayed.

    Raises
    ------
    ModelError
        As in `training_step`. If a recorded step fails, the next call, `finish` or
        reading its losses raises the error, which names the number of the step. The
        failed step and the later step that was already queued do not change
        parameters, optimizer, running means or the regularizer's count of steps. The
        queued step still updates batch norm's running averages.
    TypeError, ValueError
        As in `training_step`.

    Warns
    -----
    UserWarning
        If steps are not recorded on a CUDA device, or the model returns probabilities.

    Notes
    -----
    A recording repeats the model's operators, with other inputs, random numbers of the
    device and learning rates. It does not repeat Python code: counters, prints and
    hooks of the model run only in the first four steps of each shape. A model that
    reads values of the device, draws random numbers on the host, or uses other
    operators in another call is not recorded. If parameters move to other memory, or
    settings of the optimizer or training flags change, the step is recorded again.

    While a `CapturedStep` is open, use the optimizer only through it. `close`, or the
    end of a ``with`` block, checks the last step and releases the recordings.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> data = nf.data.load_data("synthetic", split="train", n=32)
    >>> images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    >>> model = nf.models.small_cnn()
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    >>> with nf.training.CapturedStep(model, optimizer) as step:
    ...     losses = [step(images, labels) for _ in range(3)]
    >>> losses[2]["loss"] < losses[0]["loss"]
    True
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        regularizer: Regularizer | None = None,
        alpha: float = 20.0,
        *,
        joint: bool = False,
        autocast: torch.dtype | None = None,
        label_smoothing: float = 0.0,
        consistency: float = 12.0,
        capture: bool | None = None,
    ) -> None:
        settings = Settings(
            alpha=alpha,
            joint=joint,
            autocast=autocast,
            label_smoothing=label_smoothing,
            consistency=consistency,
        )
        self._objective = Objective(model, regularizer, settings)
        self._optimizer = Recorded(optimizer)
        self._must = capture is True
        if capture is not None:
            capture = validate.flag("capture", capture)
        self._device = calling.device_of(model)
        self._graphs = None if capture is False else graphs.cuda_graphs(self._device)
        self._bad = torch.zeros((), device=self._device)
        self._forms: dict[Any, Form] = {}
        self._last: Losses | None = None
        self._n_steps = 0
        self.n_replayed = 0
        self.refusal: str | None = None
        if self._graphs is None:
            self.refusal = f"the model is on {self._device}, not on a CUDA device"
            if self._must:
                raise ValueError(f"capture: got True, but {self.refusal}")
            if capture is False:
                self.refusal = "capture is False"
        elif reason := self._problem():
            self._refuse(reason)

    def __call__(
        self, images: Tensor, labels: Tensor, views: Sequence[Tensor] = ()
    ) -> Losses:
        """Take one step.

        Parameters
        ----------
        images, labels, views
            As in `training_step`. Labels may be on the host.

        Returns
        -------
        Losses
            A mapping from names to numbers, as `training_step` returns. Reading a
            number waits until the step is done.
        """
        before = self._last
        losses = self.launch(images, labels, views, f"step {self._n_steps + 1}")
        self.settle(before)
        return losses

    def launch(
        self, images: Tensor, labels: Tensor, views: Sequence[Tensor], place: str
    ) -> Losses:
        """Take one step without a check of the step before; `place` names the step."""
        self._objective.check(images, labels, views)
        self._n_steps += 1
        if self._graphs is None:
            losses = self._eager(images, labels, views)
        else:
            losses = self._recorded(self._graphs, images, labels, views, place)
        self._last = losses
        return losses

    def settle(self, losses: Losses | None) -> None:
        """Wait for a step and check it; after an error, further steps are possible."""
        if losses is None:
            return
        try:
            losses.check()
        except (ModelError, ValueError):
            is_queued = self._last is not None and self._last is not losses
            self._count(-2 if is_queued else -1)
            self._bad.zero_()
            self._last = None
            self._optimizer.optimizer.zero_grad(set_to_none=True)
            raise

    def finish(self) -> None:
        """Wait for the last step and check it."""
        self.settle(self._last)

    def close(self) -> None:
        """Release the recordings and restore the optimizer."""
        self._forms.clear()
        self._graphs = None
        self._optimizer.close()

    def __enter__(self) -> Self:
        """Return the step; it is closed at the end of the block."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Check the last step, unless an error is raised, and close."""
        try:
            if kind is None:
                self.finish()
        finally:
            self.close()

    def _eager(self, images: Tensor, labels: Tensor, views: Sequence[Tensor]) -> Losses:
        objective = self._objective
        labels = labels.to(images.device)
        batch = images, labels, views
        drawn = objective.sent(images.device)
        optimizer = self._optimizer.optimizer
        losses, later = take(objective, optimizer, batch, drawn, stacklevel=5)
        objective.keep(later)
        return Losses(lambda: losses)

    def _recorded(
        self,
        made: Graphs,
        images: Tensor,
        labels: Tensor,
        views: Sequence[Tensor],
        place: str,
    ) -> Losses:
        """Take a step on static inputs: eagerly at first, then from a recording."""
        attached = self._objective.attached
        drawn = [] if attached is None else attached.drawn()
        inputs = [images, labels, *views, *drawn, self._optimizer.rates()]
        form = self._form(inputs, len(views))
        form.fill(inputs)
        if form.replay is not None and form.addresses != self._addresses():
            form.replay = None
        if form.replay is None and not self._record(made, form):
            return self._warm(made, form)
        return self._replay(made, form, place)

    def _warm(self, made: Graphs, form: Form) -> Losses:
        """Take a step eagerly, on the static inputs of a form."""
        is_watched = form.n_steps in graphs.WATCHED
        watch = graphs.Watch(self._device) if is_watched else None
        objective = self._objective

        def work() -> dict[str, float]:
            with self._optimizer.recordable(form.rates):
                losses, later = take(
                    objective,
                    self._optimizer.optimizer,
                    form.batch,
                    form.drawn,
                    stacklevel=7,
                    watching=watch or nullcontext(),
                )
            # In place, because recordings hold the addresses of the running means.
            if objective.attached is not None and later.draw is not None:
                objective.attached.keep_unless(self._bad > 0.0, later.draw)
            return losses

        losses = made.warm(work)
        self._count(1)
        form.n_steps += 1
        if watch is not None:
            if reason := watch.problem(form.watch):
                self._refuse(f"the step cannot be recorded: {reason}")
            form.watch = watch
        return Losses(lambda: losses)

    def _record(self, made: Graphs, form: Form) -> bool:
        """Record a step of a form that has been warmed up; return whether it worked."""
        n_graphs = sum(one.replay is not None for one in self._forms.values())
        if form.n_steps < graphs.WARM or n_graphs >= MOST:
            return False
        torch.clear_autocast_cache()  # recordings must not use copies of old weights
        try:
            form.replay = made.capture(lambda: self._body(form))
        except graphs.FAILURES as error:
            self._refuse(graphs.told("the step", error))
            return False
        form.grads = [p.grad for p in self._optimizer.parameters()]
        form.addresses = self._addresses()
        return True

    def _body(self, form: Form) -> Tensor:
        """Take a step that changes nothing if it or an earlier step is not finite."""
        optimizer, attached = self._optimizer.optimizer, self._objective.attached
        optimizer.zero_grad(set_to_none=True)
        later = self._objective(*form.batch, form.drawn)
        later.total.backward()  # type: ignore[no-untyped-call]
        n_classes = later.logits.shape[1]
        # With the factor 0, a finite loss adds 0, and any other loss adds NaN.
        sums = torch.add(self._bad, later.terms["loss"].float(), alpha=0)
        if later.draw is not None:
            sums = torch.add(sums, later.draw.flag.float(), alpha=0)
        is_outside = (later.span != later.span.clamp(0, n_classes - 1)).any()
        is_bad = sums.ne(0.0) | is_outside
        self._bad.copy_(is_bad)
        with self._optimizer.recordable(form.rates, self._bad):
            optimizer.step()
        flags: list[Tensor] = []
        if attached is not None and later.draw is not None:
            attached.keep_unless(is_bad, later.draw)
            flags = attached.flags(later.draw)[1:]
        torch.clear_autocast_cache()
        form.names, form.n_classes = list(later.terms), n_classes
        return later.report(*flags)

    def _replay(self, made: Graphs, form: Form, place: str) -> Losses:
        assert form.replay is not None
        attached = self._objective.attached
        step = 0 if attached is None else attached.count
        values = made.read(form.replay())
        for parameter, grad in zip(
            self._optimizer.parameters(), form.grads, strict=True
        ):
            parameter.grad = grad
        self._count(1)
        self.n_replayed += 1
        told = None if attached is None else lambda flags: attached.told(flags, step)

        def read() -> dict[str, float]:
            try:
                return form.losses(values().tolist(), told)
            except ModelError as error:
                raise ModelError(f"{error} ({place})") from None
            except ValueError as error:
                raise ValueError(f"{error} ({place})") from None

        return Losses(read)

    def _count(self, n: int) -> None:
        attached = self._objective.attached
        if attached is not None and attached.training:
            attached.advance(n)

    def _form(self, inputs: list[Tensor], n_views: int) -> Form:
        """Return the static inputs for these shapes and settings."""
        objective = self._objective
        modules = list(objective.model.modules())
        if objective.attached is not None:
            modules += list(objective.attached.modules())
        key = (
            tuple((t.shape, t.dtype, t.stride(), t.device) for t in inputs),
            tuple(module.training for module in modules),
            tuple(p.requires_grad for p in self._optimizer.parameters()),
            self._optimizer.settings(),
            torch.is_autocast_enabled(self._device.type),
        )
        if key not in self._forms:
            if len(self._forms) >= MOST_FORMS:
                unused = [k for k, one in self._forms.items() if one.replay is None]
                self._forms.pop(unused[0])
            self._forms[key] = Form(inputs, n_views, self._device)
        return self._forms[key]

    def _addresses(self) -> tuple[int, ...]:
        """Return where everything is that a recording reads and changes."""
        objective, optimizer = self._objective, self._optimizer
        tensors = [*objective.model.parameters(), *objective.model.buffers()]
        if objective.attached is not None:
            tensors += list(objective.attached.buffers())
        tensors += [*optimizer.parameters(), *optimizer.states()]
        return tuple(tensor.data_ptr() for tensor in tensors)

    def _problem(self) -> str | None:
        """Return what is known to prevent a recording before any step."""
        objective = self._objective
        if Ranks.of(objective.model).size > 1:
            return "the model runs in several processes"
        if reason := graphs.problem_of(objective.model):
            return reason
        if objective.regularizer is not None and objective.attached is None:
            kind = type(objective.regularizer).__name__
            return f"the regularizer {kind} has a loss of its own"
        return self._optimizer.problem(self._device)

    def _refuse(self, reason: str) -> None:
        """Continue without recordings, and tell why."""
        self.refusal = reason
        if self._must:
            raise ValueError(f"capture: got True, but {reason}")
        warnings.warn(
            f"capture: {reason}; every step runs eagerly, which is slower",
            stacklevel=2,
        )
        self.close()
