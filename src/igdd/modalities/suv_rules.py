"""From stored PET values to SUV by body weight: one rule for each of the units that DICOM knows.

Sources: IBSI "Comprehensive Manual for SUV Computation"; QIBA vendor-neutral SUV pseudo-code 2018;
DICOM PS3.3 C.8.9.1; Philips conformance statements for (7053,1000) and (7053,1009).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from igdd import decay
from igdd.errors import InputError
from igdd.headers import label
from igdd.kernels import body
from igdd.modalities._decay_reference import DecayReference, candidates, decay_reference
from igdd.modalities.pet_headers import PetHeaders, dated_administration, required

# The two Philips factors state one thing; more than this is a contradiction to report.
PHILIPS_TOLERANCE = 0.01
WEIGHT = "the body weight in kg, not 0"
DOSE = (
    "the administered activity in Bq, not 0, in RadiopharmaceuticalInformationSequence (0054,0016)"
)
HALF_LIFE = "the half-life in s, not 0"
UNUSABLE = {
    "PROPCPS": "values are proportional to count rate by an unknown factor",
    "PROPCNTS": "values are proportional to counts by an unknown factor",
    "CPS": "count rates need the scanner's efficiency, which the header does not hold",
    "1CM": "this is a map of attenuation, not of activity",
}
MASSES: dict[str, tuple[str, Callable[[float, float, str], float]]] = {
    "LBM": ("lean body mass by Morgan (120)", body.lean_body_mass_morgan120),
    "LBMJAMES128": ("lean body mass by James (128)", body.lean_body_mass_james128),
    "LBMJANMA": ("lean body mass by Janmahasatian", body.lean_body_mass_janmahasatian),
    "IBW": ("ideal body mass", lambda _weight, height, sex: body.ideal_body_mass(height, sex)),
}


def usable_units(facts: PetHeaders) -> str:
    """Units (0054,1001) of the stored values, if a rule for them exists."""
    units = required(facts.units, "Units", "one of " + ", ".join(PATHS))
    if units not in PATHS:
        reason = UNUSABLE.get(units, "this is no unit of activity or of uptake")
        raise InputError(f"{label('Units')} is {units}: {reason}; expected {', '.join(PATHS)}")
    if np.any(facts.intercept != 0):
        raise InputError(
            f"{label('RescaleIntercept')} is {facts.intercept[facts.intercept != 0][0]:g}; "
            "expected 0, which DICOM requires of PET"
        )
    return units


def check_corrections(facts: PetHeaders, attenuation: bool = True) -> None:
    """Refuse what is not corrected for attenuation, or contradicts itself about decay."""
    done = required(facts.corrections, "CorrectedImage", "the list of corrections, ATTN among them")
    if attenuation and "ATTN" not in done:
        raise InputError(
            f"{label('CorrectedImage')} is {', '.join(sorted(done))}: not corrected for "
            "attenuation; expected ATTN; choose the corrected series"
        )
    if facts.decay_correction != "NONE" and "DECY" not in done:
        raise InputError(
            f"{label('CorrectedImage')} lacks DECY but {label('DecayCorrection')} is "
            f"{facts.decay_correction}; expected both to say the same"
        )


def half_life_differs(facts: PetHeaders) -> bool:
    """Whether the header's half-life differs from ICRP-107 by more than 0.1 %."""
    if facts.nuclide is None or facts.half_life is None or facts.nuclide not in decay.table():
        return False
    return decay.half_life_check(facts.nuclide, facts.half_life)


Found = tuple[np.ndarray, str, dict[str, float], tuple[str, ...]]


def _from_activity(facts: PetHeaders) -> Found:
    """BQML: SUV = concentration * weight / dose, the dose decayed to the image's instant."""
    weight = required(facts.weight, "PatientWeight", WEIGHT)
    dose = required(facts.dose, "RadionuclideTotalDose", DOSE)
    half_life = required(facts.half_life, "RadionuclideHalfLife", HALF_LIFE)
    per_activity = weight * 1000 / dose
    correction = required(facts.decay_correction, "DecayCorrection", "START, ADMIN or NONE")
    rule = f"Units BQML (0054,1001); DecayCorrection {correction} (0054,1102)"
    if correction == "ADMIN":
        factors = np.full(facts.count, per_activity)
        return factors, f"{rule}: no decay of the dose", _by_decay_factor(facts, per_activity), ()
    if correction not in ("START", "NONE"):
        raise InputError(
            f"{label('DecayCorrection')} is {correction}; expected START, ADMIN or NONE"
        )
    given, flags = dated_administration(facts)
    since = f"dose at {facts.administration_tag}"
    if correction == "NONE":
        _require_frames(facts)
        factors = per_activity * decay.decay_factor(
            half_life, facts.acquisition - given, facts.duration
        )
        rule += f": each frame's mean corrected to the {since}"
        return factors, rule, {}, flags
    reference = decay_reference(facts, given)
    factors = per_activity / decay.activity(1.0, half_life, reference.seconds - given)
    rule += f": {since} decayed to {reference.sentence}"
    others = _others(reference, half_life, given, per_activity)
    return factors, rule, others, (*flags, *reference.flags)


