"""Noise deconvolution: the histogram of a region as it would be without image noise.

A voxel reads y = x + e, with e normal, of known standard deviation, correlated between voxels. The
histogram of y is that of x smeared by e: an even lesion seems uneven, and part of it under-dosed.

* Measures of spread: the noise's variance is subtracted from that of the voxels. Noise that is
  correlated scatters less about its own mean: s2 (1 - mean correlation) is what is subtracted.
* Histogram: x has the distribution G under which the voxels are likely. Voxels are drawn towards
  their mean until their variance is the one without noise; from there expectation maximisation
  (Laird, J Am Stat Assoc 1978;73:805) reshapes G until no other is more likely by more than the
  data can tell. Voxels of different noise have distributions of their own, which add up.
* Map: every voxel takes the value in G of its own rank, so that measures that need places (the
  largest under-dosed part) have the corrected histogram.

Uncertainty: the map is taken as the truth, given the noise again, and corrected again. That says
nothing of the shape that noise hides: two sharp levels and two broad ones look alike. The interval
therefore also holds what the sharpest likely distribution gives, found by going on to the maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from igdd.kernels.blur import correlation_root

REPLICATES = 40  # a standard deviation is then known to 11 %
FEWEST = 10
# Voxels above which fewer replicates are made: noise averages out and time does not.
MANY = 15_000

POINTS = 128  # cells that hold equal shares of the voxels, and cells of equal width
EVEN = 64
FLOOR = 0.01  # share of G's start that is spread over all its support
STEPS = 300
# Twice the log-likelihood that may be left to gain: what one more parameter gains by chance in 5 %.
LEFT = 3.84
# Newton's steps to the maximum, and the gain per voxel that is not worth another one.
NEWTON_STEPS = 30
SETTLED = 1e-6
SUM_TO_ONE = 1e3  # weight of that condition in a least-squares step

CLASSES = 4
ALIKE = 1.1  # standard deviations within this factor of each other are one class
ENOUGH = 100  # voxels of a class


@dataclass(frozen=True, kw_only=True, eq=False)
class Noise:
    """Noise of a region's voxels: `sd` (n,) in their unit, `weights` (n,) and correlation.

    places  per axis, the index (n,) of each voxel in the region's box
    roots   per axis, the root of the correlation along it (`igdd.kernels.blur.correlation_root`)
    """

    sd: np.ndarray
    weights: np.ndarray
    places: tuple[np.ndarray, ...]
    roots: tuple[np.ndarray, ...]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One realisation (n,) of the noise."""
        field = rng.standard_normal([root.shape[0] for root in self.roots])
        return np.asarray(self.sd * _along(field, self.roots)[self.places])

    def correlate(self, values: np.ndarray, power: int = 1) -> np.ndarray:
        """Sums (n,) over voxels of the correlation, to a power, times values (n,)."""
        field = np.zeros([root.shape[0] for root in self.roots])
        field[self.places] = values
        return np.asarray(
            _along(field, tuple((root @ root) ** power for root in self.roots))[self.places]
        )

    def part(self, chosen: np.ndarray) -> Noise:
        """The noise of some of the voxels."""
        return Noise(
            sd=self.sd[chosen],
            weights=self.weights[chosen],
            places=tuple(place[chosen] for place in self.places),
            roots=self.roots,
        )

    def scatter(self) -> float:
        """Variance that noise alone is expected to have about its own mean in the region."""
        total = self.weights.sum()
        weighted = self.weights * self.sd
        shared = float(weighted @ self.correlate(weighted)) / total**2
        return float(self.weights @ self.sd**2 / total - shared)

    def repetition(self) -> float:
        """How many voxels tell as much of a spread as one independent voxel: sum of rho squared."""
        together = float(self.weights @ self.correlate(self.weights, 2))
        return max(together / float(self.weights @ self.weights), 1.0)


def noise_of(
    sd: np.ndarray, weights: np.ndarray, places: tuple[np.ndarray, ...], *,
    spacing: np.ndarray, fwhm: float,
) -> Noise:  # fmt: skip
    """Noise of voxels at `places` of a grid of `spacing` mm; `fwhm` in mm of its correlation."""
    starts = [int(place.min()) for place in places]
    return Noise(
        sd=sd,
        weights=weights,
        places=tuple(place - start for place, start in zip(places, starts, strict=True)),
        roots=tuple(
            correlation_root(int(place.max()) - start + 1, float(step), fwhm)
            for place, start, step in zip(places, starts, spacing, strict=True)
        ),
    )


