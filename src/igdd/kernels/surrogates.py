"""Surrogates: could an even lesion, imaged at this resolution, look as uneven as this one?

Blur makes neighbours alike, so that shuffled voxels are no comparison. Surrogates are white noise
blurred by the point spread, whose width is drawn anew for each from its own uncertainty. All fields
pass through the same steps:

* profiles that an even lesion has as well (a constant, its blurred outline) are taken out;
* contrast: the field smoothed over its neighbourhood, each place by what surrogates have there;
* scale: the contrast is divided by the fine structure, the root mean square difference of voxels
  about a point spread apart. A cold core adds more to the contrast than to the fine structure;
* roughness: how much differences grow from half a point spread to a whole one. It tells how wide
  the blur really was. The contrast that goes with it, by regression over the surrogates, is taken
  off: a point spread stated too narrow or too wide does not make a finding. Only as much as a
  likely blur explains is taken off, since a deep core makes a field rougher as well.

A lesion less than five point spreads wide has few independent places: a core that fills half of it
raises the fine structure too, and may be missed however cold it is.

The p-value is the rank among surrogates, (1 + as extreme) / (1 + all): exact for a null that the
surrogates follow. The largest contrast over all places is one number: no correction is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from igdd.errors import InputError
from igdd.kernels.blur import sigma_of

SURROGATES = 99
TRIALS = 60  # a power is then known to 6 %
LEVEL = 0.05
FOR_SPREAD = 40  # more surrogates, for what contrast each place has by chance
# Point spreads are rarely known better in a body; the regression needs widths that differ.
LEAST_SPREAD = 0.1
# Voxels per box beyond which a region is refused, and pairs that are looked at per distance.
MOST_CELLS = 2e6
MOST_PAIRS = 30_000
LIKELY = 0.98  # share of surrogates whose roughness still counts as blur
LEAST_VOXELS = 16
SCALES = (1.0, 2.0)  # of the neighbourhoods, in point spreads
FLAT = 1e-10  # mean square difference, of values of unit size, that is rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Lattice:
    """A region in its box: indices of voxels per axis (n,), size of the box, `spacing` in mm."""

    places: tuple[np.ndarray, ...]
    shape: tuple[int, ...]
    spacing: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Unevenness:
    """What the test says of one field.

    p          chance of a contrast as large, of either sign, in an even lesion
    p_cold     the same of a cold place alone
    contrast   (scale, n) of every voxel in standard deviations of the surrogates'
    limit      contrast that 95 % of surrogates reach nowhere
    """

    p: float
    p_cold: float
    contrast: np.ndarray
    limit: float


def lattice_of(places: tuple[np.ndarray, ...], spacing: np.ndarray) -> Lattice:
    """The box around voxels at `places` of a grid; refused where it is too large to blur often."""
    starts = [int(place.min()) for place in places]
    shape = tuple(int(place.max()) - n + 1 for place, n in zip(places, starts, strict=True))
    if np.prod([float(n) for n in shape]) > MOST_CELLS:
        raise InputError(
            f"a region's box of {'x'.join(map(str, shape))} voxels is too large for surrogates; "
            f"expected at most {MOST_CELLS:g} voxels; coarsen the image or leave the region out"
        )
    moved = tuple(place - start for place, start in zip(places, starts, strict=True))
    return Lattice(places=moved, shape=shape, spacing=np.asarray(spacing, dtype=float))


def _kernel(count: int, sigma: float) -> np.ndarray:
    """Rows of Gaussian weights (n + 2 m, n) from a line that is longer than the region's by m."""
    margin = int(np.ceil(4 * sigma))
    away = np.arange(-margin, count + margin)[:, None] - np.arange(count)
    if not sigma > 0:
        return np.asarray((away == 0).astype(np.float32))
    weights = np.exp(-0.5 * (away / sigma) ** 2)
    return np.asarray(weights / np.sqrt((weights**2).sum(axis=0)), dtype=np.float32)


def blurred_noise(lattice: Lattice, fwhm: float, rng: np.random.Generator) -> np.ndarray:
    """White noise blurred to a FWHM in mm, of unit variance, at the voxels (n,) of a region."""
    sigma = sigma_of(fwhm, lattice.spacing)
    kernels = [_kernel(n, float(s)) for n, s in zip(lattice.shape, sigma, strict=True)]
    field = rng.standard_normal([kernel.shape[0] for kernel in kernels], dtype=np.float32)
    for kernel in kernels:
        field = np.tensordot(field, kernel, axes=(0, 0))  # moves each axis last, in turn
    return np.asarray(field[lattice.places])


