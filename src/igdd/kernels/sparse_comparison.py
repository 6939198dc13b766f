"""Intervals of sparse designs and differences between two: Student's t and bootstrap-t.

A `Sparse` quantity carries its degrees of freedom, so that two formulations are compared by their
estimates, variances and degrees of freedom alone. The bootstrap draws animals anew within each
batch, which keeps the design, and studentises (Jaki, Wolfsegger, Lawo 2010,
doi:10.1080/10543401003618006).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from igdd.errors import InputError
from igdd.kernels.sparse_means import Sparse

LEVEL = 0.95
DRAWS = 2000

Quantity = Callable[[np.ndarray], Sparse]


def quantile(freedom: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Student's t that holds `level` between minus it and it; the normal's for infinite freedom.

    >>> float(quantile(np.array(np.inf)).round(6))
    1.959964
    """
    if not 0 < level < 1:
        raise InputError(f"a confidence level of {level:g}; expected one between 0 and 1")
    tail = (1 - level) / 2
    endless = np.isinf(freedom)
    t = special.stdtrit(np.where(endless, 1.0, freedom), 1 - tail)
    return np.asarray(np.where(endless, -special.ndtri(tail), t))


def interval(found: Sparse, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Limits by Student's t.

    >>> low, high = interval(Sparse(np.array(2.0), np.array(0.5), np.array(4.0)))
    >>> float(low.round(4)), float(high.round(4))
    (0.6118, 3.3882)
    """
    half = quantile(found.freedom, level) * found.standard_error
    return np.asarray(found.estimate - half), np.asarray(found.estimate + half)


def log_interval(found: Sparse, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Limits by Student's t on the log scale; NaN for an estimate at or below zero.

    >>> low, high = log_interval(Sparse(np.array(2.0), np.array(0.5), np.array(4.0)))
    >>> float(low.round(4)), float(high.round(4))
    (0.999, 4.0039)
    """
    above = np.where(found.estimate > 0, found.estimate, np.nan)
    half = quantile(found.freedom, level) * found.standard_error / above
    return np.asarray(above * np.exp(-half)), np.asarray(above * np.exp(half))


def difference(first: Sparse, second: Sparse) -> Sparse:
    """Difference of two independent quantities, second minus first; Satterthwaite's freedom.

    >>> difference(Sparse(np.array(1.0), np.array(0.3), np.array(6.0)),
    ...            Sparse(np.array(3.0), np.array(0.4), np.array(8.0))).estimate
    array(2.)
    """
    variances = first.standard_error**2, second.standard_error**2
    variance = variances[0] + variances[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        below = sum(
            np.where(one > 0, one**2 / group.freedom, 0.0)
            for one, group in zip(variances, (first, second), strict=True)
        )
        freedom = np.where(below > 0, variance**2 / below, np.nan)
    return Sparse(
        np.asarray(second.estimate - first.estimate), np.sqrt(variance), np.asarray(freedom)
    )


def p_value(found: Sparse) -> np.ndarray:
    """Two-sided p of zero, by Student's t.

    >>> float(p_value(Sparse(np.array(2.0), np.array(0.5), np.array(4.0))).round(4))
    0.0161
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(found.estimate) / found.standard_error
    return np.asarray(2 * special.stdtr(found.freedom, -t))


def redraw(values: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Animals drawn anew with replacement within each batch (draw, animal, time).

    >>> values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 5.0]])
    >>> redraw(values, 4, np.random.default_rng(0)).shape
    (4, 3, 2)
    """
    if values.ndim != 2:
        raise InputError(f"values of shape {values.shape}; expected (animal, time)")
    _, batch = np.unique(np.isfinite(values), axis=0, return_inverse=True)
    chosen = np.empty((draws, len(values)), dtype=int)
    for one in np.unique(batch):
        members = np.flatnonzero(batch == one)
        chosen[:, members] = generator.choice(members, (draws, members.size))
    return np.asarray(values[chosen])


def bootstrap_interval(
    values: np.ndarray,
    quantity: Quantity,
    generator: np.random.Generator,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """Bootstrap-t limits of a quantity of one group (animal, time); NaN with fewer than two thirds
    of the draws usable (a draw without spread has no t)."""
    found = quantity(values)
    again = quantity(redraw(values, draws, generator))
    return _studentised(found, again, level)


def bootstrap_difference(
    groups: tuple[np.ndarray, np.ndarray],
    quantities: tuple[Quantity, Quantity],
    generator: np.random.Generator,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """Bootstrap-t limits of the difference of a quantity of two groups, second minus first.

    quantities  of each group, for the two may have been sampled at other times
    """
    found = difference(*(quantity(one) for one, quantity in zip(groups, quantities, strict=True)))
    again = difference(
        *(
            quantity(redraw(one, draws, generator))
            for one, quantity in zip(groups, quantities, strict=True)
        )
    )
    return _studentised(found, again, level)


def _studentised(found: Sparse, again: Sparse, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise InputError(f"a confidence level of {level:g}; expected one between 0 and 1")
    spread = again.standard_error > 1e-9 * found.standard_error  # rounding is no spread
    shift = (again.estimate - found.estimate)[spread] / again.standard_error[spread]
    shift = shift[np.isfinite(shift)]
    if 3 * shift.size < 2 * spread.size:
        return float("nan"), float("nan")
    low, high = np.quantile(shift, ((1 - level) / 2, (1 + level) / 2))
    centre, error = float(found.estimate), float(found.standard_error)
    return centre - float(high) * error, centre - float(low) * error
