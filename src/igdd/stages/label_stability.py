"""Is the label still on its carrier? Released label from urine and sink organs, with a control.

The released fraction of the label follows from what a place shows after the labelled carrier, and
what it shows after free label alone (`kernels.label_release`). Without that control nothing is
said. Released label is not released drug: that follows only where the label is on the drug, or
leaves with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from igdd import decay, units
from igdd.errors import FitError, InputError
from igdd.io.label_table import LabelRows, joined, read
from igdd.kernels.label_release import Place, Released, released, separation
from igdd.kernels.label_response import Response, response
from igdd.stages.label_rows import Subject, seen_of, subjects_of
from igdd.stages.label_summary import ON_CARRIER, RELEASED, UNDECIDED, group_means

# Degrees between the courses of free label and of carrier below which a place is refused; where
# they are not known that well, this many of the angle's standard deviations.
LEAST_ANGLE = 5.0
LEAST_ANGLE_SD = 2.0
# Standard deviations by which free label must show in a place.
LEAST_REACH = 4.0
MARGIN = 0.05  # released fraction below which label counts as being on its carrier
UNLIKELY = 0.001  # probability of the residuals below which the model is not believed
EXCRETED = ("urine", "bladder")
ASSUMPTIONS = (
    "activities are shares of the dose, corrected for decay to administration",
    "released label enters the blood and goes where free label goes that was given at once",
    "animals differ from each other as the controls do",
    "release of the label is release of the drug only where the label is on the drug or leaves "
    "with it",
)


@dataclass(frozen=True, kw_only=True)
class _Control:
    """What the controls say: place -> response of free label, and of label that stays on."""

    free: Mapping[str, Response]
    carrier: Mapping[str, Response]
    carrier_none: bool


def shedding(
    table: Path | str,
    control: Path | str | None,
    *,
    carrier: Path | str | None = None,
    voids: Path | str | None = None,
    control_voids: Path | str | None = None,
    at: Sequence[str] = (),
    residual: float = 0.0,
    margin: float = MARGIN,
    sparse: bool = False,
    sampling_cv: float | None = None,
    uncorrected: str | None = None,
    time_unit: str | None = None,
    unit: str | None = None,
) -> dict[str, Any]:
    """Cumulative released fraction of the label in every subject, with intervals and a decision.

    table, control  subject, time, place, activity, sd: after the labelled carrier, and after free
                    label alone; bladder rows need a table of voids (subject, time, activity, sd)
    carrier         the same after a label that stays on, or "none" where label on its carrier does
                    not come to the places; needed for every place but urine and bladder
    voids           "none" where no bladder was emptied
    residual        share of a bladder that a void leaves behind
    margin          released fraction up to which the label counts as on its carrier
    sparse          another animal at each time: rows of a group make one course
    sampling_cv     relative sd of a sample beyond its own sd; else as the controls show
    uncorrected     nuclide, where the tables' values are not corrected for decay
    """
    _check_options(residual, margin, sampling_cv)
    how = _Reading(
        residual=residual, uncorrected=uncorrected, time_unit=time_unit, unit=unit
    )  # fmt: skip
    mine = how.subjects(table, voids, sparse)
    free = how.subjects(control, control_voids)
    stays = None
    if carrier not in (None, "none"):
        stays = how.subjects(str(carrier), control_voids if control_voids == "none" else None)
    places = sorted({place for one in mine for place in one.rows})
    known = _control(places, free, stays, sampling_cv, carrier == "none")
    wanted = np.array([units.read(text, "s") for text in at])
    found = [_subject(one, known, wanted, margin, sparse) for one in mine]
    left_out = [f"{name}: no control with free label" for name in places if name not in known.free]
    return {
        "subjects": found, "groups": group_means(found, margin), "control": _described(known),
        "margin": margin, "assumptions": [*ASSUMPTIONS, *_assumed(known)], "not_used": left_out,
    }  # fmt: skip


def _check_options(residual: float, margin: float, sampling_cv: float | None) -> None:
    for name, value, low, high in (
        ("residual", residual, 0.0, 0.9),
        ("margin", margin, 0.0, 0.5),
        ("sampling_cv", 0.0 if sampling_cv is None else sampling_cv, 0.0, 1.0),
    ):
        if not low <= value <= high:
            raise InputError(f"{name} is {value:g}; expected {low:g} to {high:g}")


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """How tables are read: what a void leaves behind, the nuclide to correct for, units."""

    residual: float
    uncorrected: str | None
    time_unit: str | None
    unit: str | None

    def subjects(
        self, table: Path | str | None, voids: Path | str | None, sparse: bool = False
    ) -> list[Subject]:
        """The subjects of a table, with its voids ("none": no bladder was emptied)."""
        if table is None:
            raise InputError(
                "no control with free label: expected a table of what free label alone does in "
                "the same places (--control); without it a rising sink or urine proves no release"
            )
        found = self._rows(table)
        if voids not in (None, "none"):
            found = joined(found, self._rows(str(voids), needed=()))
        return subjects_of(
            found, emptied=voids != "none", residual=self.residual, sparse=sparse
        )  # fmt: skip

    def _rows(self, path: Path | str, needed: tuple[str, ...] = ("place",)) -> LabelRows:
        found = read(Path(path), needed, time_unit=self.time_unit, unit=self.unit)
        return _corrected(found, self.uncorrected)


def _corrected(rows: LabelRows, nuclide: str | None) -> LabelRows:
    """The rows corrected for decay to administration, where they are not yet."""
    if nuclide is None:
        return rows
    # Samples last no time against the half-life: from the instant of each to administration.
    factor = decay.correction(nuclide, rows.time, 0.0, found=None, wanted=0.0)
    return replace(
        rows,
        activity=rows.activity * factor,
        sd=rows.sd * factor,
        sd_shared=rows.sd_shared * factor,
    )


def _control(
    places: list[str],
    free: list[Subject],
    stays: list[Subject] | None,
    sampling_cv: float | None,
    carrier_none: bool,
) -> _Control:
    """Responses of the places that the controls were seen in."""
    found: dict[str, Response] = {}
    carried: dict[str, Response] = {}
    for place in places:
        seen = seen_of(free, place)
        if seen is None:
            continue
        jump = place not in EXCRETED
        found[place] = response(seen, jump=jump, sampling_cv=sampling_cv)
        other = None if stays is None else seen_of(stays, place)
        if other is not None:
            carried[place] = response(other, jump=jump, sampling_cv=sampling_cv)
        elif not carrier_none and place not in EXCRETED:
            raise InputError(
                f"{place}: nothing says what label on its carrier does there; expected a table of "
                "a label that stays on (--carrier TABLE), or --carrier none where it does not come "
                "there; or leave the place out"
            )
    if not found:
        raise InputError(
            f"no control with free label in {', '.join(places)}; expected rows of the same place "
            "in the control: measure free label there, or use a place that the control has"
        )
    return _Control(free=found, carrier=carried, carrier_none=carrier_none)


def _subject(
    one: Subject, known: _Control, wanted: np.ndarray, margin: float, sparse: bool
) -> dict[str, Any]:
    """Released fraction of one subject over time, and what it decides."""
    places: dict[str, Place] = {}
    for name in sorted(one.rows):
        if name in known.free and (seen := seen_of([one], name)) is not None:
            free = known.free[name].independent() if sparse else known.free[name]
            places[name] = Place(seen, free, known.carrier.get(name))
    if not places:
        raise InputError(f"subject {one.subject}: seen in no place that the control has")
    for name, place in places.items():
        _refuse_inseparable(one.subject, name, place)
    observed = np.unique(np.concatenate([place.seen.times for place in places.values()]))
    if wanted.size and wanted.max() > observed[-1]:
        raise InputError(
            f"subject {one.subject}: asked at {wanted.max():g} s, but last seen at "
            f"{observed[-1]:g} s; expected a time up to that"
        )
    times = np.unique(wanted[wanted > 0]) if wanted.size else observed[observed > 0]
    found = released(list(places.values()), times)
    flags = _flags(found, places, observed[-1])
    decision, reasons = _decision(found, margin, flags)
    return {
        "subject": one.subject,
        "group": one.group,
        "places": list(places),
        "released": [_row(found, k) for k in range(times.size)],
        "decision": decision,
        "reasons": reasons,
        "flags": flags,
    }


def _refuse_inseparable(subject: str, name: str, place: Place) -> None:
    """Refuse a place that cannot tell free label from carrier."""
    found = separation(place)
    if not found.reach >= LEAST_REACH:
        raise FitError(
            f"subject {subject}, {name}: free label does not show there: its course is "
            f"{found.reach:.1f} standard deviations long, expected {LEAST_REACH:g} or more; use a "
            "place that free label goes to, or measure more control animals"
        )
    least = max(LEAST_ANGLE, LEAST_ANGLE_SD * found.sd)
    if found.angle < least:
        raise FitError(
            f"subject {subject}, {name}: free label and carrier are collinear there: "
            f"{found.angle:.1f} degrees apart at the times of the scans, expected {least:.1f} or "
            "more; release cannot be told from the carrier's own uptake: leave the place out, use "
            "urine or another sink, or add times at which they differ"
        )


def _flags(found: Released, places: Mapping[str, Place], last: float) -> list[str]:
    flags = set()
    if found.misfit < UNLIKELY:
        flags.add("release_misfit")
    for place in places.values():
        if place.free.animals < 2:
            flags.add("control_scatter_unknown")
        if place.free.edges[-1] < last * (1 - 1e-9):
            flags.add("control_ends_early")
    return sorted(flags)


def _decision(found: Released, margin: float, flags: Sequence[str]) -> tuple[str, list[str]]:
    """Released, on carrier or undecided, at the last time, with the steps."""
    value, low, high = (100 * float(part[-1]) for part in (found.value, found.low, found.high))
    reasons = [
        f"{value:.1f} % released at the last time (95 % {low:.1f} to {high:.1f}); "
        f"margin {100 * margin:g} %"
    ]
    if "release_misfit" in flags:
        reasons.append("the observations do not follow from any release of free label: undecided")
        return UNDECIDED, reasons
    if "control_scatter_unknown" in flags:
        reasons.append("a single control animal: how animals differ is not in the interval")
    if low > 100 * margin:
        reasons.append(f"all of the interval above the margin: {RELEASED}")
        return RELEASED, reasons
    if high < 100 * margin:
        reasons.append(f"all of the interval below the margin: {ON_CARRIER}")
        return ON_CARRIER, reasons
    reasons.append("the interval holds the margin: undecided")
    return UNDECIDED, reasons


def _row(found: Released, k: int) -> dict[str, float]:
    row = {"time": float(found.times[k]), "time_h": float(found.times[k]) / 3600}
    for name in ("value", "low", "high", "sd", "sd_control"):
        row[name] = float(getattr(found, name)[k])
    return {**row, "unconstrained": float(found.mean[k])}


def _described(known: _Control) -> dict[str, Any]:
    """What the controls showed of each place, for the record."""
    return {
        name: {
            "animals": one.animals,
            "last_time_h": float(one.edges[-1]) / 3600,
            "percent_id_at_last": 100 * float(one.values[-1]),
            "sampling_cv": one.sampling_cv,
            "carrier": "measured" if name in known.carrier else "none",
        }
        for name, one in known.free.items()
    }


def _assumed(known: _Control) -> list[str]:
    return [
        f"label on its carrier does not come into {name}"
        for name in known.free
        if name not in known.carrier
    ]
