"""Parameters of fitted models in the report: a line for each region, the headline ones first."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from igdd.report import wording
from igdd.report.answers import MACRO
from igdd.report.listings import Table
from igdd.report.overview import Overview, each, natural
from igdd.results import FittedCurves
from igdd.stages.fit_text import shown_note

MOST_ROWS = 60
# Parameters that a table can show beside flags and still be read.
MOST_COLUMNS = 5
# Subject, session, region.
Key = tuple[str, str, str]


def tables(view: Overview, model: str, fits: list[FittedCurves]) -> list[Table]:
    """One line for each region: parameters with their intervals, AICc, what was chosen, flags.

    What a model is asked for stands first, and a table that would be too wide to read is several.
    """
    names = macro_first(name for fit in fits for name in fit.parameters)
    cells, flags, units = _cells(view, model, names)
    lines = [
        (fit, number)
        for fit in ordered(view, fits)
        for number, region in enumerate(fit.regions)
        if (fit.subject, fit.session, region) in cells
    ]
    if not lines:
        return []
    # What holds of every line is said once, below the table.
    every = set.intersection(*flags.values()) if len(flags) > 1 else set()
    note = "Value with its 95 % interval."
    note += f" Every line: {', '.join(sorted(every))}." if every else ""
    if len(lines) > MOST_ROWS:
        note += f" {len(lines) - MOST_ROWS} rows more are in measurements.csv."
    visit = ("subject", "session") if several_visits(view) else ()
    spelled = wording.capitalised(wording.model_name(model))
    said = ("AICc", *(("chosen",) if any(any(fit.notes) for fit in fits) else ()))
    found = []
    parts = _parted(names, bool(visit))
    for place, part in enumerate(parts):
        last = (*(said if place == len(parts) - 1 else ()), *(("flags",) if place == 0 else ()))
        headings = [f"{name} ({units[name]})" if units[name] else name for name in part]
        rows = []
        for fit, number in lines[:MOST_ROWS]:
            key = (fit.subject, fit.session, fit.regions[number])
            about = _about(fit, number) | {"flags": ", ".join(sorted(flags[key] - every)) or "–"}
            shown = (cells[key].get(name, "–") for name in part)
            first = (*visit_of(fit, bool(visit)), wording.region_name(key[2]))
            rows.append((*first, *shown, *(about[name] for name in last)))
        found.append(
            Table(
                title=f"{spelled}: {'further ' if place else ''}parameters",
                columns=(*visit, "region", *headings, *last),
                rows=tuple(rows),
                right=(False,) * (len(visit) + 1)
                + (True,) * len(part)
                + tuple(name == "AICc" for name in last),
                note=note,
            )
        )
    return found


def _cells(
    view: Overview, model: str, names: list[str]
) -> tuple[dict[Key, dict[str, str]], dict[Key, set[str]], dict[str, str]]:
    """By (subject, session, region) the printed values and the flags; the unit of each name."""
    wanted = {f"{model}_{name}": name for name in names}
    scales = {name: view.scale(metric) for metric, name in wanted.items()}
    cells: dict[Key, dict[str, str]] = {}
    flags: dict[Key, set[str]] = {}
    for row in each(view.rows[view.rows["metric"].isin(list(wanted))]):
        key = (str(row.subject), str(row.session), str(row.region))
        name = wanted[str(row.metric)]
        factor = scales[name][0]
        shown = wording.with_interval(row.value * factor, row.low * factor, row.high * factor)
        cells.setdefault(key, {})[name] = shown.replace(f" ({wording.INTERVAL_UNKNOWN})", "")
        flags.setdefault(key, set()).update(filter(None, str(row.flags).split(";")))
    return cells, flags, {name: scales[name][1] for name in names}


def _parted(names: list[str], visits: bool = False) -> list[list[str]]:
    """Names table by table: all where they fit beside flags, else few, then many; or as evenly as
    may be where every line names its visit, too.

    >>> [len(part) for part in _parted(list("abcde"))], [len(p) for p in _parted(list("abcdefghi"))]
    ([5], [4, 5])
    >>> [len(part) for part in _parted(list("abcdefghi"), True)]
    [3, 3, 3]
    """
    if len(names) <= MOST_COLUMNS:
        return [names]
    first, rest = MOST_COLUMNS - 1, MOST_COLUMNS + 1
    if visits:
        first = rest = -(-len(names) // -(-len(names) // first))
    starts = range(first, len(names), rest)
    return [names[:first], *(names[start : start + rest] for start in starts)]


def _about(fit: FittedCurves, number: int) -> dict[str, str]:
    """AICc, and what was chosen, as printed."""
    chosen = fit.notes[number] if fit.notes else {}
    aicc = float(fit.aicc[number])
    return {
        "AICc": wording.number(aicc) if np.isfinite(aicc) else "–",
        "chosen": "; ".join(
            _note(name, value).replace(" ", wording.UNBROKEN) for name, value in chosen.items()
        )
        or "–",
    }


def macro_first(names: Iterable[str]) -> list[str]:
    """Names of parameters, each once, those that a model is asked for first.

    >>> macro_first(["K1", "k2", "Vb", "VT", "BPND"])
    ['VT', 'BPND', 'K1', 'k2', 'Vb']
    """
    order = {name: place for place, name in enumerate(MACRO)}
    return sorted(dict.fromkeys(names), key=lambda name: order.get(name, len(order)))


def _note(name: str, value: float) -> str:
    if name.startswith("t_star"):
        rule = " by rule" if name.endswith("rule") else ""
        return f"t*{rule} {wording.duration(value)}"
    shown, unit = shown_note(name, value, {})
    return f"{name.replace('_', ' ')} {wording.number(shown)} {unit}".removesuffix(" 1")


def several_visits(view: Overview) -> bool:
    """Whether there is more than one visit, so that each must be named."""
    return len({(fit.subject, fit.session) for fit in view.results.fits}) > 1


def visit_of(fit: FittedCurves, named: bool) -> tuple[str, ...]:
    """Subject and session as printed; nothing where they need not be named."""
    return (fit.subject, wording.session_name(fit.session)) if named else ()


def ordered(view: Overview, fits: list[FittedCurves]) -> list[FittedCurves]:
    """The headline session first, then by subject."""
    order = {name: place for place, name in enumerate(view.sessions)}
    return sorted(
        fits,
        key=lambda fit: (
            fit.session != view.focus, natural(fit.subject), order.get(fit.session, 0),
        ),
    )  # fmt: skip
