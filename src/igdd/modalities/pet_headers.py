"""What the headers of one DICOM PET series state, as plain numbers: times, dose, body, units.

Nothing is converted here but units of entry (a dose in MBq, a weight in grams: the forced
exceptions, flagged). Times are seconds after `origin`, naive local clock of the scanner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from igdd.errors import InputError
from igdd.headers import (
    clock,
    item,
    joined,
    label,
    moment,
    number,
    private_moment,
    private_number,
    quiet,
    text,
    texts,
    time_zone,
)
from igdd.modalities.nuclide_codes import identify

if TYPE_CHECKING:
    from pydicom import Dataset

T = TypeVar("T")

DOSE_SEQUENCE = "RadiopharmaceuticalInformationSequence"
START_MOMENT = "RadiopharmaceuticalStartDateTime"
START_TIME = "RadiopharmaceuticalStartTime"
# Below this a "Bq" is a MBq: real headers cluster near 4e2 and 4e8 (IBSI manual, figure 2).
SMALLEST_DOSE = 1e4
# Above this a "kg" is a gram (IBSI manual, section on weight).
LARGEST_WEIGHT = 1000.0
# Nuclides that live longer may be given days before the scan: a time of day is not enough.
DATED_HALF_LIFE = 11.5 * 3600.0
# Beyond ten half-lives less than a thousandth of the dose is left: the clocks contradict.
LONGEST_UPTAKE = 10.0
DAY = 86400.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PetHeaders:
    """Facts of a series; arrays hold one number per header, NaN where it is absent.

    acquisition      start of the slice's frame; reference_time and duration in s
    series           SeriesDate and SeriesTime; ge_scan, siemens_reference the private moments
    administration   from the header; `administration_tag` says which element it is from
    weight, height   kg and cm; dose in Bq; half_life in s
    philips_suv      factor to SUVbw (7053,1000); philips_activity to Bq/mL (7053,1009)
    """

    origin: datetime
    acquisition: np.ndarray
    reference_time: np.ndarray
    duration: np.ndarray
    decay_factor: np.ndarray
    intercept: np.ndarray
    philips_suv: np.ndarray
    philips_activity: np.ndarray
    series: float
    ge_scan: float
    siemens_reference: float
    administration: float
    administration_tag: str
    units: str | None
    suv_type: str
    corrections: frozenset[str] | None
    decay_correction: str | None
    weight: float | None
    height: float | None
    sex: str | None
    dose: float | None
    half_life: float | None
    nuclide: str | None
    positron_fraction: float | None
    flags: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of headers."""
        return int(self.acquisition.size)

    @property
    def first_acquisition(self) -> float:
        """Earliest acquisition; the series time where no acquisition time is there; else NaN."""
        known = self.acquisition[np.isfinite(self.acquisition)]
        return float(known.min()) if known.size else self.series

    @property
    def scan_end(self) -> float:
        """End of the latest frame (its start where its length is not known); else NaN."""
        ends = self.acquisition + np.nan_to_num(self.duration)
        known = ends[np.isfinite(ends)]
        return float(known.max()) if known.size else self.series

    def moment(self, seconds: float) -> datetime:
        """Clock time of a number of seconds after `origin`."""
        return self.origin + timedelta(seconds=seconds)


