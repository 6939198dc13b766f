"""What a place holds after a dose: a curve from what several animals show, bladders included.

The curve is cumulative growth at a smoothly changing rate (`rate_process`), which may be negative
where the place empties; no shape is assumed. Urine is the amount formed since the dose; what a
bladder holds, and what each void brings, are sums of it (`bladder_rows`).

Amounts are fractions of the dose. Animals scatter: each has its own amount and its own pace, and
observations differ by more than is stated; all of it is found from the residuals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.kernels.rate_process import ROUGHNESS, Problem, bin_edges, estimate

JUMP = 1.0  # prior standard deviation of what happens at once, as a fraction of the dose
PASSES = 3  # estimates from which the noise that is proportional to the curve is taken
KEPT = 1e-12  # share of a response's variance below which a mode of it is dropped
# Urine rises sharply after a dose at once, and only its increments are seen: smoother rates, which
# few and scattered animals would let pass, cut the rise off by several per cent.
URINE, ORGAN = ROUGHNESS[1:], ROUGHNESS
LEAST_RATIO = 0.2  # of a variance to the one observed, and the other way round


class Seen(NamedTuple):
    """Observations (n,) of a place: sums of its curve at `times` (u,), of several animals.

    rows    (n, u) which sum of the curve's values each observation is
    sd      (n,) standard deviations; animal (n,) numbers from 0
    """

    times: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    sd: np.ndarray
    animal: np.ndarray


class Response(NamedTuple):
    """A place's curve after a dose at time zero, straight between `edges`, constant after the last.

    values      (e,); modes (k, e): what one standard deviation of each independent error does
    scatter     (2, e) what one standard deviation between animals does, in amount and in pace
    sampling_cv relative standard deviation of an observation beyond the one stated
    animals     how many the scatter is known from
    """

    edges: np.ndarray
    values: np.ndarray
    modes: np.ndarray
    scatter: np.ndarray
    sampling_cv: float
    animals: int

    def independent(self) -> Response:
        """The same where every observation is of another animal: scatter is the observation's."""
        size = float(np.abs(self.values).max())
        between = float(np.abs(self.scatter[0]).max()) / size if size > 0 else 0.0
        return self._replace(
            scatter=np.zeros_like(self.scatter),
            sampling_cv=float(np.hypot(self.sampling_cv, between)),
        )

    def at(self, times: np.ndarray, curves: np.ndarray | None = None) -> np.ndarray:
        """The curve, or others on the same edges (k, e), at times (...): (k, ...) then."""
        rows = np.atleast_2d(self.values if curves is None else curves)
        found = np.array([np.interp(times, self.edges, one) for one in rows])
        found = np.where(times < 0, 0.0, found)
        return found[0] if curves is None else found

    def area(self, times: np.ndarray, curves: np.ndarray | None = None) -> np.ndarray:
        """Integral from 0 to times (...) of the curve, or of others (k, e)."""
        rows = np.atleast_2d(self.values if curves is None else curves)
        steps = np.diff(self.edges)
        inside = np.clip(times, 0.0, self.edges[-1])
        place = np.clip(np.searchsorted(self.edges, inside, side="right") - 1, 0, steps.size - 1)
        into = inside - self.edges[place]
        beyond = np.maximum(times - self.edges[-1], 0.0)
        found = []
        for one in rows:
            sums = np.concatenate([[0.0], np.cumsum(steps * (one[1:] + one[:-1]) / 2)])
            slope = np.diff(one) / steps
            part = sums[place] + into * (one[place] + slope[place] * into / 2)
            found.append(part + beyond * one[-1])
        return found[0] if curves is None else np.array(found)


def bladder_rows(
    scans: np.ndarray, voids: np.ndarray, residual: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (u,), and rows of what a bladder holds at scans (s,) and brings at voids (v,) in order.

    Rows are sums of the urine formed since the dose. A scan at the time of a void comes before it.
    `residual` is the share that a void leaves behind.

    >>> times, held, brought = bladder_rows(np.array([1.0, 3.0]), np.array([2.0]))
    >>> held.tolist(), brought.tolist()  # at 3: formed by 3 less formed by 2
    ([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0]], [[0.0, 1.0, 0.0]])
    """
    times = np.unique(np.concatenate([scans, voids]))
    formed = np.eye(times.size)
    left, since = np.zeros(times.size), np.zeros(times.size)
    held, brought = np.zeros((scans.size, times.size)), np.zeros((voids.size, times.size))
    for row, time in enumerate(times):
        full = left + formed[row] - since
        held[scans == time] = full
        if (voids == time).any():
            brought[voids == time] = (1 - residual) * full
            left, since = residual * full, formed[row]
    return times, held, brought


def sums_at(edges: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rows (u, m + 1) that sum jump and increments up to times that are edges."""
    return (edges[None, :] <= times[:, None] * (1 + 1e-12)).astype(float)