def _along(field: np.ndarray, matrices: tuple[np.ndarray, ...]) -> np.ndarray:
    for matrix in matrices:
        field = np.tensordot(field, matrix, axes=(0, 0))  # moves each axis last, in turn
    return field


def true_variance(values: np.ndarray, noise: Noise) -> tuple[float, float]:
    """Variance over the region without noise, and its standard error (both in the unit squared).

    May be below zero where the voxels happen to scatter less than their noise. With the noise's
    covariance R and z the values about their mean, over n voxels:
    Var = (2 sum R_ij^2 + 4 z_true' R z_true) / n^2.
    """
    shares = noise.weights / noise.weights.sum()
    away = values - shares @ values
    found = float(shares @ away**2) - noise.scatter()
    part = shares * noise.sd
    squares = float((part * noise.sd) @ noise.correlate(part * noise.sd, 2))
    pull = part * away
    # The observed quadratic form holds the noise's own share of it.
    form = max(float(pull @ noise.correlate(pull)) - squares, 0.0)
    return found, float(np.sqrt(2 * squares + 4 * form))


@dataclass(frozen=True, kw_only=True, eq=False)
class Alike:
    """Voxels whose noise is alike: indices, shares of their volume, scatter, independent number."""

    chosen: np.ndarray
    shares: np.ndarray
    scatter: float
    number: float


def classes(noise: Noise) -> tuple[Alike, ...]:
    """The voxels sorted by how noisy they are; what `corrected_map` needs to know of each sort."""
    found = []
    for chosen in _sorts(noise.sd):
        part = noise.part(chosen)
        found.append(
            Alike(
                chosen=chosen,
                shares=part.weights / part.weights.sum(),
                scatter=part.scatter(),
                number=chosen.size / part.repetition(),
            )
        )
    return tuple(found)


