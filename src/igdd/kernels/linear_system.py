"""Any linear compartment system by the matrix exponential: dx/dt = K x + r, with doses in between.

The general form beside the closed ones of `igdd.kernels.dose_response`: any number of
compartments, exchange of any kind, doses into any of them as a bolus or an infusion, and steady
states. An
infusion enlarges the matrix by a constant.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.errors import InputError

# The series is summed for matrices of at most this norm: 0.5^18 / 18! is below rounding.
NEAR = 0.5
TERMS = 18
MOST_SQUARINGS = 200
# Rates times the time beyond which repeated squaring has lost too many digits of a course.
LARGEST = 1e12


class Dose(NamedTuple):
    """A dose into a compartment: from `time` on, over `duration` (0: at once).

    interval  above 0: it stands for all its predecessors too, so far apart
    """

    time: float
    amount: float
    compartment: int = 0
    duration: float = 0.0
    interval: float = 0.0


def amounts(matrix: np.ndarray, doses: list[Dose], times: np.ndarray) -> np.ndarray:
    """Amounts (t, m) in the compartments of dx/dt = K x (m, m) at times; a dose at a time counts.

    >>> amounts(np.array([[-0.1]]), [Dose(0.0, 1.0)], np.array([0.0, 10.0])).round(4)
    array([[1.    ],
           [0.3679]])
    """
    matrix = np.asarray(matrix, dtype=float)
    times = np.asarray(times, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise InputError(f"system matrix has shape {matrix.shape}; expected a finite square one")
    found = np.zeros((times.size, len(matrix)))
    for dose in doses:
        found += _one(matrix, dose, times)
    return found


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
    over = exponential(matrix[:, None] * np.diff(times, prepend=0.0)[:, None, None])
    state = np.broadcast_to(np.asarray(initial, dtype=float), (len(matrix), len(initial)))
    found = np.empty((len(matrix), times.size, len(initial)))
    for column in range(times.size):
        state = np.einsum("mij,mj->mi", over[:, column], state)
        found[:, column] = state
    return found


def exponential(matrix: np.ndarray) -> np.ndarray:
    """exp of matrices (..., m, m): the series of a scaled one, squared again.

    Moler and Van Loan, SIAM Review 2003;45:3, method 3. The closed form that other libraries use
    for two compartments loses half its digits where two rates meet; this one does not.
    """
    matrix = np.asarray(matrix, dtype=float)
    norm = np.abs(matrix).sum(axis=-2).max(axis=-1)
    if not np.isfinite(norm).all() or norm.max(initial=0.0) > 2.0**MOST_SQUARINGS:
        raise InputError("matrix exponential of a matrix that is not finite or is beyond measure")
    squarings = np.ceil(np.log2(np.maximum(norm / NEAR, 1.0))).astype(int)
    scaled = matrix / np.exp2(squarings)[..., None, None]
    unit = np.eye(matrix.shape[-1])
    total = np.broadcast_to(unit, matrix.shape)
    for term in range(TERMS, 0, -1):
        total = unit + scaled @ total / term
    for done in range(int(squarings.max(initial=0))):
        total = np.where((squarings > done)[..., None, None], total @ total, total)
    return np.asarray(total)


def _one(matrix: np.ndarray, dose: Dose, times: np.ndarray) -> np.ndarray:
    """Amounts (t, m) that one dose leaves: the system is linear, and doses add up."""
    elapsed = times - dose.time
    unit = np.zeros(len(matrix))
    unit[dose.compartment] = dose.amount
    if not dose.interval > 0:
        return _since(matrix, unit, dose.duration, elapsed)
    overlap = int(np.ceil(dose.duration / dose.interval)) if dose.duration > 0 else 0
    inside = elapsed >= 0
    later = np.where(inside, elapsed, 0.0)
    total = np.zeros((times.size, len(matrix)))
    for past in range(overlap):
        total += _since(matrix, unit, dose.duration, later + past * dose.interval)
    once = exponential(matrix * dose.interval)
    ended = _since(matrix, unit, dose.duration, later + overlap * dose.interval)
    total += np.linalg.solve(np.eye(len(matrix)) - once, ended.T).T
    return np.where(inside[:, None], total, 0.0)


def _since(
    matrix: np.ndarray, unit: np.ndarray, duration: float, elapsed: np.ndarray
) -> np.ndarray:
    """Amounts (t, m) at times since a single dose; nothing before it."""
    size = len(matrix)
    found = np.zeros((elapsed.size, size))
    rows = np.flatnonzero(elapsed >= 0)
    if not rows.size:
        return found
    if not duration > 0:
        found[rows] = exponential(matrix * elapsed[rows, None, None]) @ unit
        return found
    # The constant 1 as a further compartment feeds the infusion's rate.
    enlarged = np.zeros((size + 1, size + 1))
    enlarged[:size, :size], enlarged[:size, size] = matrix, unit / duration
    running = np.minimum(elapsed[rows], duration)
    during = exponential(enlarged * running[:, None, None])[:, :size, size]
    after = exponential(matrix * (elapsed[rows] - running)[:, None, None])
    found[rows] = np.einsum("tij,tj->ti", after, during)
    return found
