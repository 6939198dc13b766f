"""Texture features: every matrix family in every aggregation, from grey levels to numbers.

IBSI reference manual (arXiv:1612.07003), sections 3.6 to 3.11. The aggregations:

    2D_avg   features of each slice and direction, averaged      2D_comb   merged by slice, averaged
    2_5D_avg merged over slices, averaged over directions        2_5D_comb one matrix of them all
    3D_avg   features of each of 13 directions, averaged         3D_comb   one matrix of them all
    2D, 2_5D, 3D  the families without directions: by slice and averaged, merged, in the volume

A matrix without an entry has no features; averages are over those that have one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.kernels.cooccurrence import NAMES as PAIRS
from igdd.kernels.cooccurrence import cooccurrence_features
from igdd.kernels.texture_matrices import (
    cooccurrences,
    depths,
    directions,
    neighbours,
    runs,
    surroundings,
    zones,
)

# Of a matrix of grey level i against length, size, distance or number j: see `emphases`.
EMPHASES = (
    "short", "long", "low", "high", "short_low", "short_high", "long_low", "long_high", "glnu",
    "glnu_norm", "jnu", "jnu_norm", "share", "gl_var", "j_var", "entr", "energy",
)  # fmt: skip
TONES = ("coarseness", "contrast", "busyness", "complexity", "strength")
# Coarseness of a region without any difference (manual, 3.10.1).
COARSEST = 1e6
# Cells of a matrix that are counted in one array rather than sorted.
MOST_CELLS = 1 << 22


@dataclass(frozen=True)
class Cells:
    """Matrices as lists of their filled cells: number of the matrix, row, column, count."""

    matrix: np.ndarray
    row: np.ndarray
    column: np.ndarray
    count: np.ndarray


def cells(
    matrix: np.ndarray, row: np.ndarray, column: np.ndarray, count: np.ndarray | None = None
) -> Cells:
    """Count equal triples (n,) of whole numbers from 0 up, each `count` times or once."""
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    code = (matrix * rows + row) * columns + column
    if (int(matrix.max()) + 1) * rows * columns <= MOST_CELLS:
        everywhere = np.bincount(code, count)
        filled = np.flatnonzero(everywhere)
        total = everywhere[filled]
    else:
        filled, inverse = np.unique(code, return_inverse=True)
        total = np.bincount(inverse, count)
    return Cells(
        filled // (rows * columns), filled // columns % rows, filled % columns, total.astype(float)
    )


def emphases(entries: Cells, places: np.ndarray) -> np.ndarray:
    """The features (matrix, 17) of matrices of grey level i against j, in order of `EMPHASES`.

    places  (matrix,) number of voxels (times directions) that could each start an entry
    """
    number = places.size
    i, j, c = entries.row.astype(float), entries.column.astype(float), entries.count
    total = np.bincount(entries.matrix, c, number)
    total[total == 0] = np.nan

    def mean(of: np.ndarray) -> np.ndarray:
        return np.bincount(entries.matrix, of * c, number) / total

    def unevenness(of: np.ndarray) -> np.ndarray:
        width = int(of.max()) + 1
        codes, inverse = np.unique(entries.matrix * width + of, return_inverse=True)
        sums = np.bincount(inverse, c)
        return np.asarray(np.bincount(codes // width, sums**2, number) / total)

    low, short = 1 / i**2, 1 / j**2
    high, long = i**2, j**2
    share = c / total[entries.matrix]
    mean_i, mean_j = mean(i), mean(j)
    glnu, jnu = unevenness(entries.row), unevenness(entries.column)
    return np.column_stack([
        mean(short), mean(long), mean(low), mean(high),
        mean(short * low), mean(short * high), mean(long * low), mean(long * high),
        glnu, glnu / total, jnu, jnu / total, total / places,
        mean((i - mean_i[entries.matrix]) ** 2), mean((j - mean_j[entries.matrix]) ** 2),
        -mean(np.log2(share)) + 0.0, mean(share),
    ])  # fmt: skip


def tones(level: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Coarseness, contrast, busyness, complexity and strength (5,) of voxels with neighbours.

    level  (n,) grey level of each voxel, `apart` (n,) its difference to the mean of its neighbours
    """
    if not level.size:
        return np.full(5, np.nan)
    grey, inverse = np.unique(level, return_inverse=True)
    share = np.bincount(inverse) / level.size
    sums = np.bincount(inverse, apart)
    weighted = share * sums
    rough = float(weighted.sum())
    coarseness = 1 / rough if rough > 0 else COARSEST
    if grey.size == 1:
        return np.array([coarseness, 0.0, 0.0, 0.0, 0.0])
    gap = np.abs(grey[:, None] - grey[None, :]).astype(float)
    both = share[:, None] + share[None, :]
    contrast = (share @ gap**2 @ share) / (grey.size * (grey.size - 1)) * sums.sum() / level.size
    product = grey * share
    busy = np.abs(product[:, None] - product[None, :]).sum()
    total = float(sums.sum())
    return np.array([
        coarseness,
        contrast,
        rough / busy if busy > 0 else 0.0,
        (gap * (weighted[:, None] + weighted[None, :]) / both).sum() / level.size,
        (both * gap**2).sum() / total if total > 0 else 0.0,
    ])  # fmt: skip


