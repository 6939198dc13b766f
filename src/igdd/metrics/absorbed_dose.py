"""Absorbed dose: what a region's own activity leaves in it, over all sessions of a subject.

The share of the activity given that a region holds (%ID, corrected for decay to administration) is
brought back to the activity that was there, integrated over all time (`igdd.metrics._decays`), and
multiplied by the energy that the region keeps of its own decays (`igdd.self_dose`), over its mass:

    activity   A(t) = %ID(t) / 100 D exp(-l t), with D the net activity given
    decays     integral of A from 0 to infinity; its coefficient is decays / D
    dose       decays x (electrons kept + photons kept) / m

The mass is the one by which the study's %ID/g was made, or the volume times the option `density`.
D cancels in decays and dose, for an image measures activity: only its calibration stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.kernels.activity_models import MODELS
from igdd.kernels.time_activity import PhysicalActivity, physical
from igdd.kernels.time_integral import STARTS, TAILS
from igdd.metrics._decays import METHODS, Decays, Rules, curve, decays
from igdd.metrics._region_dose import (
    DECAYS,
    Biology,
    Doubt,
    RegionDose,
    check_marrow,
    region_dose,
    widened,
)
from igdd.results import Course, FittedCurves, Track, Value
from igdd.uncertainty import Estimate

HOUR = 3600.0
MEGA = 1e6
MARROW = "red_marrow"
PERCENT = "percent_id"


class _Region(NamedTuple):
    """A region: track, physical activity in MBq at h, mass in g with its relative sd, or None."""

    track: Track
    activity: PhysicalActivity
    mass: tuple[float, float] | None
    density: float
    shared: float
    flags: tuple[str, ...]


def absorbed_dose(
    course: Course,
    method: str = "auto",
    declared: str = "",
    start: str = "triangle",
    tail: str = "last_three",
    at: float | None = None,
    half_life: float | None = None,
    half_life_spread: float | None = None,
    density: float | None = None,
    daughters: str = "",
    alpha_beta: float | None = None,
    repair: float | None = None,
    hematocrit: float | None = None,
    recovery_cv: float = 0.0,
    elasticity: float = 0.0,
    regions: Mapping[str, Any] | None = None,
) -> Iterator[Value | FittedCurves]:
    """Dose (Gy) of each region by its own activity; its decays, with the share of their tail.

    Times and half-lives are in s, as options are; density in g/mL. Marrow from blood
    (`hematocrit`) is refused for a carrier that marrow takes up, unless a region red_marrow is in
    the images. A region without a mass has decays and no dose.
    """
    from igdd.emissions import emissions

    given = _given(course)
    source = emissions(course.agent.nuclide, daughters or None)
    rules = Rules(
        method=method, declared=declared, start=start, tail=tail,
        at=None if at is None else at / HOUR,
        half_life=None if half_life is None else half_life / HOUR, spread=half_life_spread,
    )  # fmt: skip
    biology = _biology(alpha_beta, repair)
    found: list[tuple[_Region, Decays]] = []
    left_out = ("progeny_left_out",) if source.left_out else ()
    for track in course.tracks(PERCENT, regions):
        region = _region(course, track, given, density)
        if region is None:
            continue
        integral = decays(region.activity, rules)
        found.append((region, integral))
        yield from _decay_rows(region, integral, given.value / MEGA)
        if region.mass is None:
            continue
        doubt = Doubt(calibration=region.shared, recovery=recovery_cv, elasticity=elasticity)
        own = region_dose(integral, source, region.mass, region.density, doubt, biology)
        yield from _dose_rows(region, integral, own, (*left_out, "cross_dose_missing"))
    if hematocrit is not None and MARROW not in {one.track.region for one, _ in found}:
        yield from _marrow(course, found, source.local_dose_constant, hematocrit)
    yield from _curves(course, found)


def _biology(alpha_beta: float | None, repair: float | None) -> Biology | None:
    if alpha_beta is None and repair is None:
        return None
    if alpha_beta is None or repair is None:
        raise StudyError("absorbed_dose: expected alpha_beta and repair together, or neither")
    return Biology(ratio=alpha_beta, repair=repair / HOUR)


def _given(course: Course) -> Estimate:
    """Net activity of the one administration in Bq, at which uptake is 100 %."""
    who = f"subject {course.subject.id}: absorbed_dose"
    if not course.agent.nuclide:
        raise StudyError(f"{who} needs the nuclide; expected agent.label.nuclide")
    activities = [one.activity for one in course.subject.given]
    if len(activities) != 1 or activities[0] is None or not activities[0].value > 0:
        raise StudyError(
            f"{who} needs one administration of known net activity; found {len(activities)}; give "
            "subject.given.activity, such as '185 MBq'"
        )
    return activities[0]


def _region(course: Course, track: Track, given: Estimate, density: float | None) -> _Region | None:
    """A region's physical activity; None where nothing was measured."""
    used = np.isfinite(track.value) & (track.time >= 0)
    if not used.any():
        return None
    scale = given.value / MEGA / 100
    own = np.sqrt(np.maximum(track.sd[used] ** 2 - track.sd_shared[used] ** 2, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = np.nanmedian(np.abs(track.sd_shared[used] / track.value[used]))
    # the dose's own uncertainty makes %ID unsure, but not the activity that was imaged
    dose_cv = given.sd / given.value if np.isfinite(given.sd) else 0.0
    shared = np.sqrt(max(float(np.nan_to_num(shared)) ** 2 - dose_cv**2, 0.0))
    flags = {flag for place in np.flatnonzero(used) for flag in track.flags[place]}
    flags -= {"dose_sd_unknown"}
    activity = physical(
        track.time[used] / HOUR,
        track.value[used] * scale,
        np.where(own > 0, own, np.nan) * scale,
        rate=np.log(2) / course.agent.label_half_life * HOUR,
        corrected_to=0.0,
    )
    mass, assumed = _mass(course, track, density)
    return _Region(track, activity, mass, density or 1.0, float(shared), (*sorted(flags), *assumed))


def _mass(
    course: Course, track: Track, density: float | None
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Mean mass in g with its relative sd (NaN: unknown), over the sessions, and its flags."""
    table = course.measurements
    here = table[(table["region"] == track.region) & (table["analyte"] == track.analyte)]
    volumes = table[(table["region"] == track.region) & (table["metric"] == "volume")]
    cv = float("nan")
    if len(volumes):
        size, spread = (volumes[name].to_numpy(dtype=float) for name in ("value", "sd"))
        known = np.isfinite(spread) & (spread > 0) & (size > 0)
        cv = float(np.mean(spread[known] / size[known])) if known.any() else cv
    unsure = () if np.isfinite(cv) else ("volume_sd_unknown",)
    if density is not None:
        if not len(volumes):
            return None, ()
        mean = float(np.nanmean(volumes["value"].to_numpy(dtype=float)))
        return ((mean * density, cv), ("mass_assumed_density", *unsure)) if mean > 0 else (None, ())
    held = here[here["metric"] == PERCENT].set_index("session")["value"]
    per_gram = here[here["metric"] == "percent_id_per_g"]
    ratio = held.reindex(per_gram["session"]).to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        masses = ratio / per_gram["value"].to_numpy(dtype=float)
    masses = masses[np.isfinite(masses) & (masses > 0)]
    if not masses.size:
        return None, ()
    return (float(masses.mean()), cv), unsure


def _value(
    region: _Region, metric: str, estimate: tuple[float, float, float], unit: str, **own: Any
) -> Value:
    value, sd, shared = estimate
    return Value(
        region=own.get("place", region.track.region),
        metric=metric,
        estimate=Estimate(value=value, sd=sd, sd_shared=shared if np.isfinite(sd) else 0.0),
        unit=unit,
        time=float(region.activity.time[-1]) * HOUR,
        analyte=region.track.analyte,
        flags=tuple(sorted({*region.flags, *own.get("flags", ())})),
        method=own.get("method", ""),
        interval=own.get("interval"),
    )


def _decay_rows(region: _Region, found: Decays, given: float) -> Iterator[Value]:
    """Decays, their coefficient, the share of the tail, and the half-life of the tail."""
    shared = abs(found.value) * region.shared
    sd = float(np.hypot(found.sd, shared))
    method = (
        f"{found.model}{' by AICc' if found.by_aicc else ''}, {region.activity.time.size} times"
    )
    said: dict[str, Any] = {"flags": found.flags, "method": method}
    unknown = (float("nan"), 0.0)
    ends = widened(found, found.value, region.shared)
    whole, share = (found.value, sd, shared), (found.value / given, sd / given, shared / given)
    yield _value(region, "time_integrated_activity", whole, "MBq.h", interval=ends, **said)
    ends = ends[0] / given, ends[1] / given
    name = "time_integrated_activity_coefficient"
    yield _value(region, name, share, "h", interval=ends, **said)
    yield _value(
        region, "decays_after_last_session", (100 * found.tail_share, *unknown), "%", **said
    )
    yield _value(region, "tail_half_life", (found.half_life, *unknown), "h", **said)


def _dose_rows(
    region: _Region, found: Decays, own: RegionDose, flags: tuple[str, ...]
) -> Iterator[Value]:
    said: dict[str, Any] = {
        "flags": (*found.flags, *flags), "method": f"sphere model; decays by {found.model}",
        "interval": own.interval,
    }  # fmt: skip
    yield _value(region, "absorbed_dose", (own.total, own.sd, own.sd_shared), "Gy", **said)
    if own.bed is not None:
        sd = own.sd * own.bed / own.total if own.total else float("nan")
        said["interval"] = None
        yield _value(region, "biologically_effective_dose", (own.bed, sd, 0.0), "Gy", **said)


def _marrow(
    course: Course, found: list[tuple[_Region, Decays]], constant: float, hematocrit: float
) -> Iterator[Value]:
    """Dose of red marrow from blood per gram: electrons and alphas stay, photons are not in it."""
    from igdd.kernels.organ_dose import marrow_to_blood

    check_marrow(course.agent.carrier)
    bloods = [
        one for one in found if course.kinds.get(one[0].track.region) == "blood" and one[0].mass
    ]
    if len(bloods) != 1:
        raise StudyError(
            f"subject {course.subject.id}: marrow from blood needs one region of kind blood with a "
            f"mass; found {len(bloods)}"
        )
    region, integral = bloods[0]
    mass = region.mass[0] if region.mass else float("nan")
    total = marrow_to_blood(hematocrit) * integral.value * DECAYS / mass * constant
    cv = integral.sd / integral.value if integral.value else float("nan")
    shared = abs(total) * region.shared
    yield _value(
        region, "absorbed_dose", (total, float(np.hypot(total * cv, shared)), shared), "Gy",
        place=MARROW, flags=(*integral.flags, "marrow_from_blood", "cross_dose_missing"),
        method="blood, 0.19 / (1 - haematocrit)",
    )  # fmt: skip


def _curves(course: Course, found: list[tuple[_Region, Decays]]) -> Iterator[FittedCurves]:
    """Activities with their models, of the regions that were measured at the same times."""
    groups: dict[tuple[float, ...], list[tuple[_Region, Decays]]] = {}
    for one in found:
        if np.isfinite(one[1].predicted).all() and one[1].predicted:
            groups.setdefault(tuple(one[0].activity.time), []).append(one)
    for time, members in groups.items():
        hours = np.array(time)
        rate = members[0][0].activity.rate
        yield FittedCurves(
            subject=course.subject.id,
            session="course",
            model="activity",
            regions=tuple(one.track.region for one, _ in members),
            parameters=(),
            time=hours * HOUR,
            values=np.stack([one.activity.value[0] for one, _ in members]),
            predicted=np.stack([curve(integral, hours, rate) for _, integral in members]),
            input_time=np.zeros(0),
            input_values=np.zeros(0),
            aicc=np.array([integral.aicc.get(integral.model, np.nan) for _, integral in members]),
            unit="MBq",
            quantity="activity",
        )


METRICS = (
    Metric(
        "absorbed_dose",
        absorbed_dose,
        level="subject",
        options=(
            Option("method", "text", default="auto", choices=METHODS,
                   help="how activity is integrated over time"),
            Option("declared", "text", default="", choices=("", *MODELS),
                   help="the model that stands where AICc may not choose"),
            Option("start", "text", default="triangle", choices=STARTS,
                   help="trapezoid: before the first session"),
            Option("tail", "text", default="last_three", choices=TAILS,
                   help="trapezoid: after the last session"),
            Option("at", "s", default=None, help="the session that a rule for one uses"),
            Option("half_life", "s", default=None, help="effective, of a population"),
            Option("half_life_spread", "1", default=None, help="its geometric standard deviation"),
            Option("density", "g/mL", default=None,
                   help="makes a mass of the volume, instead of the study's densities"),
            Option("daughters", "text", default="", choices=("", "equilibrium", "none"),
                   help="whether short-lived progeny decays where its parent did"),
            Option("alpha_beta", "Gy", default=None, help="for the biologically effective dose"),
            Option("repair", "s", default=None, help="half-life of repair, likewise"),
            Option("hematocrit", "1", default=None, help="red marrow from a region of blood"),
            Option("recovery_cv", "1", default=0.0, help="relative sd of the recovery coefficient"),
            Option("elasticity", "1", default=0.0, help="d ln activity / d ln volume, 0 to 1"),
            Option("regions", "regions", default=None, help="by kind or name; otherwise all"),
        ),
        gives=(
            ("absorbed_dose", "Gy"),
            ("biologically_effective_dose", "Gy"),
            ("time_integrated_activity", "MBq.h"),
            ("time_integrated_activity_coefficient", "h"),
            ("decays_after_last_session", "%"),
            ("tail_half_life", "h"),
        ),
        question="Q5",
        reference="MIRD Pamphlet 21 (Bolch et al., J Nucl Med 2009;50:477)",
    ),
)  # fmt: skip
