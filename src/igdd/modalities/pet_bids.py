"""A PET-BIDS series to activity concentration: units, decay state and times from its sidecar.

All times of a sidecar are seconds after TimeZero, a time of day without a date. Since
administration is FrameTimesStart - InjectionStart. Converters write InjectionStart 0 when they do
not know it (openneuropet/PET2BIDS issue 368): it is held against the study's clock, and not
believed at all for one static frame or a long-lived nuclide.

Source: Brain Imaging Data Structure 1.10, "Positron Emission Tomography".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from igdd import decay
from igdd.errors import InputError
from igdd.facts import Agent, Declared, Subject
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
from igdd.modalities.pet_headers import DATED_HALF_LIFE, DAY
from igdd.types import Frames, Series, Zero

UNITS = {"bq/ml": 1.0, "kbq/ml": 1e3, "mbq/ml": 1e6, "bq/cc": 1.0, "kbq/cc": 1e3}
DOSE_UNITS = {"bq": 1.0, "kbq": 1e3, "mbq": 1e6, "gbq": 1e9}
UNCORRECTED = ("none", "no", "not corrected", "uncorrected", "false")
# A frame that outlasts this is a time in ms where s are due.
LONGEST_FRAME = 10.0
FACTOR_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A sidecar's entries, read one by one with their name in every error."""

    entries: Mapping[str, Any]
    where: str

    def number(self, name: str) -> float | None:
        """A finite number; None where absent or null."""
        value = self.entries.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise self.wrong(name, value, "a number")
        return float(value)

    def numbers(self, name: str) -> np.ndarray | None:
        """A list of finite numbers; None where absent or null."""
        value = self.entries.get(name)
        if value is None:
            return None
        try:
            found = np.atleast_1d(np.array(value, dtype=float))
        except (TypeError, ValueError) as error:
            raise self.wrong(name, value, "numbers") from error
        if found.ndim != 1 or not np.isfinite(found).all():
            raise self.wrong(name, value, "a list of finite numbers")
        return found

    def text(self, name: str) -> str:
        """A text; empty where absent or null."""
        value = self.entries.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, value, "a text")
        return (value or "").strip()

    def wrong(self, name: str, found: Any, expected: str) -> InputError:
        """The error for an entry that is not what it should be."""
        return InputError(f"{self.where}: {name} is {str(found)[:60]!r}; expected {expected}")

    def missing(self, name: str, expected: str, remedy: str) -> InputError:
        """The error for an entry that is not there."""
        return InputError(f"{self.where}: {name} is missing; expected {expected}; {remedy}")


def conversion(series: Series, subject: Subject, agent: Agent, declared: Declared) -> Conversion:
    """How the stored values of a PET-BIDS series become Bq/mL corrected to the frames' zero."""
    sidecar = Sidecar(entries=series.sidecar, where=series.source or "PET sidecar")
    agent = _named(sidecar, agent)
    half_life, life_from, _ = half_life_of(None, agent, sidecar.where)
    unit, unit_words, flags = _unit(sidecar, declared)
    start, duration = _frame_times(sidecar, declared, series.values.shape[3], half_life)
    given, zero, moved = _administration(sidecar, subject, declared, (start, duration, half_life))
    frames = Frames(start=start - given, duration=duration, zero=zero)
    check_frames(frames, half_life, sidecar.where)
    reference, words, changed = _reference(sidecar, declared, given, float(start[0]))
    factor = decay.correction(half_life, start, duration, reference, given)
    return Conversion(
        multiplier=(unit * factor)[np.newaxis, :],
        frames=frames,
        half_life=half_life,
        nuclide=agent.nuclide,
        positron_fraction=None,
        sentences=(unit_words, words, f"The half-life was {half_life:g} s (from {life_from})."),
        alternatives=_by_stated_factor(sidecar, start, duration, reference, half_life),
        flags=(
            *flags, *moved, *changed, *attenuation_flags(_attenuation(sidecar), declared,
            sidecar.where), *dose_flags(_dose(sidecar), subject),
        ),
    )  # fmt: skip


def _named(sidecar: Sidecar, agent: Agent) -> Agent:
    """The agent with the sidecar's nuclide where the study names none; both must agree."""
    stated = sidecar.text("TracerRadionuclide")
    if not stated:
        return agent
    tracer = decay.nuclide(stated)
    if not agent.nuclide:
        return replace(agent, nuclide=tracer.name)
    if decay.nuclide(agent.nuclide).name != tracer.name:
        raise sidecar.wrong("TracerRadionuclide", stated, f"{agent.nuclide}, as the study says")
    return agent


def _unit(sidecar: Sidecar, declared: Declared) -> tuple[float, str, tuple[str, ...]]:
    """Bq/mL per stored unit, in words, and the flag of an override."""
    stated = sidecar.text("Units")
    known = UNITS.get(stated.lower())
    if declared.unit is not None:
        if declared.unit not in DECLARED_UNITS:
            raise InputError(
                f"scan.declared.unit is {declared.unit!r}; expected {', '.join(DECLARED_UNITS)}"
            )
        factor = DECLARED_UNITS[declared.unit]
        words = f"Stored values were {declared.unit}, as the study declares."
        return factor, words, OVERRIDE if stated and known != factor else ()
    if known is None:
        remedy = "give scan.declared.unit, e.g. 'Bq/mL'"
        if not stated:
            raise sidecar.missing("Units", "Bq/mL or kBq/mL", remedy)
        raise sidecar.wrong("Units", stated, f"Bq/mL or kBq/mL; {remedy}")
    return known, f"Stored values were {stated} (PET-BIDS Units).", ()


