"""Hot spots and cold spots: is a lesion more uneven than its image's resolution makes by chance?

The contrast of every voxel's neighbourhood is set against surrogate fields of the same resolution
(`igdd.kernels.surrogates`), over the uncertainty of the point spread. What lies beyond what 95 % of
even lesions reach anywhere is hot or cold: volume, connected clusters, Euler number. What an even
lesion shows as well, its blurred outline, is taken out first.

Gi* and local Moran's I (neighbours within a point spread) and the variogram's range describe; they
are no test, since blur alone makes neighbours alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from igdd.declare import Metric
from igdd.kernels import heterogeneity, spatial_statistics
from igdd.kernels.blur import sigma_of
from igdd.kernels.surrogates import Unevenness, lattice_of, null_of, ruler, unevenness
from igdd.metrics._lesion_voxels import HALF, Lesion, lesions
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
TESTED = (("unevenness_p", "1"), ("cold_spot_p", "1"))
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
OUTLINE = 4.0  # standard deviations of the point spread beyond the box that may blur into it


def hot_spots(session: Session, kind: str = "lesion") -> Iterator[Value]:
    """Significance of unevenness, hot and cold clusters, Gi*, local Moran and variogram range.

    The test needs the point spread; without one its rows are absent. Voxels belong to a lesion from
    one half of their volume up.
    """
    for lesion in lesions(session, "hot_spots", kind):
        yield from _local(lesion)
        if session.psf is not None:
            yield from _tested(lesion, session.psf)


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
    """The test, and what is hot and cold by it."""
    found = _against_surrogates(lesion, psf)
    nothing = np.full(len(TESTED) + len(SPOTS), np.nan)
    values = nothing if found is None else np.array([found.p, found.p_cold, *_spots(lesion, found)])
    for value, (metric, unit) in zip(values, (*TESTED, *SPOTS), strict=True):
        yield lesion.row(
            metric,
            Estimate(value=float(value)),
            unit,
            method=f"surrogates blurred by {psf:g} mm "
            f"(standard deviation {lesion.session.psf_sd:g} mm)",
        )


def _against_surrogates(lesion: Lesion, psf: float) -> Unevenness | None:
    inside = lesion.weights >= HALF
    if not inside.any():
        return None
    places = tuple(place[inside] for place in lesion.places)
    spacing = lesion.image.grid.spacing
    lattice = lattice_of(places, spacing)
    gauge = ruler(lattice, psf, _profiles(lesion, psf, inside))
    if gauge is None:
        return None
    null = null_of(gauge, psf, lesion.session.psf_sd, lesion.rng("hot_spots"))
    found = unevenness(lesion.values[inside], gauge, null)
    return found if np.isfinite(found.p) else None


def _profiles(lesion: Lesion, psf: float, inside: np.ndarray) -> np.ndarray:
    """What an even lesion shows (p, n): a constant, and its outline blurred by the point spread."""
    from scipy.ndimage import gaussian_filter

    sigma = sigma_of(psf, lesion.image.grid.spacing)
    margin = np.ceil(OUTLINE * sigma).astype(int)
    box = np.pad(lesion.box(lesion.weights), [(n, n) for n in margin])
    outline = gaussian_filter(box, sigma, mode="constant")
    starts = [int(place.min()) for place in lesion.places]
    moved = tuple(
        place[inside] - start + n
        for place, start, n in zip(lesion.places, starts, margin, strict=True)
    )
    constant = np.ones(int(inside.sum()))
    blurred = outline[moved]
    flat = np.ptp(blurred) < 1e-6  # a voxel or a row of them: the outline says nothing more
    return constant[None] if flat else np.stack([constant, blurred])


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
        options=(KIND,),
        gives=(*LOCAL, *TESTED, *SPOTS),
        question="Q3",
        reference="Ord and Getis, Geogr Anal 1995;27:286; Anselin, Geogr Anal 1995;27:93",
    ),
)
