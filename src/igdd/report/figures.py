"""Figures: uptake by region, by lesion, and what the correction does to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igdd.report import theme, wording
from igdd.report.chart import (
    WIDTH,
    Chart,
    finished,
    group_colour,
    inline,
    inline_values,
    scaled,
)
from igdd.report.overview import (
    AMOUNT,
    UNCORRECTED,
    Overview,
    group_means,
    subject_means,
    with_lesions_pooled,
)

if TYPE_CHECKING:
    import pandas as pd

MOST_ORGANS = 25
MOST_NAMED_BARS = 40


def biodistribution(view: Overview, metric: str) -> Chart | None:
    """Bars of the mean over subjects per region and arm, with points for each subject."""
    rows = with_lesions_pooled(view.of(metric, session=view.focus, last=True))
    if metric == AMOUNT:
        rows = rows[rows["kind"] != "lesion"]
    if not len(rows):
        return None
    means = group_means(rows, ["group", "region"])
    ranked = means.groupby("region", sort=True)["value"].mean()
    order = [str(name) for name in ranked.sort_values(ascending=False, kind="stable").index]
    shown = order[:MOST_ORGANS]
    points = subject_means(rows, ["group", "region"])
    factor, unit = view.scale(metric)
    place = wording.at_session(view.focus)
    cut = f" The {MOST_ORGANS} fullest of {len(order)} regions." if len(order) > len(shown) else ""
    return Chart(
        name=f"biodistribution-{metric}",
        title=f"{wording.capitalised(wording.metric_name(metric, unit))} by region {place}".strip(),
        caption="Bars: mean over subjects; lines: 95 % interval of the mean from three subjects "
        "on, else of the measurement itself; points: single subjects." + cut,
        spec=bars(
            scaled(means[means["region"].isin(shown)], factor),
            scaled(points[points["region"].isin(shown)], factor),
            (wording.axis_title(metric, unit), shown, view.groups),
        ),
    )


def bars(means: pd.DataFrame, points: pd.DataFrame, names: tuple[str, list[str], Any]) -> Any:
    """Bars per region and arm with their intervals, a dot per subject.

    names  title of the axis, the regions in order, the arms
    """
    import altair as alt

    title, shown, groups = names
    pick = alt.selection_point(name="arm", fields=["group"], bind="legend")
    colour = group_colour(groups)
    y = alt.Y("region:N", sort=shown, title=None)
    offset = alt.YOffset("group:N", sort=list(groups))
    faded = alt.condition(pick, alt.value(1.0), alt.value(0.15))
    base = alt.Chart(inline(means)).encode(y=y, yOffset=offset)
    tips = [
        alt.Tooltip("region:N", title="region"),
        alt.Tooltip("group:N", title="arm"),
        alt.Tooltip("value:Q", title=title, format=".4~g"),
    ]
    shapes = base.mark_bar(opacity=0.55).encode(
        x=alt.X("value:Q", title=title),
        color=colour,
        opacity=alt.condition(pick, alt.value(0.55), alt.value(0.1)),
        tooltip=[
            *tips,
            alt.Tooltip("low:Q", title="95 % from", format=".4~g"),
            alt.Tooltip("high:Q", title="95 % to", format=".4~g"),
            alt.Tooltip("subjects:Q", title="subjects"),
        ],
    )
    whiskers = base.mark_rule(color=theme.INK, strokeWidth=1.3).encode(
        x="low:Q", x2="high:Q", opacity=faded
    )
    dots = (
        alt.Chart(inline(points))
        .mark_circle(size=22, stroke="white", strokeWidth=0.5)
        .encode(
            y=y,
            yOffset=offset,
            x="value:Q",
            color=colour,
            opacity=faded,
            tooltip=[*tips, alt.Tooltip("subject:N", title="subject")],
        )
    )
    step = max(9.0, 20.0 / len(groups))
    chart = alt.layer(shapes.add_params(pick), whiskers, dots).properties(
        width=WIDTH, height=alt.Step(step, **{"for": "offset"})
    )
    return finished(chart)


def waterfall(view: Overview) -> Chart | None:
    """One bar per lesion, sorted, with its own 95 % interval, coloured by arm."""
    if not view.level:
        return None
    rows = view.of(view.level, session=view.focus, last=True)
    rows = rows[rows["kind"] == "lesion"]
    if not len(rows):
        return None
    rows = rows.sort_values(["value", "subject", "region"], ascending=[False, True, True])
    factor, unit = view.scale(view.level)
    table = scaled(rows[["subject", "region", "group", "value", "low", "high"]], factor)
    table = table.assign(lesion=table["subject"] + " · " + table["region"])
    return Chart(
        name="waterfall",
        title=f"Every lesion {wording.at_session(view.focus)}, sorted by "
        f"{wording.metric_name(view.level, unit)}".replace(" ,", ","),
        caption=f"{wording.count(len(rows), 'lesion')} in "
        f"{wording.count(rows['subject'].nunique(), 'subject')}; lines: 95 % interval of each "
        "measurement.",
        spec=_sorted_bars(table, wording.axis_title(view.level, unit), view.groups),
    )


def _sorted_bars(table: pd.DataFrame, title: str, groups: tuple[str, ...]) -> Any:
    import altair as alt

    named = len(table) <= MOST_NAMED_BARS
    pick = alt.selection_point(name="arm", fields=["group"], bind="legend")
    base = alt.Chart(inline(table)).encode(
        x=alt.X(
            "lesion:N",
            sort=list(table["lesion"]),
            title=None if named else "lesions",
            axis=alt.Axis(labels=named, ticks=named, labelAngle=-60, labelFontSize=9),
        ),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.15)),
    )
    bars = base.mark_bar().encode(
        y=alt.Y("value:Q", title=title),
        color=group_colour(groups),
        tooltip=[
            alt.Tooltip("lesion:N"),
            alt.Tooltip("group:N", title="arm"),
            alt.Tooltip("value:Q", title=title, format=".4~g"),
            alt.Tooltip("low:Q", title="95 % from", format=".4~g"),
            alt.Tooltip("high:Q", title="95 % to", format=".4~g"),
        ],
    )
    whiskers = base.mark_rule(color=theme.INK).encode(y="low:Q", y2="high:Q")
    width = min(WIDTH + 60, 30 * len(table) + 20)
    return finished(alt.layer(bars.add_params(pick), whiskers).properties(width=width, height=240))


def partial_volume(view: Overview) -> Chart | None:
    """Corrected over uncorrected value of each region, against its volume where known."""
    found = _twins(view)
    if found is None:
        return None
    metric, table = found
    across = "volume" if "volume" in table else "value_uncorrected"
    title = "volume (mL)" if across == "volume" else f"uncorrected {wording.metric_name(metric)}"
    return Chart(
        name="partial-volume",
        title="What the partial-volume correction does",
        caption=f"{wording.capitalised(wording.metric_name(metric))}, corrected over uncorrected, "
        "one point per region, subject and session; 1 means no effect.",
        spec=_effect(table.assign(across=table[across]), title),
    )


def _twins(view: Overview) -> tuple[str, pd.DataFrame] | None:
    present = set(view.rows["metric"].unique())
    for metric in (view.level, AMOUNT):
        if metric and metric + UNCORRECTED in present:
            break
    else:
        return None
    key = ["subject", "session", "region", "kind"]
    plain = view.of(metric, last=True)[[*key, "value"]]
    twin = view.of(metric + UNCORRECTED, last=True)[[*key, "value"]]
    both = plain.merge(twin, on=key, suffixes=("", "_uncorrected"))
    both = both[(both["value_uncorrected"] != 0) & (both["kind"] != "remainder")]
    volume = view.of("volume", last=True)[[*key, "value"]].rename(columns={"value": "volume"})
    if len(volume):
        both = both.merge(volume, on=key)
        both = both[both["volume"] > 0]
    both = both.assign(ratio=both["value"] / both["value_uncorrected"])
    return (metric, both) if len(both) else None


def _effect(table: pd.DataFrame, title: str) -> Any:
    import altair as alt

    kinds = sorted(table["kind"].unique())
    log = bool((table["across"] > 0).all())
    points = (
        alt.Chart(inline(table[["across", "ratio", "kind", "region", "subject", "session"]]))
        .mark_circle(size=30, opacity=0.6)
        .encode(
            x=alt.X(
                "across:Q",
                title=title,
                scale=alt.Scale(type="log") if log else alt.Scale(zero=False),
                axis=alt.Axis(format="~g", tickCount=6),
            ),
            y=alt.Y("ratio:Q", title="corrected ÷ uncorrected", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "kind:N", title=None, scale=alt.Scale(domain=kinds, range=theme.colours(kinds))
            ),
            tooltip=[
                alt.Tooltip("region:N"),
                alt.Tooltip("subject:N"),
                alt.Tooltip("session:N"),
                alt.Tooltip("across:Q", title=title, format=".4~g"),
                alt.Tooltip("ratio:Q", title="ratio", format=".3~f"),
            ],
        )
    )
    one = alt.Chart(inline_values([{"one": 1}])).mark_rule(strokeDash=[4, 3]).encode(y="one:Q")
    return finished(alt.layer(one, points).properties(width=WIDTH, height=240))