def _frame_times(
    sidecar: Sidecar, declared: Declared, count: int, half_life: float
) -> tuple[np.ndarray, np.ndarray]:
    """Start and duration of the frames in s after TimeZero."""
    start = sidecar.numbers("FrameTimesStart")
    duration = sidecar.numbers("FrameDuration")
    if start is None and count == 1:
        start = np.array([sidecar.number("ScanStart") or 0.0])
    if duration is None and declared.duration is not None and count == 1:
        duration = np.array([declared.duration])
    remedy = "" if count > 1 else "give scan.declared.start and scan.declared.duration"
    for name, found in (("FrameTimesStart", start), ("FrameDuration", duration)):
        if found is None:
            raise sidecar.missing(name, f"{count} numbers in s", remedy or "complete the sidecar")
        if found.size != count:
            raise sidecar.wrong(name, f"{found.size} numbers", f"one for each of {count} frames")
    start, duration = np.asarray(start), np.asarray(duration)
    if float(duration.max()) > LONGEST_FRAME * half_life:
        raise sidecar.wrong(
            "FrameDuration",
            f"{duration.max():g} s",
            f"at most {LONGEST_FRAME:g} half-lives, in s; mend the JSON; is it in ms?",
        )
    return start, duration


def _administration(
    sidecar: Sidecar,
    subject: Subject,
    declared: Declared,
    timing: tuple[np.ndarray, np.ndarray, float],
) -> tuple[float, Zero, tuple[str, ...]]:
    """Administration in s after TimeZero, the frames' zero, and flags."""
    start, duration, half_life = timing
    stated = sidecar.number("InjectionStart")
    at = subject.given[0].at if subject.given else None
    first, end = float(start[0]), float((start + duration).max())
    if at is not None and declared.start is not None:
        given = first - (declared.start - at).total_seconds()
        differs = stated is not None and abs(given - stated) > CLOCK_TOLERANCE
        return given, Zero(kind="administration", clock=at), OVERRIDE if differs else ()
    long_lived = half_life >= DATED_HALF_LIFE
    default = stated == 0 == first and (start.size == 1 or long_lived)
    time_zero = _time_of_day(sidecar)
    if (
        at is not None
        and time_zero is not None
        and not (long_lived and (default or stated is None))
    ):
        clock = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second).total_seconds()
        off = (clock - time_zero - (stated or 0.0) + DAY / 2) % DAY - DAY / 2
        given = (stated or 0.0) + off
        given -= DAY if given > end else 0.0
        flags = OVERRIDE if stated is not None and abs(off) > CLOCK_TOLERANCE else ()
        return given, Zero(kind="administration", clock=at), flags
    if default or (stated is None and at is not None):
        raise InputError(
            f"{sidecar.where}: InjectionStart is {stated}, which converters also write when they "
            "do not know it; expected the seconds from TimeZero to the administration; give "
            "scan.declared.start and subject.given.at, dated"
        )
    if stated is None:
        return first, Zero(kind="scan_start", clock=declared.start), ()
    return stated, Zero(kind="administration", clock=at), ()


def _time_of_day(sidecar: Sidecar) -> float | None:
    stated = sidecar.text("TimeZero")
    if not stated:
        return None
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d):([0-5]\d(?:\.\d+)?)", stated)
    if match is None:
        raise sidecar.wrong("TimeZero", stated, "a time of day hh:mm:ss")
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _reference(
    sidecar: Sidecar, declared: Declared, given: float, first: float
) -> tuple[float | None, str, tuple[str, ...]]:
    """Instant [s after TimeZero] that values are corrected to, or None; in words; and flags."""
    done = sidecar.entries.get("ImageDecayCorrected")
    stated = sidecar.number("ImageDecayCorrectionTime")
    if done is not None and not isinstance(done, bool):
        raise sidecar.wrong("ImageDecayCorrected", done, "true or false")
    if declared.corrected_to is not None:
        wanted = {"administration": given, "scan_start": first, "none": None}[declared.corrected_to]
        told = None if done is False else stated
        differs = done is not None and (
            (wanted is None) != (told is None)
            or (wanted is not None and told is not None and abs(wanted - told) > CLOCK_TOLERANCE)
        )
        place = declared.corrected_to.replace("_", " ")
        words = f"Decay correction of the stored values: {place}, as the study declares."
        return wanted, words, OVERRIDE if differs else ()
    remedy = "give scan.declared.corrected_to = 'scan_start', 'administration' or 'none'"
    if done is None:
        raise sidecar.missing("ImageDecayCorrected", "true or false", remedy)
    if not done:
        return None, "Frame means, not corrected for decay, were corrected to zero time.", ()
    if stated is None:
        raise sidecar.missing("ImageDecayCorrectionTime", "seconds after TimeZero", remedy)
    words = "Values were corrected for decay to ImageDecayCorrectionTime and brought to zero time."
    return stated, words, ()


def _by_stated_factor(
    sidecar: Sidecar,
    start: np.ndarray,
    duration: np.ndarray,
    reference: float | None,
    half_life: float,
) -> dict[str, float]:
    """What DecayCorrectionFactor says of the correction that the times imply (first frame)."""
    stated = sidecar.numbers("DecayCorrectionFactor")
    if stated is None or reference is None or stated.size != start.size or not stated[0] > 0:
        return {}
    implied = float(decay.decay_factor(half_life, start[0] - reference, duration[0]))
    return {"decay_correction_factor": implied / float(stated[0])}


def _attenuation(sidecar: Sidecar) -> bool | None:
    stated = sidecar.text("AttenuationCorrection").lower()
    return None if not stated else stated not in UNCORRECTED


def _dose(sidecar: Sidecar) -> float | None:
    unit = DOSE_UNITS.get(sidecar.text("InjectedRadioactivityUnits").lower())
    stated = sidecar.number("InjectedRadioactivity")
    return None if unit is None or stated is None else stated * unit
