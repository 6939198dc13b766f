"""Peak uptake: the mean in a sphere of 1 mL, by voxel centres or by the exact overlap of volumes.

The voxel-centre rule (IBSI, `igdd.kernels.intensity_peak`) takes whole voxels, so that its sphere
holds 0.69 to 1.08 mL at clinical voxel sizes; the exact rule weights each voxel by the volume that
it shares with the sphere, and may place the sphere's centre between voxel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from igdd.errors import InputError
from igdd.kernels.compiled import njit
from igdd.kernels.intensity_peak import RADIUS
from igdd.kernels.sphere_overlap import box_shares

# Voxels of one sphere beyond which a peak is not looked for: a second of work.
MOST_VOXELS = 200_000
# Share of a sphere that may lie outside before it counts as cut: rounding of the closed form.
CUT = 1e-6
# The search for a centre starts with steps of a quarter of a voxel and ends below 1/100 of one.
FIRST_STEP = 0.25
LAST_STEP = 0.01
STARTS = 5  # highest voxel centres from which a centre between voxels is looked for

Rule = Literal["exact", "voxel_centres"]
Place = Literal["local", "global"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Peak:
    """A peak: mean, the sphere's centre in voxel indices, and the volume that it really holds.

    value     in the image's unit; NaN where there is none
    volume    mL of image with a value that the mean was taken over
    share     of the sphere's volume by its rule: below 1 the image's border or NaN cut it
    places    (n, 3) voxels of the mean, and their weights (n,), which add up to 1
    """

    value: float
    centre: np.ndarray
    volume: float
    share: float
    places: np.ndarray
    weights: np.ndarray

    @property
    def cut(self) -> bool:
        """Whether part of the sphere lies outside the image or on voxels without a value."""
        return bool(self.share < 1 - CUT)


NOTHING = Peak(
    value=float("nan"), centre=np.full(3, np.nan), volume=0.0, share=0.0,
    places=np.zeros((0, 3), np.int64), weights=np.zeros(0),
)  # fmt: skip


def peak(
    image: np.ndarray,
    region: np.ndarray,
    spacing: np.ndarray,
    *,
    rule: Rule = "exact",
    place: Place = "global",
    interior: bool = False,
    between: bool = True,
    radius: float = RADIUS,
) -> Peak:
    """Peak of a region (i, j, k) of booleans in an image with voxels of `spacing` mm.

    rule      "exact": voxels by the volume they share; "voxel_centres": those whose centre is in
    place     "local": centred on the region's voxel of largest value; "global": on whichever of its
              voxels gives the highest mean
    interior  only spheres that lie in the region altogether; there may be none (NaN)
    between   exact rule: the centre may leave its voxel's centre by up to half a voxel

    The image counts beyond the region, unless `interior`; what has no value (NaN, infinite, outside
    the image) does not.
    """
    _check(image, region, spacing, radius)
    known = np.isfinite(image)
    places = np.argwhere(region & known)
    if not places.size:
        return NOTHING
    if place == "local":
        values = image[tuple(places.T)]
        places = places[values == values.max()]
    outside = ~region if interior else None
    search = _Search(
        image, known, outside, spacing=np.asarray(spacing, dtype=float), radius=radius, rule=rule
    )
    if search.too_large:
        return NOTHING
    found = search.ranked(places)
    if not found:
        return NOTHING
    if rule == "voxel_centres" or not between:
        return search.peak(found[0].astype(float))
    refined = [search.refined(centre) for centre in found[:STARTS]]
    return search.peak(max(refined, key=lambda one: one[1])[0])


def _check(image: np.ndarray, region: np.ndarray, spacing: np.ndarray, radius: float) -> None:
    if image.ndim != 3 or region.shape != image.shape:
        raise InputError(
            f"image and region have shapes {image.shape} and {region.shape}; expected one 3-D "
            "lattice"
        )
    if np.shape(spacing) != (3,) or not (np.isfinite(spacing).all() and np.min(spacing) > 0):
        raise InputError(f"voxel spacing is {spacing}; expected three lengths above 0 mm")
    if not (np.isfinite(radius) and radius > 0):
        raise InputError(f"the peak's radius is {radius} mm; expected above 0")


class _Search:
    """Spheres in one image: their means, ranked over voxel centres and refined between them."""

    def __init__(
        self,
        image: np.ndarray,
        known: np.ndarray,
        outside: np.ndarray | None,
        *,
        spacing: np.ndarray,
        radius: float,
        rule: Rule,
    ) -> None:
        self.filled = np.where(known, image, 0.0).astype(float)
        self.known = known
        self.outside = outside
        self.spacing = spacing
        self.radius = radius
        self.rule = rule
        self.voxel = float(np.prod(spacing))
        span = 2 * np.ceil(radius / spacing + 1) + 1
        self.too_large = bool(np.prod(np.minimum(span, 1e6)) > MOST_VOXELS)
        self.whole = 4 / 3 * np.pi * radius**3 / self.voxel
        if rule == "voxel_centres" and not self.too_large:
            _, weights = self.kernel(np.zeros(3))
            self.whole = float(weights.sum())

    def kernel(self, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Voxels (n, 3) of a sphere and the share (n,) of each that lies in it."""
        reach = self.radius / self.spacing
        low = np.ceil(centre - reach - 0.5).astype(np.int64)
        high = np.floor(centre + reach + 0.5).astype(np.int64)
        axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
        offsets = [(axis - c) * s for axis, c, s in zip(axes, centre, self.spacing, strict=True)]
        if self.rule == "voxel_centres":
            x, y, z = (one**2 for one in offsets)
            square = x[:, None, None] + y[None, :, None] + z[None, None, :]
            shares = np.asarray(square <= self.radius**2 + 1e-9, dtype=float)
        else:
            shares = box_shares(*offsets, self.spacing, self.radius)
        inside = np.nonzero(shares)
        places = np.column_stack([axis[n] for axis, n in zip(axes, inside, strict=True)])
        return places, shares[inside]

    def held(self, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """The sphere's voxels that hold a value, their shares, and whether all are allowed."""
        places, shares = self.kernel(centre)
        within = ((places >= 0) & (places < self.filled.shape)).all(axis=1)
        whole = bool(within.all())
        places, shares = places[within], shares[within]
        index = tuple(places.T)
        allowed = True
        if self.outside is not None:
            beyond = float(shares[self.outside[index]].sum())
            allowed = whole and beyond <= CUT * self.whole
        known = self.known[index]
        return places[known], shares[known], allowed

    def mean(self, centre: np.ndarray) -> float:
        """Mean in a sphere; minus infinity where it may not lie or holds nothing."""
        places, shares, allowed = self.held(centre)
        total = shares.sum()
        if not allowed or not total > 0:
            return -np.inf
        return float(shares @ self.filled[tuple(places.T)] / total)

    def peak(self, centre: np.ndarray) -> Peak:
        """The peak with its sphere at a centre."""
        places, shares, _ = self.held(centre)
        total = float(shares.sum())
        return Peak(
            value=float(shares @ self.filled[tuple(places.T)] / total),
            centre=centre,
            volume=total * self.voxel / 1000,
            share=total / self.whole,
            places=places,
            weights=shares / total,
        )

    def ranked(self, places: np.ndarray) -> list[np.ndarray]:
        """Voxel centres (3,) by their sphere's mean, the highest first, those allowed only."""
        offsets, shares = self.kernel(np.zeros(3))
        outside = np.zeros((1, 1, 1), bool) if self.outside is None else self.outside
        means = _means(
            (self.filled, self.known, outside), places, offsets, shares, CUT * self.whole
        )
        order = np.argsort(-means, kind="stable")
        return [places[n] for n in order[:STARTS] if np.isfinite(means[n])]

    def refined(self, start: np.ndarray) -> tuple[np.ndarray, float]:
        """Centre within half a voxel of a voxel's centre where the mean is highest, and the mean.

        Steps along the axes, halved when none helps; only a higher mean moves the centre, so that
        the answer is the same each time.
        """
        best = start.astype(float)
        value = self.mean(best)
        step = FIRST_STEP
        while step >= LAST_STEP:
            tried = [best + sign * step * axis for axis in np.eye(3) for sign in (-1, 1)]
            tried = [one for one in tried if np.abs(one - start).max() <= 0.5]
            means = [self.mean(one) for one in tried]
            place = int(np.argmax(means))
            if means[place] > value + 1e-12 * abs(value):
                best, value = tried[place], means[place]
            else:
                step /= 2
        return best, value


@njit(cache=True, nogil=True)
def _means(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
    places: np.ndarray,
    offsets: np.ndarray,
    shares: np.ndarray,
    most_beyond: float,
) -> np.ndarray:
    """Mean of the sphere around each place (n,); minus infinity where it may not lie.

    images  values (0 where unknown), whether known, and whether outside the region, or (1, 1, 1)
    """
    filled, known, outside = images
    shape = filled.shape
    confined = outside.size > 1
    means = np.empty(places.shape[0])
    for n in range(places.shape[0]):
        total, weight, beyond = 0.0, 0.0, 0.0
        for m in range(offsets.shape[0]):
            i = places[n, 0] + offsets[m, 0]
            j = places[n, 1] + offsets[m, 1]
            k = places[n, 2] + offsets[m, 2]
            if i < 0 or j < 0 or k < 0 or i >= shape[0] or j >= shape[1] or k >= shape[2]:
                beyond += shares[m]
                continue
            if confined and outside[i, j, k]:
                beyond += shares[m]
            if known[i, j, k]:
                total += shares[m] * filled[i, j, k]
                weight += shares[m]
        allowed = not confined or beyond <= most_beyond
        means[n] = total / weight if allowed and weight > 0 else -np.inf
    return means
