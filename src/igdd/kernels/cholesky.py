"""Cholesky factors of small matrices, in place and inlined where a fit needs them."""

from __future__ import annotations

import numpy as np

from igdd.kernels.compiled import INLINE, njit

PIVOT = 1e-14  # of a column's own square, below which it is a sum of those before it


@njit(**INLINE)
def factorise(matrix: np.ndarray, size: int, factor: np.ndarray) -> float:
    """Cholesky factor of the first `size` rows; the least share of a diagonal that was left.

    0 where a column depends on those before it or the matrix is not positive.
    """
    least = 1.0
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if not total > PIVOT * matrix[i, i]:
                    return 0.0
                least = min(least, total / matrix[i, i])
                factor[i, i] = np.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
    return least


@njit(**INLINE)
def forward(factor: np.ndarray, size: int, vectors: np.ndarray, one: int) -> None:
    """Solve factor x = vectors[one] in place."""
    for i in range(size):
        for k in range(i):
            vectors[one, i] -= factor[i, k] * vectors[one, k]
        vectors[one, i] /= factor[i, i]


@njit(**INLINE)
def backward(factor: np.ndarray, size: int, vectors: np.ndarray, one: int) -> None:
    """Solve factor' x = vectors[one] in place."""
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            vectors[one, i] -= factor[k, i] * vectors[one, k]
        vectors[one, i] /= factor[i, i]


@njit(**INLINE)
def invert(factor: np.ndarray, size: int, inverse: np.ndarray) -> None:
    """Inverse of a factor; both are lower triangles."""
    for i in range(size):
        inverse[i, i] = 1.0 / factor[i, i]
        for j in range(i):
            total = 0.0
            for k in range(j, i):
                total += factor[i, k] * inverse[k, j]
            inverse[i, j] = -total * inverse[i, i]