def fair_variance(seen: Seen, expected: np.ndarray) -> np.ndarray:
    """Variances (n,) of counts at what is expected, from those that observed counts gave.

    A count that happens to be low is given a low standard deviation, and would draw every weighted
    mean down. Where the variances go with the values, v = a + b y with a, b >= 0 (Poisson with its
    background), each is taken at the expected y; where they do not, b is 0 and nothing changes.
    """
    if seen.values.size < 4:
        return np.asarray(seen.sd**2)
    weight = 1 / seen.sd**2
    matrix = np.column_stack([weight, seen.values * weight])
    a, b = np.linalg.lstsq(matrix, np.ones(weight.size), rcond=None)[0]
    if b <= 0:
        return np.asarray(seen.sd**2)
    if a < 0:
        a, b = 0.0, float(matrix[:, 1].sum() / np.sum(matrix[:, 1] ** 2))
    at_expected = a + b * np.maximum(expected, 0.0)
    observed = np.maximum(a + b * seen.values, LEAST_RATIO * at_expected)
    ratio = np.divide(at_expected, observed, out=np.ones_like(observed), where=observed > 0)
    return np.asarray(seen.sd**2 * np.clip(ratio, LEAST_RATIO, 1 / LEAST_RATIO))


def response(seen: Seen, *, jump: bool, sampling_cv: float | None = None) -> Response:
    """A place's mean curve over the animals that were seen, with what is not known of it.

    `jump`: the place may hold something at once, as tissue with blood does and urine does not.
    Scatter between animals and beyond the stated noise is found by moments, from residuals.
    """
    edges = bin_edges(seen.times)
    cumulative = np.tri(edges.size)
    sampling = 0.0 if sampling_cv is None else sampling_cv
    design = seen.rows @ sums_at(edges, seen.times)
    same = seen.animal[:, None] == seen.animal[None, :]
    shapes = np.zeros((2, seen.values.size))
    cv, variance = np.zeros(2), seen.sd**2
    for _ in range(PASSES):
        noise = variance + (sampling * shapes[0]) ** 2
        moved = cv[:, None] * shapes
        covariance = np.diag(noise) + same * (moved.T @ moved)
        problem = Problem(edges, design, seen.values, covariance, cumulative, JUMP * jump)
        found = estimate(problem, seen.times, ORGAN if jump else URINE)
        shapes = _shapes(edges, found.mean)[:, np.searchsorted(edges, seen.times)] @ seen.rows.T
        variance = fair_variance(seen, shapes[0])
        cv, sampling = _scatter(seen, variance, shapes, sampling_cv)
    spread, direction = np.linalg.eigh(found.covariance)
    kept = spread > KEPT * max(float(spread[-1]), 0.0)
    modes = (direction[:, kept] * np.sqrt(spread[kept])).T
    animals = int(np.unique(seen.animal).size)
    return Response(
        edges, found.mean, modes, cv[:, None] * _shapes(edges, found.mean), sampling, animals
    )


def _shapes(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How a curve changes (2, e) with its amount, and with the pace of its clock: h and t h'."""
    return np.stack([values, edges * np.gradient(values, edges)])


def _scatter(
    seen: Seen, variance: np.ndarray, shapes: np.ndarray, sampling: float | None
) -> tuple[np.ndarray, float]:
    """Relative scatter (2,) of animals' amounts and paces, and of observations beyond their sd."""
    animals = np.unique(seen.animal)
    extra = 0.0 if sampling is None else sampling
    fewest = min(int(np.sum(seen.animal == one)) for one in animals)
    count = 2 if fewest > 2 and animals.size > 2 else 1
    if animals.size < 2 or not np.abs(shapes[0]).max() > 0:
        return np.zeros(2), extra
    spare = seen.values.size - count * animals.size - max(seen.times.size - count, 0)
    for _ in range(PASSES):
        total = variance + (extra * shapes[0]) ** 2
        own, left = [], np.zeros(seen.values.size)
        for one in animals:
            mine = seen.animal == one
            matrix = (shapes[:count, mine] / np.sqrt(total[mine])).T
            target = (seen.values[mine] - shapes[0, mine]) / np.sqrt(total[mine])
            inverse = np.linalg.pinv(matrix.T @ matrix, rcond=1e-10, hermitian=True)
            found = inverse @ matrix.T @ target
            own.append(found)
            left[mine] = (target - matrix @ found) * np.sqrt(total[mine])
        if sampling is None and spare >= 2:
            extra = _excess(left, variance, np.abs(shapes[0]), spare)
    # As they come, their own noise included: of three animals a difference of variances is often
    # nothing, and Student's t would then stand on it.
    cv = np.zeros(2)
    cv[:count] = np.std(np.array(own), axis=0, ddof=1)
    return np.minimum(cv, 1.0), extra


def _excess(residuals: np.ndarray, variance: np.ndarray, size: np.ndarray, spare: int) -> float:
    """Relative standard deviation of observations beyond their own, from the residuals' squares.

    By amount, not by count of observations: a nearly empty bladder, however much its content varies
    by ratio, says little of the course.
    """
    square = float(np.sum(residuals**2)) * residuals.size / spare - float(np.sum(variance))
    return float(np.sqrt(min(max(square, 0.0) / float(np.sum(size**2)), 1.0)))
