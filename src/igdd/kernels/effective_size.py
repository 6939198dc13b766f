"""Effective size: how many independent samples a blurred region is worth.

Neighbours in an image share the point spread, so n voxels are not n samples. Of two maps with
correlations R and S between their voxels, whose true correlation is zero, the sample correlation r
has (Dutilleul, Biometrics 1993;49:305, doi:10.2307/2532625)

    var(r) = tr(B R B S) / (tr(B R) tr(B S)),   B = I - 1/n,   effective size = 1 + 1 / var(r)

R and S are those of a Gaussian point spread, or what the two maps show themselves, by classes of
distance (Clifford, Richardson and Hemon, Biometrics 1989;45:123, doi:10.2307/2532039). The sums
over all pairs of voxels are sums over lags, by Fourier transform; no pair is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import fft, special

from igdd.kernels.blur import sigma_of

# Cells of the lattice of lags beyond which a region is refused: about a gigabyte at work.
MOST_CELLS = 2e7
NORMAL_95 = 1.959963984540054
# Variance of Fisher's z of a rank correlation, over that of a product-moment one (Fieller, Hartley
# and Pearson, Biometrika 1957;44:470).
RANKS = 1.06
FLAT = 16 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class Lags:
    """A region (i, j, k) and every lag between two of its voxels; `spacing` (3,) in mm."""

    region: np.ndarray
    spacing: np.ndarray

    @cached_property
    def shape(self) -> list[int]:
        """Lattice of lags, on which nothing wraps around."""
        return [fft.next_fast_len(2 * n - 1, real=True) for n in self.region.shape]

    @cached_property
    def count(self) -> int:
        """Number of voxels."""
        return int(self.region.sum())

    @cached_property
    def distance(self) -> np.ndarray:
        """Length in mm of each lag."""
        axes = [
            (np.minimum(np.arange(n), n - np.arange(n)) * step) ** 2
            for n, step in zip(self.shape, self.spacing.tolist(), strict=True)
        ]
        return np.asarray(np.sqrt(axes[0][:, None, None] + axes[1][:, None] + axes[2]))

    @cached_property
    def classes(self) -> np.ndarray:
        """Class of distance of each lag, as wide as the smallest voxel side; 0 is no lag."""
        found = np.rint(self.distance / self.spacing.min())
        return np.asarray(np.where(self.distance > 0, np.maximum(found, 1), 0).astype(np.int32))

    @cached_property
    def pairs(self) -> np.ndarray:
        """Number of pairs of voxels at each lag."""
        return np.asarray(np.rint(self.products(self.region.astype(float))))

    @cached_property
    def pairs_by_class(self) -> np.ndarray:
        """Number of pairs of voxels in each class of distance."""
        return np.bincount(self.classes.ravel(), self.pairs.ravel())

    @property
    def usable(self) -> bool:
        """Whether the region has voxels to tell anything by, and is not too large."""
        return self.count > 2 and 8.0 * float(np.prod(self.region.shape)) <= MOST_CELLS

    def spectrum(self, field: np.ndarray) -> np.ndarray:
        """Transform of a field (i, j, k) over the lattice of lags."""
        return np.asarray(fft.rfftn(field, self.shape, workers=1))

    def products(self, one: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """Sum over voxels x of one(x) times other(x + lag), for each lag."""
        first = self.spectrum(one)
        second = first if other is None else self.spectrum(other)
        return np.asarray(fft.irfftn(np.conj(first) * second, self.shape, workers=1))

    def received(self, correlation: np.ndarray) -> np.ndarray:
        """Sum of a correlation by lag over all voxels, as seen from each voxel (n,)."""
        spread = self.spectrum(self.region.astype(float)) * fft.rfftn(correlation, workers=1)
        total = fft.irfftn(spread, self.shape, workers=1)
        return np.asarray(total[tuple(slice(0, n) for n in self.region.shape)][self.region])

    def field(self, values: np.ndarray) -> np.ndarray:
        """Values (n,) of the region's voxels as a field, zero outside."""
        made = np.zeros(self.region.shape)
        made[self.region] = values
        return made


