"""Hot spots and cold spots: is a lesion more uneven than its image's resolution makes by chance?

The contrast of every voxel's neighbourhood is set against surrogate fields of the same resolution
(`igdd.kernels.surrogates`), over the uncertainty of the point spread. What lies beyond what 95 % of
even lesions reach anywhere is hot or cold: volume, connected clusters, Euler number. What an even
lesion shows as well, its blurred outline, is taken out first.

Gi* and local Moran's I (neighbours within a point spread) and the variogram's range describe; they
are no test, since blur alone makes neighbours alike.

What is not found need not be absent. `cold_core_power` is the chance that a core would have been
found which is half as wide as the lesion and lacks half of its mean, in a texture as strong as this
lesion's own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from igdd.declare import Metric
from igdd.kernels import heterogeneity, spatial_statistics
from igdd.kernels.blur import sigma_of
from igdd.kernels.surrogates import (
    LEVEL,
    Unevenness,
    lattice_of,
    null_of,
    power,
    ruler,
    unevenness,
)
from igdd.metrics._lesion_voxels import HALF, Lesion, lesions
from igdd.metrics._resolution import RESOLUTION
from igdd.metrics.heterogeneity import KIND
from igdd.results import Value
from igdd.types import Session
from igdd.uncertainty import Estimate

LOCAL = (
    ("gi_star_highest", "1"),
    ("gi_star_lowest", "1"),
    ("local_moran_highest", "1"),
    ("variogram_range", "mm"),
)
TESTED = (("unevenness_p", "1"), ("cold_spot_p", "1"), ("cold_core_power", "1"))
SPOTS = tuple(
    (f"{sign}_{name}", unit)
    for sign in ("hot", "cold")
    for name, unit in (
        ("volume", "mL"),
        ("clusters", "1"),
        ("largest_cluster", "mL"),
        ("euler_number", "1"),
    )
)
# The core whose chance to be found is told: of half the lesion's depth, lacking half of its mean.
CORE = 0.5
LACKING = 0.5
ENOUGH_POWER = 0.8
OUTLINE = 4.0  # standard deviations of the point spread beyond the box that may blur into it


def hot_spots(
    session: Session, kind: str = "lesion", resolution: str | float | None = None
) -> Iterator[Value]:
    """Significance of unevenness, hot and cold clusters, Gi*, local Moran and variogram range.

    The test needs the point spread; without one its rows are absent. Voxels belong to a lesion from
    one half of their volume up.
    """
    for lesion in lesions(session, "hot_spots", kind, resolution):
        yield from _local(lesion)
        if lesion.session.psf is not None:
            yield from _tested(lesion, lesion.session.psf)


def _local(lesion: Lesion) -> Iterator[Value]:
    spacing = lesion.image.grid.spacing
    # Without a point spread, the 26 voxels around.
    radius = lesion.session.psf or float(np.linalg.norm(spacing))
    radius = max(radius, float(spacing.max()))
    found = np.full(len(LOCAL), np.nan)
    if lesion.values.size:
        box, region = lesion.box(lesion.values), lesion.box(lesion.weights) >= HALF
        gi = spatial_statistics.gi_star(box, region, spacing, radius)
        moran = spatial_statistics.local_moran(box, region, spacing, radius)
        known = [one[np.isfinite(one)] for one in (gi, moran)]
        if known[0].size:
            found[:2] = known[0].max(), known[0].min()
        if known[1].size:
            found[2] = known[1].max()
        found[3] = spatial_statistics.variogram_range(
            *spatial_statistics.variogram(box, region, spacing)
        )
    for value, (metric, unit) in zip(found, LOCAL, strict=True):
        yield lesion.row(
            metric,
            Estimate(value=float(value)),
            unit,
            method="Gaussian variogram" if unit == "mm" else f"neighbours within {radius:g} mm",
        )


def _tested(lesion: Lesion, psf: float) -> Iterator[Value]:
    """The test, how strong it is, and what is hot and cold by it."""
    found = _against_surrogates(lesion, psf)
    nothing = np.full(len(TESTED) + len(SPOTS), np.nan)
    values = nothing
    flags: tuple[str, ...] = ()
    if found is not None:
        seen, chance = found
        values = np.array([seen.p, seen.p_cold, chance, *_spots(lesion, seen)])
        weak = chance < ENOUGH_POWER and min(seen.p, seen.p_cold) > LEVEL
        flags = ("low_power",) if weak else ()
    for value, (metric, unit) in zip(values, (*TESTED, *SPOTS), strict=True):
        yield lesion.row(
            metric,
            Estimate(value=float(value)),
            unit,
            flags=flags if (metric, unit) in TESTED else (),
            method=f"surrogates blurred by {psf:g} mm "
            f"(standard deviation {lesion.session.psf_sd:g} mm)",
        )


def _against_surrogates(lesion: Lesion, psf: float) -> tuple[Unevenness, float] | None:
    """The test of a lesion, and its power for a cold core; None where it cannot be tested."""
    inside = lesion.weights >= HALF
    if not inside.any():
        return None
    places = tuple(place[inside] for place in lesion.places)
    lattice = lattice_of(places, lesion.image.grid.spacing)
    gauge = ruler(lattice, psf, _profiles(lesion, psf, inside))
    if gauge is None:
        return None
    rng = lesion.rng("hot_spots")
    null = null_of(gauge, psf, lesion.session.psf_sd, rng)
    values = lesion.values[inside]
    found = unevenness(values, gauge, null)
    if not np.isfinite(found.p):
        return None
    deep = lesion.depth > (1 - CORE) * lesion.depth.max(initial=0.0)
    core = _outline(lesion, psf, lesion.weights * deep)[inside]
    texture = float((values - gauge.basis @ (gauge.basis.T @ values)).std())
    lacks = LACKING * float(values.mean()) * core / texture if texture > 0 else np.zeros(core.size)
    return found, power(gauge, null, lacks, psf, rng)


def _profiles(lesion: Lesion, psf: float, inside: np.ndarray) -> np.ndarray:
    """What an even lesion shows (p, n): a constant, and its outline blurred by the point spread."""
    constant = np.ones(int(inside.sum()))
    blurred = _outline(lesion, psf, lesion.weights)[inside]
    flat = np.ptp(blurred) < 1e-6  # a voxel or a row of them: the outline says nothing more
    return constant[None] if flat else np.stack([constant, blurred])


def _outline(lesion: Lesion, psf: float, weights: np.ndarray) -> np.ndarray:
    """Part of a lesion's voxels, as weights (n,), blurred by the point spread: (n,)."""
    from scipy.ndimage import gaussian_filter

    sigma = sigma_of(psf, lesion.image.grid.spacing)
    margin = np.ceil(OUTLINE * sigma).astype(int)
    box = np.pad(lesion.box(weights), [(n, n) for n in margin])
    outline = gaussian_filter(box, sigma, mode="constant")
    moved = tuple(
        place - int(place.min()) + n for place, n in zip(lesion.places, margin, strict=True)
    )
    return np.asarray(outline[moved])


def _spots(lesion: Lesion, found: Unevenness) -> Iterator[float]:
    """Volume, clusters, largest cluster and Euler number of what is hot, then of what is cold."""
    inside = lesion.weights >= HALF
    for extreme in (found.contrast.max(axis=0), -found.contrast.min(axis=0)):
        chosen = np.zeros(inside.size)
        chosen[inside] = np.where(extreme > found.limit, lesion.weights[inside], 0.0)
        box = lesion.box(chosen)
        yield float(box.sum()) * lesion.voxel_volume
        yield float(heterogeneity.parts(box > 0)[1])
        yield heterogeneity.largest_part(box > 0, box) * lesion.voxel_volume
        yield float(heterogeneity.euler_number(box > 0))


METRICS = (
    Metric(
        "hot_spots",
        hot_spots,
        level="session",
        options=(KIND, RESOLUTION),
        gives=(*LOCAL, *TESTED, *SPOTS),
        question="Q3",
        reference="Ord and Getis, Geogr Anal 1995;27:286; Anselin, Geogr Anal 1995;27:93",
    ),
)
