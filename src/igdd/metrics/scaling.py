"""Scaling: what the uptake of one body says of another, and the drug that it would stand for.

`dose_equivalent` is the uptake times the dose of drug per mass of tissue, as if the label still
were where its drug is: flagged unless the study says that the label is on the drug. With
`to_weight`, the uptake expected in a body of that weight: by exposure, clearance growing as a power
of weight, with a band for the exponent, tumours and the value (`igdd.kernels.scaled_uptake`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from igdd.declare import Metric, Option
from igdd.errors import StudyError
from igdd.facts import Subject
from igdd.kernels.allometry import CLEARANCE, Exponent, Scaled
from igdd.kernels.scaled_uptake import GAIN_SD, by_exposure
from igdd.results import Course, Track, Value
from igdd.uncertainty import Estimate

BOUNDS = {
    "to_weight": (0.1, 1e7, " g"), "exponent": (-2.0, 2.0, ""), "exponent_sd": (0.0, 2.0, "")
}  # fmt: skip


def scaling(
    course: Course,
    to_weight: float | None = None,
    exponent: float = CLEARANCE.value,
    exponent_sd: float = CLEARANCE.sd,
    regions: Mapping[str, Any] | None = None,
) -> Iterator[Value]:
    """Dose-equivalent drug (ug/g) of every region, and uptake expected in another body.

    The prediction is for lesions, in %ID/kg and SUV, and needs the subject's weight.
    """
    subject = course.subject
    dose = _dose(subject)
    if dose is None and to_weight is None:
        raise StudyError(
            f"subject {subject.id}: scaling has neither a dose of drug nor another body's weight; "
            "give subject.given.drug_dose or measure.to_weight"
        )
    if to_weight is not None and subject.weight is None:
        raise StudyError(
            f"subject {subject.id}: its weight is not known, so that its uptake cannot be scaled; "
            "give subject.weight"
        )
    for name, number in (
        ("to_weight", to_weight), ("exponent", exponent), ("exponent_sd", exponent_sd)
    ):  # fmt: skip
        least, most, unit = BOUNDS[name]
        if number is not None and not least <= number <= most:
            raise StudyError(
                f"measure.{name} is {number:g}{unit}; expected {least:g} to {most:g}{unit}"
            )
    power = Exponent(exponent, exponent_sd, "")
    for track in course.tracks("percent_id_per_g", regions):
        for place in np.flatnonzero(np.isfinite(track.value)):
            if dose is not None:
                yield _drug(course, track, int(place), dose)
            if to_weight is not None and course.kinds.get(track.region) == "lesion":
                yield from _elsewhere(course, track, int(place), to_weight, power)


def _dose(subject: Subject) -> float | None:
    """All drug given, in g; None where one administration does not say."""
    doses = [one.drug_dose for one in subject.given]
    known = [one for one in doses if one is not None]
    return sum(known) if known and len(known) == len(doses) else None


def _drug(course: Course, track: Track, place: int, dose: float) -> Value:
    factor = dose * 1e6 / 100
    shown = Estimate(
        value=float(track.value[place]) * factor,
        sd=float(track.sd[place]) * factor,
        sd_shared=float(np.nan_to_num(track.sd_shared[place])) * factor,
    )
    own = () if course.agent.label_on == "drug" else ("dose_equivalent",)
    return Value(
        region=track.region, metric="dose_equivalent", estimate=shown, unit="ug/g",
        time=float(track.time[place]), analyte=track.analyte,
        flags=(*track.flags[place], *own), method=f"%ID/g times {dose * 1000:g} mg of drug",
    )  # fmt: skip


def _elsewhere(
    course: Course, track: Track, place: int, target: float, power: Exponent
) -> Iterator[Value]:
    """A lesion's uptake in a body of another weight, in %ID/kg and SUV, with its band."""
    value, sd = float(track.value[place]), float(track.sd[place])
    own = float(course.subject.weight or np.nan)
    flags = set(track.flags[place])
    flags |= set() if np.isfinite(sd) else {"value_sd_unknown"}
    if value > 0:
        relative = sd / value if np.isfinite(sd) else 0.0
        found = by_exposure(1000 * value, relative, target / own, exponent=power)
    else:
        flags.add("estimate_not_positive")
        found = Scaled(np.nan, np.nan, np.nan, np.nan)
    suv = target / 1000 / 100
    for metric, factor, unit in (
        ("scaled_percent_id_per_kg", 1.0, "%/kg"), ("scaled_suvbw", suv, "g/mL"),
    ):  # fmt: skip
        yield Value(
            region=track.region, metric=metric, unit=unit,
            estimate=Estimate(value=found.value * factor), time=float(track.time[place]),
            analyte=track.analyte, flags=tuple(sorted(flags)),
            method=f"by exposure, from {own:g} g to {target:g} g, clearance to the power "
            f"{power.value:g} (sd {power.sd:g}), tumours {np.exp(GAIN_SD):.2g}-fold",
            interval=(found.low * factor, found.high * factor),
        )  # fmt: skip


METRICS = (
    Metric(
        "scaling",
        scaling,
        level="subject",
        options=(
            Option("to_weight", "g", default=None, help="of the other body, such as '70 kg'"),
            Option("exponent", "1", default=CLEARANCE.value, help="of clearance on body weight"),
            Option("exponent_sd", "1", default=CLEARANCE.sd, help="between substances"),
            Option("regions", "regions", default=None, help="by kind or name; otherwise all"),
        ),
        gives=(
            ("dose_equivalent", "ug/g"),
            ("scaled_percent_id_per_kg", "%/kg"),
            ("scaled_suvbw", "g/mL"),
        ),
        question="Q1",
        reference="Hu and Hayton 2001, AAPS PharmSci 3:E29; Harrington et al. 2001, Clin Cancer "
        "Res 7:243 (scatter of tumours)",
    ),
)
