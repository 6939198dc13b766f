"""Penetration: how far from the rim of a lesion, or from its vessels, what was given has come.

Mean concentrations in five shells of equal volume, the core's over the rim's, the rate of an
exponential fall C = A exp(-k d) and its length 1 / k, and the depth at which half of the rim's
concentration is left, all against the distance in mm. Values are as imaged: the point spread brings
the rim nearer to what lies outside, over a depth of about its width.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.kernels import depth_profile as kernel
from igdd.metrics._lesion_voxels import Found, Lesion, as_imaged, lesions, other_region
from igdd.metrics._resolution import RESOLUTION
from igdd.metrics.heterogeneity import KIND
from igdd.results import Value
from igdd.types import Session
from igdd.uncertainty import NORMAL_95, Estimate

SHELLS = 5
FROM = ("rim", "vessel")


def penetration(
    session: Session,
    kind: str = "lesion",
    vessel: str | None = None,
    resolution: str | float | None = None,
) -> Iterator[Value]:
    """Shell means, core over rim, exponential length and depth of half uptake of every lesion.

    `vessel` names a region from which distances are taken as well. Length and depth are absent,
    and the rate is flagged, where the concentration does not fall from the rim (or vessel) on.
    """
    for lesion in lesions(session, "penetration", kind, resolution):
        yield from _profile(lesion, "rim", lesion.depth)
        if vessel is not None:
            yield from _profile(lesion, "vessel", _from_vessel(lesion, vessel))


def _from_vessel(lesion: Lesion, vessel: str) -> np.ndarray:
    """Distance (n,) in mm of the lesion's voxels from a region, looked for on the whole grid."""
    regions = lesion.session.regions
    if regions is None:
        raise StudyError("measure.vessel: no regions are drawn; expected the vessels' region")
    other_region(lesion.session, regions, vessel, "vessel")
    mask = regions.mask(vessel) > 0
    places = [
        np.append(held, own) for held, own in zip(np.nonzero(mask), lesion.places, strict=True)
    ]
    if not lesion.values.size:
        return np.zeros(0)
    box = tuple(slice(int(one.min()), int(one.max()) + 1) for one in places)
    distance = kernel.distance_from(mask[box], lesion.image.grid.spacing)
    moved = tuple(own - part.start for own, part in zip(lesion.places, box, strict=True))
    return np.asarray(distance[moved])


def _profile(lesion: Lesion, start: str, depth: np.ndarray) -> Iterator[Value]:
    names = [(f"{start}_shell_{number + 1}", "C") for number in range(SHELLS)]
    names += [(f"{start}_core_ratio", "1"), (f"{start}_fall_rate", "/mm")]
    known = np.isfinite(depth)
    if not lesion.values.size or not known.all():
        for metric, unit in names:
            yield lesion.row(
                metric, Estimate(value=float("nan")), lesion.image.unit if unit == "C" else unit
            )
        return
    shells = kernel.equal_shells(depth, lesion.weights, SHELLS)
    places = kernel.shell_means(shells, depth)

    def measures(values: np.ndarray) -> np.ndarray:
        means = kernel.shell_means(shells, values)
        ratio = means[-1] / means[0] if means[0] > 0 else np.nan
        rate = kernel.exponential_rate(values, depth, lesion.weights)
        half = kernel.half_depth(values, depth, lesion.weights)
        return np.array([*means, ratio, rate, half])

    found = as_imaged(lesion, measures, f"penetration {start}")
    falls = bool(found.value[SHELLS + 1] > 0)
    for number, (metric, unit) in enumerate(names):
        at = f", {places[number]:.3g} mm from the {start}" if number < SHELLS else ""
        yield lesion.row(
            metric,
            found.estimate(number),
            lesion.image.unit if unit == "C" else unit,
            interval=found.interval(number),
            flags=() if falls or unit != "/mm" else ("profile_not_falling",),
            method=f"distance from the {start}{at}; as imaged",
        )
    yield from _lengths(lesion, start, found)


def _lengths(lesion: Lesion, start: str, found: Found) -> Iterator[Value]:
    """The exponential length and the depth of half uptake, where there are any."""
    rate, sd = float(found.value[SHELLS + 1]), float(found.sd[SHELLS + 1])
    if rate > 0:
        low, high = rate - NORMAL_95 * sd, rate + NORMAL_95 * sd
        yield lesion.row(
            f"{start}_exponential_length",
            Estimate(value=1 / rate, sd=sd / rate**2),
            "mm",
            # Fieller: the interval of 1 / k is that of k turned over, open where k may be 0.
            interval=(1 / high, 1 / low if low > 0 else float("inf")),
            method=f"1 / rate of the fall from the {start}; as imaged",
        )
    if np.isfinite(found.value[SHELLS + 2]):
        yield lesion.row(
            f"{start}_half_depth",
            found.estimate(SHELLS + 2),
            "mm",
            method=f"first half of the concentration at the {start}; as imaged",
        )


METRICS = (
    Metric(
        "penetration",
        penetration,
        level="session",
        options=(
            KIND,
            Option("vessel", "text", default=None, help="region that holds the vessels"),
            RESOLUTION,
        ),
        gives=tuple(
            (f"{start}_{name}", unit)
            for start in FROM
            for name, unit in (
                *((f"shell_{number + 1}", "of image") for number in range(SHELLS)),
                ("core_ratio", "1"),
                ("fall_rate", "/mm"),
                ("exponential_length", "mm"),
                ("half_depth", "mm"),
            )
        ),
        question="Q3",
        reference="profiles over distance in tumours: PMC5600259",
    ),
)