def point_spread_correlation(fwhm: float, lags: Lags) -> np.ndarray:
    """Correlation by lag of white noise under a Gaussian point spread of a FWHM in mm.

    It falls with distance d as exp(-d^2 / (4 sigma^2)); without a width it is 1 at lag zero only.
    """
    if not fwhm > 0:
        return np.asarray((lags.distance == 0).astype(float))
    sigma = float(sigma_of(fwhm, np.array(1.0)))
    return np.asarray(np.exp(-(lags.distance**2) / (4 * sigma**2)))


def correlogram(values: np.ndarray, lags: Lags) -> np.ndarray:
    """Correlation (class,) of values (n,) with themselves by class of distance; 1 at no distance.

    About the region's own mean, so that it sums to zero over all pairs. NaN where the values are
    flat within rounding.
    """
    away = values - values.mean()
    scale = float(np.abs(away).max(initial=0.0))
    if not scale > FLAT * float(np.abs(values).max(initial=0.0)):
        return np.full(lags.pairs_by_class.size, np.nan)
    sums = lags.products(lags.field(away / scale))
    return _by_class(sums, lags)


def _by_class(sums: np.ndarray, lags: Lags) -> np.ndarray:
    """Mean product over pairs in each class, relative to that at no distance."""
    totals = np.bincount(lags.classes.ravel(), sums.ravel())
    means = np.divide(
        totals, lags.pairs_by_class, out=np.zeros(totals.size), where=lags.pairs_by_class > 0
    )
    return np.asarray(means / means[0])


def measured_correlation(values: np.ndarray, lags: Lags) -> np.ndarray:
    """Correlation by lag that values (n,) of a region show themselves, by classes of distance."""
    return np.asarray(correlogram(values, lags)[lags.classes])


def effective_size(one: np.ndarray, other: np.ndarray, lags: Lags) -> float:
    """Independent samples that the correlation of two maps is worth, from theirs by lag.

    From 2, where the region shows a single grain, to the number of voxels. NaN where a map is
    flat, or the region has fewer than three voxels or is too large.

    >>> lags = Lags(np.ones((6, 6, 6), bool), np.ones(3))
    >>> white = point_spread_correlation(0.0, lags)
    >>> round(effective_size(white, white, lags), 6)
    216.0
    """
    if not lags.usable or np.isnan(one).any() or np.isnan(other).any():
        return float("nan")
    number = lags.count
    first, second = lags.received(one), lags.received(other)
    both = float((lags.pairs * one * other).sum())
    centred = both - 2 / number * float(first @ second) + first.sum() * second.sum() / number**2
    free = (number - first.sum() / number) * (number - second.sum() / number)
    if not free > 0:
        return float("nan")
    # Measured correlations scatter: the variance may come out below that of as many free voxels.
    variance = min(max(centred / free, 1 / (number - 1)), 1.0)
    return float(1 + 1 / variance)


def mean_inflation(values: np.ndarray, lags: Lags) -> float:
    """How many times the variance of the mean of values (n,) exceeds that of free voxels.

    The measured correlations are summed up to their first that is not positive (over all pairs
    they would cancel), after adding what subtracting the region's mean took from them.
    """
    found = correlogram(values, lags)
    if np.isnan(found).any():
        return float("nan")
    number = lags.count
    inflation = 1.0
    for _ in range(4):
        lifted = (found + inflation / number) / (1 + inflation / number)
        below = np.flatnonzero((lifted <= 0) & (lags.pairs_by_class > 0))
        last = int(below[0]) if below.size else lifted.size
        inflation = max(float(lifted[:last] @ lags.pairs_by_class[:last]) / number, 1.0)
    return min(inflation * number / max(number - inflation, 1.0), float(number))