def _sorts(sd: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of voxels by noise, in steps of equal ratio; a small sort joins the one below it."""
    low, high = float(sd.min()), float(sd.max())
    if not (low > 0 and high > ALIKE * low) or sd.size < 2 * ENOUGH:
        yield np.arange(sd.size)
        return
    count = min(CLASSES, int(np.ceil(np.log(high / low) / np.log(ALIKE))))
    number = np.minimum((np.log(sd / low) / np.log(high / low) * count).astype(int), count - 1)
    held: list[np.ndarray] = []
    for one in range(count):
        chosen = np.flatnonzero(number == one)
        if held and (chosen.size < ENOUGH or held[-1].size < ENOUGH):
            held[-1] = np.union1d(held[-1], chosen)
        else:
            held.append(chosen)
    yield from (chosen for chosen in held if chosen.size)


def corrected_map(
    values: np.ndarray, sorts: tuple[Alike, ...], *, sharp: bool = False
) -> np.ndarray:
    """Values (n,) with the histogram that they would have without noise, in their own order.

    The smoothest that is likely; or the most likely, which is `sharp`.
    """
    made = np.asarray(values, dtype=float).copy()
    for alike in sorts:
        made[alike.chosen] = _one_sort(made[alike.chosen], alike, sharp)
    return made


def _one_sort(values: np.ndarray, alike: Alike, sharp: bool) -> np.ndarray:
    shares = alike.shares
    middle = float(shares @ values)
    spread = float(shares @ (values - middle) ** 2)
    if not (spread > 0 and alike.scatter > 0):
        return values
    spread_true = max(spread - alike.scatter, 0.0)
    drawn = middle + np.sqrt(spread_true / spread) * (values - middle)
    order = np.argsort(values, kind="stable")
    support = _grid(drawn[order], values[order])
    heights = np.bincount(_nearest(support, drawn), weights=shares, minlength=support.size)
    start = (1 - FLOOR) * heights + FLOOR / support.size
    rows, counts = _binned(values[order], shares[order])
    kernel = np.exp(-0.5 * ((rows[:, None] - support) ** 2) / alike.scatter) + 1e-300
    masses = (
        _sharpest(kernel, counts, start)
        if sharp
        else _maximise(kernel, counts, start, alike.number)
    )
    ranks = np.empty(values.size)
    ranks[order] = np.cumsum(shares[order]) - shares[order] / 2
    found = _quantile(support, masses, ranks)
    # The second moment is known better than the shape: it stays the one without noise.
    away = found - shares @ found
    reached = float(shares @ away**2)
    return np.asarray(middle + away * (np.sqrt(spread_true / reached) if reached > 0 else 0.0))


def _grid(drawn: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Support of G from sorted values: dense where voxels are, and even over their whole range."""
    shares = (np.arange(POINTS) + 0.5) / POINTS
    dense = drawn[np.minimum((shares * drawn.size).astype(int), drawn.size - 1)]
    points = np.sort(np.concatenate([dense, np.linspace(values[0], values[-1], EVEN)]))
    apart = np.diff(points) > 1e-9 * (values[-1] - values[0])
    return np.asarray(points[np.append(True, apart)])


def _nearest(support: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.searchsorted((support[1:] + support[:-1]) / 2, values)


def _binned(values: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted values in bins, dense where voxels are and even elsewhere: their means and shares."""
    if values.size <= POINTS + EVEN:
        return values, shares
    cuts = np.linspace(0, values.size - 1, POINTS).astype(int)
    edges = np.unique(np.concatenate([values[cuts], np.linspace(values[0], values[-1], EVEN)]))
    bins = np.searchsorted(edges, values, side="right")
    counts = np.bincount(bins, weights=shares)
    sums = np.bincount(bins, weights=shares * values)
    held = counts > 0
    return sums[held] / counts[held], counts[held]


def _maximise(
    kernel: np.ndarray, counts: np.ndarray, masses: np.ndarray, number: float
) -> np.ndarray:
    """Masses of G by expectation maximisation from a start, for `number` independent voxels.

    Stops where no other G can be more likely by more than the data tell: the largest multiplier
    bounds what is left to gain (Lindsay, Ann Stat 1983;11:86).
    """
    masses = masses / masses.sum()
    for _ in range(STEPS):
        gain = (counts / (kernel @ masses)) @ kernel
        if 2 * number * np.log(gain.max()) <= LEFT:
            break
        masses = masses * gain
        masses /= masses.sum()
    return masses


def _sharpest(kernel: np.ndarray, counts: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Masses of the most likely G, which has few points, by Newton's method within the simplex.

    Each step solves the likelihood's parabola for masses that are not negative (Wang, J R Stat Soc
    B 2007;69:185), and is halved until the likelihood rises.
    """
    from scipy.optimize import nnls  # here, since metrics import this module

    masses = masses / masses.sum()
    root = np.sqrt(counts)
    for _ in range(NEWTON_STEPS):
        mixed = kernel @ masses
        slopes = kernel / mixed[:, None]
        if (counts @ slopes).max() - 1 < SETTLED:
            break
        rows = np.vstack([root[:, None] * slopes, np.full(masses.size, SUM_TO_ONE)])
        wanted = nnls(rows, np.append(2 * root, SUM_TO_ONE))[0]
        step = wanted / wanted.sum() - masses
        before = float(counts @ np.log(mixed))
        while counts @ np.log(kernel @ (masses + step)) < before and np.abs(step).max() > SETTLED:
            step = step / 2
        masses = masses + step
    return np.asarray(masses)


def _quantile(support: np.ndarray, masses: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Values of G at ranks 0..1; every point of the support is spread over its cell."""
    middles = (support[1:] + support[:-1]) / 2
    edges = np.concatenate([support[:1], middles, support[-1:]])
    heights = np.concatenate([[0.0], np.cumsum(masses)])
    return np.asarray(np.interp(ranks, heights / heights[-1], edges))


def replicates_of(count: int) -> int:
    """How often noise is drawn for a region of so many voxels."""
    return int(np.clip(REPLICATES * MANY / max(count, 1), FEWEST, REPLICATES))


def replicated(
    values: np.ndarray,
    noise: Noise,
    measures: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The corrected map (n,), and measures (replicate, m) of what noise makes of it anew."""
    sorts = classes(noise)
    truth = corrected_map(values, sorts)
    number = replicates_of(values.size)
    again = [measures(corrected_map(truth + noise.draw(rng), sorts)) for _ in range(number)]
    return truth, np.stack(again)


def limits(
    found: np.ndarray, again: np.ndarray, sharp: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard deviation and 95 % limits (m,) of measures, from what noise makes of them.

    What noise shifts them by is not taken away, since the map is not the truth: the interval is
    wider by it on both sides. `sharp` are the measures of the sharpest likely distribution: the
    interval holds them, and beyond them their scatter, to which adds half of what parts the two.
    """
    sd = again.std(axis=0, ddof=1)
    wide = special.ndtri(0.975)
    half = wide * sd + np.abs(again.mean(axis=0) - found)
    beyond = wide * np.hypot(sd, (sharp - found) / 2)
    return sd, np.fmin(found - half, sharp - beyond), np.fmax(found + half, sharp + beyond)
