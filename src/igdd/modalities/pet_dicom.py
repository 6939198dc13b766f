"""A DICOM PET series to activity concentration: units, decay state and times from its headers.

The study overrides the header where it speaks (`subject.given.at`, `scan.declared`); every
override that changes something is flagged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from igdd import decay
from igdd.errors import InputError
from igdd.facts import Agent, Declared, Subject
from igdd.headers import label
from igdd.modalities import suv_rules
from igdd.modalities._decay_reference import decay_reference
from igdd.modalities.pet_conversion import (
    CLOCK_TOLERANCE,
    DECLARED_UNITS,
    OVERRIDE,
    Conversion,
    attenuation_flags,
    check_frames,
    dose_flags,
    half_life_of,
)
from igdd.modalities.pet_headers import (
    DAY,
    START_TIME,
    PetHeaders,
    dated_administration,
    pet_headers,
    required,
)
from igdd.types import Frames, Series, Zero

STATES = {"administration": "ADMIN", "scan_start": "START", "none": "NONE"}
# The state of values that were divided by the decayed dose: uptake, not activity.
UPTAKE = "UPTAKE"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the conversion: a factor per header, its words, flags and alternatives."""

    factor: np.ndarray
    words: str
    flags: tuple[str, ...] = ()
    alternatives: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Times:
    """Zero of the frames, and the administrations by study and header, in s after the origin.

    header_given  NaN where the header does not say
    """

    zero: float
    kind: Zero
    header_given: float
    flags: tuple[str, ...] = ()


def conversion(series: Series, subject: Subject, agent: Agent, declared: Declared) -> Conversion:
    """How the stored values of a DICOM PET series become Bq/mL corrected to the frames' zero."""
    where = series.source or "PET series"
    facts, moved = _anchored(pet_headers(series.headers), declared)
    half_life, life_from, life_flags = half_life_of(facts.half_life, agent, where)
    facts = replace(facts, half_life=half_life)
    said = None if facts.corrections is None else "ATTN" in facts.corrections
    attenuation = attenuation_flags(said, declared, where)
    units = _units(facts, declared)
    times = _times(facts, subject)
    shape = (series.values.shape[3], series.values.shape[2])
    frames = _frames(facts, times, declared, shape)
    check_frames(frames, half_life, where)
    corrected = _to_zero(facts, times, frames, declared)
    return Conversion(
        multiplier=(units.factor * corrected.factor).reshape(shape).T,
        frames=frames,
        half_life=half_life,
        nuclide=agent.nuclide or facts.nuclide or "",
        positron_fraction=facts.positron_fraction,
        sentences=(
            units.words,
            corrected.words,
            f"The half-life was {half_life:g} s (from {life_from}).",
        ),
        alternatives=corrected.alternatives,
        flags=(
            *facts.flags, *moved, *life_flags, *attenuation, *units.flags, *times.flags,
            *corrected.flags, *dose_flags(facts.dose, subject),
        ),
    )  # fmt: skip


def _anchored(facts: PetHeaders, declared: Declared) -> tuple[PetHeaders, tuple[str, ...]]:
    """Facts on the study's clock: a declared start moves every clock of the header with it."""
    if declared.start is None:
        return facts, ()
    if np.isfinite(facts.acquisition).any():
        shift = declared.start - facts.moment(facts.first_acquisition)
        differs = abs(shift.total_seconds()) > CLOCK_TOLERANCE
        return replace(facts, origin=facts.origin + shift), OVERRIDE if differs else ()
    moved = replace(
        facts,
        origin=declared.start,
        acquisition=np.zeros(facts.count),
        series=np.nan,
        ge_scan=np.nan,
        siemens_reference=np.nan,
        administration=np.nan,
    )
    return moved, ()


