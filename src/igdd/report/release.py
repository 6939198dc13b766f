"""Release in vitro as the report shows it: profiles with their best models, and how alike they are.

The same blocks stand in a study's report and on the page of `igdd release --plot`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from igdd.flags import FLAGS
from igdd.report import theme, wording
from igdd.report.answers import Answer
from igdd.report.chart import WIDTH, Chart, finished, inline_values
from igdd.report.listings import Table
from igdd.results import Released, ReleasedCurves, ReleaseModel, ReleaseSimilarity

HEIGHT = 300
# Formulations, and comparisons, of a table that headlines speak of.
MOST_ANSWERS = 4
# Ranked models that a table shows of each formulation, beside those without a rank.
MOST_MODELS = 5
# Difference in AICc within which models are not told apart (Burnham and Anderson 2002).
ALIKE = 2.0
POINT = "{:.4g}"
UNKNOWN = {"T50": "not reached", "T80": "not reached"}
# Meaning of a flag that another version raised.
UNLISTED = "Not in the table of flags."
NUMBERS = {
    "T50": "50 % released",
    "T80": "80 % released",
    "MDT": "mean dissolution time",
    "dissolution_efficiency": "efficiency",
    "released_last": "at the last sample",
}


def answers(releases: Sequence[ReleasedCurves]) -> list[Answer]:
    """A sentence for each formulation and each comparison; of many, for the table's first."""
    found = []
    for table in releases:
        for one in table.formulations[:MOST_ANSWERS]:
            found.append(Answer(question="Q4", text=sentence(one), flags=one.flags))
        for pair in table.comparisons[:MOST_ANSWERS]:
            found.append(Answer(question="Q4", text=compared(pair), flags=pair.flags))
    return found


def sentence(one: Released) -> str:
    """What is released, when half of the load is, and which models are nearest."""
    half, unit = one.numbers["T50"]
    when = f"and half of it after {POINT.format(half)} {unit}"
    return (
        f"In vitro, {one.formulation} has released {_with_unit(*one.numbers['released_last'])} of "
        f"its load at the last sample, {POINT.format(one.time[-1])} {unit}, "
        f"{when if np.isfinite(half) else 'and half of it is not reached'}{_nearest(one)}."
    )


def _nearest(one: Released) -> str:
    """The model of the lowest AICc, and those that the samples do not tell apart from it."""
    ranked = [law for law in one.models if np.isfinite(law.weight)]
    if not ranked:
        return ""
    names = [law.model for law in ranked if law.aicc - ranked[0].aicc < ALIKE]
    which = "nearest model is" if len(names) == 1 else "nearest models, not told apart, are"
    return (
        f"; the {which} {wording.listed(names)} (weight {ranked[0].weight:.2f}, adjusted R2 "
        f"{ranked[0].r2_adjusted:.3f}{' of the first' if len(names) > 1 else ''})"
    )


def compared(one: ReleaseSimilarity) -> str:
    """f2 with its limits, and what they allow to say."""
    limits = (
        f" (90 % limits {_factor(one.low)} to {_factor(one.high)})" if np.isfinite(one.low) else ""
    )
    return (
        f"In vitro, {one.test} against {one.reference}: f2 is {_factor(one.f2)}{limits}, "
        f"f1 {_factor(one.f1)}: {one.verdict}."
    )


def blocks(releases: Sequence[ReleasedCurves]) -> Iterator[Chart | Table]:
    """Profiles, how alike they are, times, models and cautions of every table."""
    for number, table in enumerate(releases, start=1):
        of = f", {table.source}" if len(releases) > 1 else ""
        yield profiles(table, f"release_{number}", of)
        if table.comparisons:
            yield comparisons(table, of)
        yield times(table, of)
        if any(one.models for one in table.formulations):
            yield models(table, of)
        if raised := cautions(table, of):
            yield raised


def profiles(table: ReleasedCurves, name: str, of: str = "") -> Chart:
    """Means with their standard deviation, and the line of each formulation's best model."""
    import altair as alt

    names = [one.formulation for one in table.formulations]
    colour = alt.Color(
        "formulation:N",
        scale=alt.Scale(domain=names, range=theme.colours(names)),
        legend=alt.Legend(title=None) if len(names) > 1 else None,
    )
    time = alt.X("time:Q", title=f"time ({table.time_unit})")
    spread = alt.Y("low:Q", title="released (% of the load)")
    base = alt.Chart(inline_values(_points(table)))
    layers = [
        base.transform_filter("isValid(datum.low)")
        .mark_rule()
        .encode(x=time, y=spread, y2="high:Q", color=colour),
        base.mark_point(filled=True, size=45, opacity=1).encode(
            x=time, y=alt.Y("released:Q", title="released (% of the load)"), color=colour,
            tooltip=["formulation:N", "time:Q", "released:Q"],
        ),
        alt.Chart(inline_values(_lines(table))).mark_line().encode(
            x=time, y=alt.Y("released:Q"), color=colour
        ),
    ]  # fmt: skip
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    return Chart(
        name=name,
        title=f"Release in vitro{of}",
        caption="Points: means of the vessels, with one standard deviation where it is known; "
        "lines: the model of each formulation with the lowest AICc.",
        spec=finished(chart),
    )


