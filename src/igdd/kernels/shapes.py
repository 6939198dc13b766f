"""Regions from geometry: spheres, boxes, thresholds, connected parts, shells, and their algebra.

Arrays in, arrays out. `affine` (4, 4) maps voxel indices to mm of voxel centres; a voxel reaches
half a step to each side. Weights are the share 0..1 of a voxel's volume that lies inside.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from igdd.errors import InputError

# Lines through the diameter of a sphere: along each the sphere's extent is exact, across them it
# is sampled. Its volume is then right to 5e-4 at worst (tests), whatever its size in voxels.
LINES = 96
SEARCH_LINES = 24

# Share of a sphere that may be lost on the way to a better centre: what the search's fewer lines
# leave unsure.
SHARE = 0.01

Window = tuple[np.ndarray, tuple[slice, slice, slice]]


def sphere_weights(
    shape: tuple[int, int, int], affine: np.ndarray, centre: np.ndarray, diameter: float
) -> np.ndarray:
    """Share 0..1 of each voxel (i, j, k) inside a sphere; centre (3,) and diameter in mm.

    The lattice may be oblique, sheared or anisotropic. What lies outside it is cut off.

    >>> ball = sphere_weights((9, 9, 9), np.eye(4), np.array([4.0, 4.0, 4.0]), 6.0)
    >>> round(float(ball.sum()), 1), round(np.pi / 6 * 6.0**3, 1)
    (113.1, 113.1)
    """
    weights = np.zeros(shape)
    inside, place = _sphere(shape, affine, np.asarray(centre, dtype=float), diameter, LINES)
    weights[place] = inside
    return weights


def box_weights(
    shape: tuple[int, int, int], affine: np.ndarray, corner: np.ndarray, opposite: np.ndarray
) -> np.ndarray:
    """Share 0..1 of each voxel inside a box between two opposite corners (3,) in mm.

    The box's edges run along the lattice's axes i, j, k, which are those of the world where the
    image is not tilted. Exact: the product of three overlaps, one per axis.

    >>> box_weights((4, 1, 1), np.eye(4), np.array([-1.0, -0.5, 0.0]), np.array([1.0, 0.5, 0.5]))
    array([[[0.5 ]],
    <BLANKLINE>
           [[0.25]],
    <BLANKLINE>
           [[0.  ]],
    <BLANKLINE>
           [[0.  ]]])
    """
    corners = np.array([corner, opposite], dtype=float)
    ends = np.linalg.solve(affine[:3, :3], (corners - affine[:3, 3]).T)
    if not (np.isfinite(ends).all() and (np.ptp(ends, axis=1) > 0).all()):
        raise InputError(
            f"box reaches from {corners[0]} to {corners[1]} mm; expected two opposite corners "
            "that enclose a volume"
        )
    along = []
    for axis in range(3):
        index = np.arange(shape[axis])
        low = np.maximum(index - 0.5, ends[axis].min())
        high = np.minimum(index + 0.5, ends[axis].max())
        along.append(np.maximum(high - low, 0))
    return np.asarray(np.einsum("i,j,k->ijk", *along))


def refine_centre(
    values: np.ndarray, affine: np.ndarray, centre: np.ndarray, diameter: float, reach: float
) -> np.ndarray:
    """Centre (3,) in mm, at most `reach` mm away, where the mean of a sphere is highest.

    First every centre on a lattice of steps of half a voxel (or a fifth of the reach, if longer),
    then the neighbours of the best, with steps halved down to a hundredth of the diameter.
    Centres are tried from the nearest outwards and only a higher mean replaces the best: the
    answer is the same each time, and stays put where nothing is gained. A centre whose sphere
    leaves the image, or covers a NaN, more than the first one's does is passed over.
    """
    start = np.asarray(centre, dtype=float)
    mean, share = _sphere_mean(values, affine, start, diameter)
    if not np.isfinite(mean):
        raise InputError(
            f"a sphere of {diameter} mm at {start.round(2)} mm holds no value of the image; "
            "expected a centre inside it, in mm, RAS+"
        )
    step = max(float(np.linalg.norm(affine[:3, :3], axis=0).min()) / 2, reach / 5)
    offsets = _offsets(int(reach / step))
    best = start
    while reach > 0 and step > diameter / 100:
        middle = best
        for candidate in middle + offsets * step:
            if np.linalg.norm(candidate - start) > reach:
                continue
            found, held = _sphere_mean(values, affine, candidate, diameter)
            if found > mean and held > share - SHARE:
                best, mean = candidate, found
        step, offsets = step / 2, _offsets(1)
    return best


def above(values: np.ndarray, threshold: float, within: np.ndarray) -> np.ndarray:
    """Weights of a region, kept where the value is at or above the threshold, else 0.

    A voxel without a value (NaN) is not above any threshold.

    >>> above(np.array([1.0, 2.0, np.nan]), 2.0, np.array([1.0, 0.5, 1.0]))
    array([0. , 0.5, 0. ])
    """
    return np.asarray(np.where(values >= threshold, within, 0.0))


def connected_component(mask: np.ndarray, seed: tuple[int, int, int]) -> np.ndarray:
    """The part of a mask (i, j, k) that is joined to the seed voxel, as booleans.

    Voxels are joined through faces (6 neighbours): through edges or corners a threshold would
    leak from a lesion into the organ that it merely touches. A seed that is not in the mask
    gives no voxel.

    >>> connected_component(np.array([[[1, 0, 1, 1]]]), (0, 0, 3)).astype(int)
    array([[[0, 0, 1, 1]]])
    """
    inside = np.asarray(mask) > 0
    if not all(0 <= at < length for at, length in zip(seed, inside.shape, strict=True)):
        raise InputError(f"seed {seed} lies outside the image of shape {inside.shape}")
    if not inside[seed]:
        return np.zeros(inside.shape, dtype=bool)
    labels, _ = ndimage.label(inside)
    return np.asarray(labels == labels[seed])


def shell(weights: np.ndarray, affine: np.ndarray, inner: float, outer: float) -> np.ndarray:
    """Share of each voxel between two distances in mm from a region's border.

    Distances are Euclidean, positive outside the region and negative inside. The border is where
    the weights, interpolated between voxel centres, pass one half. The shell is the difference of
    the region grown to `outer` and grown to `inner` (shrunk where negative), so that it takes no
    more of a voxel than the region leaves, and with `inner` = 0 begins exactly where it ends.
    Distances are to points of the border up to a voxel apart: each face of the shell is right to
    4 % of a voxel's longest step.
    """
    if not (inner < outer and np.isfinite([inner, outer]).all()):
        raise InputError(f"shell reaches from {inner} to {outer} mm; expected inner below outer")
    result = np.zeros(weights.shape)
    border = _border(weights)
    if not len(border):
        return result
    linear = affine[:3, :3]
    farthest = max(abs(inner), abs(outer)) + float(np.linalg.norm(linear, axis=0).max())
    reach = farthest * np.linalg.norm(np.linalg.inv(linear), axis=1)
    low = np.maximum(np.floor(border.min(axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(border.max(axis=0) + reach) + 1, weights.shape).astype(int)
    place = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    near = weights[place]
    asked = (near < 1) if inner >= 0 else (near > 0) if outer <= 0 else near >= 0
    depth, thickness = _depth(np.argwhere(asked) + low, near[asked], border, linear, farthest)
    grown = [_grown(near[asked], depth, thickness, limit) for limit in (inner, outer)]
    filled = np.zeros(near.shape)
    filled[asked] = difference(grown[1], grown[0])
    result[place] = filled
    return result


def union(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Weights of what lies in either region: the larger of the two.

    A weight does not say where in the voxel the region lies. Regions that share a voxel mostly
    share a border there (a lesion in its organ), so one is taken to hold the other. Then a union
    with itself changes nothing, and volumes add up:
    union(a, b) = difference(a, b) + b = difference(a, b) + intersection(a, b) + difference(b, a).

    >>> union(np.array([0.3, 1.0]), np.array([0.5, 0.0]))
    array([0.5, 1. ])
    """
    return np.asarray(np.maximum(first, second))


def intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Weights of what lies in both regions: the smaller of the two (see `union`)."""
    return np.asarray(np.minimum(first, second))


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Weights of what lies in the first region and not in the second (see `union`).

    >>> difference(np.array([0.5, 1.0]), np.array([0.25, 0.0]))
    array([0.25, 1.  ])
    """
    return np.asarray(np.maximum(first - second, 0))


def _sphere(
    shape: tuple[int, ...], affine: np.ndarray, centre: np.ndarray, diameter: float, lines: int
) -> Window:
    """Weights of the voxels around a sphere, and their place in the lattice.

    Lines along the axis k meet the sphere in two points: a quadratic equation. Across, they are
    laid evenly over what the sphere reaches of each voxel.
    """
    if not (np.isfinite(diameter) and diameter > 0 and np.isfinite(centre).all()):
        raise InputError(f"sphere of diameter {diameter} mm at {centre}; expected finite, > 0")
    linear, radius = affine[:3, :3], diameter / 2
    middle = np.linalg.solve(linear, centre - affine[:3, 3])
    half = radius * np.linalg.norm(np.linalg.inv(linear), axis=1)
    low = np.clip(np.floor(middle - half + 0.5), 0, shape).astype(int)
    high = np.clip(np.floor(middle + half + 0.5) + 1, low, shape).astype(int)
    place = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    weights = np.zeros(high - low)
    if not weights.size:
        return weights, place
    first, width = _lines(np.arange(low[0], high[0]), middle[0], half[0], lines)
    second, breadth = _lines(np.arange(low[1], high[1]), middle[1], half[1], lines)
    away = np.multiply.outer(linear[:, 0], (first - middle[0]).ravel())[:, :, None]
    away = away + np.multiply.outer(linear[:, 1], (second - middle[1]).ravel())[:, None, :]
    square = linear[:, 2] @ linear[:, 2]
    slant = np.einsum("x,xuv->uv", linear[:, 2], away) / square
    chord = np.sqrt(np.maximum(slant**2 - ((away**2).sum(axis=0) - radius**2) / square, 0))
    enter, leave = middle[2] - slant - chord, middle[2] - slant + chord
    area = np.multiply.outer(width, breadth)
    for index in range(low[2], high[2]):
        length = np.minimum(leave, index + 0.5) - np.maximum(enter, index - 0.5)
        blocks = np.maximum(length, 0).reshape(*first.shape, *second.shape)
        weights[:, :, index - low[2]] = blocks.sum(axis=(1, 3)) * area
    return weights, place


