"""Where a fit of exponential responses begins: the best place of a grid of rates and delays.

Products of the curve with the tabulated responses and columns are all that the search needs. The
parts of the responses along the columns are known beforehand, so that what every rate, or pair of
rates, would explain follows by a few multiplications.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from igdd.kernels.response_table import INLINE, Tables, Work

# What is known of the best place at one delay: what it explains, how many exponentials, the mask of
# the columns, the nodes of both, where the first is between its nodes, whether its signs hold, and
# the gain again, which stays when the delay is crossed out.
GAIN, COUNT, MASK, FIRST, SECOND, PLACE, SIGNED, KEPT = range(8)


@njit(**INLINE)
def _recall(tables: Tables, work: Work, products: np.ndarray, where: tuple[int, int]) -> None:
    """Products of the curve, at length 1 and without the held columns, with the columns and the
    responses of a delay, out of those with the seeker, whose columns are those of a mask."""
    mask, late = where
    fixed, scale = tables.columns.shape[1], work.scale[0]
    for i in range(fixed):
        work.parts[i] = products[late, i] - scale * tables.offsets[late, i]
    for column in range(fixed):
        work.along[column] = 0.0
        for i in range(fixed):
            work.along[column] += tables.grounds[late, column, i] * work.parts[i]
    for node in range(tables.nodes.size):
        beside = products[late, fixed + node] - scale * tables.offsets[late, fixed + node]
        work.along[fixed + node] = tables.remains[mask, late, node] * beside
    for i in range(fixed):
        for node in range(tables.nodes.size):
            work.along[fixed + node] += tables.shadows[mask, late, i, node] * work.parts[i]


@njit(**INLINE)
def _heights(tables: Tables, work: Work, where: tuple[int, int]) -> float:
    """Share that the columns of a mask explain at one delay; the responses' into `heights`."""
    mask, late = where
    fixed, explained = tables.columns.shape[1], 0.0
    for i in range(fixed):
        work.parts[i] = 0.0
        for column in range(fixed):
            work.parts[i] += tables.mixes[mask, late, i, column] * work.along[column]
        explained += work.parts[i] ** 2
    for node in range(tables.nodes.size):
        work.heights[node] = work.along[fixed + node]
    for i in range(fixed):
        for node in range(tables.nodes.size):
            work.heights[node] -= tables.shadows[mask, late, i, node] * work.parts[i]
    least = 0.0 if tables.positive[-1] else -np.inf
    for node in range(tables.nodes.size):
        work.heights[node] = max(work.heights[node] * tables.lengthen[mask, late, node], least)
    return explained


@njit(**INLINE)
def _signs(
    tables: Tables, work: Work, where: tuple[int, int], pair: tuple[int, int], count: int
) -> bool:
    """Whether no column of the mask gets a coefficient below 0 beside these exponentials."""
    mask, late = where
    fixed = tables.columns.shape[1]
    first, second = 0.0, 0.0
    if count == 1:
        first = work.heights[pair[0]] * tables.lengthen[mask, late, pair[0]]
    if count == 2:
        g = tables.grams[mask, late, pair[0], pair[1]]
        x, y = work.heights[pair[0]], work.heights[pair[1]]
        first = (x - g * y) / (1 - g * g) * tables.lengthen[mask, late, pair[0]]
        second = (y - g * x) / (1 - g * g) * tables.lengthen[mask, late, pair[1]]
    for column in range(fixed):
        if not tables.positive[column]:
            continue
        amount = 0.0
        for i in range(fixed):
            left = work.parts[i] - tables.shadows[mask, late, i, pair[0]] * first
            left -= tables.shadows[mask, late, i, pair[1]] * second
            amount += tables.mixes[mask, late, i, column] * left
        if amount < 0:
            return False
    return True


@njit(**INLINE)
def _vertex(below: float, here: float, above: float) -> tuple[float, float]:
    """Top of the parabola through three even steps: how far from the middle, and its height."""
    bend = 2 * here - below - above
    if not bend > 0:
        return 0.0, here
    shift = min(max((above - below) / (2 * bend), -0.5), 0.5)
    return shift, here + shift * (above - below) / 4


@njit(**INLINE)
def _tallest(
    tables: Tables, work: Work, where: tuple[int, int], enough: float, signed: bool
) -> int:
    """The node whose response explains most beside the columns, and more than enough; -1: none."""
    one, most = -1, enough
    for node in range(tables.nodes.size):
        if work.heights[node] ** 2 > most:
            one, most = node, work.heights[node] ** 2
    if one < 0 or not signed or _signs(tables, work, where, (one, one), 1):
        return one
    one, most = -1, enough
    for node in range(tables.nodes.size):
        taller = work.heights[node] ** 2 > most
        if taller and _signs(tables, work, where, (node, node), 1):
            one, most = node, work.heights[node] ** 2
    return one