def _units(facts: PetHeaders, declared: Declared) -> Step:
    """Factor to Bq/mL: by the study's unit, else by the header's."""
    if declared.unit is not None:
        if declared.unit not in DECLARED_UNITS:
            raise InputError(
                f"scan.declared.unit is {declared.unit!r}; expected {', '.join(DECLARED_UNITS)}"
            )
        agrees = facts.units is None or (facts.units, declared.unit) == ("BQML", "Bq/mL")
        return Step(
            factor=np.full(facts.count, DECLARED_UNITS[declared.unit]),
            words=f"Stored values were {declared.unit}, as the study declares.",
            flags=() if agrees else OVERRIDE,
        )
    if facts.units is None:
        raise InputError(
            f"{label('Units')} is missing; expected BQML, CNTS, GML or CM2ML; give "
            "scan.declared.unit, e.g. 'Bq/mL'"
        )
    units = suv_rules.usable_units(facts)
    if units == "BQML":
        return Step(
            factor=np.ones(facts.count), words="Stored values were Bq/mL (Units BQML (0054,1001))."
        )
    if not _is_uptake(facts, declared):
        return Step(
            factor=facts.philips_activity,
            words="Stored counts were scaled to Bq/mL by the Philips factor (7053,1009).",
        )
    weight = required(facts.weight, "PatientWeight", suv_rules.WEIGHT)
    dose = required(facts.dose, "RadionuclideTotalDose", suv_rules.DOSE)
    to_uptake, rule, _, flags = suv_rules.PATHS[units](facts)
    return Step(
        factor=to_uptake * dose / (weight * 1000),
        words=f"Stored uptake ({rule}) was turned back into Bq/mL at administration by the "
        "header's own dose and weight.",
        flags=flags,
    )


def _is_uptake(facts: PetHeaders, declared: Declared) -> bool:
    """Whether the stored values are, or can only become, uptake rather than activity."""
    if declared.unit is not None or facts.units == "BQML":
        return False
    return facts.units != "CNTS" or not np.isfinite(facts.philips_activity).all()


def _state(facts: PetHeaders, declared: Declared) -> tuple[str, tuple[str, ...]]:
    """Decay state of the stored values: the study's word, else the header's."""
    if _is_uptake(facts, declared):
        return UPTAKE, ()
    stated = facts.decay_correction
    if declared.corrected_to is not None:
        wanted = STATES[declared.corrected_to]
        return wanted, () if stated in (None, wanted) else OVERRIDE
    if stated not in STATES.values():
        raise InputError(
            f"{label('DecayCorrection')} is {'missing' if stated is None else stated[:20]}; "
            "expected START, ADMIN or NONE; give scan.declared.corrected_to = 'scan_start', "
            "'administration' or 'none'"
        )
    if facts.corrections is not None:
        suv_rules.check_corrections(facts, attenuation=False)
    return str(stated), ()


def _times(facts: PetHeaders, subject: Subject) -> Times:
    """Zero is the administration by the study, else by the header, else the scan's start."""
    at = subject.given[0].at if subject.given else None
    if at is not None:
        given = (at - facts.origin).total_seconds()
        from_header = facts.administration
        if facts.administration_tag == label(START_TIME):  # the study tells the day
            from_header += DAY * np.round((given - from_header) / DAY)
        differs = abs(from_header - given) > CLOCK_TOLERANCE
        return Times(
            zero=given,
            kind=Zero(kind="administration", clock=at),
            header_given=from_header,
            flags=OVERRIDE if differs else (),
        )
    if np.isfinite(facts.administration):
        given, flags = dated_administration(facts)
        kind = Zero(kind="administration", clock=facts.moment(given))
        return Times(zero=given, kind=kind, header_given=given, flags=flags)
    start = facts.first_acquisition
    clock = facts.moment(start) if np.isfinite(start) else None
    return Times(
        zero=float(np.nan_to_num(start)),
        kind=Zero(kind="scan_start", clock=clock),
        header_given=np.nan,
    )