def correlation_interval(value: float, size: float, *, ranks: bool = False) -> tuple[float, float]:
    """95 % interval of a correlation of an effective size, by Fisher's z.

    All of -1 to 1 where the size is 3 or less: the data then say nothing.

    >>> [round(end, 3) for end in correlation_interval(0.5, 28.0)]
    [0.156, 0.736]
    """
    if not (np.isfinite(value) and np.isfinite(size)):
        return float("nan"), float("nan")
    if not size > 3:
        return -1.0, 1.0
    if abs(value) >= 1:
        return float(np.sign(value)), float(np.sign(value))
    reach = NORMAL_95 * float(np.sqrt((RANKS if ranks else 1.0) / (size - 3)))
    middle = float(np.arctanh(value))
    return float(np.tanh(middle - reach)), float(np.tanh(middle + reach))


def correlation_p(value: float, size: float) -> float:
    """Two-sided p of no correlation, by Student's t with the effective size less two.

    >>> round(correlation_p(0.5, 16.0), 4)
    0.0486
    """
    if not (np.isfinite(value) and size > 2):
        return float("nan")
    if abs(value) >= 1:
        return 0.0
    statistic = abs(value) * np.sqrt((size - 2) / (1 - value**2))
    return float(2 * special.stdtr(size - 2, -statistic))


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of a whole, its 95 % interval and the effective size behind it."""

    value: float
    low: float
    high: float
    size: float


def share(part: np.ndarray, whole: np.ndarray, lags: Lags, most: float) -> Share:
    """Sum of `part` over sum of `whole`, both (n,), with the interval of a correlated sample.

    The variance is that of the linearised ratio with its own measured correlation; the interval is
    Wilson's (JASA 1927;22:209) with the size that gives this variance, widened as Student's t is
    for a variance that is itself measured.

    most  independent samples that the region is worth at most, such as for the correlation of the
          maps: measured scatter may be small by chance, and is none where all voxels are alike

    A share outside 0..1, as negative amounts may give, has a normal interval. NaN where the whole
    is not above zero.
    """
    total = float(whole.sum())
    unknown = float("nan")
    if not total > 0:
        return Share(value=unknown, low=unknown, high=unknown, size=unknown)
    value = float(part.sum()) / total
    if not (lags.usable and most > 0):
        return Share(value=value, low=unknown, high=unknown, size=unknown)
    away = (part - value * whole) * (whole.size / total)
    if not np.abs(away).max() > FLAT * max(np.abs(whole).max() * whole.size / total, 1.0):
        return Share(value=value, size=most, **_ends(value, most))
    inflation = max(mean_inflation(away, lags), whole.size / most)
    # The variance is itself measured, on as many free samples as the region is worth.
    free = max(whole.size / inflation - 1, 1.0)
    widening = float(special.stdtrit(free, (1 + 0.95) / 2) / NORMAL_95) ** 2
    variance = float(away @ away) / whole.size**2 * inflation * widening
    if not 0 < value < 1:
        reach = NORMAL_95 * float(np.sqrt(variance))
        return Share(value=value, low=value - reach, high=value + reach, size=unknown)
    size = min(value * (1 - value) / variance, float(whole.size))
    return Share(value=value, size=size, **_ends(value, size))


def _ends(value: float, size: float) -> dict[str, float]:
    low, high = wilson(value, size)
    return {"low": low, "high": high}


def wilson(value: float, size: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of an effective size.

    >>> [round(end, 4) for end in wilson(0.0, 10.0)]
    [0.0, 0.2775]
    """
    if not (np.isfinite(value) and size > 0):
        return float("nan"), float("nan")
    square = NORMAL_95**2
    middle = (value + square / (2 * size)) / (1 + square / size)
    spread = value * (1 - value) / size + square / (4 * size**2)
    reach = NORMAL_95 * float(np.sqrt(max(spread, 0.0))) / (1 + square / size)
    # At the ends exactly, not within rounding.
    low = max(middle - reach, 0.0) if value > 0 else 0.0
    return low, min(middle + reach, 1.0) if value < 1 else 1.0
