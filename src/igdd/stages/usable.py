"""Whether a PET series can be calibrated, and by which facts that its files do not state.

Nothing is decided here: the calibration itself is asked, on headers without pixels. Where its error
names a key of the study that would mend it, that key is a missing fact; else it is the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from igdd import catalog, decay
from igdd.errors import IgddError, InputError
from igdd.facts import Agent, Declared, Given, Scanner, Subject
from igdd.headers import quiet
from igdd.io import sidecar
from igdd.modalities import pet_bids, pet_dicom
from igdd.modalities._dynamic import frames_of
from igdd.modalities._spoiled_echo import check_pace, echo
from igdd.modalities.pet_conversion import Conversion, check_frames
from igdd.modalities.pet_headers import pet_headers
from igdd.stages.folder import Entry
from igdd.types import Grid, Series

KEYS = re.compile(r"scan\.declared\.(\w+)|subject\.given\.(at)\b|agent\.label\.(nuclide)\b")
# A clock for what has none, so that the calibration can be asked what else is missing.
SOME_DAY = datetime(2000, 1, 1, 12)
BEFORE = timedelta(hours=1)
# Dynamic contrast, in s: a TR that leaves little but T1 in the signal, and how long it is watched.
SHORTEST_TR, WATCHED = 0.2, 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Usable:
    """The verdict on a PET series.

    missing     facts that the study must state: "at", "nuclide", and the keys of scan.declared
    reason      why it cannot be used, in the calibration's own words; "" if it can
    conversion  how its values become Bq/mL, where nothing is missing
    """

    missing: tuple[str, ...] = ()
    reason: str = ""
    conversion: Conversion | None = None


def usable(entry: Entry, nuclide: str = "", at: datetime | None = None) -> Usable:
    """Whether a PET series can be calibrated once its missing facts are stated."""
    if entry.facts.get("problem"):
        return Usable(reason=str(entry.facts["problem"]))
    missing: list[str] = []
    with quiet():
        while True:
            try:
                found = _converted(entry, nuclide, at, missing)
            except IgddError as error:
                new = _named(str(error), entry, missing)
                if not new:
                    return Usable(reason=str(error))
                missing += new
                continue
            if found.frames.zero.kind == "administration" or "at" in missing:
                return Usable(missing=tuple(missing), conversion=None if missing else found)
            missing.append("at")  # else nothing but concentrations could be measured


def shows_contrast(entry: Entry) -> bool:
    """Whether a series is what dynamic contrast MR looks like: T1-weighted, over half a minute.

    Its headers state a repetition time and a flip angle of a spoiled gradient echo, and when each
    frame began. Functional MR is echo-planar, a moving heart is over within seconds.
    """
    if entry.modality != "MR" or entry.facts.get("problem") or entry.facts["frames"] < 2:
        return False
    try:
        with quiet():
            series = without_pixels(entry)
            made = echo(series.sidecar, series.headers, series.source)
            frames = frames_of(series, Subject(id="01"), Declared())
            check_pace(made, frames, series.source)
    except IgddError:
        return False
    first = series.headers[0] if series.headers else series.sidecar
    words = [first.get(key, "") for key in ("ScanningSequence", "PulseSequenceType")]
    planar = any(sign in str(said).upper() for said in words for sign in ("EP", "ECHO PLANAR"))
    lasted = float(frames.end[-1] - frames.start[0])
    return not planar and made.repetition <= SHORTEST_TR and lasted >= WATCHED


def anatomy_reason(entry: Entry, modality: str) -> str:
    """Why a series cannot be shown as the anatomy of a session; "" if it can."""
    if entry.facts.get("problem"):
        return str(entry.facts["problem"])
    nobody = Subject(id="01")
    try:
        catalog.find("modalities", modality).calibrate(
            without_pixels(entry), nobody, Agent(), Scanner(), Declared()
        )
    except IgddError as error:
        return str(error)
    return ""


def without_pixels(entry: Entry) -> Series:
    """The series as its reader gives it, but for its values, which are all 0 and take no memory."""
    i, j, k = (int(count) for count in entry.facts["shape"])
    values = np.broadcast_to(np.float32(0), (i, j, k, int(entry.facts["frames"])))
    facts: Mapping[str, Any] = {}
    if not entry.headers:
        facts, _ = sidecar.read_sidecar(entry.path)
        if not facts and entry.modality == "PT":
            raise InputError(
                f"{entry.path}: has no JSON sidecar; expected the PET-BIDS facts beside the image; "
                "write them, or use the scanner's DICOM files"
            )
    return Series(
        modality=entry.modality,
        values=values,
        grid=Grid(shape=(i, j, k), affine=np.eye(4)),
        headers=entry.headers,
        sidecar=facts,
        source=str(entry.path),
    )


def stated_nuclide(entry: Entry) -> str:
    """Name of the nuclide that the files of a PET series state; "" where they do not."""
    try:
        if entry.headers:
            return pet_headers(entry.headers).nuclide or ""
        named = str(entry.facts.get("nuclide") or "")
        return decay.nuclide(named).name if named else ""
    except InputError:
        return ""


def _converted(entry: Entry, nuclide: str, at: datetime | None, missing: list[str]) -> Conversion:
    """The conversion with a stand-in for every missing fact."""
    series = without_pixels(entry)
    clock = entry.facts.get("acquired") or SOME_DAY
    if "at" in missing:
        at = clock - BEFORE
    if "nuclide" in missing and not nuclide:
        nuclide = "F-18"
    declared = Declared()
    stand_ins = {
        "unit": "Bq/mL",
        "corrected_to": "scan_start",
        "start": clock,
        "duration": 600.0,
        "attenuation_corrected": True,
    }
    given = {name: value for name, value in stand_ins.items() if name in missing}
    declared = replace(declared, **given)  # type: ignore[arg-type]
    subject = Subject(id="01", given=(Given(at=at),) if at is not None else ())
    read = pet_dicom.conversion if series.headers else pet_bids.conversion
    found = read(series, subject, Agent(nuclide=nuclide), declared)
    check_frames(found.frames, found.half_life, series.source)
    return found


def _named(message: str, entry: Entry, missing: list[str]) -> list[str]:
    """Keys of the study that an error names as its remedy and that are not supplied yet."""
    found = {next(name for name in match.groups() if name) for match in KEYS.finditer(message)}
    stated = entry.facts.get("units") or entry.facts.get("unit")
    if "unit" in found and stated:
        return []  # a unit that is stated and wrong is no missing fact
    return sorted(found - set(missing))
