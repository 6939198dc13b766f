"""Peak uptake: the mean in a sphere of 1 mL, in the image's unit, as SUV and as SUL.

    SUVpeak = highest mean in a sphere of 1 mL, SULpeak the same by lean body mass

Values are as imaged: no partial-volume correction is applied to voxels. The noise of a peak is that
of a weighted mean of correlated voxels; that the highest place was chosen is not in it. Calibration
and dose are shared by all rows of a scan.

What decides whether two scans may be compared stands in rows of the region "scan": the net activity
given, and the time from administration to the start of the scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.kernels.blur import correlation_root
from igdd.metrics.uptake import administered, cv_of, dose_flags, normalisers
from igdd.results import Value
from igdd.types import Image, Regions, Session
from igdd.uncertainty import Estimate

if TYPE_CHECKING:
    from igdd.kernels.sphere_peak import Peak

PLACES: tuple[Literal["local", "global"], ...] = ("local", "global")
# The region of rows that are of the whole scan; the comparison `response` looks for it.
SCAN = "scan"
LEAN = ("janma", "james128", "morgan120")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Factors from the image's unit to SUV and SUL, and what is known of them."""

    suv: float | None
    sul: float | None
    cv_shared: float
    flags: tuple[str, ...]


def peak(
    session: Session,
    rule: Literal["exact", "voxel_centres"] = "exact",
    place: Literal["local", "global"] = "global",
    interior: bool = False,
    lean: str = "janma",
) -> Iterator[Value]:
    """Local and global peak of every region with the volume they hold, SUVpeak, SULpeak, mean SUL.

    SUL is absent where dose, weight, height or sex are not known. `sulmean` and `sulsd` are those
    of a region's voxels: of the liver or blood pool, the reference of PERCIST.
    """
    from igdd.kernels import sphere_peak

    image, regions = needed(session, "peak")
    yield from _facts(session, image)
    scale = scale_of(session, lean)
    unknown = ("noise_unknown",) if image.variance is None else ()
    for number, name in enumerate(regions.names):
        mask = regions.mask(name) >= 0.5
        for time in range(image.frames.start.size):
            frame = image.values[..., time]
            found = {
                where: sphere_peak.peak(
                    frame, mask, image.grid.spacing, rule=rule, place=where, interior=interior
                )
                for where in PLACES
            }
            known = bool(np.isfinite(frame[mask]).any())
            rows = Rows(session, image, number, time, f"{_rule_text(rule)}, {lean}")
            for where, one in found.items():
                flags = (*_peak_flags(one, mask, known), *unknown)
                estimate = _peak_estimate(image, one, time)
                yield rows.value(f"peak_{where}", estimate, image.unit, flags)
                yield rows.value(
                    f"peak_{where}_volume", Estimate(value=one.volume, sd=0.0), "mL", flags
                )
                if where == place:
                    yield from _scaled(rows, estimate, scale, flags)
            yield from _mean_sul(rows, frame[mask], scale)


def _facts(session: Session, image: Image) -> Iterator[Value]:
    """Net activity given, and the time from then to the scan, where one administration is known."""
    given, frames = session.net_activity(), image.frames
    after = float(frames.start[0]) / 60
    found = []
    if given is not None:
        found.append(("administered_activity", given, "Bq"))
    if frames.zero.kind == "administration" and len(session.subject.given) < 2:
        found.append(("uptake_time", Estimate(value=after, sd=0.0), "min"))
    for metric, estimate, unit in found:
        yield Value(
            region=SCAN,
            metric=metric,
            estimate=estimate,
            unit=unit,
            time=float(frames.middle[0]),
            analyte=image.analyte,
            method="net activity given" if unit == "Bq" else "administration to start of scan",
        )


def _rule_text(rule: str) -> str:
    return "1 mL by voxel centres" if rule == "voxel_centres" else "1 mL by exact overlap"


def needed(session: Session, metric: str) -> tuple[Image, Regions]:
    """Image and regions of a session, or what the metric lacks without them."""
    if session.image is None or session.regions is None:
        raise StudyError(
            f"metric {metric!r} needs the voxels of session {session.name}; expected an image and "
            "regions; leave the metric out for a session of curves alone"
        )
    return session.image, session.regions


