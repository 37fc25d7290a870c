"""The compiled module; private. The Python functions around it check all arguments."""

from typing import Any, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Adversarial images, distances, success, queries, gradients, status, trajectories,
# spectra of probes.
_Findings: TypeAlias = tuple[
    Tensor,
    list[float],
    list[bool],
    list[int],
    list[int],
    list[str],
    list[list[tuple[int, float]]],
    list[list[float]],
]

class ModelError(RuntimeError): ...
class InternalError(RuntimeError): ...

def version() -> str: ...
def built_for() -> str: ...
def set_num_threads(n_threads: int) -> int: ...
def thread_limit() -> int: ...
def num_threads() -> int: ...
def shuffled_targets(
    labels: NDArray[np.int64], seed: int, by_class: bool
) -> NDArray[np.int64]: ...
def attack(
    callables: Any, name: str, settings: dict[str, Any], task: Any
) -> _Findings: ...
def nearest_classes(
    callables: Any, images: Tensor, labels: Tensor, norm: str, most: int
) -> tuple[Tensor, Tensor]: ...
def trust_region_steps(
    norm: str,
    origins: NDArray[Any],
    points: NDArray[Any],
    normals: NDArray[Any],
    changes: NDArray[np.float64],
    radii: NDArray[np.float64],
) -> tuple[NDArray[Any], NDArray[np.bool_]]: ...
def hybrid_pairs(
    labels: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def hybrid_images(
    low: NDArray[Any], high: NDArray[Any], frequencies: list[float]
) -> NDArray[Any]: ...
def hybrid_difference_tensor(low: Tensor, high: Tensor) -> Tensor: ...
def hybrid_tensor(
    low: Tensor, high: Tensor, difference: Tensor, frequency: float
) -> Tensor: ...
def image_power(
    images: NDArray[Any], demean: bool, limits: list[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def total_power(images: NDArray[Any], demean: bool) -> NDArray[np.float64]: ...
def total_power_tensor(images: Tensor, demean: bool) -> Tensor: ...
def mean_power(total: NDArray[np.float64], count: int) -> NDArray[np.float64]: ...
def mean_power_tensor(total: Tensor, count: int) -> Tensor: ...
def radial_profile(
    power: NDArray[np.float64], n_thresholds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]: ...
def crossing(
    x: NDArray[np.float64], curves: NDArray[np.float64], level: float
) -> NDArray[np.float64]: ...
def poisson_sums(
    values: NDArray[np.float64],
    index: NDArray[np.uint64],
    n_resamples: int,
    seed: int,
) -> NDArray[np.float64]: ...
def resampled_spearman(
    x: NDArray[np.float64], y: NDArray[np.float64], n_resamples: int, seed: int
) -> tuple[float, NDArray[np.float64]]: ...
def resampled_means(
    values: NDArray[np.float64], n_resamples: int, seed: int
) -> NDArray[np.float64]: ...
def response_similarity_f64(
    responses: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]: ...
def response_similarity_f32(
    responses: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float32]: ...
def reliability(trials: NDArray[np.float64]) -> NDArray[np.float64]: ...
def column_correlation(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]: ...
def similarity_correlation(
    first: NDArray[np.float64], second: NDArray[np.float64], ranked: bool
) -> float: ...
def split_half_neurons(
    trials: NDArray[np.float64], n_splits: int, seed: int, corrected: bool
) -> NDArray[np.float64]: ...
def split_half_similarity(
    trials: NDArray[np.float64],
    weights: NDArray[np.float64],
    n_splits: int,
    seed: int,
    corrected: bool,
) -> float: ...
def noise_ceiling(
    subjects: NDArray[np.float64], ranked: bool
) -> tuple[float, float]: ...
def similarity_loss(
    features: list[Tensor],
    means: list[Tensor],
    logits: Tensor,
    target: Tensor,
    pairs: Tensor | None,
    half: bool,
) -> tuple[Tensor, Tensor, Tensor]: ...
def similarity_pulled(pull: Tensor, features: Tensor, mean: Tensor) -> Tensor: ...
def running_mean(mean: Tensor, features: Tensor, beta: float) -> Tensor: ...
def corruption_names() -> list[str]: ...
def corrupt(
    images: NDArray[Any],
    name: str,
    severity: int,
    seed: int,
    streams: NDArray[np.uint64],
    layout: str,
    parameters: str,
    textures: Textures | None,
) -> NDArray[Any]: ...

@final
class Textures:
    def __new__(cls, images: list[NDArray[np.uint8]]) -> Self: ...