def pet_headers(headers: Sequence[Dataset]) -> PetHeaders:
    """Facts of one series, from its headers; what must be common to all is checked to be so."""
    if not headers:
        raise InputError("no header was given; expected at least one of a PET series")
    doses = [item(header, DOSE_SEQUENCE) for header in headers]
    stated = [dose for dose in doses if dose is not None]
    _check_one_clock(headers, stated)
    zone = time_zone(headers[0])
    acquired = [_acquired(header, zone) for header in headers]
    series = clock(headers[0], "SeriesDate", "SeriesTime")
    first_dose = stated[0] if stated else None
    administered, administration_tag = _administered(headers[0], first_dose, zone)
    ge_scan = private_moment(headers[0], 0x0009, 0x0D, "GEMS_PETD")
    siemens = private_moment(headers[0], 0x0071, 0x22, "SIEMENS")
    known = [one for one in (*acquired, series, ge_scan, administered) if one is not None]
    origin = min(known, default=datetime(1970, 1, 1))
    weight, weight_flags = _weight(_same(headers, number, "PatientWeight"))
    dose, dose_flags = _dose(_same(stated, number, "RadionuclideTotalDose"))
    half_life = _half_life(_same(stated, number, "RadionuclideHalfLife"))
    coded = None if first_dose is None else item(first_dose, "RadionuclideCodeSequence")
    nuclide, contradicts = identify(coded, half_life)
    facts = PetHeaders(
        origin=origin,
        acquisition=np.array([_seconds(one, origin) for one in acquired]),
        reference_time=_per_header(headers, "FrameReferenceTime") / 1000,
        duration=_per_header(headers, "ActualFrameDuration") / 1000,
        decay_factor=_per_header(headers, "DecayFactor"),
        intercept=np.nan_to_num(_per_header(headers, "RescaleIntercept")),
        philips_suv=_philips(headers, 0x00),
        philips_activity=_philips(headers, 0x09),
        series=_seconds(series, origin),
        ge_scan=_seconds(ge_scan, origin),
        siemens_reference=_seconds(siemens, origin),
        administration=_seconds(administered, origin),
        administration_tag=administration_tag,
        units=_same(headers, text, "Units"),
        suv_type=_same(headers, text, "SUVType") or "",
        corrections=_same(headers, _corrections, "CorrectedImage"),
        decay_correction=_same(headers, text, "DecayCorrection"),
        weight=weight,
        height=_height(_same(headers, number, "PatientSize")),
        sex=_same(headers, text, "PatientSex"),
        dose=dose,
        half_life=half_life,
        nuclide=nuclide,
        positron_fraction=_same(stated, number, "RadionuclidePositronFraction"),
        flags=(*weight_flags, *dose_flags, *(("nuclide_code_differs",) if contradicts else ())),
    )
    _check_clocks(facts, headers[0])
    return facts


def dated_administration(facts: PetHeaders) -> tuple[float, tuple[str, ...]]:
    """Administration in s after `origin`, on its day, and the flags of how the day was found.

    A time of day stands on the series date, and some consoles write that date into the date and
    time, too. If it is after the scan's end it was the day before, which is only certain for a
    half-life under 11.5 h. A time within the scan is left as it is: an injection during a dynamic
    scan.
    """
    start, tag, half_life = facts.administration, facts.administration_tag, facts.half_life
    if not np.isfinite(start):
        raise InputError(
            f"{label(START_MOMENT)} and {label(START_TIME)} are missing; expected the time of "
            "administration; give subject.given.at in a study"
        )
    half_life = required(half_life, "RadionuclideHalfLife", "seconds")
    flags: tuple[str, ...] = ()
    undated = tag == label(START_TIME)
    if undated and half_life >= DATED_HALF_LIFE:
        raise InputError(
            f"{tag} has no date and the half-life is {half_life / 3600:.4g} h; expected "
            f"{label(START_MOMENT)}, since the day is not certain; give subject.given.at in a study"
        )
    late = start > facts.scan_end and half_life < DATED_HALF_LIFE
    if late and (undated or facts.moment(start).date() == facts.moment(facts.scan_end).date()):
        start -= DAY
        flags = ("administered_yesterday",)
    before = facts.first_acquisition - start
    too_long = half_life < DATED_HALF_LIFE and before > LONGEST_UPTAKE * half_life
    if start > facts.scan_end or too_long:
        raise InputError(
            f"{tag} is {before / 3600:.4g} h before the scan, {before / half_life:.3g} half-lives; "
            f"expected 0 to {LONGEST_UPTAKE:g} half-lives; the clocks contradict: give "
            "subject.given.at in a study"
        )
    return start, flags


def dose_of(headers: Sequence[Dataset]) -> tuple[float, datetime | None] | None:
    """Administered activity [Bq] that the headers state, and its clock time; None if absent.

    RadionuclideTotalDose is not corrected for what stayed in the syringe.
    """
    with quiet():
        facts = pet_headers(tuple(headers))
    if facts.dose is None:
        return None
    try:
        start, _ = dated_administration(facts)
    except InputError:  # the dose stands even where its time is not certain
        return facts.dose, None
    return facts.dose, facts.moment(start)


def required(value: T | None, keyword: str, wish: str) -> T:
    """The value, or the error that names its tag."""
    if value is None:
        raise InputError(f"{label(keyword)} is missing; expected {wish}")
    return value


def _acquired(header: Dataset, zone: timedelta | None) -> datetime | None:
    dated = clock(header, "AcquisitionDate", "AcquisitionTime")
    if dated is not None:
        return dated
    whole = moment(header, "AcquisitionDateTime", zone)
    return clock(header, "SeriesDate", "AcquisitionTime") if whole is None else whole


