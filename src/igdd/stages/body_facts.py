"""What the files say of a subject: weight, height, sex, the dose and when it was given.

From DICOM headers, PET-BIDS sidecars, and the BIDS table of participants. A value whose unit or
instant is not certain is no value: what stands there instead is told in words.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.headers import label, quiet
from igdd.io import bounded, columns, sidecar
from igdd.modalities.pet_bids import Sidecar
from igdd.modalities.pet_headers import START_MOMENT, START_TIME, dose_of, pet_headers
from igdd.stages.draft_text import quoted
from igdd.stages.folder import Contents
from igdd.stages.visits import Scan

SEXES = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}
# Spellings of a unit of activity -> as the study writes it.
ACTIVITIES = {"bq": "Bq", "kbq": "kBq", "mbq": "MBq", "gbq": "GBq"}
# Clocks in files are rounded to a second.
CLOCK = 1.0
DAY = 86400.0


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What one source says of one key of the study: a TOML value, "" where it is not certain."""

    key: str
    value: str
    source: str


def facts_of(scan: Scan, acquired: datetime | None) -> list[Fact]:
    """What the files of a PET scan say of its subject; `acquired`, when a table dates it."""
    with quiet():
        try:
            return _from_headers(scan) if scan.entry.headers else _from_sidecar(scan, acquired)
        except InputError:  # the series itself tells what is wrong with it
            return []


def _from_headers(scan: Scan) -> list[Fact]:
    stated = pet_headers(scan.entry.headers)
    where = f"{scan.session}: "
    found = []
    if stated.weight is not None:
        found.append(_fact("weight", _mass(stated.weight * 1000), where + label("PatientWeight")))
    if stated.height is not None:
        found.append(_fact("height", f"{stated.height:.6g} cm", where + label("PatientSize")))
    if stated.sex in ("M", "F", "O"):
        found.append(_fact("sex", stated.sex, where + label("PatientSex")))
    dose = dose_of(scan.entry.headers)
    if dose is None:
        return found
    activity, at = dose
    words = where + label("RadionuclideTotalDose")
    if "dose_in_megabecquerel" in stated.flags:
        words += ", whose number is below 1e4 and was read as MBq"
    found.append(_fact("activity", _activity(activity), words))
    if at is not None:
        tag = stated.administration_tag
        plain = tag in (label(START_MOMENT), label(START_TIME))
        words = where + tag + ("" if plain else ", private")
        found.append(Fact(key="at", value=_clock(at), source=words))
    return found


def _from_sidecar(scan: Scan, acquired: datetime | None) -> list[Fact]:
    entries, _ = sidecar.read_sidecar(scan.entry.path)
    stated = Sidecar(entries=entries, where=scan.entry.path.name)
    where = f"{scan.session}: "
    found = []
    activity = stated.number("InjectedRadioactivity")
    unit = ACTIVITIES.get(stated.text("InjectedRadioactivityUnits").lower())
    if activity is not None and unit is not None and activity > 0:
        text = f"{activity:.9g} {unit}"
        found.append(_fact("activity", text, where + "InjectedRadioactivity"))
    elif activity is not None:
        words = f"{where}InjectedRadioactivity is {activity:g}, in no unit of activity"
        found.append(Fact(key="activity", value="", source=words))
    at = _administered(stated, acquired)
    if at is not None:
        words = where + "InjectionStart, TimeZero, dated by scans.tsv"
        found.append(Fact(key="at", value=_clock(at), source=words))
    return found


def _administered(stated: Sidecar, acquired: datetime | None) -> datetime | None:
    """Moment of the administration, where the table of scans dates the sidecar's clock."""
    injected, zero = stated.number("InjectionStart"), stated.text("TimeZero")
    starts = stated.numbers("FrameTimesStart")
    if acquired is None or injected is None or starts is None or not starts.size:
        return None
    origin = acquired - timedelta(seconds=float(starts[0]))
    try:
        hour, minute, second = (float(part) for part in zero.split(":"))
    except ValueError:
        return None
    midnight = origin.replace(hour=0, minute=0, second=0, microsecond=0)
    off = (origin - midnight).total_seconds() - (3600 * hour + 60 * minute + second)
    if min(off % DAY, -off % DAY) > CLOCK:
        return None
    return origin + timedelta(seconds=injected)


def participants(contents: Contents) -> Mapping[str, list[Fact]]:
    """What the table of participants at the folder's top says, by subject."""
    path = contents.root / "participants.tsv"
    if not path.is_file():
        return {}
    try:
        rows: list[Mapping[str, Any]] = list(
            csv.DictReader(io.StringIO(bounded.read_text(path)), delimiter="\t")
        )
        described = path.with_suffix(".json")
        facts = bounded.read_json(described) if described.is_file() else {}
    except (InputError, csv.Error):
        return {}
    found: dict[str, list[Fact]] = {}
    for row in rows:
        subject = str(row.get("participant_id") or "").removeprefix("sub-")
        found[subject] = [
            *_quantity("weight", "g", row, facts),
            *_quantity("height", "mm", row, facts),
            *_words(row),
        ]
    return found


def _quantity(
    key: str, wished: str, row: Mapping[str, Any], facts: Mapping[str, Any]
) -> list[Fact]:
    """A number of the table with the unit that the JSON beside it states."""
    stated = row.get(key)
    if not isinstance(stated, str) or stated.strip() in ("", "n/a"):
        return []
    try:
        value = units.read(f"{stated} {columns.described(facts, key) or ''}".strip(), wished)
    except UnitsError:
        words = f"participants.tsv says {stated[:20]}, in a unit that its JSON does not state"
        return [Fact(key=key, value="", source=words)]
    if not value > 0:
        return []
    text = _mass(value) if key == "weight" else f"{value / 10:.6g} cm"
    return [_fact(key, text, "participants.tsv")]


def _words(row: Mapping[str, Any]) -> list[Fact]:
    found = []
    sex = SEXES.get(str(row.get("sex") or "").strip().lower())
    if sex is not None:
        found.append(_fact("sex", sex, "participants.tsv"))
    arm = next((str(row[key]).strip() for key in ("arm", "group") if row.get(key)), "")
    if arm and arm != "n/a":
        found.append(_fact("arm", arm, "participants.tsv"))
    return found


def _fact(key: str, text: str, source: str) -> Fact:
    return Fact(key=key, value=quoted(text), source=source)


def _mass(grams: float) -> str:
    return f"{grams / 1000:.6g} kg" if grams >= 1000 else f"{grams:.6g} g"


def _activity(becquerel: float) -> str:
    return f"{becquerel / 1e6:.9g} MBq"


def _clock(at: datetime) -> str:
    """A local date and time as TOML writes it, to the second or finer."""
    return at.replace(tzinfo=None).isoformat()
