"""Rows of sums of the graphical kernel, and how each frame's noise spreads through its integrals.

Tiles of voxels stand side by side, as in `igdd.kernels.graphical_sums`, which calls this.
"""

from __future__ import annotations

import numpy as np

from igdd.kernels.compiled import INLINE, njit

PATLAK, LOGAN, MULTILINEAR = 0, 1, 2

# Voxels that are solved together: three columns of 60 frames then stay in the second-level cache.
TILE = 128

# Rows of what the kernel says of each curve: the two coefficients; what the first column leaves of
# itself beside the second, its share of the second, their product, the second's squares; squares of
# the target and of the residuals; frames; smallest tissue value; signs above, below, and runs; what
# unit noise makes of the squares of the residuals, and of both coefficients' covariance.
SUMS = 17
FIRST, SECOND, LEFT, SHARE, BOTH, OTHER, TARGET, REST, FRAMES, LEAST = range(10)
ABOVE, BELOW, RUNS, EXPECTED = range(10, 14)
VARIANCE, SHARED, SECOND_VARIANCE = range(14, 17)


@njit(**INLINE)
def spread_plain(result: np.ndarray) -> None:
    """What unit noise of independent rows does: the usual covariance of least squares."""
    for voxel in range(TILE):
        share, variance = result[SHARE, voxel], 1.0 / result[LEFT, voxel]
        result[EXPECTED, voxel] = result[FRAMES, voxel] - 2.0
        result[VARIANCE, voxel] = variance
        result[SHARED, voxel] = -share * variance
        result[SECOND_VARIANCE, voxel] = 1.0 / result[OTHER, voxel] + share**2 * variance


@njit(**INLINE)
def spread(
    kind: int,
    columns: np.ndarray,
    noise: np.ndarray,
    running: np.ndarray,
    used: np.ndarray,
    result: np.ndarray,
    sums: np.ndarray,
) -> None:
    """What the noise of each frame does to the line, by itself and through the integrals after it.

    A row's error is u dC + v dI. A frame reaches its own row, the next one and all later ones with
    three different weights, so that sums over the rows from the end give the first-order change of
    both coefficients, and by their distance to the columns what is left for the residuals.

    sums  (4, 3, TILE) room
    """
    # Rows of sums over the frames beyond the next one, of the next one, and of the frame itself:
    # change of the first coefficient, of the second were the first fixed, and squared weight.
    beyond, near, own, early = sums[0], sums[1], sums[2], sums[3, 0]
    sums[:] = 0.0
    row = used.size - 1
    frames = noise.shape[0]
    for frame in range(frames - 1, -1, -1):
        after = min(frame + 1, frames - 1)
        next_weight = running[after, 0] + running[frame, 3]
        far_weight = running[frame, 3] + running[after, 2]
        if frame < used[0] - 1:
            # Each of these reaches every row alike: they are added up, and followed once.
            _gather(far_weight, noise[frame], early)
            continue
        if row >= 0 and used[row] == frame:
            _pull(columns[0, row], columns[1, row], columns[3, row], result, own)
            row -= 1
        else:
            own[:] = 0.0
        reach = (running[frame, 1], next_weight, far_weight)
        _add_noise(kind, reach, noise[frame], own, near, beyond, result)
        _pass_on(own, near, beyond)
    own[:] = 0.0
    for voxel in range(TILE):
        early[voxel] = np.sqrt(early[voxel])
    _add_noise(kind, (0.0, 0.0, 1.0), early, own, own, beyond, result)
    _finish_spread(result)


@njit(**INLINE)
def _pass_on(own: np.ndarray, near: np.ndarray, beyond: np.ndarray) -> None:
    """What was near is beyond the next frame, and what was a frame's own is near."""
    for part in range(3):
        for voxel in range(TILE):
            beyond[part, voxel] += near[part, voxel]
            near[part, voxel] = own[part, voxel]


@njit(**INLINE)
def _gather(weight: float, noise: np.ndarray, early: np.ndarray) -> None:
    for voxel in range(TILE):
        early[voxel] += (weight * noise[voxel]) ** 2


@njit(**INLINE)
def _pull(
    first: np.ndarray,
    second: np.ndarray,
    weight: np.ndarray,
    result: np.ndarray,
    own: np.ndarray,
) -> None:
    """How an error of one row changes the coefficients, times the squares of the columns."""
    share = result[SHARE]
    slope, level, square = own[0], own[1], own[2]
    for voxel in range(TILE):
        slope[voxel] = weight[voxel] * (first[voxel] - share[voxel] * second[voxel])
        level[voxel] = weight[voxel] * second[voxel]
        square[voxel] = weight[voxel] * weight[voxel]


@njit(**INLINE)
def _add_noise(
    kind: int,
    reach: tuple[float, float, float],
    noise: np.ndarray,
    own: np.ndarray,
    near: np.ndarray,
    beyond: np.ndarray,
    result: np.ndarray,
) -> None:
    """Add one frame's part to the covariance of a tile and to its expected residuals, with the
    columns' squares still in it."""
    level, expected, variance = result[SECOND], result[EXPECTED], result[VARIANCE]
    shared, second_variance = result[SHARED], result[SECOND_VARIANCE]
    own1, own2, own3 = own[0], own[1], own[2]
    near1, near2, near3 = near[0], near[1], near[2]
    beyond1, beyond2, beyond3 = beyond[0], beyond[1], beyond[2]
    for voxel in range(TILE):
        direct = -level[voxel] if kind == LOGAN else 1.0
        summed = 1.0 if kind == LOGAN else -level[voxel]
        here = noise[voxel] * (direct + summed * reach[0])
        later = noise[voxel] * summed
        next_, far = later * reach[1], later * reach[2]
        one = here * own1[voxel] + next_ * near1[voxel] + far * beyond1[voxel]
        two = here * own2[voxel] + next_ * near2[voxel] + far * beyond2[voxel]
        expected[voxel] += (
            here * here * own3[voxel] + next_ * next_ * near3[voxel] + far * far * beyond3[voxel]
        )
        variance[voxel] += one * one
        shared[voxel] += one * two
        second_variance[voxel] += two * two


@njit(**INLINE)
def _finish_spread(result: np.ndarray) -> None:
    """Divide by the columns' squares; the second coefficient loses the first one's share."""
    for voxel in range(TILE):
        left, other, share = result[LEFT, voxel], result[OTHER, voxel], result[SHARE, voxel]
        one, both, two = (
            result[VARIANCE, voxel] / left,
            result[SHARED, voxel] / (left * other),
            result[SECOND_VARIANCE, voxel] / other,
        )
        result[EXPECTED, voxel] -= one + two
        one, two = one / left, two / other
        result[VARIANCE, voxel] = one
        result[SHARED, voxel] = both - share * one
        result[SECOND_VARIANCE, voxel] = two - share * (2.0 * both - share * one)
