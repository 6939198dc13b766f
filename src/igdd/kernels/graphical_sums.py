"""The sums behind the lines of `igdd.kernels.graphical`, for very many curves in one pass.

Curves stand (t, n), neighbours side by side, so that every loop runs along voxels; a tile of them
is worked on at a time, in double precision whatever the samples are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.kernels.compiled import INLINE, JIT, LEAN, njit
from igdd.kernels.graphical_noise import (
    ABOVE,
    BELOW,
    BOTH,
    FIRST,
    FRAMES,
    LEAST,
    LEFT,
    LOGAN,
    OTHER,
    PATLAK,
    REST,
    RUNS,
    SECOND,
    SHARE,
    SUMS,
    TARGET,
    TILE,
    spread,
    spread_plain,
)

# Loops run over whole tiles of contiguous rows, also where the last tile is not full: only so does
# the compiler make them vector instructions.


class Work(NamedTuple):
    """Room for one tile, whose voxels are the last axis of every array.

    columns  (4, m) both columns, the target and the weight of the rows
    noise    (t,) of each frame
    state    (4,) running sum, tissue, its integral, weight
    judged   (3,) product of the second column with the target; sign of the last residual, of this
    spread   (4, 3) sums of `graphical_noise.spread`
    result   (SUMS,)
    """

    columns: np.ndarray
    noise: np.ndarray
    state: np.ndarray
    judged: np.ndarray
    spread: np.ndarray
    result: np.ndarray


@njit(**JIT)
def sum_lines(
    values: np.ndarray,
    kind: int,
    constants: np.ndarray,
    running: np.ndarray,
    used: np.ndarray,
    scale: float,
    weight: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Fill `sums` for curves (t, n), a tile of neighbours at a time."""
    work = Work(
        columns=np.empty((4, used.size, TILE)),
        noise=np.ones((used[-1] + 1, TILE)),
        state=np.empty((4, TILE)),
        judged=np.empty((3, TILE)),
        spread=np.empty((4, 3, TILE)),
        result=np.empty((SUMS, TILE)),
    )
    for begin in range(0, values.shape[1], TILE):
        width = min(TILE, values.shape[1] - begin)
        tile = begin, width
        _sum_tile(values, tile, kind, constants, running, used, scale, weight, work)
        for row in range(SUMS):
            for voxel in range(width):
                sums[row, begin + voxel] = work.result[row, voxel]


@njit(**LEAN)
def _sum_tile(
    values: np.ndarray,
    tile: tuple[int, int],
    kind: int,
    constants: np.ndarray,
    running: np.ndarray,
    used: np.ndarray,
    scale: float,
    weight: np.ndarray,
    work: Work,
) -> None:
    """Fill the result of one tile of curves (t, n): its first one, and how many it has."""
    begin, width = tile
    columns, noise, state, result = work.columns, work.noise, work.state, work.result
    row = 0
    result[:] = 0.0
    result[LEAST] = np.inf
    state[:] = 0.0
    for frame in range(used[-1] + 1):
        taken = frame == used[row]
        if kind == PATLAK and not taken:
            continue
        part = values[frame, begin : begin + width]
        _sum_tissue(part, running[frame], constants[frame, 2], scale, state)
        if weight.size and weight.shape[1] == 1:
            state[3] = weight[frame, 0]
        elif weight.size:
            for voxel in range(width):
                state[3, voxel] = weight[frame, begin + voxel]
        if weight.size:
            _invert(state[3], noise[frame])
        elif kind == LOGAN:
            for voxel in range(TILE):
                noise[frame, voxel] = state[1, voxel]
        if not taken:
            continue
        if not weight.size:
            _weigh(kind, constants[frame, 0], state)
        _add_row(kind, constants[frame], state, columns, row, result)
        row += 1
    _solve(columns, weight.size > 0, result, work.judged)
    if kind == PATLAK:
        spread_plain(result)
    else:
        spread(kind, columns, noise, running, used, result, work.spread)


@njit(**INLINE)
def _weigh(kind: int, plasma: float, state: np.ndarray) -> None:
    """Weights that make the rows those of the plot: over the input, over the tissue, or none."""
    tissue, weight = state[1], state[3]
    if kind == LOGAN:
        for voxel in range(TILE):
            weight[voxel] = 1.0 / tissue[voxel]
    else:
        for voxel in range(TILE):
            weight[voxel] = 1.0 / plasma if kind == PATLAK else 1.0


@njit(**INLINE)
def _invert(weight: np.ndarray, noise: np.ndarray) -> None:
    """Noise from weights: of a frame that is not used none is known, and none is counted."""
    for voxel in range(TILE):
        noise[voxel] = 1.0 / weight[voxel] if weight[voxel] > 0.0 else 0.0


@njit(**INLINE)
def _sum_tissue(
    part: np.ndarray, running: np.ndarray, offset: float, scale: float, state: np.ndarray
) -> None:
    """Carry (sum, tissue, integral) of a tile to the next frame."""
    total, tissue, integral = state[0], state[1], state[2]
    w0, w1, w2, w3 = running[0], running[1], running[2], running[3]
    for voxel in range(part.size):
        value = scale * (np.float64(part[voxel]) - offset)
        before = tissue[voxel]
        integral[voxel] = total[voxel] + w0 * before + w1 * value
        total[voxel] += w2 * before + w3 * value
        tissue[voxel] = value


