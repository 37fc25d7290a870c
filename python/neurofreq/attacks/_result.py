"""The result of an attack, and which of its perturbations fit a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neurofreq._shared import results
from neurofreq._shared.inputs import validate
from neurofreq._shared.results import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from neurofreq._shared.inputs.validate import Array

PER_IMAGE = ("distance", "success", "n_queries", "n_gradients", "status")


class _Found(NamedTuple):
    adversarial: Any
    distance: Any
    success: Any
    n_queries: Any
    status: NDArray[np.str_]
    n_gradients: Any
    trajectory: tuple[NDArray[np.float64], ...] | None = None
    within: Any = None
    shaped: bool = False
    probe_spectrum: NDArray[np.float64] | None = None
    norm: str = ""


class AttackResult(Result, _Found):
    """Result of an attack, one entry per image.

    Attributes
    ----------
    adversarial : ndarray or Tensor, shape (N, C, H, W)
        The nearest adversarial image found, in [0, 1]. If possible, its perturbation is
        lengthened by a factor of 1.0001 so that rounding does not undo it. A last query
        confirmed every adversarial image. If there is none, the clean image.
    distance : ndarray or Tensor of float, shape (N,)
        The norm of ``adversarial - images`` in pixel units of [0, 1]; infinite without
        an adversarial image.
    success : ndarray or Tensor of bool, shape (N,)
        Whether `adversarial` is adversarial.
    n_queries : ndarray or Tensor of int64, shape (N,)
        How often the image, or a changed version of it, was sent to the model.
    status : ndarray of str, shape (N,)
        How the search ended. A search that ended early may still have
        succeeded: see `success`.

        - ``"completed"``: the attack ran to its end.
        - ``"already_adversarial"``: the clean image is adversarial; distance 0.
        - ``"no_start"``: the search for an adversarial starting point failed.
        - ``"bad_start"``: the given starting point is not adversarial.
        - ``"not_finite"``: the model returned NaN or infinity.
        - ``"zero_gradient"``: the gradient vanished.
        - ``"unconfirmed"``: the last query did not confirm any point.
    n_gradients : ndarray or Tensor of int64, shape (N,)
        How many backward passes the image took. A query takes one or none, a survey of
        the classes one for each class.
    trajectory : tuple of ndarray of float64, shape (T, 2), or None
        If requested: for each image, the number of queries and the distance at every
        improvement, before the confirmation.
    within : ndarray or Tensor of bool, shape (K, N), or None
        If `epsilons` were given to the call: `success_at` these budgets, in the given
        order.
    shaped : bool
        Whether the attack prefers some frequencies (`Boundary` with "bands" or
        "signs"). If it does, the spectra of the perturbations, such as f_0.5, say
        little about the frequencies that the model uses.
    probe_spectrum : ndarray of float64, shape (N, 2 K), or None
        For `Boundary` with "bands": the learned share of the probes' power in each of K
        bands, from coarse to fine. Each band has two columns: gray (the mean over
        channels) and color. The last band is the difference of pixels from the means of
        blocks of 2 by 2 pixels, the band before it is the difference of these means
        from the means of blocks of 4 by 4 pixels, and so on. The first band is the
        means of at most four blocks.
    norm : {"linf", "l2", "l1", "l0", ""}
        The norm of `distance`; empty if unknown.

    Examples
    --------
    >>> import torch
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=2).images
    >>> model = nf.models.load_model("zoo:gray-standard")
    >>> labels = model(torch.from_numpy(images)).argmax(1)
    >>> result = nf.attacks.PGD(epsilon=8 / 255, steps=10)(model, images, labels)
    >>> result.status.tolist(), bool(result.distance.max() < 0.04)
    (['completed', 'completed'], True)
    >>> nf.power_spectrum(result.adversarial - images).shape
    (32, 32)
    >>> result
    AttackResult(norm: linf, images: 2, found: 2, median distance: ...)
    >>> result.to_frame().columns.tolist()
    ['index', 'distance', 'success', 'n_queries', 'n_gradients', 'status']
    >>> result.plot().get_ylabel()
    'success (%)'
    """

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per image, without the images and `trajectory`."""
        columns = {name: host(getattr(self, name)) for name in PER_IMAGE}
        return results.frame({"index": np.arange(len(self.status))} | columns)

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw the fraction of images changed within each budget.

        On new Axes by default; see `plot.plot_success_curves`.
        """
        from neurofreq.plot import Curve, plot_success_curves

        sizes = np.asarray(host(self.distance), dtype=np.float64)
        finite = sizes[np.isfinite(sizes)]
        budgets = np.linspace(0.0, 1.02 * finite.max(initial=0.0) or 1.0 / 255.0, 61)
        share = (sizes <= budgets[:, None]).mean(axis=1)
        return plot_success_curves(
            Curve(budgets, share), ax, norm=self.norm or None, **kw
        )

    def _numbers(self) -> dict[str, Any]:
        sizes, found = host(self.distance), host(self.success)
        numbers: dict[str, Any] = {"norm": self.norm} if self.norm else {}
        return numbers | {
            "images": len(sizes),
            "found": int(found.sum()),
            "median distance": f"{np.median(sizes) if len(sizes) else np.nan:.4g}",
            "queries": int(host(self.n_queries).sum()),
        }

    def success_at(self, epsilons: Any) -> Any:
        """Return for each budget which images have a perturbation that fits it.

        Where the result is False, `adversarial` is farther away or was not found.

        Parameters
        ----------
        epsilons : array_like of float, shape (K,)
            Budgets in the unit of `distance`, 0 or more, in any order; compared in the
            dtype of `distance`.

        Returns
        -------
        ndarray or Tensor of bool, shape (K, N)

        Raises
        ------
        TypeError, ValueError
            If `epsilons` are not real numbers of 0 or more.

        Examples
        --------
        >>> import neurofreq as nf
        >>> data = nf.data.load_data("synthetic", n=4)
        >>> model = nf.models.load_model("zoo:gray-standard")
        >>> found = nf.attacks.BrendelBethge(steps=10)(model, data.images, data.labels)
        >>> found.success_at([0.5, 0.0]).shape
        (2, 4)
        """
        return within(self.distance, validate.epsilons("epsilons", epsilons))


def from_rust(
    images: Array,
    found: tuple[Any, ...],
    wants_trajectory: bool,
    *,
    is_shaped: bool,
    norm: str,
) -> AttackResult:
    """Return the result as arrays or tensors, like the images."""
    adversarial, distance, success, n_queries, n_gradients, status, *more = found
    steps, spectrum = more

    def own(part: torch.Tensor) -> Any:
        if isinstance(images, torch.Tensor):
            return part.to(images.device)
        return part.cpu().numpy()

    trajectory = tuple(np.array(one, dtype=np.float64).reshape(-1, 2) for one in steps)
    return AttackResult(
        adversarial=own(adversarial),
        distance=own(torch.tensor(distance, dtype=adversarial.dtype, device="cpu")),
        success=own(torch.tensor(success, device="cpu")),
        n_queries=own(torch.tensor(n_queries, device="cpu")),
        status=np.array(status, dtype=np.str_),
        n_gradients=own(torch.tensor(n_gradients, device="cpu")),
        trajectory=trajectory if wants_trajectory else None,
        shaped=is_shaped,
        norm=norm,
        probe_spectrum=np.array(spectrum) if any(spectrum) else None,
    )


def within(distance: Any, epsilons: NDArray[np.float64]) -> Any:
    """Return which distances fit each budget, (K, N), in the dtype of the distances."""
    if isinstance(distance, torch.Tensor):
        sizes = torch.from_numpy(epsilons).to(distance)
        return distance[None] <= sizes[:, None]
    return distance[None] <= epsilons.astype(distance.dtype)[:, None]


def host(values: Any) -> Any:
    """Return a tensor as a NumPy array, and other values unchanged."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def copied(values: Any) -> Any:
    """Return a copy of a tensor or an array."""
    return values.clone() if isinstance(values, torch.Tensor) else values.copy()


def continued(
    whole: AttackResult, found: AttackResult, rows: NDArray[np.int64]
) -> AttackResult:
    """Return a result in which some rows, without success so far, were attacked again.

    Queries and gradients are added; everything else is that of the last run.
    """
    fresh: dict[str, Any] = {}
    for name in ("adversarial", "distance", "success", "status"):
        fresh[name] = copied(getattr(whole, name))
        fresh[name][rows] = getattr(found, name)
    earlier = host(whole.n_queries)[rows]
    for name in ("n_queries", "n_gradients"):
        fresh[name] = copied(getattr(whole, name))
        fresh[name][rows] += getattr(found, name)
    if whole.trajectory is not None and found.trajectory is not None:
        paths = list(whole.trajectory)
        for row, path, before in zip(rows, found.trajectory, earlier, strict=True):
            paths[row] = path + np.array([before, 0.0])
        fresh["trajectory"] = tuple(paths)
    return whole._replace(**fresh)