def _administered(
    header: Dataset, dose: Dataset | None, zone: timedelta | None
) -> tuple[datetime | None, str]:
    """Moment of administration and its tag; a time of day stands on the series date."""
    dated = None if dose is None else moment(dose, START_MOMENT, zone)
    if dated is not None:
        return dated, label(START_MOMENT)
    vendor = private_moment(header, 0x0009, 0x3B, "GEMS_PETD")
    date = text(header, "SeriesDate") or text(header, "AcquisitionDate")
    hour = None if dose is None else text(dose, START_TIME)
    on_day = joined(date, hour, f"{label('SeriesDate')} and {label(START_TIME)}")
    half_life = None if dose is None else number(dose, "RadionuclideHalfLife")
    day_matters = half_life is not None and half_life >= DATED_HALF_LIFE
    if on_day is None or (vendor is not None and day_matters):
        return vendor, "(0009,103B)"
    return on_day, label(START_TIME)


def _seconds(one: datetime | None, origin: datetime) -> float:
    return np.nan if one is None else (one - origin).total_seconds()


def _per_header(headers: Sequence[Dataset], keyword: str) -> np.ndarray:
    found = [number(header, keyword) for header in headers]
    return np.array([np.nan if one is None else one for one in found])


def _philips(headers: Sequence[Dataset], element: int) -> np.ndarray:
    """A Philips factor; 0 means that the scanner could not tell (its conformance statement)."""
    found = [private_number(header, 0x7053, element, "PHILIPS") for header in headers]
    return np.array([one or np.nan for one in found])


def _same(
    sources: Sequence[Dataset], read: Callable[[Dataset, str], T | None], keyword: str
) -> T | None:
    """The one value of all sources; contradictions are refused."""
    found = list(dict.fromkeys(read(source, keyword) for source in sources))
    if len(found) > 1:
        shown = ", ".join(str(one)[:40] for one in found[:3])
        raise InputError(
            f"{label(keyword)} differs within the series: {shown}; expected one value; the series "
            "mixes acquisitions: separate them"
        )
    return found[0] if found else None


def _corrections(header: Dataset, keyword: str) -> frozenset[str] | None:
    stated = texts(header, keyword)
    return None if stated is None else frozenset(stated)


def _weight(stated: float | None) -> tuple[float | None, tuple[str, ...]]:
    if stated is None or stated == 0:
        return None, ()
    if stated < 0:
        raise InputError(f"{label('PatientWeight')} is {stated}; expected kg above 0")
    if stated > LARGEST_WEIGHT:
        return stated / 1000, ("weight_in_grams",)
    return stated, ()


def _height(stated: float | None) -> float | None:
    return stated * 100 if stated else None


def _dose(stated: float | None) -> tuple[float | None, tuple[str, ...]]:
    if stated is None or stated == 0:
        return None, ()
    if stated < 0:
        raise InputError(f"{label('RadionuclideTotalDose')} is {stated}; expected Bq above 0")
    if stated < SMALLEST_DOSE:
        return stated * 1e6, ("dose_in_megabecquerel",)
    return stated, ()


def _half_life(stated: float | None) -> float | None:
    if stated is not None and stated < 0:
        raise InputError(f"{label('RadionuclideHalfLife')} is {stated}; expected seconds above 0")
    return stated or None


def _check_one_clock(headers: Sequence[Dataset], doses: Sequence[Dataset]) -> None:
    """Refuse a series that states two starts or two administrations."""
    for keyword in ("SeriesDate", "SeriesTime"):
        _same(headers, text, keyword)
    for keyword in (START_MOMENT, START_TIME):
        _same(doses, text, keyword)


def _check_clocks(facts: PetHeaders, header: Dataset) -> None:
    """Refuse frame lengths below zero, and an undated acquisition that may be of another day."""
    if np.any(facts.duration < 0):
        raise InputError(
            f"{label('ActualFrameDuration')} is {np.nanmin(facts.duration) * 1000:g} ms; "
            "expected 0 or more"
        )
    undated = (
        text(header, "AcquisitionDate") is None and text(header, "AcquisitionDateTime") is None
    )
    if undated and facts.first_acquisition < facts.series - DAY / 2:
        raise InputError(
            f"{label('AcquisitionDate')} is missing and {label('AcquisitionTime')} is "
            f"{(facts.series - facts.first_acquisition) / 3600:.3g} h before the series time; "
            "expected a date, since the scan may have passed midnight"
        )