def mean_of_known(features: np.ndarray) -> np.ndarray:
    """Mean over matrices (matrix, feature) of what each feature has; NaN where none has it."""
    known = np.isfinite(features)
    count = known.sum(axis=0).astype(float)
    count[count == 0] = np.nan
    return np.asarray(np.where(known, features, 0.0).sum(axis=0) / count)


class Texture:
    """Grey levels (i, j, k) of a region, 0 outside, and what is computed of them."""

    def __init__(self, levels: np.ndarray, region: np.ndarray, number: int) -> None:
        """Take levels, the morphological mask for distances, and the number of grey levels."""
        self.levels = np.ascontiguousarray(levels, dtype=np.int64)
        self.region = np.ascontiguousarray(region)
        self.number = number
        self.flat = self.levels.ravel()
        self.slices = self.levels.shape[2]
        self.per_slice = (self.levels > 0).sum(axis=(0, 1))
        self._runs: dict[int, list[Cells]] = {}

    def pairs(self, aggregation: str) -> dict[str, float]:
        """Co-occurrence features."""
        greys = np.unique(self.flat)
        greys = greys[greys > 0]
        place = np.zeros(int(greys[-1]) + 1, np.int64)
        place[greys] = np.arange(1, greys.size + 1)
        ranks = place[self.levels]
        plane = aggregation.startswith("2")
        by_slice = aggregation.startswith("2D")
        merge = aggregation.endswith("comb")
        steps = directions(2 if plane else 3)
        bounds = (
            [(k, k + 1) for k in np.flatnonzero(self.per_slice)] if by_slice else [(0, self.slices)]
        )
        features = []
        for first, last in bounds:
            counts = np.zeros((greys.size, greys.size), np.int64)
            for step in steps:
                cooccurrences(ranks, step, first, last, counts)
                if not merge:
                    features.append(cooccurrence_features(counts, greys, self.number))
                    counts[:] = 0
            if merge:
                features.append(cooccurrence_features(counts, greys, self.number))
        return dict(zip(PAIRS, mean_of_known(np.array(features)).tolist(), strict=True))

    def lengths(self, aggregation: str) -> dict[str, float]:
        """Run length features."""
        dimensions = 2 if aggregation.startswith("2") else 3
        by_slice = aggregation.startswith("2D")
        if dimensions not in self._runs:
            self._runs[dimensions] = self._directed(dimensions)
        found = self._runs[dimensions]
        steps = len(found)
        parts = [
            np.concatenate([getattr(one, name) for one in found])
            for name in ("matrix", "row", "column", "count")
        ]
        of_slice, row, column, count = parts
        matrix = of_slice if by_slice else np.zeros_like(of_slice)
        voxels = self.per_slice if by_slice else self.per_slice.sum(keepdims=True)
        if aggregation.endswith("comb"):
            voxels = voxels * steps
        else:
            along = np.repeat(np.arange(steps), [one.row.size for one in found])
            matrix = matrix * steps + along
            voxels = np.repeat(voxels, steps)
        return _averaged(cells(matrix, row, column, count), voxels)

    def _directed(self, dimensions: int) -> list[Cells]:
        """Runs of each direction, counted by slice, level and length."""
        found = []
        for step in directions(dimensions):
            length, start = runs(self.levels, step)
            of_slice = start % self.slices if dimensions == 2 else np.zeros_like(start)
            found.append(cells(of_slice, self.flat[start], length))
        return found

    def sizes(self, aggregation: str) -> tuple[dict[str, float], dict[str, float]]:
        """Size zone and distance zone features."""
        dimensions = 3 if aggregation == "3D" else 2
        depth = depths(self.region, dimensions)
        size, near, start = zones(self.levels, neighbours(dimensions), depth)
        return (
            self._emphases(by_slice=aggregation == "2D", start=start, column=size),
            self._emphases(by_slice=aggregation == "2D", start=start, column=near),
        )

    def around(self, aggregation: str) -> tuple[dict[str, float], dict[str, float]]:
        """Grey tone difference and dependence features."""
        dimensions = 3 if aggregation == "3D" else 2
        alike, apart, place = surroundings(self.levels, neighbours(dimensions))
        dependence = self._emphases(by_slice=aggregation == "2D", start=place, column=alike + 1)
        level = self.flat[place]
        known = apart >= 0
        if aggregation != "2D":
            found = tones(level[known], apart[known])
        else:
            of_slice = place % self.slices
            found = mean_of_known(np.array([
                tones(level[known & (of_slice == k)], apart[known & (of_slice == k)])
                for k in np.flatnonzero(self.per_slice)
            ]))  # fmt: skip
        return dict(zip(TONES, found.tolist(), strict=True)), dependence

    def _emphases(
        self, *, by_slice: bool, start: np.ndarray, column: np.ndarray
    ) -> dict[str, float]:
        """Features of entries that begin at flat indices, by slice or all in one matrix."""
        matrix = start % self.slices if by_slice else np.zeros_like(start)
        voxels = self.per_slice if by_slice else self.per_slice.sum(keepdims=True)
        return _averaged(cells(matrix, self.flat[start], column), voxels)


def _averaged(entries: Cells, voxels: np.ndarray) -> dict[str, float]:
    """Features by name, averaged over the matrices that have voxels."""
    filled = voxels > 0
    found = emphases(entries, np.where(filled, voxels, 1).astype(float))
    return dict(zip(EMPHASES, mean_of_known(found[filled]).tolist(), strict=True))
