"""A predictive model of recorded neurons, which denoises their similarities."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.nn import functional as F

from neurofreq import _neurofreq
from neurofreq._shared import results, runtime
from neurofreq._shared.files.storage import Store, data_digest
from neurofreq._shared.inputs import validate
from neurofreq._shared.progress import bar
from neurofreq._shared.results import Result
from neurofreq.neural import _fit
from neurofreq.neural._image_order import image_order
from neurofreq.neural._responses import Responses
from neurofreq.neural._simulated import gray
from neurofreq.neural.target import Target, predicted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

    from neurofreq.neural.network import Network


class PredictiveModel(Result):
    """Predict recorded responses from images, with one network per fold.

    The images are split into `n_folds` parts, and one network is trained per part.
    The network never sees that part, uses the next part for early stopping, and
    learns from the rest. `held_out` therefore has a prediction of every image by a
    network that was not trained on it, and `v` is the correlation of these
    predictions with the recording. Predictions for new images are the mean over
    networks.

    Parameters
    ----------
    size : (int, int), optional
        Height and width to which images are resized, by area averaging. By default
        the size does not change. 36 by 64 in the paper.
    front : {"gabor", "learned"}
        First layer: fixed contrast energy of Gabor pairs (wavelengths of 4 to 16
        pixels of `size`) and luminance, for recordings of few images; or learned
        kernels, as in the paper.
    n_channels, n_layers : int
        Channels per layer and number of learned layers of the densely connected core.
        With 0 layers, neurons read the Gabor front directly.
    kernels : (int, int)
        Odd kernel size of a learned first layer, and of the other layers.
    n_scales : int
        Number of resolutions that a neuron reads; each is half the previous.
    loss : {"poisson", "gaussian"}
        Likelihood of a response. "poisson" needs responses of at least 0 and
        makes predictions positive.
    sparsity, smoothness, weight_decay : float
        Penalties on the read-out's weights (L1), on the kernels of a learned first
        layer (the Laplacian's share of their power), and on the core (L2, decoupled).
    lr, batch_size, max_epochs, patience
        Settings of AdamW. Training of a fold ends after `patience` epochs without
        improvement.
    n_folds : int
        At least 3.
    seed : int
    device : torch.device or str

    Attributes
    ----------
    w : ndarray of float64, shape (K,)
        Signal-to-noise weight of each neuron.
    v : ndarray of float64, shape (K,)
        Correlation of `held_out` with the mean recorded response, over images.
    held_out : ndarray of float32, shape (N, K)
        Prediction for each fitted image by the network that was not trained on it. NaN
        if this network was trained without any response of the neuron. NaN is left out
        of `v`, which is NaN if no prediction remains. `predict` leaves such a network
        out of the mean.
    history : list of dict
        "fold", "epoch" (the best; 0 is untrained) and "loss" of each fold.

    Raises
    ------
    TypeError, ValueError
        A setting of a wrong type or out of range.

    Notes
    -----
    Differences from the paper: its recordings had thousands of images, so one
    network and one held-out set were enough. Folds and the Gabor front make this
    model usable with few images. The paper learned three layers. The gaze shifter
    and the modulation by pupil and running are left out, because they need
    recordings of behavior. Channel counts and penalties were never published.
    Neurons with v below 0 get weight 0 in `neural_similarity`. Responses are
    divided by each neuron's mean ("poisson") or standard deviation ("gaussian"), so
    that all neurons have the same weight in the loss.

    References
    ----------
    Li et al. 2019, arXiv 1911.05072; Sinz et al. 2018, NeurIPS; Lurz et al.
    2021, ICLR (Gaussian read-out).

    Examples
    --------
    >>> import neurofreq as nf
    >>> images = nf.data.load_data("synthetic", n=30).images
    >>> responses = nf.neural.Responses(nf.neural.simulate_v1(images, n_neurons=6))
    >>> model = nf.neural.PredictiveModel(n_channels=4, n_folds=3, max_epochs=1)
    >>> model = model.fit(images, responses)
    >>> model.held_out.shape, model.v.shape
    ((30, 6), (6,))
    >>> model.predict(images[:5]).shape
    (5, 6)
    >>> model.to_frame().columns.tolist(), model.plot().get_xlabel()
    (['neuron', 'w', 'v'], 'signal-to-noise weight w')
    """

    w: NDArray[np.float64]
    v: NDArray[np.float64]
    held_out: NDArray[np.float32]
    history: list[dict[str, float]]

    def __init__(
        self,
        *,
        size: tuple[int, int] | None = None,
        front: Literal["gabor", "learned"] = "gabor",
        n_channels: int = 16,
        n_layers: int = 1,
        kernels: tuple[int, int] = (9, 3),
        n_scales: int = 3,
        loss: Literal["poisson", "gaussian"] = "poisson",
        sparsity: float = 0.02,
        smoothness: float = 0.01,
        weight_decay: float = 0.01,
        lr: float = 3e-3,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 15,
        n_folds: int = 5,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        n_channels = validate.count("n_channels", n_channels)
        n_scales = validate.count("n_scales", n_scales)
        max_epochs = validate.count("max_epochs", max_epochs)
        patience = validate.count("patience", patience)
        validate.one_of("front", front, ("gabor", "learned"))
        least = 0 if front == "gabor" else 1
        n_layers = validate.count("n_layers", n_layers, least)
        kernels = validate.pair("kernels", kernels)
        if not kernels[0] % 2 == kernels[1] % 2 == 1:
            raise ValueError(f"kernels: got {kernels}, expected odd sizes")
        validate.one_of("loss", loss, ("poisson", "gaussian"))
        sparsity = validate.number("sparsity", sparsity)
        smoothness = validate.number("smoothness", smoothness)
        weight_decay = validate.number("weight_decay", weight_decay)
        penalties = {
            "sparsity": sparsity, "smoothness": smoothness, "weight_decay": weight_decay
        }  # fmt: skip
        for name, number in penalties.items():
            validate.within(name, number, 0.0 <= number < np.inf, "0 or more")
        lr = validate.number("lr", lr)
        validate.within("lr", lr, 0.0 < lr < np.inf, "a positive number")
        batch_size = validate.count("batch_size", batch_size, 2)
        n_folds = validate.count("n_folds", n_folds, 3)
        self.settings = _fit.Settings(
            front, n_channels, n_layers, kernels, n_scales, loss,
            sparsity, smoothness, weight_decay, lr, batch_size, max_epochs, patience,
        )  # fmt: skip
        self.size = None if size is None else validate.pair("size", size)
        self.n_folds = n_folds
        self.seed = validate.seed(seed)
        self.device = validate.device(device)
        self._networks: list[Network] = []

    def fit(
        self,
        images: NDArray[Any] | torch.Tensor,
        responses: Responses,
        *,
        groups: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        folder: Path | str | None = None,
        progress: bool = False,
    ) -> Self:
        """Train the networks of all folds, and measure `v` on their held-out parts.

        Parameters
        ----------
        images : ndarray or Tensor, shape (N, C, H, W)
            float32 or float64 in [0, 1], C = 1 or 3 (converted to luminance).
        responses : Responses
            Responses to these images in this order. Missing trials are ignored.
        groups : array_like, shape (N,), optional
            Images of the same group (frames of a movie, for example) stay in one part.
            By default every image is its own group.
        weights : array_like of float, shape (K,), optional
            Used instead of ``responses.reliability()``, which needs repeats.
        folder : path, optional
            Finished folds are stored in this folder; a run that was stopped continues.
        progress : bool
            Show a bar over folds.

        Returns
        -------
        PredictiveModel
            Itself.

        Raises
        ------
        TypeError, ValueError
            Images and responses of different numbers, a neuron with constant responses,
            responses below 0 with ``loss="poisson"``, fewer groups than folds, a fold
            without responses for training or early stopping, or unusable weights.
        ModelError
            If the loss of a fold becomes NaN or infinite.

        Warns
        -----
        UserWarning
            If the responses fit clearly better to the images in another order, such as
            the reversed one; see `image_order`.
        """
        luminance = gray(images)
        self._check(luminance, responses)
        self._check_order(luminance, responses)
        if weights is None:
            w = responses.reliability()
        else:
            w = validate.weights(weights, responses.n_neurons)
        mean = responses.mean()
        folds = _fit.folds(groups, len(luminance), self.n_folds, self.seed)
        _fit.check_folds(folds, ~np.isnan(mean))
        self._networks = []
        self._size = self.size or (luminance.shape[1], luminance.shape[2])
        self._pixels = float(luminance.mean()), float(luminance.std()) or 1.0
        scale = np.nanmean(mean, 0)
        if self.settings.loss == "gaussian":
            scale = np.nanstd(mean, 0)
        self._scale = np.where(scale > 0.0, scale, 1.0)
        inputs = self._inputs(luminance)
        targets = torch.from_numpy(mean / self._scale).float().to(self.device)
        store = None if folder is None else Store(Path(folder))
        digest = data_digest(luminance, mean)
        networks, history = [], []
        held_out = np.full(mean.shape, np.nan, np.float32)
        learned = np.stack([~np.isnan(mean[fold.train]).all(0) for fold in folds])
        for number, fold in enumerate(bar(folds, progress=progress, unit="fold")):
            record = {
                "measurement": "predictive", "settings": asdict(self.settings),
                "size": self._size, "seed": self.seed, "fold": number, "data": digest,
                "test": np.flatnonzero(fold.test).tolist(),
                "stop": np.flatnonzero(fold.stop).tolist(),
                "neurofreq": runtime.VERSION,
            }  # fmt: skip
            network, row = self._fold(store, record, inputs, targets, fold)
            predicted = _fit.predict(network, inputs[fold.test]).cpu().numpy()
            seen = np.where(learned[number], predicted * self._scale, np.nan)
            held_out[fold.test] = seen
            networks.append(network)
            history.append(row)
        self._networks, self._learned, self.history = networks, learned, history
        self.held_out, self.w, self._image_names = held_out, w, responses.images
        self.v = _neurofreq.column_correlation(held_out.astype(np.float64), mean)
        return self

    def predict(self, images: NDArray[Any] | torch.Tensor) -> NDArray[np.float32]:
        """Predict the responses to any images: the mean over networks.

        Parameters
        ----------
        images : ndarray or Tensor, shape (N, C, H, W)
            float32 or float64 in [0, 1]; resized to the size of the fit.

        Returns
        -------
        ndarray of float32, shape (N, K)
            In the unit of the recorded responses.

        Raises
        ------
        RuntimeError
            Before `fit`.
        TypeError, ValueError
            Bad images.
        """
        self._require_fit()
        inputs = self._inputs(gray(images))
        each = torch.stack(
            [_fit.predict(network, inputs) for network in self._networks]
        )
        learned = torch.from_numpy(self._learned).to(each.device)
        mean = each.where(learned[:, None], torch.nan).nanmean(0)
        return (mean.cpu().numpy() * self._scale).astype(np.float32)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Factors ``w v`` of the predictions, shape (K,); 0 if v is not positive."""
        self._require_fit()
        factors: NDArray[np.float64] = self.w * np.where(self.v > 0.0, self.v, 0.0)
        return factors

    def held_out_similarity(self) -> Target:
        """Return the similarity of the fitted images, computed only from `held_out`.

        The paper uses this check: the correlation of this similarity with the
        similarity of the recorded means shows how well the model denoises.

        Raises
        ------
        ValueError
            If `held_out` is NaN for a neuron with a weight, or no neuron has a weight.
        """
        return predicted(self.held_out, self.weights, self._image_names)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per neuron: "neuron" (from 0), "w" and "v".

        Raises RuntimeError before `fit`.
        """
        self._require_fit()
        return results.frame(
            {"neuron": np.arange(len(self.w)), "w": self.w, "v": self.v}
        )

    def plot(self, ax: Axes | None = None, **kw: Any) -> Axes:
        """Draw `v` against `w` (`plot.plot_neurons`), on new Axes by default.

        Raises RuntimeError before `fit`.
        """
        from neurofreq.plot import plot_neurons

        self._require_fit()
        return plot_neurons(self.w, self.v, ax, **kw)

    def _has_picture(self) -> bool:
        return bool(self._networks)

    def _numbers(self) -> dict[str, Any]:
        numbers: dict[str, Any] = {
            "front": self.settings.front, "layers": self.settings.n_layers,
            "folds": self.n_folds,
        }  # fmt: skip
        if not self._networks:
            return numbers | {"fitted": "no"}
        found = self.v[~np.isnan(self.v)]
        mean = float(found.mean()) if found.size else float("nan")
        return numbers | {"neurons": len(self.v), "mean v": f"{mean:.3f}"}

    def _require_fit(self) -> None:
        if not self._networks:
            raise RuntimeError("the model is not fitted yet: call fit first")

    def _check(self, images: NDArray[np.float64], responses: Responses) -> None:
        if not isinstance(responses, Responses):
            raise TypeError(
                f"responses: got {type(responses).__name__}, expected Responses"
            )
        if len(images) != responses.n_images:
            shape = responses.trials.shape
            axes = (
                f"; trials are (T, N, K), not {shape}" if len(images) in shape else ""
            )
            raise ValueError(
                f"responses: got {responses.n_images} images, expected {len(images)}, "
                f"one row per image given{axes}"
            )
        responses.require_active()
        if self.settings.loss == "poisson" and np.nanmin(responses.trials) < 0.0:
            raise ValueError(
                f"responses: got {np.nanmin(responses.trials):.6g}, expected 0 or "
                "more for loss 'poisson'; loss 'gaussian' takes any"
            )

    def _check_order(
        self, luminance: NDArray[np.float64], responses: Responses
    ) -> None:
        """Warn if the responses fit to the images in another order only."""
        try:
            found = image_order(luminance[:, None], responses)
        except ValueError:  # too few images or responses to compare orders
            return
        if found.likely != "given":
            warnings.warn(found.problem, stacklevel=3)

    def _inputs(self, luminance: NDArray[np.float64]) -> torch.Tensor:
        """Return standardized images of the size of the fit, (N, 1, H, W)."""
        tensor = torch.from_numpy(luminance).float()[:, None].to(self.device)
        if tensor.shape[2:] != self._size:
            tensor = F.interpolate(tensor, size=self._size, mode="area")
        return (tensor - self._pixels[0]) / self._pixels[1]

    def _fold(
        self,
        store: Store | None,
        record: dict[str, Any],
        inputs: torch.Tensor,
        targets: torch.Tensor,
        fold: _fit.Fold,
    ) -> tuple[Network, dict[str, float]]:
        """Train one fold, or read it if it is stored."""
        kept = None if store is None else store.load(record)
        if kept is not None:
            with runtime.seeded(0):  # keep torch's random state
                network = _fit.network(self.settings, targets.nanmean(0))
            row = {name: kept.pop(name).item() for name in ("fold", "epoch", "loss")}
            network.load_state_dict({k: torch.from_numpy(v) for k, v in kept.items()})
            return network.to(self.device).eval(), row
        number = record["fold"]
        seed = (self.seed + number) % 2**63
        network, epoch, loss = _fit.train(self.settings, inputs, targets, fold, seed)
        row = {"fold": number, "epoch": epoch, "loss": loss}
        if store is not None:
            state = {k: v.cpu().numpy() for k, v in network.state_dict().items()}
            store.save(record, state | {k: np.array(v) for k, v in row.items()})
        return network, row
