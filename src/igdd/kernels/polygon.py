"""Polygons on a pixel lattice: the exact share of every pixel that a set of contours encloses.

Several contours of one plane combine by the even-odd rule (a point is inside when a ray from it
crosses an odd number of edges). This is what planning systems mean by holes and by "keyholes",
an inner border joined to the outer one through a channel of no width, and it needs no
orientation of the contours.

Method: the plane is cut into bands at the height of every vertex, and of every crossing of two
edges, so that inside a band the edges are an ordered row of straight, disjoint pieces that run
from its bottom to its top. Between the first and second, third and fourth, ... piece is inside.
Each piece then adds the trapezoid on its far side to the pixels, with alternating sign, and a
running sum along the row fills the interior. No sampling: the result is exact to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from igdd.errors import InputError

# Two edges that overlap by less than this many pixels touch and do not cross; a share of a pixel
# below it is rounding. Ten times the rounding of the farthest coordinate that is let in.
TOUCH = 1e-9

# A coordinate farther off than this many pixels is a mistake, not an outline.
FARTHEST = 1e6

# Pieces of one plane, all refinements counted: a bound on time and memory (1 s, 150 MB), 100 times
# what a hand-drawn contour of 1000 points needs.
LIMIT = 1_000_000


def polygon_weights(contours: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Share 0..1 of each pixel (i, j) inside closed contours, each (points, 2) in indices.

    Pixel i reaches from i - 0.5 to i + 0.5. Contours close by themselves and combine by the
    even-odd rule; what lies outside the lattice is cut off.

    >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> polygon_weights([square], (2, 3))
    array([[0.25, 0.25, 0.  ],
           [0.25, 0.25, 0.  ]])
    """
    weights = np.zeros(shape)
    window, (first, second) = polygon_window(contours, shape)
    weights[first : first + window.shape[0], second : second + window.shape[1]] = window
    return weights


