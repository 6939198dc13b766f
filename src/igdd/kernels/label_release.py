"""Released label by deconvolution with what free label does, in fractions of the dose.

A place (urine, bone, thyroid) is seen at some times in a subject given label on its carrier. Of the
label released into the blood at s, the place holds h(t - s) at t, as after free label given at once
(measured in a control group); of the label still on its carrier it holds c(t) (measured with a
label that stays on, or nothing). With R the cumulative released fraction,

    y(t) = c(t) (1 - R(t)) + int_0^t h(t - s) dR(s).

R is found as a cumulative curve of a smoothly changing rate (`rate_process`), and so is h
(`label_response`): no shape is assumed for either.

Uncertainty: counting; scatter beyond it (sampling), as the controls show; the controls' own mean;
and that every animal has a response of its own, whose amount and pace scatter as the controls' do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from igdd.kernels.label_response import JUMP, PASSES, Response, Seen, fair_variance, sums_at
from igdd.kernels.rate_process import Problem, bin_edges, estimate, rising


class Place(NamedTuple):
    """A place of one subject: what was seen, what free label does there, what carrier does.

    carrier  None: label on its carrier does not come there
    """

    seen: Seen
    free: Response
    carrier: Response | None


class Released(NamedTuple):
    """Cumulative released fraction at the times wanted (k,).

    value        the nearest that never falls and stays from 0 to 1
    mean, sd     without these bounds; `sd_control` is the part of sd that the controls bring
    freedom      degrees of freedom of the standard deviation
    low, high    95 % limits, cut at 0 and 1
    misfit       probability of residuals as large as these
    predicted    (n,) of all observations in order, by a release that never falls
    """

    times: np.ndarray
    value: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    sd_control: np.ndarray
    freedom: np.ndarray
    low: np.ndarray
    high: np.ndarray
    misfit: float
    predicted: np.ndarray


class Separation(NamedTuple):
    """How far free label and carrier can be told apart by one place's observations.

    angle, sd    between the two courses, in degrees, and its standard deviation
    reach        the free label's course over its standard deviation, both as lengths
    """

    angle: float
    sd: float
    reach: float


def separation(place: Place) -> Separation:
    """The angle between what the place shows of free label and of carrier, at its observations.

    90 degrees where the carrier does not come there. Free label is as given at time zero.
    """
    seen, free = place.seen, place.free
    once = seen.animal == seen.animal[0]
    rows = seen.rows[once]
    own = rows @ free.at(seen.times)
    errors = np.vstack([free.at(seen.times, free.modes) @ rows.T, np.zeros((1, len(rows)))])
    length, noise = float(np.linalg.norm(own)), float(np.linalg.norm(errors))
    reach = length / noise if noise > 0 else np.inf
    if place.carrier is None:
        return Separation(90.0, 0.0, reach)
    other = rows @ place.carrier.at(seen.times)
    spread = place.carrier.at(seen.times, place.carrier.modes) @ rows.T
    size = float(np.linalg.norm(other))
    if not (length > 0 and size > 0):
        return Separation(90.0 if length > 0 else 0.0, 0.0, reach)
    units = own / length, other / size
    cosine = float(np.clip(units[0] @ units[1], -1.0, 1.0))
    square = 0.0
    for unit, moved in ((units[0], errors / length), (units[1], spread / size)):
        square += float(np.sum((moved - np.outer(moved @ unit, unit)) ** 2))
    return Separation(
        float(np.degrees(np.arccos(cosine))), float(np.degrees(np.sqrt(square))), reach
    )


def _kernel(place: Place, edges: np.ndarray, curves: np.ndarray | None = None) -> np.ndarray:
    """Free label (k, u, m + 1) at the place's times from a unit jump and unit increments."""
    times = place.seen.times[:, None]
    one = place.free.values[None] if curves is None else curves
    start, end = edges[None, :-1], edges[None, 1:]
    areas = place.free.area(times - start, one) - place.free.area(times - end, one)
    spread = np.where(end <= times * (1 + 1e-12), areas / (end - start), 0.0)
    return np.concatenate([place.free.at(times, one), spread], axis=2)


def released(places: Sequence[Place], wanted: np.ndarray) -> Released:
    """Cumulative released fraction of a subject at times (k,) up to its last observation."""
    instants = np.unique(np.concatenate([place.seen.times for place in places]))
    edges = bin_edges(np.append(instants, wanted))
    totals = sums_at(edges, wanted)
    parts = [_Part(place, edges) for place in places]
    design = np.vstack([part.design for part in parts])
    values = np.concatenate([part.values for part in parts])
    growth = np.zeros(edges.size)
    for _ in range(PASSES):
        used = growth
        noise, modes, owner, scaled = _noise(parts, used)
        # Shared errors count each observation down, and are carried through below as what they
        # are: weights from their estimated correlations would promise more than a few controls say.
        working = noise + np.diag((modes**2).sum(axis=0))
        problem = Problem(edges, design, values, working, totals, JUMP)
        found = estimate(problem, instants)
        growth = rising(problem, found, most=1.0)
    moved = (found.gain @ modes.T) ** 2
    control = moved.sum(axis=1)
    counted = (found.gain**2 * (modes**2).sum(axis=0)).sum(axis=1)
    variance = np.maximum(np.diag(found.covariance) - counted, 0.0) + control
    value = np.clip(never_falling(found.mean, 1 / np.maximum(variance, 1e-12)), 0.0, 1.0)
    below = sum(
        moved[:, owner == k].sum(axis=1) ** 2 / (part.animals - 1)
        for k, part in enumerate(parts)
        if part.animals > 1
    )
    below = np.zeros_like(variance) + below
    freedom = np.where(below > 0, variance**2 / np.where(below > 0, below, 1.0), np.inf)
    relative = _relative(moved[:, scaled].sum(axis=1), totals @ used)
    own = variance - relative * (totals @ used) ** 2
    low, high = _limits(value, found.mean, (own, relative), freedom)
    predicted = design @ growth
    misfit = _misfit(values - predicted, noise + modes.T @ modes)
    carried = np.concatenate([part.carried for part in parts])
    return Released(
        wanted, value, found.mean, np.sqrt(variance), np.sqrt(control), freedom, low, high, misfit,
        predicted + carried,
    )  # fmt: skip


