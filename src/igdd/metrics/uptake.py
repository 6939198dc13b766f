"""Uptake: how much of what was given is in each region, in every scale that the field uses.

With C the concentration (Bq/mL, corrected for decay to administration), V the volume, D the net
activity given, rho the tissue's density and W the body weight:

    %ID = 100 C V / D      %ID/mL = 100 C / D      %ID/g = 100 C / (D rho)
    %ID/kg = 1000 %ID/g    SUVbw = C W / D         and SUV by lean mass, ideal mass, surface area
    drug = C M / (D rho)   in ug/g, M the mass of drug given, only where the label is on the drug

A border drawn too wide lowers C and raises V: the uncertainty of %ID is that of their product, not
of two independent factors. The remainder has no tissue of its own; the ledger holds its amount.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from igdd.declare import Metric
from igdd.errors import InputError, StudyError
from igdd.facts import Subject
from igdd.kernels import body
from igdd.results import Value
from igdd.types import Curves, Session
from igdd.uncertainty import Estimate

TWIN = "_uncorrected"

UNITS = {
    "concentration": "Bq/mL",
    "percent_id": "%",
    "percent_id_per_ml": "%/mL",
    "percent_id_per_g": "%/g",
    "percent_id_per_kg": "%/kg",
    "suvbw": "g/mL",
    "suvlbm_janma": "g/mL",
    "suvlbm_james128": "g/mL",
    "suvlbm_morgan120": "g/mL",
    "suvibw": "g/mL",
    "suvbsa": "cm2/mL",
    "drug_concentration": "ug/g",
}

_LEAN = {
    "suvlbm_janma": body.lean_body_mass_janmahasatian,
    "suvlbm_james128": body.lean_body_mass_james128,
    "suvlbm_morgan120": body.lean_body_mass_morgan120,
}


def uptake(session: Session) -> Iterator[Value]:
    """Concentration, volume, %ID, %ID/g, %ID/kg, %ID/mL, SUV family and drug, per region and frame.

    A value whose facts are missing (dose, weight, height, sex, drug dose) is absent. A known dose
    beside an image whose time after administration is not known is an error.
    """
    for curves, suffix in twins(session):
        given = administered(session, curves)
        for region, kind in enumerate(curves.kinds):
            if kind == "remainder":
                continue
            for time in range(curves.frames.start.size):
                yield from _of_region(session, curves, given, region=region, time=time, twin=suffix)


def twins(session: Session) -> Iterator[tuple[Curves, str]]:
    """The curves to report and the ending of their metrics' names: the best known go without."""
    if session.recovered is None:
        yield session.curves, ""
        return
    yield session.recovered, ""
    yield session.curves, TWIN


def administered(session: Session, curves: Curves) -> Estimate | None:
    """Net activity given in Bq, if known, after checking that the curves can be set against it."""
    given = session.net_activity()
    if given is None or curves.unit != "Bq/mL":
        return None
    where = f"subject {session.subject.id}, session {session.name}"
    if not given.value > 0:
        raise StudyError(f"{where}: the net activity given is {given.value} Bq; expected > 0")
    if curves.frames.zero.kind != "administration":
        raise StudyError(
            f"{where}: the activity given is known but not when, so that its share in a region "
            "is not; expected the time of administration; give subject.given.at"
        )
    if curves.decay is None or curves.decay.corrected_to != 0.0:
        raise StudyError(
            f"{where}: the image is not corrected for decay to administration; expected that, to "
            "set it against the activity given; declare scan.declared.corrected_to"
        )
    return given


def cv_of(given: Estimate) -> float:
    """Relative standard deviation of the activity given; 0 where it is unknown (`dose_flags`)."""
    return given.sd / given.value if np.isfinite(given.sd) else 0.0


def dose_flags(given: Estimate) -> tuple[str, ...]:
    """The flag of a dose whose uncertainty is unknown."""
    return () if np.isfinite(given.sd) else ("dose_sd_unknown",)


