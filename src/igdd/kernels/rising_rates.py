"""Amounts in compartments that exchange at first-order rates, some of which rise with time.

dA/dt = (C + sum_k u_k(t) (e_target - e_source) e_source') A, where C holds the constant rates and
u(t) = maximum t^n / (half^n + t^n) is the rate of an uptake that sets in, t the time since dosing.

Solved by the method of `igdd.kernels.esdirk` in steps whose local error is within a tolerance. A
Runge-Kutta method keeps linear invariants, so the sum of all amounts is conserved to rounding.
I - h C is an M-matrix with dominant columns: it is factored without pivoting, over its entries
alone, so compartments are best ordered from the periphery to the blood. Time and rates share one
unit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit
from igdd.kernels.esdirk import DEFECT, FIRST_SHARE, GAMMA, NODES, STAGES, next_step

# Local error allowed in a step, relative to each amount, and absolute as a share of the dose.
RELATIVE = 1e-8
ABSOLUTE = 1e-11
# Steps after which a system is given up: its amounts are NaN.
MOST_STEPS = 200_000


class Rates(NamedTuple):
    """Rates of s systems of n compartments, k of them rising.

    constant  (s, n, n)  off-diagonal [i, j] the rate from j to i; diagonal minus the sum of losses
    source    (k,)       compartment that a rising uptake leaves
    target    (k,)       compartment that it enters
    maximum, half, exponent  (s, k)
    """

    constant: np.ndarray
    source: np.ndarray
    target: np.ndarray
    maximum: np.ndarray
    half: np.ndarray
    exponent: np.ndarray


class _System(NamedTuple):
    """Rates as the solver takes them: one system, or several along a first axis of two fields."""

    constant: np.ndarray
    source: np.ndarray
    target: np.ndarray
    hill: np.ndarray


class _Pattern(NamedTuple):
    """Where I - h C has entries, those that elimination fills in included.

    rows, columns   (m,) of every entry
    below, belows   (n, n) rows below the diagonal of each column, and how many
    across, acrosses  (n, n) columns right of the diagonal of each row, and how many
    """

    rows: np.ndarray
    columns: np.ndarray
    below: np.ndarray
    belows: np.ndarray
    across: np.ndarray
    acrosses: np.ndarray


class _Work(NamedTuple):
    """Room for one system: amounts, those at the end of a step, slopes (6, n), a matrix (n, n)."""

    state: np.ndarray
    trial: np.ndarray
    slopes: np.ndarray
    matrix: np.ndarray


def amounts(
    rates: Rates,
    initial: np.ndarray,
    times: np.ndarray,
    relative: float = RELATIVE,
    absolute: float = ABSOLUTE,
) -> np.ndarray:
    """Amounts (s, t, n) at times (s, t), ascending from at least 0; NaN at a time that is NaN.

    initial   (s, n) amounts at time zero
    absolute  error allowed as a share of the largest initial amount

    >>> decay = np.array([[[-0.5, 0.0], [0.5, 0.0]]])
    >>> none = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), *np.zeros((3, 1, 0))
    >>> amounts(Rates(decay, *none), np.array([[8.0, 0.0]]), np.array([[2 * np.log(2)]])).round(6)
    array([[[4., 4.]]])
    """
    constant = np.ascontiguousarray(rates.constant, dtype=float)
    times = np.ascontiguousarray(times, dtype=float)
    hill = np.stack([rates.maximum, rates.half, rates.exponent], axis=-1).astype(float)
    initial = np.ascontiguousarray(initial, dtype=float)
    _check(constant, hill, initial, times)
    where = np.asarray(rates.source, dtype=np.int64), np.asarray(rates.target, dtype=np.int64)
    found = np.full((*times.shape, constant.shape[1]), np.nan)
    systems = _System(constant, *where, np.ascontiguousarray(hill))
    pattern = _pattern(constant, *where)
    _solve(systems, pattern, (initial, times), (relative, absolute), found)
    return found


def _pattern(constant: np.ndarray, source: np.ndarray, target: np.ndarray) -> _Pattern:
    """Entries of any of the systems, and those that elimination in order adds."""
    entries = (constant != 0).any(axis=0) | np.eye(constant.shape[1], dtype=bool)
    entries[source, source] = entries[target, source] = True
    for k in range(len(entries)):
        entries[k + 1 :, k + 1 :] |= np.outer(entries[k + 1 :, k], entries[k, k + 1 :])
    lists = []
    for triangle in (np.tril(entries, -1).T, np.triu(entries, 1)):
        places = np.zeros(entries.shape, dtype=np.int64)
        for k, row in enumerate(triangle):
            places[k, : row.sum()] = np.flatnonzero(row)
        lists += [places, triangle.sum(axis=1)]
    return _Pattern(*np.nonzero(entries), *lists)


def _check(constant: np.ndarray, hill: np.ndarray, initial: np.ndarray, times: np.ndarray) -> None:
    shapes = constant.shape[:2], (len(times), constant.shape[2]), initial.shape
    if len(set(shapes)) != 1 or len(hill) != len(times):
        raise InputError(
            f"rates have shape {constant.shape}, initial amounts {initial.shape}, times "
            f"{times.shape}; expected (s, n, n), (s, n) and (s, t)"
        )
    if not (np.isfinite(constant).all() and np.isfinite(initial).all()):
        raise InputError("rates or initial amounts are not all finite; expected finite numbers")
    if not (np.isfinite(hill).all() and (hill[..., 0] >= 0).all() and (hill[..., 1:] > 0).all()):
        raise InputError(
            "a rising uptake has a negative maximum, or a half-time or exponent not above zero"
        )
    known = np.where(np.isnan(times), -np.inf, times)
    reached = np.maximum.accumulate(np.maximum(known, 0.0), axis=1)
    if (np.isfinite(known) & (known < reached)).any() or np.isposinf(times).any():
        raise InputError("times must be finite and ascend from at least 0")


@njit(cache=True, error_model="numpy")
def _uptake(time: float, maximum: float, half: float, exponent: float) -> float:
    """maximum t^n / (half^n + t^n), by the logarithm of t / half so that no power overflows."""
    if time <= 0.0:
        return 0.0
    power = exponent * math.log(time / half)
    if power > 700.0:
        return maximum
    return maximum / (1.0 + math.exp(-power)) if power > -700.0 else 0.0


@njit(cache=True, error_model="numpy")
def _at(time: float, system: _System, pattern: _Pattern, matrix: np.ndarray) -> None:
    """The matrix of rates at a time, where the pattern has entries."""
    for entry in range(pattern.rows.size):
        row, column = pattern.rows[entry], pattern.columns[entry]
        matrix[row, column] = system.constant[row, column]
    for k in range(system.source.size):
        source, target = system.source[k], system.target[k]
        rate = _uptake(time, system.hill[k, 0], system.hill[k, 1], system.hill[k, 2])
        matrix[source, source] -= rate
        matrix[target, source] += rate


@njit(cache=True, error_model="numpy")
def _solve_stage(matrix: np.ndarray, pattern: _Pattern, scale: float, right: np.ndarray) -> None:
    """Solve (I - scale * matrix) x = right in place of `right`; `matrix` is overwritten."""
    size = right.size
    for entry in range(pattern.rows.size):
        matrix[pattern.rows[entry], pattern.columns[entry]] *= -scale
    for k in range(size):
        matrix[k, k] += 1.0
    for k in range(size):
        pivot = matrix[k, k]
        for one in range(pattern.belows[k]):
            i = pattern.below[k, one]
            share = matrix[i, k] / pivot
            for other in range(pattern.acrosses[k]):
                j = pattern.across[k, other]
                matrix[i, j] -= share * matrix[k, j]
            right[i] -= share * right[k]
    for i in range(size - 1, -1, -1):
        total = right[i]
        for one in range(pattern.acrosses[i]):
            j = pattern.across[i, one]
            total -= matrix[i, j] * right[j]
        right[i] = total / matrix[i, i]


@njit(cache=True, error_model="numpy")
def _start(system: _System, pattern: _Pattern, work: _Work) -> None:
    """The slope at time zero."""
    _at(0.0, system, pattern, work.matrix)
    work.slopes[0] = 0.0
    for entry in range(pattern.rows.size):
        row, column = pattern.rows[entry], pattern.columns[entry]
        work.slopes[0, row] += work.matrix[row, column] * work.state[column]


@njit(cache=True, error_model="numpy")
def _step(time: float, step: float, system: _System, pattern: _Pattern, work: _Work) -> None:
    """One step: `trial` becomes the state at its end, `slopes` those of the stages."""
    size = work.state.size
    for stage in range(1, 6):
        for i in range(size):
            total = 0.0
            for before in range(stage):
                total += STAGES[stage, before] * work.slopes[before, i]
            work.trial[i] = work.state[i] + step * total
        work.slopes[stage] = work.trial
        _at(time + NODES[stage] * step, system, pattern, work.matrix)
        _solve_stage(work.matrix, pattern, GAMMA * step, work.trial)
        # stage = known part + gamma h slope; the difference gives the slope without a product
        for i in range(size):
            work.slopes[stage, i] = (work.trial[i] - work.slopes[stage, i]) / (GAMMA * step)


@njit(cache=True, error_model="numpy")
def _defect(step: float, work: _Work, relative: float, absolute: float) -> float:
    """Largest local error over that allowed."""
    worst = 0.0
    for i in range(work.state.size):
        error = 0.0
        for stage in range(6):
            error += DEFECT[stage] * work.slopes[stage, i]
        allowed = absolute + relative * max(abs(work.state[i]), abs(work.trial[i]))
        worst = max(worst, abs(step * error) / allowed)
    return worst


@njit(cache=True, error_model="numpy")
def _one(
    system: _System,
    pattern: _Pattern,
    given: tuple[np.ndarray, np.ndarray],
    tolerance: tuple[float, float],
    found: np.ndarray,
) -> None:
    """Amounts of one system at its times, in steps whose local error is within the tolerance."""
    initial, times = given
    size = initial.size
    work = _Work(initial.copy(), np.empty(size), np.empty((6, size)), np.empty((size, size)))
    absolute = tolerance[1] * max(np.max(np.abs(initial)), 1e-300)
    fastest = 1e-300
    for i in range(size):
        fastest = max(fastest, abs(system.constant[i, i]))
    time, step, taken = 0.0, FIRST_SHARE / fastest, 0
    _start(system, pattern, work)
    for row in range(times.size):
        wanted = times[row]
        if not wanted >= 0.0:
            continue
        while time < wanted:
            taken += 1
            if taken > MOST_STEPS:
                return
            last = time + 1.0000001 * step >= wanted
            now = wanted - time if last else step
            _step(time, now, system, pattern, work)
            worst = _defect(now, work, tolerance[0], absolute)
            following = next_step(now, worst)
            if not worst <= 1.0:
                step = following
                continue
            time = wanted if last else time + now
            work.state[:] = work.trial
            work.slopes[0] = work.slopes[5]
            # a step cut short at a sample says little about the step that follows
            step = max(step, following) if last else following
        found[row] = work.state


@njit(cache=True, error_model="numpy", nogil=True)
def _solve(
    systems: _System,
    pattern: _Pattern,
    given: tuple[np.ndarray, np.ndarray],
    tolerance: tuple[float, float],
    found: np.ndarray,
) -> None:
    initial, times = given
    for row in range(len(times)):
        system = _System(systems.constant[row], systems.source, systems.target, systems.hill[row])
        _one(system, pattern, (initial[row], times[row]), tolerance, found[row])
