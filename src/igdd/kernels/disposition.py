"""Disposition by one to three compartments: rates and shares of the exponentials after a bolus.

The central compartment exchanges with up to two peripheral ones and is the only one that eliminates
(a mammillary system). After a unit bolus its concentration is

    C(t) = sum_i share_i exp(-rate_i t) / V1,    rate_1 > rate_2 > ...,    sum_i share_i = 1

Parameters stand in the order CL, V1, (Q2, V2, (Q3, V3)), in any one unit of volume and of time,
with k10 = CL / V1, k12 = Q2 / V1, k21 = Q2 / V2, k13 = Q3 / V1, k31 = Q3 / V3.
Gibaldi and Perrier, Pharmacokinetics, 2nd edition, 1982, chapters 1, 2 and appendix B.

Everything takes complex parameters too, for derivatives by a complex step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Distance of two rates, over the largest, below which the residue formula has lost half its digits.
CLOSE = 1e-7


class Disposition(NamedTuple):
    """Rates and shares (n, k) of the exponentials, the fastest first, and central volume (n,)."""

    rates: np.ndarray
    shares: np.ndarray
    volume: np.ndarray


def disposition(parameters: np.ndarray) -> Disposition:
    """Exponentials of clearances and volumes (n, 2), (n, 4) or (n, 6).

    >>> found = disposition(np.array([[1.0, 10.0, 2.0, 20.0]]))
    >>> found.rates.round(4), found.shares.round(4)
    (array([[0.3732, 0.0268]]), array([[0.7887, 0.2113]]))
    """
    rates, shares = macro_constants(micro_constants(parameters))
    return Disposition(rates, shares, parameters[:, 1])


def micro_constants(parameters: np.ndarray) -> np.ndarray:
    """k10, (k12, k21, (k13, k31)) from CL, V1, (Q2, V2, (Q3, V3)), row by row.

    >>> micro_constants(np.array([[1.0, 10.0, 2.0, 20.0]]))
    array([[0.1, 0.2, 0.1]])
    """
    central = parameters[:, 1]
    columns = [parameters[:, 0] / central]
    for flow, volume in zip(parameters.T[2::2], parameters.T[3::2], strict=True):
        columns += [flow / central, flow / volume]
    return np.stack(columns, axis=1)


def clearance_parameters(micro: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """CL, V1, (Q2, V2, (Q3, V3)) from the micro-constants and the central volume (n,)."""
    columns = [micro[:, 0] * volume, volume]
    for out, back in zip(micro.T[1::2], micro.T[2::2], strict=True):
        columns += [out * volume, out * volume / back]
    return np.stack(columns, axis=1)


def macro_constants(micro: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates and shares (n, k) of the exponentials from k10, (k12, k21, (k13, k31))."""
    size = (micro.shape[1] + 1) // 2
    if size == 1:
        return micro.copy(), np.ones_like(micro)
    return _two(micro) if size == 2 else _three(micro)


