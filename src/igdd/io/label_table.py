"""Label tables: shares of the dose in a place over time, of any number of subjects.

One row per subject, place and time, in CSV, TSV or xlsx; headers in any order and case, with units
in them ("time_h", "activity [%]") or in the JSON beside the table ("time": {"Units": "h"}).

    column           unit   needed    meaning
    subject                 yes       whose (also: animal)
    time             time   yes       after administration
    place                   yes (a)   urine (all formed since the dose), bladder (what it holds),
                                      void (what one brought), bone, ... (also: organ, region)
    activity         %      yes (c)   share of the dose (also: percent_id, which has its unit)
    sd               %      yes (b)   standard deviation, in the unit of the activity
    counts                  optional  net counts: gives sd where there is none
    group                   optional  arm or formulation
    analyte                 optional  carrier or drug: which label (two-label tables)
    sd_shared               optional  part of sd that all rows of a label have in common
    note                    optional  not read

(a) not in a table of voids, one row each.  (b) or counts.  (c) except of a void not collected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.io import columns, sidecar, tables

if TYPE_CHECKING:
    import pandas as pd

VOID = "void"
TEXTS = ("subject", "group", "place", "analyte")
ALIASES = {"animal": "subject", "organ": "place", "region": "place", "percent_id": "activity"}
NUMBERS = ("activity", "sd", "sd_shared")
IGNORED = ("note", "notes", "comment")
ACCEPTED = (*TEXTS, *ALIASES, "time", *NUMBERS, "counts", *IGNORED)


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelRows:
    """Rows of a label table: texts and numbers (n,), time in s, activity and sd in % of the dose.

    line  of the file, for messages
    """

    subject: tuple[str, ...]
    group: tuple[str, ...]
    place: tuple[str, ...]
    analyte: tuple[str, ...]
    time: np.ndarray
    activity: np.ndarray
    sd: np.ndarray
    sd_shared: np.ndarray
    line: np.ndarray
    source: str


def read(
    path: Path,
    needed: tuple[str, ...] = ("place",),
    *,
    time_unit: str | None = None,
    unit: str | None = None,
    share: bool = True,
) -> LabelRows:
    """The rows of a table of subject, time, activity, sd and the texts that are `needed`.

    `share`: activities are brought to % of the dose; otherwise they stay in the table's one unit.
    """
    path = Path(path)
    spelled = _columns([str(name) for name in tables.read_table(path).columns], path, needed)
    texts = [spelled[name][0] for name in TEXTS if name in spelled]
    table = tables.read_table(path, text=texts)
    if not len(table):
        raise InputError(f"{path}: holds no row; expected one per subject, place and time")
    found = _numbers(table, spelled, {"time": time_unit, "activity": unit if share else ""}, path)
    words = {name: columns.texts(table, spelled, name) for name in TEXTS}
    place = tuple(word.lower() or ("" if "place" in needed else VOID) for word in words["place"])
    # A void that was not collected is known by its time alone.
    lost = np.array([one == VOID for one in place]) & np.isnan(found["activity"])
    columns.refuse_missing(table, ~np.isfinite(found["time"]), "time", path)
    columns.refuse_missing(table, ~np.isfinite(found["activity"]) & ~lost, "activity", path)
    early = "time is from before the dose; expected a time of at least 0"
    columns.refuse(table, found["time"] < 0, early, path)
    sd, shared = _deviations(table, spelled, found, lost, path)
    for name in ("subject", *needed):
        columns.every_text(table, spelled, name, path)
    return LabelRows(
        subject=words["subject"],
        group=words["group"],
        place=place,
        analyte=tuple(word.lower() for word in words["analyte"]),
        time=found["time"],
        activity=found["activity"],
        sd=sd,
        sd_shared=shared,
        line=table.index.to_numpy(),
        source=path.name,
    )


def _columns(
    header: list[str], path: Path, needed: tuple[str, ...]
) -> dict[str, tuple[str, str | None]]:
    """Name -> header as spelled and its unit, with the noise or what gives it."""
    parts = {}
    for one in header:
        plain, unit = columns.name_and_unit(one, ACCEPTED)
        parts[one] = (ALIASES.get(plain, plain), unit or ("%" if plain == "percent_id" else None))
    needed = ("subject", "time", "activity", *needed)
    found = columns.spelled(parts, ACCEPTED, needed, path)
    if not {"sd", "counts"} & found.keys():
        raise InputError(
            f"{path}: neither column sd nor column counts; expected one: without the noise there "
            "is no interval and no decision"
        )
    return found


def _numbers(
    table: pd.DataFrame,
    spelled: columns.Spelled,
    given: Mapping[str, str | None],
    path: Path,
) -> dict[str, np.ndarray]:
    """Time in s, activity and its deviations in %; as they stand where the unit given is empty.

    A deviation without a unit of its own has the activity's.
    """
    facts, _ = sidecar.read_sidecar(path)
    found = {}
    for name in ("time", *NUMBERS):
        if name not in spelled:
            continue
        header, unit = spelled[name]
        like = name if name == "time" else "activity"
        if given[like] == "":
            if unit not in (None, spelled[like][1]):
                raise InputError(
                    f"{path}: column {header!r} is not in the unit of {spelled[like][0]!r}; "
                    "expected one unit for both"
                )
            found[name] = tables.numbers(table, header, str(path))
            continue
        own = facts if name in facts else {name: facts.get(like)}
        stated = unit or (None if name in facts else spelled[like][1]) or given[like]
        asked = columns.Asked(name, header, stated, "s" if name == "time" else "%")
        found[name] = columns.quantity(table, asked, own, path)
    return found


def _deviations(
    table: pd.DataFrame,
    spelled: columns.Spelled,
    found: Mapping[str, np.ndarray],
    lost: np.ndarray,
    path: Path,
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations as stated, else those of the counts; and the part shared by all rows."""
    sd = found.get("sd", np.full(len(table), np.nan))
    if "counts" in spelled:
        counts = tables.numbers(table, spelled["counts"][0], str(path))
        with np.errstate(divide="ignore", invalid="ignore"):
            counted = np.abs(found["activity"]) / np.sqrt(counts)
        sd = np.where(np.isfinite(sd), sd, counted)
    columns.refuse_missing(
        table,
        ~((sd > 0) & np.isfinite(sd)) & ~lost,
        "standard deviation above 0",
        path,
        "sd, or net counts above 0 (the standard deviation is then activity / sqrt(counts))",
    )
    shared = np.nan_to_num(found.get("sd_shared", np.zeros(len(table))), nan=0.0)
    beyond = (shared < 0) | (shared > sd * (1 + 1e-9))
    what = "sd_shared is outside 0 to sd; expected a part of sd"
    columns.refuse(table, beyond, what, path)
    return np.asarray(sd), shared


def joined(first: LabelRows, second: LabelRows) -> LabelRows:
    """The rows of two tables; a subject of the first keeps its group in the second."""
    groups = dict(zip(first.subject, first.group, strict=True))
    merged: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("time", "activity", "sd", "sd_shared", "line")
    }
    group = tuple(
        groups.get(subject, own) for subject, own in zip(second.subject, second.group, strict=True)
    )
    return LabelRows(
        subject=first.subject + second.subject,
        group=first.group + group,
        place=first.place + second.place,
        analyte=first.analyte + second.analyte,
        source=f"{first.source}, {second.source}",
        **merged,
    )