@njit(**INLINE)
def _improve(tables: Tables, work: Work, where: tuple[int, int], base: float, signed: bool) -> None:
    """Put into the work's best of a delay what explains more than it with the columns of a mask.

    base    what those columns explain, without what the held ones cost
    signed  whether no coefficient may have a sign that it must not have
    """
    mask, late = where
    size, best = tables.nodes.size, work.best[late]
    if base > best[GAIN] and (not signed or _signs(tables, work, where, (0, 0), 0)):
        best[GAIN], best[COUNT], best[MASK] = base, 0, mask
    one = _tallest(tables, work, where, max(best[GAIN] - base, 0.0), signed)
    if one >= 0:
        best[GAIN], best[COUNT], best[MASK] = base + work.heights[one] ** 2, 1, mask
        best[FIRST], best[PLACE] = one, tables.nodes[one]
    if 0 < one < size - 1 and work.place.size == 2:
        # A grid hides what lies between its nodes, and with it the order of the delays.
        below, above = work.heights[one - 1], work.heights[one + 1]
        shift, best[GAIN] = _vertex(base + below * below, best[GAIN], base + above * above)
        best[PLACE] += shift * (tables.nodes[one + 1] - tables.nodes[one - 1]) / 2
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
            if gain > best[GAIN]:
                pair = (first, second)
                if not signed or _signs(tables, work, where, pair, 2):
                    best[GAIN], best[COUNT], best[MASK] = gain, 2, mask
                    best[FIRST], best[SECOND], best[PLACE] = first, second, tables.nodes[first]


@njit(**INLINE)
def survey(tables: Tables, work: Work, products: np.ndarray, every: int) -> None:
    """The best of every delay with all columns, whatever their signs.

    products  (dc, l + mc + 1) of the curve, at length 1, with the seeker
    """
    fixed, size, scale = tables.columns.shape[1], tables.nodes.size, work.scale[0]
    for late in range(tables.delays.size):
        best = work.best[late]
        best[:] = 0.0
        best[GAIN], best[MASK] = -np.inf, every
        base = scale * 2 * products[late, fixed + size]
        base -= scale * scale * tables.offsets[late, fixed + size]
        for i in range(fixed):
            base += (products[late, i] - scale * tables.offsets[late, i]) ** 2
        for node in range(size):
            height = products[late, fixed + node] - scale * tables.offsets[late, fixed + node]
            work.heights[node] = height if height > 0 or not tables.positive[-1] else 0.0
        _improve(tables, work, (every, late), base, False)
        best[KEPT] = best[GAIN]


@njit(**INLINE)
def _hold_signs(tables: Tables, work: Work, products: np.ndarray, late: int) -> None:
    """The best of a delay whose coefficients all have a sign that they may have."""
    best, fixed, size = work.best[late], tables.columns.shape[1], tables.nodes.size
    best[SIGNED] = 1
    every = int(best[MASK])
    _recall(tables, work, products, (every, late))
    _heights(tables, work, (every, late))
    first, second = int(best[FIRST]), int(best[SECOND])
    if int(best[COUNT]) < 2:
        second = first
    if _signs(tables, work, (every, late), (first, second), int(best[COUNT])):
        best[GAIN] = best[KEPT]
        return
    scale = work.scale[0]
    cost = scale * scale * tables.offsets[late, fixed + size]
    cost -= 2 * scale * products[late, fixed + size]
    best[GAIN] = -np.inf
    for mask in range(every, -1, -1):
        if (mask | every) == every:
            explained = _heights(tables, work, (mask, late))
            _improve(tables, work, (mask, late), explained - cost, True)
    best[KEPT] = best[GAIN]


@njit(**INLINE)
def climb(tables: Tables, work: Work, products: np.ndarray, least: float) -> tuple[int, int, float]:
    """Put the work at the best delay and rates that are left: the columns' mask, how many
    exponentials, what they explain. The mask is -1 where nothing is left that explains `least`.

    Only a delay that explains more than those beside it is a place to begin from.
    """
    count = tables.delays.size
    while True:
        late = 0
        for one in range(count):
            if work.best[one, GAIN] > work.best[late, GAIN]:
                late = one
        gain = work.best[late, GAIN]
        if not gain > least:
            return -1, 0, least
        work.best[late, GAIN] = -np.inf
        before, after = max(late - 1, 0), min(late + 1, count - 1)
        if max(work.best[before, KEPT], work.best[after, KEPT]) > gain:
            continue
        if work.best[late, SIGNED] == 1:
            break
        _hold_signs(tables, work, products, late)
    best, last = work.best[late], work.place.size - 1
    if best[COUNT] > 0:
        work.place[0] = best[PLACE]
    if best[COUNT] > 1:
        work.place[1] = tables.nodes[int(best[SECOND])]
    work.place[last], top = tables.delays[late], gain
    if 0 < late < count - 1:
        below, above = work.best[late - 1], work.best[late + 1]
        shift, top = _vertex(below[KEPT], best[KEPT], above[KEPT])
        work.place[last] += shift * (tables.delays[late + 1] - tables.delays[late - 1]) / 2
        if last == 1 and below[COUNT] == above[COUNT] == best[COUNT] == 1:
            work.place[0] += shift * (above[PLACE] - below[PLACE]) / 2
    return int(best[MASK]), int(best[COUNT]), top