@njit(**INLINE)
def _add_row(
    kind: int,
    constants: np.ndarray,
    state: np.ndarray,
    columns: np.ndarray,
    row: int,
    result: np.ndarray,
) -> None:
    """Write one frame of both columns and the target of a tile, weighted, and what they sum to."""
    tissue, integral, weight = state[1], state[2], state[3]
    first, second, target = columns[0, row], columns[1, row], columns[2, row]
    plasma, area = constants[0], constants[1]
    if kind == PATLAK:
        for voxel in range(TILE):
            second[voxel] = weight[voxel] * plasma
            target[voxel] = weight[voxel] * tissue[voxel]
    elif kind == LOGAN:
        for voxel in range(TILE):
            second[voxel] = weight[voxel] * tissue[voxel]
            target[voxel] = weight[voxel] * integral[voxel]
    else:
        for voxel in range(TILE):
            second[voxel] = weight[voxel] * integral[voxel]
            target[voxel] = weight[voxel] * tissue[voxel]
    both, other, frames, least = result[BOTH], result[OTHER], result[FRAMES], result[LEAST]
    for voxel in range(TILE):
        columns[3, row, voxel] = weight[voxel]
        first[voxel] = weight[voxel] * area
        both[voxel] += first[voxel] * second[voxel]
        other[voxel] += second[voxel] * second[voxel]
    for voxel in range(TILE):
        frames[voxel] += np.float64(weight[voxel] != 0.0)
    if kind == LOGAN:
        for voxel in range(TILE):
            least[voxel] = min(least[voxel], tissue[voxel])


@njit(**INLINE)
def _solve(columns: np.ndarray, weighted: bool, result: np.ndarray, judged: np.ndarray) -> None:
    """Coefficients, residuals and their signs: the first column less its share of the second, so
    that nearly parallel columns lose no more digits than they must."""
    product, previous, sign = judged[0], judged[1], judged[2]
    judged[:] = 0.0
    slope, level = result[FIRST], result[SECOND]
    left, share, size = result[LEFT], result[SHARE], result[TARGET]
    both, other = result[BOTH], result[OTHER]
    for voxel in range(TILE):
        share[voxel] = both[voxel] / other[voxel]
    for row in range(columns.shape[1]):
        first, second, target = columns[0, row], columns[1, row], columns[2, row]
        for voxel in range(TILE):
            rest = first[voxel] - share[voxel] * second[voxel]
            left[voxel] += rest * rest
            slope[voxel] += rest * target[voxel]
        for voxel in range(TILE):
            size[voxel] += target[voxel] * target[voxel]
            product[voxel] += second[voxel] * target[voxel]
    for voxel in range(TILE):
        slope[voxel] /= left[voxel]
        level[voxel] = (product[voxel] - slope[voxel] * both[voxel]) / other[voxel]
    if weighted:
        for row in range(columns.shape[1]):
            _judge_row(columns[0, row], columns[1, row], columns[2, row], result, previous, sign)
        return
    for row in range(columns.shape[1]):
        _count_row(columns[0, row], columns[1, row], columns[2, row], result, previous, row == 0)
    above, below, frames = result[ABOVE], result[BELOW], result[FRAMES]
    for voxel in range(TILE):
        below[voxel] = frames[voxel] - above[voxel]


@njit(**INLINE)
def _count_row(
    first: np.ndarray,
    second: np.ndarray,
    target: np.ndarray,
    result: np.ndarray,
    previous: np.ndarray,
    begins: bool,
) -> None:
    """Add one frame's residuals of a tile where every frame counts: none of them is quite zero."""
    slope, level, squares = result[FIRST], result[SECOND], result[REST]
    above, runs = result[ABOVE], result[RUNS]
    begun = 1.0 if begins else 0.0
    for voxel in range(TILE):
        away = target[voxel] - slope[voxel] * first[voxel] - level[voxel] * second[voxel]
        squares[voxel] += away * away
        positive = np.float64(away > 0.0)
        above[voxel] += positive
        runs[voxel] += max(abs(positive - previous[voxel]), begun)
        previous[voxel] = positive


@njit(**INLINE)
def _judge_row(
    first: np.ndarray,
    second: np.ndarray,
    target: np.ndarray,
    result: np.ndarray,
    previous: np.ndarray,
    sign: np.ndarray,
) -> None:
    """Add one frame's residuals of a tile; those of frames that are not used are zero."""
    slope, level, squares = result[FIRST], result[SECOND], result[REST]
    above, below, runs = result[ABOVE], result[BELOW], result[RUNS]
    for voxel in range(TILE):
        away = target[voxel] - slope[voxel] * first[voxel] - level[voxel] * second[voxel]
        squares[voxel] += away * away
        sign[voxel] = np.float64(away > 0.0) - np.float64(away < 0.0)
    for voxel in range(TILE):
        above[voxel] += np.float64(sign[voxel] > 0.0)
        below[voxel] += np.float64(sign[voxel] < 0.0)
    for voxel in range(TILE):
        turned = sign[voxel] * (sign[voxel] - previous[voxel])
        runs[voxel] += np.float64(turned > 0.0)
        previous[voxel] += (sign[voxel] - previous[voxel]) * sign[voxel] * sign[voxel]