@dataclass(frozen=True, kw_only=True, eq=False)
class Ruler:
    """What it takes to measure fields of one region.

    smooth  per scale and axis, the weights (n, n) of the neighbourhood; `around` (scale, n) their
            sums over the region
    basis   (n, p) orthonormal profiles to take out
    pairs   voxels half a point spread and a whole one apart: two index arrays each
    """

    lattice: Lattice
    smooth: tuple[tuple[np.ndarray, ...], ...]
    around: np.ndarray
    basis: np.ndarray
    pairs: tuple[tuple[np.ndarray, np.ndarray], ...]

    def measure(self, values: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Contrast (scale, n) over the fine structure; mean squared differences, near and far."""
        left = values - self.basis @ (self.basis.T @ values)
        field = np.zeros(self.lattice.shape, dtype=np.float32)
        field[self.lattice.places] = left
        around = [
            _along(field, smooth)[self.lattice.places] / weight
            for smooth, weight in zip(self.smooth, self.around, strict=True)
        ]
        near, far = (float(np.mean((left[a] - left[b]) ** 2)) for a, b in self.pairs)
        return np.stack(around) / np.sqrt(max(far, FLAT)), near, far


def _along(field: np.ndarray, kernels: tuple[np.ndarray, ...]) -> np.ndarray:
    for kernel in kernels:
        field = np.tensordot(field, kernel, axes=(0, 0))  # moves each axis last, in turn
    return field


def ruler(lattice: Lattice, fwhm: float, profiles: np.ndarray) -> Ruler | None:
    """The ruler of a region for a point spread in mm and profiles (p, n) to take out.

    None where a region has no two voxels a point spread apart, or hardly any voxels.
    """
    count = lattice.places[0].size
    region = np.zeros(lattice.shape, dtype=np.float32)
    region[lattice.places] = 1.0
    smooth = tuple(_neighbourhood(lattice, scale * fwhm) for scale in SCALES)
    steps = np.maximum(np.floor(fwhm / 2 / lattice.spacing + 1e-9).astype(int), 1)
    pairs = tuple(_pairs(lattice, times * steps) for times in (1, 2))
    if count < LEAST_VOXELS or not all(first.size for first, _ in pairs):
        return None
    return Ruler(
        lattice=lattice,
        smooth=smooth,
        around=np.stack([_along(region, kernels)[lattice.places] for kernels in smooth]),
        basis=np.linalg.qr(profiles.T)[0].astype(np.float32),
        pairs=pairs,
    )


def _neighbourhood(lattice: Lattice, fwhm: float) -> tuple[np.ndarray, ...]:
    """Per axis, Gaussian weights (n, n) of a FWHM in mm."""
    found = []
    for size, sigma in zip(lattice.shape, sigma_of(fwhm, lattice.spacing).tolist(), strict=True):
        away = np.subtract.outer(np.arange(size), np.arange(size))
        found.append(np.exp(-0.5 * (away / sigma) ** 2).astype(np.float32))
    return tuple(found)


def _pairs(lattice: Lattice, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of voxels of the region that lie a step apart along an axis."""
    number = np.full(lattice.shape, -1)
    number[lattice.places] = np.arange(lattice.places[0].size)
    first, second = [], []
    for axis, step in enumerate(steps.tolist()):
        ahead = np.moveaxis(number, axis, 0)
        one, other = ahead[: max(ahead.shape[0] - step, 0)], ahead[step:]
        both = (one >= 0) & (other >= 0)
        first.append(one[both])
        second.append(other[both])
    one, other = np.concatenate(first), np.concatenate(second)
    every = 1 + one.size // MOST_PAIRS
    return one[::every], other[::every]


@dataclass(frozen=True, kw_only=True, eq=False)
class Null:
    """What even fields look like: standard deviation (scale, n) of contrasts, mean roughness, how
    far above it a likely one lies, the slopes of the extremes' logarithms on it, and the ranked
    logarithms without that part."""

    sd: np.ndarray
    slopes: tuple[float, float]
    roughness: float
    most: float
    largest: np.ndarray
    coldest: np.ndarray


def null_of(
    gauge: Ruler, fwhm: float, fwhm_sd: float, rng: np.random.Generator, count: int = SURROGATES
) -> Null:
    """Measure `count` surrogates; `fwhm` and its standard deviation in mm."""
    spread = max(fwhm_sd, LEAST_SPREAD * fwhm)
    # The width is normal; one that would be no width at all is drawn to a tenth.
    drawn = rng.standard_normal(FOR_SPREAD + count)
    widths = np.maximum(fwhm + spread * drawn, fwhm / 10)
    squares = np.zeros(gauge.around.shape)
    for width in widths[:FOR_SPREAD].tolist():
        contrast, _, _ = gauge.measure(blurred_noise(gauge.lattice, width, rng))
        squares += contrast.astype(float) ** 2 / FOR_SPREAD
    sd = np.stack([_even_out(*pair) for pair in zip(squares, gauge.around, strict=True)])
    roughness = np.empty(count)
    logs = np.empty((2, count))
    for n, width in enumerate(widths[FOR_SPREAD:].tolist()):
        contrast, near, far = gauge.measure(blurred_noise(gauge.lattice, width, rng))
        roughness[n] = np.log(far / near)
        logs[:, n] = np.log(_extremes(contrast / sd))
    middle = float(roughness.mean())
    away = roughness - middle
    slopes = (logs @ away) / (away @ away)
    most = float(np.quantile(away, LIKELY))
    ranked = np.sort(logs - slopes[:, None] * np.minimum(away, most), axis=1)
    return Null(
        sd=sd,
        slopes=(float(slopes[0]), float(slopes[1])),
        roughness=middle,
        most=most,
        largest=ranked[0],
        coldest=ranked[1],
    )


def unevenness(values: np.ndarray, gauge: Ruler, null: Null) -> Unevenness:
    """Set one field (n,) against the surrogates; any unit. NaN where it is flat."""
    # Of unit size, so that single precision holds it in any unit.
    size = float(np.abs(values).max())
    field = (values / size if size > 0 else values).astype(np.float32)
    contrast, near, far = gauge.measure(field)
    scaled = contrast / null.sd
    if not (near > FLAT and far > FLAT):
        return Unevenness(p=np.nan, p_cold=np.nan, contrast=np.full_like(scaled, np.nan), limit=0.0)
    # Differences that grow more than any likely blur makes them are structure, not blur.
    excess = min(np.log(far / near) - null.roughness, null.most)
    found = np.log(_extremes(scaled)) - np.array(null.slopes) * excess
    p, cold = (_rank(*pair) for pair in zip(found, (null.largest, null.coldest), strict=True))
    limit = np.exp(np.quantile(null.largest, 0.95) + null.slopes[0] * excess)
    return Unevenness(p=p, p_cold=cold, contrast=scaled, limit=float(limit))


def power(
    gauge: Ruler, null: Null, core: np.ndarray, fwhm: float, rng: np.random.Generator
) -> float:
    """Share of fields in which a cold core (n,) would be found at p <= 0.05.

    `core` is what it lacks, in standard deviations of the field that it lies in.
    """
    found = [
        unevenness(blurred_noise(gauge.lattice, fwhm, rng) - core, gauge, null).p_cold <= LEVEL
        for _ in range(TRIALS)
    ]
    return float(np.mean(found))


def _extremes(scaled: np.ndarray) -> tuple[float, float]:
    """The largest contrast of either sign, and the coldest."""
    return max(float(np.abs(scaled).max()), 1e-6), max(float(-scaled.min()), 1e-6)


def _even_out(squares: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Standard deviation (n,) of contrast by how much of the neighbourhood lies in the region.

    A parabola over all voxels: that of each voxel by itself would rest on too few surrogates.
    """
    closed = around.min() / around
    design = np.stack([np.ones_like(closed), closed, closed**2], axis=1).astype(float)
    fitted = design @ np.linalg.lstsq(design, squares, rcond=None)[0]
    return np.asarray(np.sqrt(np.maximum(fitted, squares.mean() / 10)), dtype=np.float32)


def _rank(found: float, ranked: np.ndarray) -> float:
    above = ranked.size - int(np.searchsorted(ranked, found, side="left"))
    return (1 + above) / (1 + ranked.size)
