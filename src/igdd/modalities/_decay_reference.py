"""The instant to which a PET series is corrected for decay: the rule, and what else it might be.

DecayCorrection START names no element that always holds the instant. The order here passes all 17
IBSI SUV reference objects; IBSI's own proposal (always back-compute) and QIBA's order (earliest
acquisition before back-computing) each fail one.

Sources: IBSI "Comprehensive Manual for SUV Computation" (github.com/oncoray/suv_computation); QIBA
vendor-neutral SUV pseudo-code 2012 and 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from igdd import decay
from igdd.errors import InputError
from igdd.headers import label
from igdd.modalities.pet_headers import PetHeaders, required

_PASSED_OVER = "as the series time is absent, after the acquisition or long before administration"
SENTENCES = {
    "series_time": "SeriesDate and SeriesTime (0008,0021), (0008,0031), not after the earliest "
    "AcquisitionTime (0008,0032)",
    "ge_scan_datetime": f"GE scan_datetime (0009,100D), {_PASSED_OVER}",
    "frame_reference_time": "AcquisitionTime (0008,0032) plus the frame's average time minus "
    f"FrameReferenceTime (0054,1300), {_PASSED_OVER}",
    "frame_start": "AcquisitionTime (0008,0032) minus FrameReferenceTime (0054,1300), which is the "
    f"frame's start here, {_PASSED_OVER}",
    "earliest_acquisition": "the earliest AcquisitionTime (0008,0032), the last resort",
}
# Clocks in headers are rounded to a second; average times differ between vendors by less.
START_TOLERANCE = 1.0
# A dynamic scan may start before the injection, but not by more.
LONGEST_LEAD = 3600.0


@dataclass(frozen=True, kw_only=True, eq=False)
class DecayReference:
    """Decay reference per header in s after the headers' origin, its rule, and the candidates."""

    name: str
    seconds: np.ndarray
    candidates: Mapping[str, np.ndarray]
    flags: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The rule in words, with its tags."""
        return SENTENCES[self.name]


def decay_reference(facts: PetHeaders, given: float) -> DecayReference:
    """Decay reference of DecayCorrection START, by the first rule that holds.

    given  administration in s after the headers' origin; NaN where it is not known. A reference
           long before it contradicts the clocks: such a series time is passed over.
    """
    found = candidates(facts)
    known = np.isfinite(facts.acquisition).any()
    flags: tuple[str, ...] = ()
    if facts.series <= facts.first_acquisition and not facts.series < given - LONGEST_LEAD:
        name = "series_time"
        flags = () if known else ("series_time_unchecked",)
    elif "ge_scan_datetime" in found:
        name = "ge_scan_datetime"
    elif "frame_reference_time" in found:
        name = "frame_reference_time"
    elif "frame_start" in found:
        name, flags = "frame_start", ("frame_reference_is_start",)
    elif "earliest_acquisition" in found:
        name, flags = "earliest_acquisition", ("acquisition_reference",)
    else:
        raise InputError(
            f"{label('SeriesTime')} and {label('AcquisitionTime')} are missing; expected the "
            "instant to which DecayCorrection START refers; give scan.declared.start and "
            "scan.declared.corrected_to in a study"
        )
    lead = given - float(np.min(found[name]))
    if lead > LONGEST_LEAD:
        raise InputError(
            f"the decay reference, {SENTENCES[name]}, is {lead / 3600:.4g} h before the "
            f"administration; expected at most {LONGEST_LEAD / 3600:g} h; the clocks contradict: "
            "give subject.given.at, or scan.declared.corrected_to in a study"
        )
    return DecayReference(name=name, seconds=found[name], candidates=found, flags=flags)


def candidates(facts: PetHeaders) -> dict[str, np.ndarray]:
    """Every instant [s after origin, per header] that the headers offer as decay reference."""
    average = average_time(facts)
    means = facts.reference_time >= average - START_TOLERANCE
    offered = {
        "series_time": np.full(facts.count, facts.series),
        "ge_scan_datetime": np.full(facts.count, facts.ge_scan),
        "frame_reference_time": facts.acquisition + average - facts.reference_time,
        "frame_start": facts.acquisition - facts.reference_time,
        "earliest_acquisition": np.full(facts.count, np.min(facts.acquisition)),
        "decay_factor": facts.acquisition + average - _since_reference(facts),
        "siemens_decay_correction": np.full(facts.count, facts.siemens_reference),
    }
    # FrameReferenceTime is either the average time of every frame, or its start, not both; without
    # the frames' lengths nobody can tell which.
    offered.pop(
        "frame_start" if np.all(means) or np.isnan(average).any() else "frame_reference_time"
    )
    return {name: instants for name, instants in offered.items() if np.isfinite(instants).all()}


def average_time(facts: PetHeaders) -> np.ndarray:
    """Time in the frame at which the count rate is the frame's mean [s after its start].

    ln(rate T / (1 - exp(-rate T))) / rate.
    """
    half_life = required(facts.half_life, "RadionuclideHalfLife", "seconds")
    known = np.isfinite(facts.duration)
    factors = decay.decay_factor(half_life, 0.0, np.where(known, facts.duration, 0.0))
    return np.asarray(np.where(known, np.log(factors), np.nan) * half_life / np.log(2))


def _since_reference(facts: PetHeaders) -> np.ndarray:
    """Time from the decay reference to each frame's average time, by DecayFactor (0054,1321)."""
    half_life = required(facts.half_life, "RadionuclideHalfLife", "seconds")
    factors = np.where(facts.decay_factor > 0, facts.decay_factor, np.nan)
    return np.asarray(np.log(factors) * half_life / np.log(2))
