"""Delivery: a formulation's place among 378 published courses of nanoparticles in mouse tumours.

    igdd delivery --value "1.3 %" --metric time_averaged_percent_id --until "24 h"
                  --carrier liposome --size "100 nm" --tumour-weight "0.3 g"
    igdd delivery course.csv --carrier liposome --size "100 nm" --tumour-weight "0.3 g"

Nothing is measured against one median: every answer is a percentile with its interval, among all
studies and among those of the formulation's kind, in one metric and one window (docs/delivery.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import tables
from igdd.kernels.pooled_regression import Rank
from igdd.metrics.delivery_percentile import course_figure
from igdd.metrics.delivery_place import Figure, Placed, place
from igdd.metrics.delivery_prior import (
    GRAFTS,
    SITES,
    TARGETINGS,
    UNITS,
    Formulation,
    carrier_type,
    check_species,
    studies,
)
from igdd.stages.bounded_quantity import header_factor, named

TUMOURS = frozenset({"tumour", "tumor", "lesion"})
COURSE_COLUMNS = ("time", "percent_id", "sd")
_BRACKET = re.compile(r"(?P<name>[^\[\]()]*?)\s*[\[(](?P<unit>[^\[\]()]*)[\])]")
MOST = 1e6  # %/g, %.h
LONGEST_NAME = 60
LARGEST = {"size": (0.1, 1e5), "tumour_weight": (1e-6, 1e3)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivery:
    """The answer as plain values, and the placing that its figure shows."""

    facts: Mapping[str, Any]
    placed: Placed


def delivery(
    table: Path | str | None = None,
    *,
    value: str | None = None,
    metric: str = "time_averaged_percent_id",
    sd: str | None = None,
    at: str | None = None,
    until: str | None = None,
    time_unit: str | None = None,
    carrier: str | None = None,
    size: str | None = None,
    targeting: str | None = None,
    tumour_model: str | None = None,
    cancer: str | None = None,
    tumour_weight: str | None = None,
    species: str | None = None,
    tissue: str = "tumour",
) -> Delivery:
    """Place a value, or a tumour's time course, among the published courses in tumours of mice.

    table         columns time, percent_id, optional sd; in the table's own window
    value, sd     such as "1.3 %" (of the dose), "4.2 %/g" for max_percent_id_per_g
    metric        time_averaged_percent_id, percent_id_24h, percent_id_168h, percent_id_at with
                  `at`, max_percent_id, max_percent_id_per_g, auc_percent_id
    until         end of the window of that value, such as "48 h"; else each study in its own
    tumour_model  any of orthotopic, heterotopic, xenograft, allograft: "orthotopic xenograft"

    Species other than the mouse, and tissues other than a tumour, are refused.
    """
    flags = set(check_species(species, "the formulation"))
    if tissue.strip().lower() not in TUMOURS:
        raise InputError(
            f"tissue is {tissue[:40]!r}, but the prior holds tumours only; expected tumour"
        )
    figure = _figure(table, value, metric, window=(sd, at, until), time_unit=time_unit)
    site, graft = _model(tumour_model)
    formulation = Formulation(
        carrier=None if carrier is None else carrier_type(carrier),
        size=_quantity("size", size, "nm"),
        targeting=_choice("targeting", targeting, TARGETINGS),
        site=site,
        graft=graft,
        cancer=_name(cancer),
        tumour_weight=_quantity("tumour_weight", tumour_weight, "g"),
    )
    placed = place(figure, formulation)
    flags |= set(placed.flags)
    flags |= {"tumour_weight_unknown"} if formulation.tumour_weight is None else set()
    flags |= set() if formulation.carrier == _plain(carrier) else {"carrier_type_only"}
    return Delivery(facts=_facts(placed, formulation, sorted(flags)), placed=placed)


def _plain(text: str | None) -> str | None:
    return None if text is None else text.strip().lower()


def _figure(
    table: Path | str | None,
    value: str | None,
    metric: str,
    *,
    window: tuple[str | None, str | None, str | None],
    time_unit: str | None,
) -> Figure:
    """The figure of a call: of a value with its sd, time and window's end, or of a table."""
    if (table is None) == (value is None):
        raise InputError(
            f"{'neither a value nor' if table is None else 'both a value and'} a table of a time "
            "course; expected one of them, such as --value '1.3 %'"
        )
    if table is None:
        return _of_value(str(value), metric, *window)
    if window != (None, None, None):
        raise InputError("a table brings its own sd and window; expected no sd, at or until")
    return _of_table(Path(table), metric, time_unit)