def _points(table: ReleasedCurves) -> list[dict[str, Any]]:
    rows = []
    for one in table.formulations:
        for at, value, sd in zip(one.time, one.released, one.sd, strict=True):
            known = np.isfinite(sd)
            rows.append(
                {
                    "formulation": one.formulation,
                    "time": _short(at),
                    "released": _short(value),
                    "low": _short(value - sd) if known else None,
                    "high": _short(value + sd) if known else None,
                }
            )
    return rows


def _lines(table: ReleasedCurves) -> list[dict[str, Any]]:
    return [
        {"formulation": one.formulation, "time": _short(at), "released": _short(value)}
        for one in table.formulations
        for at, value in zip(one.line_time, one.line, strict=True)
    ]


def times(table: ReleasedCurves, of: str = "") -> Table:
    """What the profiles say without a model."""
    return Table(
        title=f"Release without a model{of}",
        columns=("formulation", "vessels", *NUMBERS.values()),
        rows=tuple(
            (
                one.formulation,
                str(one.vessels),
                *(_with_unit(*one.numbers[name], UNKNOWN.get(name, "–")) for name in NUMBERS),
            )
            for one in table.formulations
        ),
        right=(False, *(True,) * (1 + len(NUMBERS))),
        note="Times by straight lines between the means. Efficiency: the area under the profile "
        "over that of complete release at once, to the last sample.",
    )


def models(table: ReleasedCurves, of: str = "") -> Table:
    """The best models of each formulation, and those without a rank, with their parameters."""
    rows, left = [], 0
    for one in table.formulations:
        ranked = [law for law in one.models if np.isfinite(law.weight)]
        others = [law for law in one.models if not np.isfinite(law.weight)]
        left += max(len(ranked) - MOST_MODELS, 0)
        rows += [(one.formulation, *_law(law)) for law in (*ranked[:MOST_MODELS], *others)]
    cut = (
        f" {wording.count(left, 'model')} of lower weight {'is' if left == 1 else 'are'} left out."
    )
    return Table(
        title=f"Models of release, best first{of}",
        columns=(
            "formulation",
            "model",
            "weight",
            "AICc",
            "R2 adj.",
            "50 % released",
            "parameters",
        ),
        rows=tuple(rows),
        right=(False, False, True, True, True, True, False),
        note="Fitted to the mean profiles; ± one standard error, none where a value was held. "
        "Weight: the probability, among the models of the same samples, of being the nearest; a "
        f"dash: fitted to other samples, or to too few.{cut if left else ''}",
    )


def _law(law: ReleaseModel) -> tuple[str, ...]:
    weight = f"{law.weight:.3f}" if np.isfinite(law.weight) else "–"
    half, _, unit = law.parameters["T50"]
    own = {name: said for name, said in law.parameters.items() if name not in ("T50", "T80")}
    parameters = ", ".join(
        f"{name} {_with_error(*said)}".replace(" ", wording.UNBROKEN) for name, said in own.items()
    )
    fit = _number(law.aicc), _factor(law.r2_adjusted, 4)
    return law.model, weight, *fit, _with_unit(half, unit), parameters


def comparisons(table: ReleasedCurves, of: str = "") -> Table:
    """f1 and f2 with its limits."""
    rows = []
    for one in table.comparisons:
        known = np.isfinite(one.low)
        between = f"{_factor(one.low)} to {_factor(one.high)}" if known else "–"
        rows.append(
            (f"{one.test} against {one.reference}", _factor(one.f1), _factor(one.f2), between,
             str(one.points), one.verdict)
        )  # fmt: skip
    return Table(
        title=f"How alike: difference factor f1, similarity factor f2{of}",
        columns=("formulations", "f1", "f2", "90 % limits of f2", "times", "verdict"),
        rows=tuple(rows),
        right=(False, True, True, True, True, False),
        note="An f2 of 50 and more counts as similar: a gap of 10 % of the load at every time is "
        "49.9. Limits: bootstrap over whole vessels; a dash: fewer than three of them.",
    )


def cautions(table: ReleasedCurves, of: str = "") -> Table | None:
    """The flags of profiles, of their best models and of comparisons, each with its meaning."""
    raised: dict[str, list[str]] = {}
    for one in table.formulations:
        for flag in {*one.flags, *(flag for law in one.models[:1] for flag in law.flags)}:
            raised.setdefault(flag, []).append(one.formulation)
    for pair in table.comparisons:
        for flag in pair.flags:
            raised.setdefault(flag, []).append(f"{pair.test} against {pair.reference}")
    if not raised:
        return None
    return Table(
        title=f"Be careful about{of}",
        columns=("flag", "meaning", "of"),
        rows=tuple(
            (flag, FLAGS.get(flag, UNLISTED), ", ".join(raised[flag])) for flag in sorted(raised)
        ),
        right=(False, False, False),
    )


def _with_unit(value: float, unit: str, unknown: str = "not reached") -> str:
    if not np.isfinite(value):
        return unknown
    return POINT.format(value) + ("" if unit == "1" else f" {unit}")


def _with_error(value: float, sd: float, unit: str) -> str:
    error = f" ± {sd:.2g}" if np.isfinite(sd) and sd > 0 else ""
    return _number(value) + error + ("" if unit == "1" else f" {unit}")


def _number(value: float) -> str:
    return POINT.format(value) if np.isfinite(value) else "–"


def _factor(value: float, digits: int = 2) -> str:
    """With two decimals, as f1 and f2 are printed, or more."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