def _of_region(
    session: Session,
    curves: Curves,
    given: Estimate | None,
    *,
    region: int,
    time: int,
    twin: str,
) -> Iterator[Value]:
    name = curves.names[region]
    flags = curves.flags[region]
    concentration = float(curves.values[region, time])
    spread = _root(curves.mean_covariance(time)[region, region], concentration)

    def value(
        metric: str, factor: float, cv_shared: float, own: tuple[str, ...] = (), analyte: str = ""
    ) -> Value:
        shared = abs(concentration * factor) * cv_shared
        sd = float(np.hypot(spread * factor, shared))
        return Value(
            region=name,
            metric=metric + twin,
            estimate=Estimate(value=concentration * factor, sd=sd, sd_shared=shared),
            unit=curves.unit if metric == "concentration" else UNITS[metric],
            time=float(curves.frames.middle[time]),
            analyte=analyte or curves.analyte,
            flags=(*flags, *own),
            method=_method(curves, twin),
        )

    yield value("concentration", 1.0, curves.scale_cv)
    if not twin:
        yield _volume(curves, region, time)
    if given is None:
        return
    shared = float(np.hypot(curves.scale_cv, cv_of(given)))
    yield _percent_id(curves, given, region=region, time=time, twin=twin)
    for metric, factor, own in _scales(session, given, name):
        analyte = "drug" if metric == "drug_concentration" else ""
        yield value(metric, factor / given.value, shared, own, analyte)


def _scales(
    session: Session, given: Estimate, region: str
) -> Iterator[tuple[str, float, tuple[str, ...]]]:
    """Metric, its factor on concentration over dose, and the flags it brings."""
    dose = dose_flags(given)
    density = session.density(region)
    tissue = dose if region in session.densities else (*dose, "mass_assumed_density")
    yield "percent_id_per_ml", 100.0, dose
    yield "percent_id_per_g", 100 / density, tissue
    yield "percent_id_per_kg", 1e5 / density, tissue
    other = (*dose, "sex_other") if session.subject.sex == "O" else dose
    for metric, size in normalisers(session.subject).items():
        yield metric, size, dose if metric in ("suvbw", "suvbsa") else other
    drug = _drug_given(session)
    if drug is not None:
        yield "drug_concentration", 1e6 * drug / density, tissue


def _root(variance: float, value: float) -> float:
    return float(np.sqrt(max(variance, 0.0))) if np.isfinite(value) else float("nan")


def _volume(curves: Curves, region: int, time: int) -> Value:
    sd = float(curves.volume_sd[region])
    return Value(
        region=curves.names[region],
        metric="volume",
        estimate=Estimate(value=float(curves.volume[region]), sd=sd),
        unit="mL",
        time=float(curves.frames.middle[time]),
        analyte=curves.analyte,
        flags=tuple(flag for flag in curves.flags[region] if flag not in _OF_VALUES),
        method="weights times the voxel's volume",
    )


_OF_VALUES = ("nan_voxels", "noise_unknown", "small_region")


def _percent_id(curves: Curves, given: Estimate, *, region: int, time: int, twin: str) -> Value:
    value = 100 * float(curves.values[region, time] * curves.volume[region]) / given.value
    variance = float(curves.amount_covariance(time)[region, region])
    random = 100 / given.value * _root(variance, value)
    shared = abs(value) * float(np.hypot(curves.scale_cv, cv_of(given)))
    return Value(
        region=curves.names[region],
        metric="percent_id" + twin,
        estimate=Estimate(value=value, sd=float(np.hypot(random, shared)), sd_shared=shared),
        unit="%",
        time=float(curves.frames.middle[time]),
        analyte=curves.analyte,
        flags=(*curves.flags[region], *dose_flags(given)),
        method=_method(curves, twin),
    )


def _method(curves: Curves, twin: str) -> str:
    return curves.source.rstrip(".") if curves.source and not twin else "as imaged"


def normalisers(subject: Subject) -> dict[str, float]:
    """Body sizes by which SUV can be taken: g, and cm2 for the surface; only what is known.

    A formula that does not hold for the body (a mouse's ideal mass is negative) gives nothing.
    """
    if subject.weight is None:
        return {}
    sizes = {"suvbw": subject.weight}
    if subject.height is None:
        return sizes
    weight, height = subject.weight / 1000, subject.height / 10
    sizes["suvbsa"] = body.body_surface_area(weight, height)
    if subject.sex is None:
        return sizes
    for metric, formula in _LEAN.items():
        try:
            sizes[metric] = 1000 * formula(weight, height, subject.sex)
        except InputError:
            continue
    try:
        sizes["suvibw"] = 1000 * body.ideal_body_mass(height, subject.sex)
    except InputError:
        return sizes
    return sizes


def _drug_given(session: Session) -> float | None:
    """Mass of drug given in g, where the label says where the drug is."""
    if session.agent.label_on != "drug":
        return None
    return session.subject.given[0].drug_dose


METRICS = (
    Metric(
        "uptake",
        uptake,
        level="session",
        gives=(
            ("volume", "mL"),
            *UNITS.items(),
            *((name + TWIN, unit) for name, unit in UNITS.items()),
        ),
        question="Q1",
        reference="SUV: Kinahan and Fletcher, Semin Ultrasound CT MR 2010;31:496; body sizes: "
        "IBSI SUV manual",
    ),
)
