"""The compiled module; private. Its functions validate only types and shapes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

class ModelError(RuntimeError): ...
class InternalError(RuntimeError): ...

def version() -> str: ...
def set_num_threads(n_threads: int) -> None: ...
def num_threads() -> int: ...
def shuffled_targets(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]: ...
def brendel_bethge(
    model: Callable[[Tensor], Tensor],
    settings: Any,
    task: Any,
    advance: Callable[[int], object] | None = None,
) -> tuple[Tensor, Tensor, list[bool], list[int], list[str]]: ...
def linf_step(
    pixels: NDArray[np.float64], change: float, radius: float
) -> tuple[NDArray[np.float64], bool]: ...
def hybrid_pairs(
    labels: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
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
def similarity_loss(
    features: list[Tensor],
    means: list[Tensor],
    logits: Tensor,
    target: Tensor,
    pairs: Tensor | None,
    half: bool,
) -> Tensor: ...
def running_mean(mean: Tensor, features: Tensor, beta: float) -> Tensor: ...
def corruption_names() -> list[str]: ...
def corrupt(
    images: NDArray[Any],
    name: str,
    severity: int,
    seed: int,
    first_index: int,
    layout: str,
    parameters: str,
) -> NDArray[Any]: ...