def _of_value(value: str, metric: str, sd: str | None, at: str | None, until: str | None) -> Figure:
    """The figure of a value in text, in the units of the prior."""
    if metric not in UNITS:
        raise InputError(f"metric {metric[:60]!r} is not known; expected {', '.join(UNITS)}")
    unit = UNITS[metric]
    spread = 0.0 if sd is None else named("sd", sd, unit)
    most = 100.0 if unit == "%" else MOST
    if not 0 <= spread <= most:
        raise InputError(f"sd {sd!r}; expected 0 to {most:g} {unit}")
    found = named("value", value, unit)
    if not -most <= found <= most:
        raise InputError(f"value {value!r}; expected at most {most:g} {unit}, all of the dose")
    return Figure(
        metric=metric,
        value=found,
        sd=spread,
        at=None if at is None else named("at", at, "h"),
        until=None if until is None else named("until", until, "h"),
    )


def _of_table(path: Path, metric: str, time_unit: str | None) -> Figure:
    """The figure of a time course in a table, in its own window."""
    frame = tables.read_table(path)
    spelled: dict[str, tuple[str, str | None]] = {}
    for header in map(str, frame.columns):
        match = _BRACKET.fullmatch(header.strip())
        name = (match["name"] if match else header).strip().lower()
        name = {"%id": "percent_id", "tumour": "percent_id", "tumor": "percent_id"}.get(name, name)
        if name not in COURSE_COLUMNS or name in spelled:
            why = "there twice" if name in spelled else "unknown"
            raise InputError(
                f"{path}: column {header[:60]!r} is {why}; expected "
                f"{', '.join(COURSE_COLUMNS)}, one tumour a table"
            )
        spelled[name] = (header, match["unit"] if match else None)
    for name in COURSE_COLUMNS[:2]:
        if name not in spelled:
            raise InputError(f"{path}: column {name} is missing; expected {name}")
    unit = _time_unit(path, spelled["time"], time_unit)
    header, share = spelled["percent_id"]
    scale = header_factor(path, header, share or "%", "%")
    columns = {
        name: tables.numbers(frame, header, str(path)) for name, (header, _) in spelled.items()
    }
    sd = columns.get("sd", np.full(len(frame), np.nan)) * scale
    if (sd < 0).any():
        raise InputError(f"{path}: an sd is negative; expected each at least 0")
    known = np.isfinite(columns["time"]) & np.isfinite(columns["percent_id"])
    if not known.all():
        raise InputError(
            f"{path}: line {frame.index[~known][0]} lacks its time or its percent_id; expected "
            "both in every row; leave out what was not measured"
        )
    values = columns["percent_id"] * scale
    if (values > 100).any():
        raise InputError(f"{path}: a share is {values.max():g} % of the dose; expected at most 100")
    hours = columns["time"] * units.factor(unit, "h")
    order = np.argsort(hours, kind="stable")
    try:
        return course_figure(
            metric, hours[order], values[order], sd[order], np.zeros(len(frame))
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _time_unit(path: Path, spelled: tuple[str, str | None], given: str | None) -> str:
    column, header = spelled
    stated = header or given
    if stated is None:
        raise UnitsError(
            f"{path}: nothing says in which unit time is; expected --time-unit, or a header such "
            "as 'time [h]'"
        )
    if given:
        named("time-unit", f"1 {given}", "h")
    if header and given and header_factor(path, column, header, given) != 1.0:
        raise UnitsError(
            f"{path}: mixed units: time is in {header!r} by the header, in {given!r} by the call"
        )
    header_factor(path, column, stated, "h")
    return stated


def _quantity(name: str, text: str | None, unit: str) -> float | None:
    """A size or weight, within what can be meant."""
    if text is None:
        return None
    found = named(name.replace("_", " "), text, unit)
    low, high = LARGEST[name]
    if not low <= found <= high:
        raise InputError(
            f"{name.replace('_', ' ')} is {text!r}; expected {low:g} to {high:g} {unit}"
        )
    return found


def _choice(name: str, text: str | None, known: tuple[str, ...]) -> str | None:
    if text is None:
        return None
    if text.strip().lower() not in known:
        raise InputError(f"{name} is {text[:40]!r}; expected one of {', '.join(known)}")
    return text.strip().lower()


def _name(text: str | None) -> str | None:
    """A cancer's name; one that no study has is new to the prior, not wrong."""
    if text is None:
        return None
    if not 0 < len(text.strip()) <= LONGEST_NAME:
        raise InputError(f"cancer is {text[:40]!r}; expected a name of 1 to {LONGEST_NAME} letters")
    return text.strip().lower()


def _model(text: str | None) -> tuple[str | None, str | None]:
    """Site and graft of a tumour model, such as "orthotopic xenograft"."""
    if text is None:
        return None, None
    words = re.split(r"[\s,_-]+", text.strip().lower())
    for word in words:
        _choice("tumour model", word, (*SITES, *GRAFTS))
    found = [[word for word in words if word in known] for known in (SITES, GRAFTS)]
    if any(len(set(one)) > 1 for one in found):
        raise InputError(f"tumour model {text[:60]!r} names two of a kind; expected one of each")
    site, graft = (one[0] if one else None for one in found)
    return site, graft


def _facts(placed: Placed, formulation: Formulation, flags: list[str]) -> dict[str, Any]:
    """The answer as plain values."""
    figure = placed.figure
    expected = placed.expected
    low, median, high = placed.quartiles
    facts = {
        "metric": figure.metric,
        "value": figure.value,
        "sd": figure.sd if figure.sd > 0 else None,
        "unit": UNITS[figure.metric],
        "at_h": figure.at,
        "until_h": figure.until,
        "stated": {name: found for name, found in vars(formulation).items() if found is not None},
        "adjusted": _rank(placed.adjusted)
        | {
            "studies": placed.count,
            "terms": list(placed.terms),
            "expected": None if expected is None else float(np.exp(expected.mean)),
            "fold_of_expected": None
            if expected is None
            else figure.value / float(np.exp(expected.mean)),
            "residual_sd_of_ln": None if expected is None else float(np.sqrt(expected.variance)),
            "fold_spread_95": None
            if expected is None
            else float(np.exp(1.959963984540054 * np.sqrt(expected.variance))),
        },
        "all_studies": _rank(placed.all_studies)
        | {
            "studies": placed.all_count,
            "series": placed.series,
            "correlation_within_series": placed.correlation,
            "median": median,
            "lower_quartile": low,
            "upper_quartile": high,
            "mean": float(np.nanmean(placed.values)),
        },
        "comparable": _rank(placed.comparable_rank)
        | {
            "studies": int(placed.comparable.size),
            "median": float(np.median(placed.comparable)) if placed.comparable.size else None,
        },
        "species": "mouse",
        "source": studies().source,
        "flags": flags,
    }
    return facts | {"answer": answer(facts)}


def _rank(rank: Rank) -> dict[str, Any]:
    return {"percentile": rank.percentile, "low": rank.low, "high": rank.high}


def answer(facts: Mapping[str, Any]) -> str:
    """The answer in a sentence."""
    adjusted, every = facts["adjusted"], facts["all_studies"]
    window = "" if facts["until_h"] is None else f" over 0 to {facts['until_h']:g} h"
    window = window or ("" if facts["at_h"] is None else f" at {facts['at_h']:g} h")
    head = f"{facts['metric']}{window} of {facts['value']:.3g} {facts['unit']}"
    tail = (
        f"percentile {every['percentile']:.0f} ({every['low']:.0f} to {every['high']:.0f}) of all "
        f"{every['studies']} studies"
    )
    if not np.isfinite(adjusted["percentile"]):
        return f"{head}: {tail}; its place among its kind cannot be given."
    terms = ", ".join(adjusted["terms"]) or "nothing"
    return (
        f"{head}: percentile {adjusted['percentile']:.0f} ({adjusted['low']:.0f} to "
        f"{adjusted['high']:.0f}) of mouse studies of its kind, adjusted for {terms} "
        f"(n = {adjusted['studies']}); {adjusted['fold_of_expected']:.2g} times what is expected, "
        f"where such studies spread {adjusted['fold_spread_95']:.0f}-fold either way; {tail}."
    )


def text(found: Delivery) -> str:
    """The answer for the eye."""
    facts = found.facts
    comparable = facts["comparable"]
    lines = [facts["answer"]]
    if comparable["studies"]:
        lines.append(
            f"{comparable['studies']} studies like it in all that was stated: median "
            f"{comparable['median']:.3g} {facts['unit']}, percentile "
            f"{comparable['percentile']:.0f} ({comparable['low']:.0f} to {comparable['high']:.0f})"
        )
    else:
        lines.append("no study is like it in all that was stated")
    if facts["flags"]:
        lines.append(f"flags: {', '.join(facts['flags'])}")
    return "\n".join(lines)
