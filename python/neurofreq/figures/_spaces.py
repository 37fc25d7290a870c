"""Similarities as an order and as points in a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def order(similarity: Floats) -> NDArray[np.intp]:
    """Return the images so ordered that similar ones stand together.

    Parameters
    ----------
    similarity : ndarray, shape (N, N)

    Returns
    -------
    ndarray of int, shape (N,)

    Notes
    -----
    Spectral seriation: by the second eigenvector of the Laplacian of the graph
    whose edges are the similarities above the least of them.

    References
    ----------
    Atkins, Boman & Hendrickson 1998, SIAM J Comput 28:297.
    """
    edges = similarity - similarity.min()
    np.fill_diagonal(edges, 0.0)
    laplacian = np.diag(edges.sum(axis=1)) - edges
    return np.linalg.eigh(laplacian)[1][:, 1].argsort(kind="stable")


def coordinates(similarity: Floats) -> Floats:
    """Return the images in the plane that keeps their similarities best.

    Parameters
    ----------
    similarity : ndarray, shape (N, N)
        Cosines: squared distances are 2 - 2 S.

    Returns
    -------
    ndarray, shape (N, 2)

    Notes
    -----
    Classical multidimensional scaling.

    References
    ----------
    Torgerson 1952, Psychometrika 17:401.
    """
    centred = similarity - similarity.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred)
    return vectors[:, :-3:-1] * np.sqrt(np.clip(values[:-3:-1], 0.0, None))


def aligned(points: Floats, reference: Floats) -> Floats:
    """Return points turned, mirrored and scaled onto others of the same images.

    Parameters
    ----------
    points, reference : ndarray, shape (N, 2)
        Centred.

    Notes
    -----
    Orthogonal Procrustes, with the scale that brings both to one size, so that a
    space without the reference's structure does not shrink to a point.

    References
    ----------
    Schönemann 1966, Psychometrika 31:1.
    """
    left, _, right = np.linalg.svd(points.T @ reference)
    size = np.linalg.norm(points)
    scale = np.linalg.norm(reference) / size if size else 1.0
    return scale * points @ (left @ right)
