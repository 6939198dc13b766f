"""PET: standardised uptake value and activity concentration, by vendor-neutral rules.

The rules, their order and their exceptions are those that pass all 17 IBSI SUV reference objects.
Whatever a rule chooses stands in the result: which element, why, and what the others would give.

Sources: IBSI "Comprehensive Manual for SUV Computation"; QIBA vendor-neutral SUV pseudo-code 2018;
DICOM PS3.3 C.8.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from igdd.declare import Modality
from igdd.errors import InputError
from igdd.facts import Agent, Declared, Scanner, Subject
from igdd.headers import quiet
from igdd.modalities import pet_bids, pet_dicom
from igdd.modalities.pet_conversion import Conversion, branching_factor
from igdd.modalities.pet_headers import dose_of, pet_headers
from igdd.modalities.suv_rules import PATHS, check_corrections, half_life_differs, usable_units
from igdd.types import Decay, Image, Series, freeze

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["MODALITIES", "SuvFactor", "calibrate", "dose_of", "suv_factor"]

# Candidates of the decay reference that differ by more are reported.
SPREAD = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class SuvFactor:
    """Factor from a rescaled pixel to SUV by body weight in g/mL, how it was found, and doubts.

    value         the first header's factor; `per_slice` one for every header, in the order given
    rule          which units, decay correction, decay reference and tags were used
    alternatives  what `value` would have been under each other rule
    """

    value: float
    per_slice: np.ndarray
    rule: str
    alternatives: Mapping[str, float]
    flags: tuple[str, ...]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.per_slice).all() and np.all(self.per_slice > 0)):
            raise InputError(
                f"the SUV factor is {self.per_slice[~(self.per_slice > 0)][:1]}; expected a finite "
                "number above 0; check dose, weight and times in the header"
            )
        freeze(self)


def suv_factor(headers: Iterable[Dataset]) -> SuvFactor:
    """Factor that turns a rescaled pixel (slope applied) into SUV by body weight [g/mL].

    Parameters
    ----------
    headers : datasets of one PET series; they may lack pixels, geometry and manufacturer

    A header that does not suffice is an InputError that names the tag.
    """
    with quiet() as warned:
        facts = pet_headers(tuple(headers))
        units = usable_units(facts)
        check_corrections(facts)
        per_slice, rule, alternatives, flags = PATHS[units](facts)
    value = float(per_slice[0])
    found = [*facts.flags, *flags, "branching_unknown"]
    if half_life_differs(facts):
        found.append("half_life_differs")
    if any(abs(other / value - 1) > SPREAD for other in alternatives.values()):
        found.append("decay_spread")
    if warned:
        found.append("header_warning")
    return SuvFactor(
        value=value,
        per_slice=per_slice,
        rule=rule,
        alternatives=alternatives,
        flags=tuple(sorted(set(found))),
    )


def calibrate(
    series: Series, subject: Subject, agent: Agent, scanner: Scanner, declared: Declared
) -> Image:
    """Activity concentration in Bq/mL, corrected for decay to the administration.

    Where neither study nor file tells the administration, values are corrected to the scan's start
    and frames count from it. The dose calibrator's scale is reached by the scanner's cross
    calibration, whose relative standard deviation is shared by the whole image.
    """
    where = series.source or "PET series"
    if not series.headers and not series.sidecar:
        raise InputError(
            f"{where}: neither DICOM headers nor a PET-BIDS sidecar; expected one of them; put the "
            "JSON beside the NIfTI image"
        )
    read = pet_dicom.conversion if series.headers else pet_bids.conversion
    with quiet() as warned:
        found = read(series, subject, agent, declared)
    branching, branching_words = branching_factor(found, declared, where)
    cross = scanner.cross_calibration
    if not cross.value > 0 or not cross.sd >= 0:
        raise InputError(
            f"scanner.cross_calibration is {cross.value} with sd {cross.sd}; expected a factor "
            "above 0 and its standard deviation"
        )
    multiplier = (found.multiplier * branching * cross.value).astype(np.float32)
    spread = any(abs(other - 1) > SPREAD for other in found.alternatives.values())
    flags = {*series.flags, *found.flags}
    flags |= {"decay_spread"} if spread else set()
    flags |= {"header_warning"} if warned else set()
    return Image(
        values=series.values * multiplier,
        grid=series.grid,
        quantity="activity_concentration",
        unit="Bq/mL",
        analyte=agent.analyte,
        frames=found.frames,
        decay=Decay(
            nuclide=found.nuclide,
            half_life=found.half_life,
            corrected_to=0.0,
        ),
        scale_cv=cross.sd / cross.value,
        source=_sentences(found, branching_words, cross.value),
        flags=tuple(sorted(flags)),
    )


def _sentences(found: Conversion, branching_words: str, cross: float) -> str:
    """How the values were made, in words for a methods section."""
    kind = found.frames.zero.kind
    goal = "administration" if kind == "administration" else "the scan's start"
    words = [f"PET: activity concentration in Bq/mL, corrected for decay to {goal}."]
    words += [sentence for sentence in found.sentences if sentence]
    if found.alternatives:
        others = ", ".join(
            f"{name.replace('_', ' ')} {round(100 * (other - 1), 2) + 0.0:+.2f} %"
            for name, other in sorted(found.alternatives.items())
        )
        words.append(f"Other decay references would change values by: {others}.")
    words.append(branching_words)
    if cross != 1:
        words.append(f"The cross calibration factor {cross:g} was applied.")
    return " ".join(words)


MODALITIES = (
    Modality(
        name="pet",
        calibrate=calibrate,
        help="positron emission tomography: activity concentration and uptake",
        reference="IBSI Comprehensive Manual for SUV Computation; DICOM PS3.3 C.8.9",
    ),
)
