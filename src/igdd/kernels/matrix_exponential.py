"""Courses of small systems of linear equations with constant rates, by the matrix exponential.

exp(A t) of many small matrices: Taylor's series on a part of the step so short that it converges
to rounding, then repeated squaring (Moler and Van Loan, SIAM Rev 2003;45:3, method 3).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from igdd.errors import InputError

# Norm of A t beyond which repeated squaring has lost too many digits.
LARGEST = 1e12
# Taylor terms of the exponential of a matrix whose norm is at most a half: 0.5^15 / 15! < 1e-16.
TERMS = 14


def propagate(matrix: np.ndarray, initial: np.ndarray, times: np.ndarray) -> np.ndarray:
    """x(t) (m, t, n) of x' = A x for matrices (m, n, n) from x(0) (n,), at ascending times (t,).

    >>> fall = np.array([[[-1.0, 0.0], [1.0, 0.0]]])
    >>> propagate(fall, np.array([8.0, 0.0]), np.log([2.0, 4.0])).round(9)
    array([[[4., 4.],
            [2., 6.]]])
    """
    reach = float(np.abs(matrix).sum(axis=1).max(initial=0.0)) * float(times.max(initial=0.0))
    if not reach <= LARGEST:
        raise InputError(
            f"rates times the longest time are {reach:.3g}; expected at most {LARGEST:g}, beyond "
            "which rounding rules; is a unit off?"
        )
    found = np.empty((len(matrix), times.size, initial.size))
    _propagate(np.ascontiguousarray(matrix), initial.astype(float), times.astype(float), found)
    return found


@njit(cache=True, error_model="numpy")
def _product(first: np.ndarray, second: np.ndarray, found: np.ndarray) -> None:
    size = len(first)
    for i in range(size):
        for j in range(size):
            total = 0.0
            for k in range(size):
                total += first[i, k] * second[k, j]
            found[i, j] = total


@njit(cache=True, error_model="numpy")
def _exponential(
    matrix: np.ndarray, step: float, found: np.ndarray, term: np.ndarray, spare: np.ndarray
) -> None:
    """`found` becomes exp(step * matrix), by its Taylor series on a part and repeated squaring."""
    size = len(matrix)
    norm = 0.0
    for j in range(size):
        total = 0.0
        for i in range(size):
            total += abs(matrix[i, j])
        norm = max(norm, total * step)
    halvings = 0
    while norm > 0.5:
        norm *= 0.5
        halvings += 1
    share = step * 0.5**halvings
    found[:] = 0.0
    term[:] = 0.0
    for i in range(size):
        found[i, i] = 1.0
        term[i, i] = 1.0
    for order in range(1, TERMS + 1):
        _product(term, matrix, spare)
        for i in range(size):
            for j in range(size):
                term[i, j] = spare[i, j] * share / order
                found[i, j] += term[i, j]
    for _ in range(halvings):
        _product(found, found, spare)
        found[:] = spare


@njit(cache=True, error_model="numpy", nogil=True)
def _propagate(
    matrix: np.ndarray, initial: np.ndarray, times: np.ndarray, found: np.ndarray
) -> None:
    size = matrix.shape[1]
    state, moved = np.empty(size), np.empty(size)
    over, term, spare = np.empty((size, size)), np.empty((size, size)), np.empty((size, size))
    for row in range(len(matrix)):
        state[:] = initial
        before = 0.0
        for column in range(times.size):
            if times[column] > before:
                _exponential(matrix[row], times[column] - before, over, term, spare)
                for i in range(size):
                    total = 0.0
                    for j in range(size):
                        total += over[i, j] * state[j]
                    moved[i] = total
                state[:] = moved
                before = times[column]
            found[row, column] = state
