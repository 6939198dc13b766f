"""Balance: the mass balance as stacked bars, and the comparisons as a forest of intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import theme
from igdd.report.answers import QUESTIONS, question_of
from igdd.report.chart import WIDTH, Chart, finished, inline, inline_values
from igdd.report.overview import LEDGER, Overview, each, group_means

if TYPE_CHECKING:
    import pandas as pd

MOST_PLACES = 8
MOST_SUBJECTS = 4
MOST_FOREST = 40
OTHER = "other places"
UNACCOUNTED = "unaccounted"
_GREYS = {"remainder": "#9a9a9a", OTHER: "#c4c4c4", UNACCOUNTED: "#ececec"}


def mass_balance(view: Overview) -> Chart | None:
    """What each place holds of what was given, stacked, session by session."""
    rows = view.of(LEDGER, last=True)
    if not len(rows):
        return None
    single = rows["subject"].nunique() <= MOST_SUBJECTS
    rows = rows.assign(panel=rows["subject"] if single else rows["group"])
    lesion = (rows["kind"] == "lesion") & ~rows["region"].isin(("total", UNACCOUNTED))
    rows = rows.assign(region=rows["region"].where(~lesion, "lesions"))
    keys = ["subject", "panel", "session", "region"]
    whole = rows[rows["region"] == "total"]
    summed = rows[rows["region"] != "total"].groupby(keys, sort=True)["value"].sum().reset_index()
    visits = rows.groupby(["panel", "session"])["subject"].nunique()
    # A place that a subject lacks (a second lesion, say) counts as nothing there, so the parts
    # of a mean bar add up to the mean total.
    means = summed.groupby(["panel", "session", "region"], sort=True)["value"].sum().reset_index()
    size = [visits[(row.panel, row.session)] for row in each(means)]
    means = means.assign(value=means["value"] / size)
    places = _places(means)
    means = means.assign(region=means["region"].where(means["region"].isin(places), OTHER))
    means = means.groupby(["panel", "session", "region"], sort=True)["value"].sum().reset_index()
    used = [place for place in places if place in set(means["region"])]
    table = _stack(means, used)
    totals = group_means(whole, ["panel", "session"]) if len(whole) else None
    sessions = [name for name in view.sessions if name in set(table["session"])]
    shown = "each subject" if single else "mean over subjects"
    return Chart(
        name="mass-balance",
        title="Mass balance: what was given, and where it is",
        caption=f"Share of the net given activity, {shown}; dot and line: total accounted for with "
        "its 95 % interval; dashed: all that was given. A total above 100 % has a negative "
        "unaccounted part, which is not drawn.",
        spec=_stacked_bars(table, totals, used, sessions),
    )


def _places(means: pd.DataFrame) -> list[str]:
    """The fullest places first, then the rest of the body, then what is unaccounted."""
    last = ("remainder", OTHER, UNACCOUNTED)
    rank = means.groupby("region", sort=True)["value"].mean()
    rank = rank.sort_values(ascending=False, kind="stable")
    named = [str(name) for name in rank.index if name not in last]
    return [*named[:MOST_PLACES], *last]


def _stack(means: pd.DataFrame, places: list[str]) -> pd.DataFrame:
    """Start and stop of every segment; only the unaccounted part is left out where negative."""
    order = {place: number for number, place in enumerate(places)}
    table = means[(means["region"] != UNACCOUNTED) | (means["value"] > 0)]
    table = table.assign(order=table["region"].map(order))
    table = table.sort_values(["panel", "session", "order"], kind="stable")
    stop = table.groupby(["panel", "session"])["value"].cumsum()
    return table.assign(stop=stop, start=stop - table["value"], what="part")


def _stacked_bars(
    table: pd.DataFrame, totals: pd.DataFrame | None, places: list[str], sessions: list[str]
) -> Any:
    import altair as alt
    import pandas as pd

    if totals is not None:
        table = pd.concat([table, totals.assign(what="total")], ignore_index=True)
    table = table.assign(region=table["region"].fillna("total"))
    named = [place for place in places if place not in _GREYS]
    palette = dict(zip(named, theme.colours(named), strict=True)) | _GREYS
    base = alt.Chart().encode(x=alt.X("session:N", sort=sessions, title=None, axis=_flat_axis()))
    parts = (
        base.transform_filter(alt.datum.what == "part")
        .mark_bar(stroke="white", strokeWidth=0.6)
        .encode(
            y=alt.Y("start:Q", title="share of what was given (%ID)"),
            y2="stop:Q",
            color=alt.Color(
                "region:N",
                scale=alt.Scale(
                    domain=places[::-1], range=[palette[place] for place in places[::-1]]
                ),
                legend=alt.Legend(title=None, orient="right"),
            ),
            tooltip=[
                alt.Tooltip("panel:N", title="of"),
                alt.Tooltip("session:N"),
                alt.Tooltip("region:N", title="place"),
                alt.Tooltip("value:Q", title="%ID", format=".4~g"),
            ],
        )
    )
    whole = base.transform_filter(alt.datum.what == "total")
    tips = [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("value", "low", "high")]
    line = whole.mark_rule(color=theme.INK, strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    dot = whole.mark_circle(color=theme.INK, size=36, opacity=1).encode(y="value:Q", tooltip=tips)
    given = (
        alt.Chart(inline_values([{"given": 100}]))
        .mark_rule(strokeDash=[4, 3], color=theme.QUIET)
        .encode(y=alt.Y("given:Q"))
    )
    layered = alt.layer(parts, line, dot, given).properties(
        width=alt.Step(56), height=250, data=inline(table)
    )
    return finished(layered.facet(facet=alt.Facet("panel:N", title=None), columns=4))


def _flat_axis() -> Any:
    import altair as alt

    return alt.Axis(labelAngle=0, labelOverlap=True, labelLimit=54)


def forest(view: Overview, question: str) -> Chart | None:
    """Estimates of the comparisons of one question, with their intervals."""
    table = findings_of(view, question)
    if not len(table):
        return None
    # Only estimates of one unit share an axis; the table below holds all.
    units = table["unit"].replace("", "1")
    first = units.iloc[0]
    table = table[(units == first) & np.isfinite(table["p"])]
    numbers = table[["estimate", "low", "high"]].astype(float)
    table = table[np.isfinite(numbers.to_numpy()).all(axis=1)]
    if len(table) < 2:
        return None
    numbers = numbers.loc[table.index]
    log = first == "1" and bool((numbers > 0).all().all())
    shown = table.head(MOST_FOREST)
    labels = _labels(shown)
    cut = f" The first {len(shown)} of {len(table)}." if len(table) > len(shown) else ""
    return Chart(
        name=f"forest-{question.lower()}",
        title="Comparisons with their 95 % intervals",
        caption=("Ratios on a logarithmic scale; 1 means no difference." if log else "") + cut,
        spec=_intervals(
            shown.assign(label=labels, **numbers.loc[shown.index]),
            "ratio" if log else f"estimate ({first})" if first != "1" else "estimate",
            log,
        ),
    )


def findings_of(view: Overview, question: str) -> pd.DataFrame:
    """The findings that answer one question."""
    table = view.results.findings
    if not len(table):
        return table
    asked = {name: question_of(str(name)) for name in table["comparison"].unique()}
    known = table["comparison"].map(asked)
    # Responses have tables of their own, in `igdd.report.response`.
    asked_here = (known == question) & (table["comparison"] != "response")
    return table[asked_here] if question in QUESTIONS else table.iloc[:0]


def _labels(table: pd.DataFrame) -> list[str]:
    """Only what tells the comparisons apart: region, session, metric, contrast; always unique."""
    columns = ["region"] + [
        name for name in ("session", "metric", "contrast") if table[name].nunique() > 1
    ]
    texts = [
        " · ".join(str(row[name]) for name in columns if str(row[name] or ""))
        for row in table.to_dict("records")
    ]
    return [
        text if texts.count(text) == 1 else f"{text} ({place + 1})"
        for place, text in enumerate(texts)
    ]


def _intervals(table: pd.DataFrame, title: str, log: bool) -> Any:
    import altair as alt

    columns = table[["label", "estimate", "low", "high", "p", "p_adjusted"]]
    base = alt.Chart(inline(columns)).encode(
        y=alt.Y("label:N", sort=list(table["label"]), title=None)
    )
    # Altair's default lets a log axis start at the data; 1 must stay in sight.
    ends = [min(float(table["low"].min()), 1) / 1.1, max(float(table["high"].max()), 1) * 1.1]
    scale = alt.Scale(type="log", domain=ends, nice=False) if log else alt.Scale(zero=True)
    x = alt.X("estimate:Q", title=title, scale=scale, axis=alt.Axis(format="~g", tickCount=6))
    lines = base.mark_rule(strokeWidth=1.6, color=theme.COLOURS[0]).encode(
        x=alt.X("low:Q", title=title), x2="high:Q"
    )
    dots = base.mark_square(size=60, opacity=1, color=theme.COLOURS[0]).encode(
        x=x,
        tooltip=[
            alt.Tooltip("label:N", title="comparison"),
            *(
                alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".3~g")
                for name in ("estimate", "low", "high", "p", "p_adjusted")
            ),
        ],
    )
    none = (
        alt.Chart(inline_values([{"none": 1 if log else 0}]))
        .mark_rule(strokeDash=[4, 3], color=theme.QUIET)
        .encode(x="none:Q")
    )
    chart = alt.layer(none, lines, dots).properties(width=WIDTH - 60, height=alt.Step(20))
    return finished(chart)