def _lines(
    index: np.ndarray, middle: float, half: float, lines: int
) -> tuple[np.ndarray, np.ndarray]:
    """Places (voxel, line) of lines within middle +- half, and the width each stands for."""
    count = max(2, -(-lines // index.size))
    low = np.maximum(index - 0.5, middle - half)
    width = (np.minimum(index + 0.5, middle + half) - low) / count
    return low[:, None] + (np.arange(count) + 0.5) * width[:, None], width


def _sphere_mean(
    values: np.ndarray, affine: np.ndarray, centre: np.ndarray, diameter: float
) -> tuple[float, float]:
    """Mean over the part of a sphere that has values, and that part's share of the sphere."""
    weights, place = _sphere(values.shape, affine, centre, diameter, SEARCH_LINES)
    local = values[place]
    known = np.isfinite(local)
    total = float(weights[known].sum())
    if total == 0:
        return np.nan, 0.0
    volume = np.pi / 6 * diameter**3 / abs(float(np.linalg.det(affine[:3, :3])))
    return float((weights[known] * local[known]).sum() / total), total / volume


def _offsets(steps: int) -> np.ndarray:
    """Whole-number offsets (n, 3) up to `steps` along each axis, the nearest first, without 0."""
    span = np.arange(-steps, steps + 1)
    offsets = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    order = np.argsort((offsets**2).sum(axis=1), kind="stable")
    return np.asarray(offsets[order][1:])


def _grown(
    weights: np.ndarray, depth: np.ndarray, thickness: np.ndarray, limit: float
) -> np.ndarray:
    """Weights of a region grown by `limit` mm, from the signed distance of each voxel's centre."""
    share = np.clip((limit - depth) / thickness + 0.5, 0, 1)
    if limit == 0:
        return weights
    return np.asarray(np.maximum(share, weights) if limit > 0 else np.minimum(share, weights))


def _depth(
    indices: np.ndarray,
    weights: np.ndarray,
    border: np.ndarray,
    linear: np.ndarray,
    farthest: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance in mm of voxel centres from the border, infinite beyond `farthest`.

    And the voxel's thickness in mm along that distance: the width of the slab whose volume is
    spread as widely about its middle.
    """
    places, points = indices @ linear.T, border @ linear.T
    distance, nearest = cKDTree(points).query(places, distance_upper_bound=farthest)
    away = places - points[np.minimum(nearest, len(points) - 1)]
    length = np.linalg.norm(away, axis=1)
    mean = float(np.abs(np.linalg.det(linear)) ** (1 / 3))
    along = np.linalg.norm(away @ linear, axis=1)
    thickness = np.divide(along, length, out=np.full(length.shape, mean), where=length > 1e-9)
    return np.where(weights > 0.5, -distance, distance), thickness


def _border(weights: np.ndarray) -> np.ndarray:
    """Indices (n, 3) where the weights pass one half between neighbouring voxel centres."""
    points = []
    for axis in range(3):
        before = np.moveaxis(weights, axis, 0)[:-1]
        after = np.moveaxis(weights, axis, 0)[1:]
        crossed = np.nonzero((before > 0.5) != (after > 0.5))
        low, high = before[crossed], after[crossed]
        found = np.array(crossed, dtype=float)
        found[0] += (0.5 - low) / (high - low)
        points.append(np.insert(found[1:], axis, found[0], axis=0).T)
    return np.concatenate(points)