def _frames(facts: PetHeaders, times: Times, declared: Declared, shape: tuple[int, int]) -> Frames:
    """Frames from the acquisition times: each from its first slice's start to its last's end."""
    starts = facts.acquisition - times.zero
    if shape[0] == 1 and times.kind.clock is None:
        starts = np.zeros(facts.count)  # nothing else is known, and zero is the scan's start
    if not np.isfinite(starts).all():
        raise InputError(
            f"{label('AcquisitionTime')} is missing; expected it in every slice; give "
            "scan.declared.start, the clock time at which the scan began"
        )
    ends = starts + _durations(facts, declared, shape[0])
    first = starts.reshape(shape).min(axis=1)
    return Frames(start=first, duration=ends.reshape(shape).max(axis=1) - first, zero=times.kind)


def _durations(facts: PetHeaders, declared: Declared, frames: int) -> np.ndarray:
    if np.isfinite(facts.duration).all() and np.all(facts.duration > 0):
        return facts.duration
    if declared.duration is None or frames > 1:
        raise InputError(
            f"{label('ActualFrameDuration')} is missing or 0; expected ms in every slice"
            + ("" if frames > 1 else "; give scan.declared.duration, e.g. '10 min'")
        )
    return np.full(facts.count, declared.duration)


def _to_zero(facts: PetHeaders, times: Times, frames: Frames, declared: Declared) -> Step:
    """Factor from the stored decay state to values corrected to the frames' zero."""
    state, flags = _state(facts, declared)
    half_life = required(facts.half_life, "RadionuclideHalfLife", suv_rules.HALF_LIFE)
    goal = "administration" if times.kind.kind == "administration" else "the scan's start"
    if state in ("ADMIN", UPTAKE):
        return _from_administration(times, half_life, flags, facts.count)
    if state == "NONE":
        known = np.isfinite(facts.acquisition).all()
        starts = facts.acquisition - times.zero if known else np.zeros(facts.count)
        lengths = _durations(facts, declared, frames.start.size)
        return Step(
            factor=decay.decay_factor(half_life, starts, lengths),
            words=f"Frame means, not corrected for decay, were corrected to {goal}.",
            flags=flags,
        )
    if facts.decay_correction != "START" or not np.isfinite(facts.acquisition).any():
        start = times.zero if np.isnan(facts.first_acquisition) else facts.first_acquisition
        return Step(
            factor=np.full(facts.count, decay.activity(1.0, half_life, times.zero - start)),
            words="Values were corrected for decay to the scan's start, as the study declares, and "
            f"brought to {goal}.",
            flags=flags,
        )
    given = times.zero if times.kind.kind == "administration" else np.nan
    reference = decay_reference(facts, given)
    return Step(
        factor=decay.activity(1.0, half_life, times.zero - reference.seconds),
        words="Values were corrected for decay to the scan's start (DecayCorrection START "
        f"(0054,1102)), taken as {reference.sentence}, and brought to {goal}.",
        flags=(*flags, *reference.flags),
        alternatives={
            name: float(decay.activity(1.0, half_life, reference.seconds[0] - instants[0]))
            for name, instants in reference.candidates.items()
            if name != reference.name
        },
    )


def _from_administration(
    times: Times, half_life: float, flags: tuple[str, ...], count: int
) -> Step:
    """Values that already refer to the administration, as the header's clock has it."""
    if times.kind.kind != "administration":
        raise InputError(
            "the values refer to the administration, whose time neither header nor study tells; "
            "expected subject.given.at"
        )
    moved = times.zero - times.header_given
    factor = 1.0 if np.isnan(moved) else float(decay.activity(1.0, half_life, moved))
    words = "Values refer to the administration"
    if not np.isnan(moved) and abs(moved) > CLOCK_TOLERANCE:
        words += f"; they were moved by {moved:.0f} s from the header's to the study's"
    return Step(factor=np.full(count, factor), words=f"{words}.", flags=flags)