def scale_of(session: Session, lean: str) -> Scale:
    """Factors to SUV and to SUL by a formula of lean body mass; None where facts are missing."""
    given = administered(session, session.curves)
    if given is None:
        return Scale(suv=None, sul=None, cv_shared=session.curves.scale_cv, flags=())
    sizes = normalisers(session.subject)
    body, lean_body = sizes.get("suvbw"), sizes.get(f"suvlbm_{lean}")
    return Scale(
        suv=None if body is None else body / given.value,
        sul=None if lean_body is None else lean_body / given.value,
        cv_shared=float(np.hypot(session.curves.scale_cv, cv_of(given))),
        flags=dose_flags(given),
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """Makes the rows of one region in one frame."""

    session: Session
    image: Image
    number: int
    time: int
    method: str

    def value(
        self, metric: str, estimate: Estimate, unit: str, flags: tuple[str, ...] = ()
    ) -> Value:
        """A row with the region's own flags."""
        regions = self.session.regions
        own = () if regions is None else regions.flags[self.number]
        name = "" if regions is None else regions.names[self.number]
        return Value(
            region=name,
            metric=metric,
            estimate=estimate,
            unit=unit,
            time=float(self.image.frames.middle[self.time]),
            analyte=self.image.analyte,
            flags=(*own, *flags),
            method=self.method,
        )


def _peak_flags(one: Peak, mask: np.ndarray, known: bool) -> tuple[str, ...]:
    if not np.isfinite(one.value):
        return ("peak_undefined",) if known else ("empty_region",)
    beyond = float(one.weights[~mask[tuple(one.places.T)]].sum())
    return (("peak_cut",) if one.cut else ()) + (("peak_beyond_region",) if beyond > 0.5 else ())


def _peak_estimate(image: Image, one: Peak, time: int) -> Estimate:
    """The peak with the noise of its weighted mean and the calibration's part."""
    if not np.isfinite(one.value):
        return Estimate(value=float("nan"))
    shared = abs(one.value) * image.scale_cv
    if image.variance is None:
        return Estimate(value=one.value, sd=shared, sd_shared=shared)
    sd = np.sqrt(image.variance[(*one.places.T, time)].astype(float))
    low = one.places.min(axis=0)
    box = np.zeros(one.places.max(axis=0) - low + 1)
    box[tuple((one.places - low).T)] = one.weights * sd
    for size, spacing in zip(box.shape, image.grid.spacing, strict=True):
        root = correlation_root(size, float(spacing), image.noise_correlation)
        box = np.tensordot(box, root, axes=(0, 0))  # moves each axis last, in turn
    return Estimate(
        value=one.value, sd=float(np.hypot(np.sqrt((box**2).sum()), shared)), sd_shared=shared
    )


def _scaled(
    rows: Rows, estimate: Estimate, scale: Scale, flags: tuple[str, ...]
) -> Iterator[Value]:
    """SUVpeak and SULpeak from a peak in the image's unit."""
    for metric, factor in (("suvpeak", scale.suv), ("sulpeak", scale.sul)):
        if factor is not None:
            shared = abs(estimate.value * factor) * scale.cv_shared
            random = estimate.sd_random * factor
            found = Estimate(
                value=estimate.value * factor, sd=float(np.hypot(random, shared)), sd_shared=shared
            )
            yield rows.value(metric, found, "g/mL", (*flags, *scale.flags))


def _mean_sul(rows: Rows, values: np.ndarray, scale: Scale) -> Iterator[Value]:
    known = values[np.isfinite(values)]
    if scale.sul is None or not known.size:
        return
    flags = scale.flags if known.size == values.size else (*scale.flags, "nan_voxels")
    for metric, number in (("sulmean", known.mean()), ("sulsd", known.std())):
        value = float(number) * scale.sul
        shared = abs(value) * scale.cv_shared
        yield rows.value(metric, Estimate(value=value, sd=shared, sd_shared=shared), "g/mL", flags)


LEAN_OPTION = Option("lean", "text", default="janma", choices=LEAN, help="formula of lean mass")

METRICS = (
    Metric(
        "peak",
        peak,
        level="session",
        options=(
            Option("rule", "text", default="exact", choices=("exact", "voxel_centres"),
                   help="how the sphere of 1 mL takes voxels"),
            Option("place", "text", default="global", choices=("global", "local"),
                   help="which peak becomes SUVpeak"),
            Option("interior", "flag", default=False, help="only spheres inside the region"),
            LEAN_OPTION,
        ),
        gives=(
            ("peak_local", "of image"), ("peak_global", "of image"),
            ("peak_local_volume", "mL"), ("peak_global_volume", "mL"),
            ("administered_activity", "Bq"), ("uptake_time", "min"),
            ("suvpeak", "g/mL"), ("sulpeak", "g/mL"), ("sulmean", "g/mL"), ("sulsd", "g/mL"),
        ),
        question="Q5",
        reference="doi:10.2967/jnumed.108.057307; IBSI, arXiv:1612.07003",
    ),
)  # fmt: skip
