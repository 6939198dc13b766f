"""Retention indices of a table: the drug's label against the carrier's, in every place over time.

A table of two labels (analyte carrier and drug) gives an index at each time and of the areas, a
decision for each place, and one for each subject (`kernels.retention_verdict`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io.label_table import LabelRows, read
from igdd.kernels.retention_index import Index, Signal, area_index, retention_index
from igdd.kernels.retention_verdict import check_margin, overall, verdict
from igdd.metrics._free_label import sink_of
from igdd.metrics.retention import sinks

LABELS = ("drug", "carrier")
ASSUMPTIONS = (
    "activities are corrected for decay, each label by its own nuclide, and for cross-talk",
    "label and what it is on are told apart only as far as the table of sinks goes",
)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """How a call judges: ratio given, correlation, margin, nuclides of drug and carrier."""

    given: tuple[float, float] | None
    shared: float
    margin: tuple[float, float]
    nuclides: tuple[str, str]


def retention(
    table: Path | str,
    *,
    given: float | None = None,
    given_sd: float = 0.0,
    shared: float = 0.0,
    margin: tuple[float, float] = (0.80, 1.25),
    drug_nuclide: str = "",
    carrier_nuclide: str = "",
    time_unit: str | None = None,
) -> dict[str, Any]:
    """Retention index of every subject and place of a two-label table, with decisions.

    table   subject, time, place, analyte (carrier or drug), activity in any one unit, sd; optional
            sd_shared
    given   drug over carrier in what was given (1 where both are in % of their own dose); without
            it every index is against the first time with both labels
    shared  correlation of the labels' shared parts (1: one calibration for both)
    margin  range of the index that counts as 1
    """
    check_margin(margin)
    if not 0 <= shared <= 1 or not given_sd >= 0:
        raise InputError(
            f"shared is {shared:g} and given_sd {given_sd:g}; expected 0 to 1, and 0 or more"
        )
    asked = _Asked(
        given=None if given is None else (given, given_sd),
        shared=shared,
        margin=margin,
        nuclides=(drug_nuclide, carrier_nuclide),
    )
    rows = read(Path(table), ("place", "analyte"), time_unit=time_unit, share=False)
    _refuse_other_labels(rows)
    order: dict[tuple[str, str], dict[str, list[int]]] = {}
    for row, key in enumerate(zip(rows.group, rows.subject, strict=True)):
        order.setdefault(key, {}).setdefault(rows.place[row], []).append(row)
    found = []
    for (group, subject), places in order.items():
        regions = [
            _region(rows, np.array(mine), place, asked) for place, mine in sorted(places.items())
        ]
        summed = overall([(one["place"], one["decision"]) for one in regions])
        found.append({"subject": subject, "group": group, "decision": summed.decision,
                      "reasons": list(summed.trace), "places": regions})  # fmt: skip
    return {"subjects": found, "margin": list(margin), "against":
            "the first time" if given is None else f"{given:g} as given",
            "assumptions": list(ASSUMPTIONS)}  # fmt: skip


def _refuse_other_labels(rows: LabelRows) -> None:
    strange = sorted(set(rows.analyte) - set(LABELS))
    if strange:
        raise InputError(
            f"{rows.source}: analyte {strange[0][:40]!r}; expected carrier or drug, for which of "
            "the two labels a row is"
        )


def _region(rows: LabelRows, mine: np.ndarray, place: str, asked: _Asked) -> dict[str, Any]:
    """Indices and decision of one place."""
    times, places, single = _paired(rows, mine)
    base: dict[str, Any] = {"place": place, "unpaired_times": single}
    nothing: dict[str, Any] = {"index": [], "area_index": None, "flags": ["one_label_only"]}
    if times.size < (2 if asked.given is None else 1):
        why = "fewer than two times with both labels" if times.size else "no time with both labels"
        return {**base, **nothing, "decision": "undecided", "reasons": [why]}
    upper, lower = (Signal(rows.activity[one], rows.sd[one], rows.sd_shared[one]) for one in places)
    index = retention_index(upper, lower, asked.given, asked.shared)
    area = None
    if times.size > 1:
        area = area_index(times, upper, lower, asked.given, asked.shared)
    whose = sinks(place, *asked.nuclides)
    found = verdict(index, area, asked.margin, whose)
    flags = ["free_label_sink"] if whose else []
    if not np.isfinite(index.high).all():
        flags.append("interval_unbounded")
    sources = [
        f"{one.element} {one.form} ({one.use}): {one.source}"
        for nuclide in asked.nuclides
        if nuclide and (one := sink_of(nuclide, place)) is not None
    ]
    return {
        **base,
        "decision": found.decision,
        "reasons": [*found.trace, *sources],
        "index": [{"time": float(t), "time_h": float(t) / 3600, **_row(index, k)}
                  for k, t in enumerate(times)],
        "area_index": None if area is None else _row(area, 0),
        "flags": flags,
    }  # fmt: skip


def _paired(
    rows: LabelRows, mine: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], list[float]]:
    """Times with both labels, the rows of drug and of carrier, and times with only one (s)."""
    found: dict[str, dict[float, int]] = {name: {} for name in LABELS}
    for row in mine:
        time, label = float(rows.time[row]), rows.analyte[row]
        if time in found[label]:
            raise InputError(
                f"{rows.source}: line {rows.line[row]}: subject {rows.subject[row]}, "
                f"{rows.place[row]}: {label} was measured twice at {time:g} s; expected one row"
            )
        found[label][time] = int(row)
    both = sorted(found["drug"].keys() & found["carrier"].keys())
    single = sorted(found["drug"].keys() ^ found["carrier"].keys())
    drug, carrier = (np.array([found[name][t] for t in both], dtype=int) for name in LABELS)
    return np.array(both), (drug, carrier), single


def _row(index: Index, k: int) -> dict[str, float]:
    return {name: float(getattr(index, name)[k])
            for name in ("value", "sd", "low", "high", "low_90", "high_90")}  # fmt: skip


def text(found: Mapping[str, Any]) -> str:
    """What `retention` found, for reading."""
    lines = [f"index: drug over carrier, against {found['against']}; margin "
             f"{found['margin'][0]:g} to {found['margin'][1]:g}"]  # fmt: skip
    for one in found["subjects"]:
        name = " ".join(filter(None, (one["subject"], one["group"])))
        lines.append(f"{name}: {one['decision']}")
        for place in one["places"]:
            lines.append(f"  {place['place']}: {place['decision']}")
            lines += [
                f"    {row['time_h']:8.2f} h  {row['value']:.3f}  "
                f"({row['low']:.3f} to {row['high']:.3f})"
                for row in place["index"]
            ]
            if place["area_index"] is not None:
                row = place["area_index"]
                lines.append(f"    areas       {row['value']:.3f}  "
                             f"({row['low']:.3f} to {row['high']:.3f})")  # fmt: skip
            lines += [f"    {reason}" for reason in place["reasons"]]
    lines += [f"assumed: {what}" for what in found["assumptions"]]
    return "\n".join(lines)