class _Part:
    """A place as the estimate sees it: a design on the bins, and errors that follow the curve."""

    def __init__(self, place: Place, edges: np.ndarray) -> None:
        seen, free = place.seen, place.free
        self.seen, self.rows, self.animals = seen, seen.rows, free.animals
        self.sampling = free.sampling_cv
        self.upto = sums_at(edges, seen.times)
        self.kernel = _kernel(place, edges)[0]
        self.errors = np.concatenate(
            [_kernel(place, edges, free.modes), _kernel(place, edges, free.scatter)]
        )
        held, self.lost = np.zeros(seen.times.size), np.zeros((0, seen.times.size))
        if place.carrier is not None:
            held = place.carrier.at(seen.times)
            self.lost = np.concatenate(
                [
                    place.carrier.at(seen.times, place.carrier.modes),
                    place.carrier.at(seen.times, place.carrier.scatter),
                ]
            )
        self.held = held
        self.carried = seen.rows @ held
        self.values = seen.values - self.carried
        self.design = seen.rows @ (self.kernel - held[:, None] * self.upto)

    def spread(self, growth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Variance (n,) of each observation; modes (k, n) of the errors of either course."""
        left = 1 - self.upto @ growth
        expected = self.rows @ (self.kernel @ growth + self.held * left)
        free = (self.errors @ growth) @ self.rows.T
        carrier = (self.lost * left) @ self.rows.T
        variance = fair_variance(self.seen, expected) if growth.any() else self.seen.sd**2
        return variance + (self.sampling * expected) ** 2, free, carrier


def _noise(
    parts: list[_Part], growth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Noise (n, n), shared modes (k, n), whose place each is, and whether it goes with release."""
    spreads = [part.spread(growth) for part in parts]
    count = sum(variance.size for variance, _, _ in spreads)
    modes, owner, scaled, place = [], [], [], 0
    for k, (variance, free, carrier) in enumerate(spreads):
        shared = np.concatenate([free, carrier])
        wide = np.zeros((len(shared), count))
        wide[:, place : place + variance.size] = shared
        modes.append(wide)
        owner.append(np.full(len(shared), k))
        scaled.append(np.arange(len(shared)) < len(free))
        place += variance.size
    noise = np.diag(np.concatenate([variance for variance, _, _ in spreads]))
    return noise, np.vstack(modes), np.concatenate(owner), np.concatenate(scaled)


def never_falling(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The least-squares rising sequence (k,), by pooling neighbours that fall.

    >>> never_falling(np.array([1.0, 3.0, 2.0, 5.0]), np.ones(4)).tolist()
    [1.0, 2.5, 2.5, 5.0]
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        size = 1
        while pools and pools[-1][0] > value:
            before, heavy, count = pools.pop()
            value = (before * heavy + value * weight) / (heavy + weight)
            weight, size = weight + heavy, size + count
        pools.append((value, weight, size))
    return np.concatenate([np.full(size, value) for value, _, size in pools])


def _relative(moved: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Relative variance (k,) of what was released, from its variance and itself.

    No more than where most was released: early on, what errors move is not what was released then.
    """
    most = int(np.argmax(total))
    if not total[most] > 0:
        return np.zeros_like(total)
    share = np.divide(moved, total**2, out=np.zeros_like(total), where=total > 0)
    return np.asarray(np.minimum(share, share[most]))


def _limits(
    value: np.ndarray,
    mean: np.ndarray,
    spread: tuple[np.ndarray, np.ndarray],
    freedom: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """95 % limits: the r with (mean - r)^2 <= t^2 (own + relative r^2), the two parts of `spread`.

    Errors of the free label's course go with what was released, as in Fieller's theorem.
    """
    from scipy import special

    own, relative = np.maximum(spread[0], 0.0), spread[1]
    t2 = special.stdtrit(np.minimum(freedom, 1e9), 0.975) ** 2
    square = 1 - t2 * relative
    root = np.sqrt(np.maximum(mean**2 - square * (mean**2 - t2 * own), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(square > 0, (mean - root) / square, -np.inf)
        high = np.where(square > 0, (mean + root) / square, np.inf)
    low = np.clip(np.minimum(low, value), 0.0, 1.0)
    return low, np.clip(np.maximum(high, value), 0.0, 1.0)


def _misfit(residuals: np.ndarray, covariance: np.ndarray) -> float:
    """Probability of a chi-square as large as the residuals', with one degree for each."""
    from scipy import special

    half = np.linalg.solve(np.linalg.cholesky(covariance), residuals)
    return float(special.chdtrc(residuals.size, float(half @ half)))
