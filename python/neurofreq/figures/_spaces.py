"""Order images by their similarities, and place them in a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def order(similarity: Floats) -> NDArray[np.intp]:
    """Return an order of the images that puts similar images next to each other.

    Spectral seriation: sort by the Fiedler vector of the graph whose edges are the
    similarities minus their minimum (Atkins, Boman & Hendrickson 1998, SIAM J Comput
    28:297).
    """
    edges = similarity - similarity.min()
    np.fill_diagonal(edges, 0.0)
    laplacian = np.diag(edges.sum(axis=1)) - edges
    return np.linalg.eigh(laplacian)[1][:, 1].argsort(kind="stable")


def coordinates(similarity: Floats) -> Floats:
    """Return the points (N, 2) that preserve the similarities of the images best.

    Classical multidimensional scaling (Torgerson 1952, Psychometrika 17:401) of
    cosines S, whose squared distances are 2 - 2 S.
    """
    centred = similarity - similarity.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred)
    return vectors[:, :-3:-1] * np.sqrt(np.clip(values[:-3:-1], 0.0, None))


def aligned(points: Floats, reference: Floats) -> Floats:
    """Return centered points, rotated, mirrored and scaled to match a reference.

    Orthogonal Procrustes (Schönemann 1966, Psychometrika 31:1). The scale gives the
    points the norm of the reference, because the optimal scale would shrink an
    unrelated space to a point.
    """
    left, _, right = np.linalg.svd(points.T @ reference)
    size = np.linalg.norm(points)
    scale = np.linalg.norm(reference) / size if size else 1.0
    return scale * points @ (left @ right)