def polygon_window(
    contours: Sequence[np.ndarray], shape: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of `polygon_weights` that the contours reach, and its first pixel (i, j)."""
    corners = _checked(contours)
    if not corners:
        return np.zeros((0, 0)), (0, 0)
    points = np.concatenate(corners) + 0.5
    low = np.clip(np.floor(points.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)), 0, shape).astype(int)
    if (high <= low).any():
        return np.zeros((0, 0)), (0, 0)
    pieces, sign = _pieces([corner + 0.5 - low for corner in corners])
    extent = (int(high[0] - low[0]), int(high[1] - low[1]))
    return _accumulate(pieces, sign, extent), (int(low[0]), int(low[1]))


def polygon_area(contours: Sequence[np.ndarray]) -> float:
    """Area in pixels inside closed contours under the even-odd rule, on the lattice or not.

    >>> polygon_area([np.array([[0.0, 0.0], [0.0, 2.0], [3.0, 0.0]])])
    3.0
    """
    corners = _checked(contours)
    if not corners:
        return 0.0
    (bottom, top, start, end), sign = _pieces(corners)
    return float(-np.sum(sign * (top - bottom) * (start + end) / 2))


def _checked(contours: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Contours that can enclose something; refused where a coordinate is no place."""
    kept = []
    for contour in contours:
        corner = np.asarray(contour, dtype=float)
        if corner.ndim != 2 or corner.shape[1] != 2:
            raise InputError(f"contour has shape {corner.shape}; expected (points, 2)")
        if not (np.abs(corner) <= FARTHEST).all():
            raise InputError(
                f"contour has a coordinate that is not finite or beyond {FARTHEST:g} pixels; "
                "expected indices into the image"
            )
        if len(corner) > 2:
            # Snapped far below TOUCH, so that no edge is so flat that its slope overflows.
            kept.append(np.round(corner, 11))
    return kept


def _pieces(corners: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pieces (4, n) that do not cross, and their sign: +1 where the inside begins, else -1.

    A piece rises from (bottom, start) to (top, end): bottom and top are on the first axis.
    """
    edges = np.concatenate([np.hstack([c, np.roll(c, -1, axis=0)]) for c in corners])
    edges = edges[edges[:, 0] != edges[:, 2]]
    rising = (edges[:, 0] < edges[:, 2])[:, None]
    edges = np.where(rising, edges, edges[:, [2, 3, 0, 1]])
    levels = np.unique(edges[:, [0, 2]])
    spent = 0
    while True:
        first, last = np.searchsorted(levels, edges[:, 0]), np.searchsorted(levels, edges[:, 2])
        spent += int((last - first).sum())
        _within_limit(spent)
        pieces, band = _bands(edges, levels, first, last)
        refined = np.union1d(levels, _crossings(pieces, band))
        if refined.size == levels.size:
            rank = np.arange(band.size) - np.searchsorted(band, band)
            return pieces, np.where(rank % 2, -1.0, 1.0)
        levels = refined


def _within_limit(count: int) -> None:
    if count > LIMIT:
        raise InputError(
            f"contours of one plane cut each other and the image into more than {LIMIT} pieces; "
            "expected outlines of regions; draw them with fewer points"
        )


def _spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For items repeated `counts` times: which item, and which repetition of it."""
    which = np.repeat(np.arange(counts.size), counts)
    return which, np.arange(which.size) - np.repeat(np.cumsum(counts) - counts, counts)


def _bands(
    edges: np.ndarray, levels: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Edges cut at the levels, in order from start to end within each band; and the bands."""
    which, step = _spread(last - first)
    band = first[which] + step
    low, start, high, end = edges[which].T
    bottom, top = levels[band], levels[band + 1]
    slope = (end - start) / (high - low)
    pieces = np.array([bottom, top, start + (bottom - low) * slope, end + (top - high) * slope])
    order = np.lexsort((pieces[2] + pieces[3], band))
    return pieces[:, order], band[order]


def _crossings(pieces: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Heights at which neighbours within a band change places."""
    bottom, top, start, end = pieces
    before, after = np.diff(start), np.diff(end)
    crossed = (np.diff(band) == 0) & (np.minimum(before, after) < -TOUCH)
    share = before[crossed] / (before[crossed] - after[crossed])
    low, high = bottom[:-1][crossed], top[:-1][crossed]
    return np.asarray(low + share * (high - low))


def _accumulate(pieces: np.ndarray, sign: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Share of each pixel on the far side of the pieces, summed with their signs."""
    bottom, top, start, end = pieces
    first = np.clip(np.floor(bottom), 0, shape[0]).astype(int)
    last = np.clip(np.ceil(top), first, shape[0]).astype(int)
    _within_limit(int((last - first).sum()))
    which, step = _spread(last - first)
    row = first[which] + step
    low, high = np.maximum(bottom[which], row), np.minimum(top[which], row + 1)
    slope = ((end - start) / (top - bottom))[which]
    left = start[which] + (low - bottom[which]) * slope
    right = end[which] + (high - top[which]) * slope
    area = sign[which] * (high - low)
    return _fill(row, np.sort([left, right], axis=0), area, shape)


def _fill(
    row: np.ndarray, reach: np.ndarray, area: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Pixels (i, j) from pieces that lie in one row each and reach from left to right in it.

    A piece in column c at mean place f within it leaves area * (1 - f) of its row's height in c
    and all of it in the columns beyond; the running sum does the latter.
    """
    left, right = reach
    columns = shape[1]
    first = np.clip(np.floor(left), -1, columns).astype(int)
    last = np.clip(np.ceil(right) - 1, first, columns).astype(int)
    _within_limit(int((last - first + 1).sum()))
    which, step = _spread(last - first + 1)
    column = first[which] + step
    low = np.where(step == 0, left[which], column)
    high = np.where(column == last[which], right[which], column + 1.0)
    width = (right - left)[which]
    share = np.divide(high - low, width, out=np.ones_like(width), where=width > 0)
    part = area[which] * share
    within = np.where(column < 0, 0.0, (low + high) / 2 - column)
    kept = column < columns
    place = row[which][kept] * (columns + 1) + np.maximum(column[kept], 0)
    size = shape[0] * (columns + 1)
    part, within = part[kept], within[kept]
    filled = np.bincount(place, part * (1 - within), size)
    filled += np.bincount(place + 1, part * within, size + 1)[:size]
    weights = np.cumsum(filled.reshape(shape[0], columns + 1), axis=1)[:, :columns]
    weights[weights < TOUCH] = 0
    weights[weights > 1 - TOUCH] = 1
    return np.asarray(weights)
