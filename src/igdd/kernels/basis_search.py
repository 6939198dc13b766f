"""Where a fit of exponential responses begins: the best place of a grid of rates and delays.

Products of the curve with the tabulated responses and columns are all that the search needs. The
parts of the responses along the columns are known beforehand, so that what every rate, or pair of
rates, would explain follows by a few multiplications.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from igdd.kernels.response_table import JIT, SUMS, Tables, Work


@njit(**JIT)
def _heights(tables: Tables, work: Work, curve: np.ndarray, where: tuple[int, int]) -> float:
    """Share that the columns of a mask explain at one delay; the responses' into `heights`."""
    mask, late = where
    fixed, explained = tables.columns.shape[1], 0.0
    for column in range(fixed):
        work.parts[column] = 0.0
    for column in range(fixed):
        seen = _along(tables, work, curve, (late, column))
        for i in range(fixed):
            work.parts[i] += tables.mixes[mask, late, i, column] * seen
    for i in range(fixed):
        explained += work.parts[i] ** 2
    for node in range(tables.nodes.size):
        height = _along(tables, work, curve, (late, fixed + node))
        for i in range(fixed):
            height -= tables.shadows[mask, late, node, i] * work.parts[i]
        remains = tables.remains[mask, late, node]
        height = height / remains if remains > 0 else 0.0
        work.heights[node] = height if height > 0 or not tables.positive[-1] else 0.0
    return explained


@njit(fastmath=SUMS, **JIT)
def _along(tables: Tables, work: Work, curve: np.ndarray, where: tuple[int, int]) -> float:
    """Product of the curve, at length 1 and without the held columns, with a row of the search."""
    total = 0.0
    for i in range(curve.size):
        total += tables.rows[where[0], where[1], i] * curve[i]
    seen: float = (total - tables.held[where[0], where[1]]) * work.scale[0]
    return seen


@njit(**JIT)
def _signs(
    tables: Tables, work: Work, where: tuple[int, int], pair: tuple[int, int], count: int
) -> bool:
    """Whether no column of the mask gets a coefficient below 0 beside these exponentials."""
    mask, late = where
    fixed = tables.columns.shape[1]
    first, second = 0.0, 0.0
    if count == 1:
        first = work.heights[pair[0]] / tables.remains[mask, late, pair[0]]
    if count == 2:
        g = tables.grams[mask, late, pair[0], pair[1]]
        x, y = work.heights[pair[0]], work.heights[pair[1]]
        first = (x - g * y) / (1 - g * g) / tables.remains[mask, late, pair[0]]
        second = (y - g * x) / (1 - g * g) / tables.remains[mask, late, pair[1]]
    for column in range(fixed):
        if not tables.positive[column]:
            continue
        amount = 0.0
        for i in range(fixed):
            left = work.parts[i] - tables.shadows[mask, late, pair[0], i] * first
            left -= tables.shadows[mask, late, pair[1], i] * second
            amount += tables.mixes[mask, late, i, column] * left
        if amount < 0:
            return False
    return True


@njit(**JIT)
def _improve(tables: Tables, work: Work, where: tuple[int, int], base: float, signed: bool) -> None:
    """Put into the work's best of a delay what explains more than it with the columns of a mask.

    base    what those columns explain, without what the held ones cost
    signed  whether no coefficient may have a sign that it must not have
    """
    mask, late = where
    size, best = tables.nodes.size, work.best[late]
    if base > best[0] and (not signed or _signs(tables, work, where, (0, 0), 0)):
        best[0], best[1], best[2] = base, 0, mask
    for node in range(size):
        if work.heights[node] == 0.0:
            continue
        gain = base + work.heights[node] ** 2
        if gain > best[0] and (not signed or _signs(tables, work, where, (node, node), 1)):
            best[0], best[1], best[2], best[3] = gain, 1, mask, node
    if work.place.size == 2:
        return
    for first in range(size):
        x = work.heights[first]
        for second in range(first + 1, size):
            g, y = tables.grams[mask, late, first, second], work.heights[second]
            # Both coefficients are positive just where each beats the other's shadow.
            if x <= g * y or y <= g * x:
                continue
            gain = base + (x * x + y * y - 2 * g * x * y) / (1 - g * g)
            if gain > best[0]:
                pair = (first, second)
                if not signed or _signs(tables, work, where, pair, 2):
                    best[0], best[1], best[2], best[3], best[4] = gain, 2, mask, first, second


@njit(**JIT)
def survey(tables: Tables, work: Work, products: np.ndarray, every: int) -> None:
    """The best of every delay with all columns, whatever their signs.

    products  (dc, l + mc + 1) of the curve, at length 1, with the seeker
    """
    fixed, size, scale = tables.columns.shape[1], tables.nodes.size, work.scale[0]
    for late in range(tables.delays.size):
        best = work.best[late]
        best[0], best[1], best[2], best[3], best[5] = -np.inf, 0, every, 0, 0
        base = scale * 2 * products[late, fixed + size]
        base -= scale * scale * tables.offsets[late, fixed + size]
        for i in range(fixed):
            base += (products[late, i] - scale * tables.offsets[late, i]) ** 2
        for node in range(size):
            height = products[late, fixed + node] - scale * tables.offsets[late, fixed + node]
            work.heights[node] = height if height > 0 or not tables.positive[-1] else 0.0
        _improve(tables, work, (every, late), base, False)


@njit(**JIT)
def _hold_signs(
    tables: Tables, work: Work, curve: np.ndarray, products: np.ndarray, late: int
) -> None:
    """The best of a delay whose coefficients all have a sign that they may have."""
    best, fixed, size = work.best[late], tables.columns.shape[1], tables.nodes.size
    best[5] = 1
    every = int(best[2])
    _heights(tables, work, curve, (every, late))
    first, second = int(best[3]), int(best[4])
    if int(best[1]) < 2:
        second = first
    if _signs(tables, work, (every, late), (first, second), int(best[1])):
        return
    scale = work.scale[0]
    cost = scale * scale * tables.offsets[late, fixed + size]
    cost -= 2 * scale * products[late, fixed + size]
    best[0] = -np.inf
    for mask in range(every, -1, -1):
        if (mask | every) == every:
            explained = _heights(tables, work, curve, (mask, late))
            _improve(tables, work, (mask, late), explained - cost, True)


@njit(**JIT)
def climb(
    tables: Tables, work: Work, curve: np.ndarray, products: np.ndarray, least: float
) -> tuple[int, int, float]:
    """Put the work at the best delay and rates that are left: the columns' mask, how many
    exponentials, what they explain. The mask is -1 where nothing is left that explains `least`.

    That delay and those beside it are then crossed out.
    """
    while True:
        late = 0
        for one in range(tables.delays.size):
            if work.best[one, 0] > work.best[late, 0]:
                late = one
        if not work.best[late, 0] > least:
            return -1, 0, least
        if work.best[late, 5] == 1:
            break
        _hold_signs(tables, work, curve, products, late)
    best = work.best[late]
    mask, count = int(best[2]), int(best[1])
    for j in range(min(count, 2)):
        work.place[j] = tables.nodes[int(best[3 + j])]
    work.place[work.place.size - 1] = tables.delays[late]
    top = work.best[late, 0]
    for one in range(max(late - 1, 0), min(late + 2, tables.delays.size)):
        work.best[one, 0] = -np.inf
    return mask, count, top
