"""What DICOM and BIDS have in common on the way to activity concentration, and its checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from igdd import decay
from igdd.errors import InputError
from igdd.facts import Agent, Declared, Subject
from igdd.types import Frames

# A header that is further off names another nuclide than the study does.
OTHER_NUCLIDE = 0.1
# Doses that differ by more were not measured with the same unit, or not of the same syringe.
DOSE_TOLERANCE = 0.1
# Clocks that differ by more than this contradict; within it they were rounded.
CLOCK_TOLERANCE = 1.0
# Beyond so many half-lives after administration nothing can be seen: a date is wrong.
LONGEST_WAIT = 20.0


# Units that a study may declare, in Bq/mL.
DECLARED_UNITS = {"Bq/mL": 1.0, "kBq/mL": 1e3, "MBq/mL": 1e6}
OVERRIDE = ("suv_reference_override",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversion:
    """How stored values become Bq/mL corrected to the frames' zero.

    multiplier    (k or 1, t), for slices and frames
    sentences     the rules in words for the methods section
    alternatives  by what the first slice would be multiplied under each other decay reference
    """

    multiplier: np.ndarray
    frames: Frames
    half_life: float
    nuclide: str
    positron_fraction: float | None
    sentences: tuple[str, ...]
    alternatives: Mapping[str, float]
    flags: tuple[str, ...] = ()


def half_life_of(
    stated: float | None, agent: Agent, where: str
) -> tuple[float, str, tuple[str, ...]]:
    """Half-life in s, where it is from, and flags: the file's, else the study's, else ICRP-107."""
    known: float | None = None
    if np.isfinite(agent.half_life):
        known, origin = float(agent.half_life), "the study"
    elif agent.nuclide:
        known, origin = decay.nuclide(agent.nuclide).half_life, "ICRP-107"
    if stated is None:
        if known is None:
            raise InputError(
                f"{where}: no half-life is stated; expected it in the file, or agent.label.nuclide "
                "in the study"
            )
        return known, origin, ()
    if known is None:
        return stated, "the file", ()
    if abs(stated / known - 1) > OTHER_NUCLIDE:
        raise InputError(
            f"{where}: the half-life is {stated:g} s, but that of {agent.nuclide} by {origin} is "
            f"{known:g} s; expected the same nuclide; correct agent.label.nuclide, or the file if "
            "the scanner was set to another nuclide"
        )
    differs = abs(stated / known - 1) > 1e-3
    return stated, "the file", ("half_life_differs",) if differs else ()


def attenuation_flags(said: bool | None, declared: Declared, where: str) -> tuple[str, ...]:
    """Flags of what the file says of attenuation correction and what the study declares."""
    wanted = declared.attenuation_corrected
    if wanted is False:
        return ("not_attenuation_corrected",)
    if said is None and wanted is None:
        raise InputError(
            f"{where}: nothing says whether attenuation was corrected; expected it in the file; "
            "give scan.declared.attenuation_corrected = true or false"
        )
    if said is False:
        raise InputError(
            f"{where}: not corrected for attenuation; expected a corrected series; choose it, or "
            "give scan.declared.attenuation_corrected = false to use this one nevertheless"
        )
    return ()


def branching_factor(found: Conversion, declared: Declared, where: str) -> tuple[float, str]:
    """Factor for the positron branching ratio, and its words."""
    if declared.branching_applied is None:
        raise InputError(
            f"{where}: nothing says whether the positron branching ratio was applied; expected "
            "scan.declared.branching_applied = true (scanners do it when they know the nuclide) "
            "or false"
        )
    if declared.branching_applied:
        return 1.0, "The scanner had applied the positron branching ratio."
    fraction = found.positron_fraction
    if found.nuclide in decay.table():
        tabled = decay.nuclide(found.nuclide).positron_fraction
        fraction = tabled if np.isfinite(tabled) else fraction
    if fraction is None or not 0 < fraction <= 1:
        raise InputError(
            f"{where}: the positron branching ratio of {found.nuclide or 'the nuclide'} is not "
            "known; expected agent.label.nuclide of the table, or RadionuclidePositronFraction "
            "(0018,1076) above 0"
        )
    return 1 / fraction, f"Values were divided by the positron branching ratio {fraction:g}."


def dose_flags(stated: float | None, subject: Subject) -> tuple[str, ...]:
    """Flag of a dose in the file that is not the study's."""
    if stated is None or not subject.given or subject.given[0].activity is None:
        return ()
    net = subject.given[0].activity.value
    differs = net > 0 and abs(stated / net - 1) > DOSE_TOLERANCE
    return ("dose_differs",) if differs else ()


def check_frames(frames: Frames, half_life: float, where: str) -> None:
    """Refuse frames that end before the administration, or start when nothing is left."""
    if frames.zero.kind != "administration":
        return
    if float(frames.end.max()) <= 0:
        raise InputError(
            f"{where}: the scan ends {-float(frames.end.max()) / 3600:.4g} h before the "
            "administration; expected it after; check subject.given.at, or give "
            "scan.declared.start if the file's clock is wrong or its dates were shifted"
        )
    if float(frames.start.min()) > LONGEST_WAIT * half_life:
        raise InputError(
            f"{where}: the scan starts {float(frames.start.min()) / 3600:.4g} h after the "
            f"administration, {float(frames.start.min()) / half_life:.3g} half-lives; expected at "
            f"most {LONGEST_WAIT:g}; check subject.given.at, or give scan.declared.start if the "
            "file's dates were shifted"
        )