def from_exponentials(rates: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Micro-constants of rates and positive shares (n, k): `macro_constants` undone.

    >>> micro = np.array([[0.1, 0.2, 0.1, 0.05, 0.01]])
    >>> from_exponentials(*macro_constants(micro)).round(6)
    array([[0.1 , 0.2 , 0.1 , 0.05, 0.01]])
    """
    if rates.shape[1] == 1:
        return rates.copy()
    if rates.shape[1] == 2:
        back = shares[:, 0] * rates[:, 1] + shares[:, 1] * rates[:, 0]
        elimination = rates[:, 0] * rates[:, 1] / back
        return np.stack([elimination, rates.sum(axis=1) - back - elimination, back], axis=1)
    one, two, three = rates.T
    pairs = np.stack([two * three, one * three, one * two], axis=1)
    half = (shares * (rates.sum(axis=1, keepdims=True) - rates)).sum(axis=1) / 2
    product = (shares * pairs).sum(axis=1)
    back2 = half + np.sqrt(np.maximum(half * half - product, 0.0))
    back3 = product / back2
    elimination = one * two * three / (back2 * back3)
    out2 = (pairs.sum(axis=1) - back2 * (rates.sum(axis=1) - back2) - elimination * back3) / (
        back3 - back2
    )
    out3 = rates.sum(axis=1) - elimination - out2 - back2 - back3
    return np.stack([elimination, out2, back2, out3, back3], axis=1)


def system_matrix(micro: np.ndarray) -> np.ndarray:
    """Matrix (n, k, k) of dx/dt = K x for the amounts, the central one first."""
    size = (micro.shape[1] + 1) // 2
    matrix = np.zeros((len(micro), size, size), dtype=micro.dtype)
    matrix[:, 0, 0] = -micro[:, 0]
    for place, (out, back) in enumerate(zip(micro.T[1::2], micro.T[2::2], strict=True), start=1):
        matrix[:, 0, 0] -= out
        matrix[:, place, 0] = out
        matrix[:, 0, place] = back
        matrix[:, place, place] = -back
    return matrix


def _two(micro: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The quadratic without a difference of like numbers."""
    elimination, out, back = micro.T
    gap = elimination + out - back
    root = np.sqrt(gap * gap + 4 * out * back)
    fast = (elimination + out + back + root) / 2
    slow = _over(elimination * back, fast)
    # (root + |gap|) / 2 holds all its digits; its partner follows from their product, out * back.
    large = (root + np.where(gap.real < 0, -gap, gap)) / 2
    small = _over(out * back, large)
    falling = gap.real < 0
    first = _over(np.where(falling, small, large), root)
    second = _over(np.where(falling, large, small), root)
    whole = root == 0
    first = np.where(whole, 1.0, first)
    return np.stack([fast, slow], axis=1), np.stack([first, second], axis=1)


def _three(micro: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of the symmetric matrix similar to -K, each then improved on the cubic.

    The squared first components of the eigenvectors are the shares, all of them positive.
    """
    elimination, out2, back2, out3, back3 = micro.real.T
    symmetric = np.zeros((len(micro), 3, 3))
    symmetric[:, 0, 0] = elimination + out2 + out3
    symmetric[:, 1, 1], symmetric[:, 2, 2] = back2, back3
    symmetric[:, 1, 0] = -np.sqrt(out2 * back2)
    symmetric[:, 2, 0] = -np.sqrt(out3 * back3)
    known: np.ndarray = np.all(np.isfinite(symmetric), axis=(1, 2))
    values, vectors = np.linalg.eigh(np.where(known[:, None, None], symmetric, 0.0))
    rates, shares = values[:, ::-1], vectors[:, 0, ::-1] ** 2
    rates = np.where(known[:, None], rates, np.nan).astype(micro.dtype)
    rates = _polished(micro, _polished(micro, rates))
    return rates, _residues(micro, rates, shares)


def _polished(micro: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """A Newton step on the cubic, whose coefficients are sums of positive products; none where two
    rates are so near that it would lose more than it gains."""
    elimination, out2, back2, out3, back3 = (column[:, None] for column in micro.T)
    second = elimination + out2 + out3 + back2 + back3
    first = elimination * (back2 + back3) + out2 * back3 + out3 * back2 + back2 * back3
    last = elimination * back2 * back3
    value = ((rates - second) * rates + first) * rates - last
    slope = (3 * rates - 2 * second) * rates + first
    apart = _apart(rates.real)
    step = np.where(apart, value / np.where(apart, slope, 1.0), 0.0)
    return rates - step


def _apart(rates: np.ndarray) -> np.ndarray:
    """Whether each rate (n, 3) stands clear of its neighbours."""
    clear: np.ndarray = np.less(np.diff(rates, axis=1), -CLOSE * np.abs(rates[:, :1]))
    return np.stack([clear[:, 0], clear.all(axis=1), clear[:, 1]], axis=1)


def _residues(micro: np.ndarray, rates: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Shares by the residues of (s + k21)(s + k31) / prod(s + rate); as given where rates meet."""
    above = (micro[:, 2, None] - rates) * (micro[:, 4, None] - rates)
    one, two, three = rates.T
    below = np.stack(
        [(two - one) * (three - one), (one - two) * (three - two), (one - three) * (two - three)],
        axis=1,
    )
    apart = _apart(rates.real)
    return np.where(apart, above / np.where(apart, below, 1.0), shares)


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotient, 0 where the divisor is 0: nothing is there to divide."""
    some = below != 0
    return np.asarray(np.where(some, above / np.where(some, below, 1.0), 0.0))