def _others(
    reference: DecayReference, half_life: float, given: float, per_activity: float
) -> dict[str, float]:
    """The first header's factor under every other candidate of the decay reference."""
    return {
        name: per_activity / float(decay.activity(1.0, half_life, instants[0] - given))
        for name, instants in reference.candidates.items()
        if name != reference.name
    }


def _by_decay_factor(facts: PetHeaders, per_activity: float) -> dict[str, float]:
    """What DecayFactor (0054,1321) says of an image that states correction to administration."""
    instants = candidates(facts).get("decay_factor")
    if instants is None or not np.isfinite(facts.administration):
        return {}
    since = instants[0] - dated_administration(facts)[0]
    half_life = required(facts.half_life, "RadionuclideHalfLife", HALF_LIFE)
    return {"decay_factor": per_activity / float(decay.activity(1.0, half_life, since))}


def _require_frames(facts: PetHeaders) -> None:
    for values, keyword in (
        (facts.acquisition, "AcquisitionTime"),
        (facts.duration, "ActualFrameDuration"),
    ):
        if not np.isfinite(values).all():
            raise InputError(
                f"{label(keyword)} is missing; expected it in every slice, since DecayCorrection "
                "NONE leaves the decay of each frame to be corrected"
            )


def _from_mass(facts: PetHeaders) -> Found:
    """GML: already an uptake value, by the body measure that SUVType names."""
    kind = facts.suv_type
    rule = f"Units GML (0054,1001); SUVType {kind or 'absent'} (0054,1006)"
    if kind in ("", "BW"):
        return np.ones(facts.count), f"{rule}: SUV by body weight as stored", {}, ()
    if kind not in MASSES:
        raise InputError(
            f"{label('SUVType')} is {kind[:20]}; expected BW, {', '.join(MASSES)} for Units GML"
        )
    weight, height, sex = _body(facts)
    words, mass = MASSES[kind]
    factor = weight / mass(weight, height, sex)
    flags = ("sex_other",) if sex == "O" else ()
    return np.full(facts.count, factor), f"{rule}: times weight over {words}", {}, flags


def _from_surface(facts: PetHeaders) -> Found:
    """CM2ML: an uptake value by body surface area."""
    if facts.suv_type not in ("", "BSA"):
        raise InputError(
            f"{label('SUVType')} is {facts.suv_type[:20]}; expected BSA for Units CM2ML"
        )
    weight = required(facts.weight, "PatientWeight", WEIGHT)
    factor = weight * 1000 / body.body_surface_area(weight, _height(facts))
    rule = "Units CM2ML (0054,1001): times weight over body surface area by Du Bois"
    return np.full(facts.count, factor), rule, {}, ()


def _from_counts(facts: PetHeaders) -> Found:
    """CNTS of Philips: a private factor to SUV, or one to activity concentration."""
    required(facts.weight, "PatientWeight", WEIGHT)
    required(facts.dose, "RadionuclideTotalDose", DOSE)
    direct, indirect = facts.philips_suv, facts.philips_activity
    uncorrected = facts.decay_correction == "NONE"
    has_activity = bool(np.isfinite(indirect).all())
    if uncorrected or not np.isfinite(direct).all():
        if not has_activity:
            raise InputError(
                f"{label('Units')} is CNTS and the Philips factor (7053,1009) to activity is "
                "missing"
                + (
                    "; the SUV factor (7053,1000) does not hold for DecayCorrection NONE"
                    if uncorrected
                    else ", as is (7053,1000) to SUV; anonymisers remove them: fetch the original"
                )
            )
        factors, rule, alternatives, flags = _from_activity(facts)
        rule = rule.replace("Units BQML", "Units CNTS times Philips (7053,1009), then as BQML")
        scaled = {name: other * float(indirect[0]) for name, other in alternatives.items()}
        return factors * indirect, rule, scaled, flags
    rule = "Units CNTS (0054,1001): Philips SUV factor (7053,1000)"
    if not has_activity:
        return direct, rule, {}, ()
    factors, _, alternatives, flags = _from_activity(facts)
    scaled = {name: other * float(indirect[0]) for name, other in alternatives.items()}
    scaled["philips_activity_factor"] = float(factors[0] * indirect[0])
    if np.any(np.abs(factors * indirect / direct - 1) > PHILIPS_TOLERANCE):
        flags = (*flags, "philips_factors_differ")
    return direct, rule, scaled, flags


def _body(facts: PetHeaders) -> tuple[float, float, str]:
    """Weight [kg], height [cm] and sex, which a formula of body size needs."""
    weight = required(facts.weight, "PatientWeight", WEIGHT)
    sex = required(facts.sex, "PatientSex", "M, F or O, since the formula depends on it")
    if sex not in ("M", "F", "O"):
        raise InputError(f"{label('PatientSex')} is {sex[:20]!r}; expected M, F or O")
    return weight, _height(facts), sex


def _height(facts: PetHeaders) -> float:
    height = required(facts.height, "PatientSize", "the height in m, not 0")
    if not 0 < height < 300:
        raise InputError(f"{label('PatientSize')} is {height / 100:g}; expected the height in m")
    return height


PATHS: dict[str, Callable[[PetHeaders], Found]] = {
    "BQML": _from_activity,
    "GML": _from_mass,
    "CM2ML": _from_surface,
    "CNTS": _from_counts,
}
