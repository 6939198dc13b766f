"""Headline answers: one plain sentence per finding of the table, with interval and flags.

Each function states a rule that works for any study; where its rows are missing it says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.flags import NOTES
from igdd.report import wording
from igdd.report.overview import (
    AMOUNT,
    LEDGER,
    LESIONS,
    Overview,
    each,
    flags_of,
    group_means,
    with_lesions_pooled,
)

if TYPE_CHECKING:
    import pandas as pd

QUESTIONS = {
    "Q1": "Where does it go, and how much arrives?",
    "Q2": "How fast, how long, how is it cleared?",
    "Q3": "How evenly?",
    "Q4": "Is it released, and is label = carrier = drug?",
    "Q5": "What follows from it?",
    "Q6": "Did the guided delivery work?",
    "Q7": "For whom, and what next?",
}
HEADLINE_REGIONS = 3
HEADLINE_FINDINGS = 3
SIGNIFICANT = 0.05
MANY_GROUPS = 4
POOLED = "all arms"
DYNAMIC_FRAMES = 4
HEADLINE_MODELS = 3
# Flags of a value that is no headline.
UNKNOWN = "poorly_identified|not_converged|not_fitted"
# What a model is asked for; the first that it has is its headline.
MACRO = ("VT", "BPND", "DVR", "Ki", "Ktrans", "K1", "Fp", "half_life")
# What a curve says without a model: its initial area (`igdd.metrics.semi_quantitative`).
AREA = "iauc_60"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A sentence that answers a question, and the cautions of the rows behind it."""

    question: str
    text: str
    flags: tuple[str, ...] = ()


def answers(view: Overview) -> tuple[Answer, ...]:
    """Every headline answer, ordered by question; the comparisons' own sentences come first."""
    found = [
        *_findings(view),
        *_organs(view),
        *_lesions(view),
        *_balance(view),
        *_over_time(view),
        *_kinetics(view),
        *_peaks(view),
        *_spread(view),
    ]
    found = [
        replace(answer, flags=tuple(flag for flag in answer.flags if flag not in NOTES))
        for answer in found
    ]
    order = list(QUESTIONS)
    return tuple(sorted(found, key=lambda answer: order.index(answer.question)))


def question_of(comparison: str) -> str:
    """The question that a comparison's declaration names; Q7 where nothing declares it."""
    from igdd import catalog

    declared = catalog.declarations("comparisons").get(comparison)
    question = str(getattr(declared, "question", "Q7"))
    return question if question in QUESTIONS else "Q7"


def finding_sentence(row: Mapping[Any, Any]) -> str:
    """A finding in words: its own sentence, else one put together from its columns."""
    sentence = str(row["sentence"]) if isinstance(row["sentence"], str) else ""
    if sentence.strip():
        return wording.in_words(sentence, str(row["metric"]))
    unit = str(row["unit"]) if row["unit"] not in (None, "1") else ""
    shown = wording.with_interval(row["estimate"], row["low"], row["high"], unit)
    place = wording.region_name(str(row["region"] or "all regions"))
    when = wording.at_session(str(row["session"] or ""))
    name = wording.metric_name(str(row["metric"]))
    return f"{wording.capitalised(place)} {when}: {row['contrast']} of {name} is {shown}."


def _findings(view: Overview) -> list[Answer]:
    table = view.results.findings
    if not len(table):
        return []
    rows = np.arange(len(table))
    own = int(np.argmax(table["session"] == view.focus))
    known = np.isfinite(table["estimate"].astype(float)) | (rows == own)
    first = table.assign(row=rows, later=rows != own)[known].sort_values(
        ["later", "p_adjusted", "row"], kind="stable", na_position="last"
    )
    # The study's own first question always, even where it has no answer; then what stands out
    # after the correction.
    headline = ~first["later"] | (first["p_adjusted"] < SIGNIFICANT)
    headline &= headline.cumsum() <= HEADLINE_FINDINGS
    found = [
        Answer(
            question=question_of(str(row["comparison"])),
            text=finding_sentence(row),
            flags=tuple(filter(None, str(row["flags"] or "").split(";"))),
        )
        for row in first[headline].to_dict("records")
    ]
    rest = first[~headline]
    tested = rest[np.isfinite(rest["p_adjusted"])]
    if len(tested):
        low = int((tested["p_adjusted"] < SIGNIFICANT).sum())
        said = f"{low} have" if low > 1 else "one has" if low else "none has"
        text = f"Of {wording.count(len(tested), 'further comparison')} in the table below, {said} "
        text += f"an adjusted p below {SIGNIFICANT}."
        found.append(Answer(question=found[-1].question, text=text))
    return found


def _phrase(view: Overview, metric: str, row: Any) -> str:
    """A value of a metric in words, with interval and printed unit."""
    factor, printed = view.scale(metric)
    shown = wording.with_interval(row.value * factor, row.low * factor, row.high * factor, printed)
    if metric.startswith("ratio_to_"):
        return f"{shown} times {wording.region_name(metric.removeprefix('ratio_to_'))}"
    if metric.startswith("suv"):
        return f"an {wording.metric_name(metric)} of {shown}"
    return shown


def _pooled(view: Overview, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with all arms as one where there are too many to spell out."""
    if len(view.groups) <= MANY_GROUPS:
        return rows
    return rows.assign(group=POOLED)


def _by_group(view: Overview, metric: str, means: pd.DataFrame) -> str:
    """The values of one region, arm by arm: '21 %ID (19 to 23) in the plain arm, and …'."""
    rows = list(each(means.sort_values("group", kind="stable")))
    if len(rows) == 1 and len(view.groups) == 1:
        extent = f", mean of {rows[0].subjects} subjects" if rows[0].subjects > 1 else ""
        return _phrase(view, metric, rows[0]) + extent
    parts = [
        f"{_phrase(view, metric, row)} {_arm(str(row.group))}"
        f" ({wording.count(int(row.subjects), 'subject')})"
        for row in rows
    ]
    return wording.listed(parts)


def _arm(group: str) -> str:
    if group == POOLED:
        return "over all arms"
    return "where no arm is declared" if group == "no arm" else f"in the {group} arm"


def _when(view: Overview) -> str:
    """The session that headlines speak of; of several frames it is the last."""
    place = wording.at_session(view.focus)
    frames = view.of(view.level, session=view.focus).groupby("subject")["time"].nunique()
    if len(frames) and frames.max() > 1:
        place = f"{place} (last frame)" if place else "in the last frame"
    return f"{place}," if place else ""


def _organs(view: Overview) -> list[Answer]:
    """The regions that hold most: by %ID where the dose is known, else by concentration."""
    for metric in (AMOUNT, view.level):
        rows = view.of(metric, session=view.focus, last=True) if metric else view.rows.iloc[:0]
        rows = _pooled(view, rows[~rows["kind"].isin(("lesion", "remainder"))])
        if len(rows):
            break
    else:
        return []
    forms = ("holds", "hold") if metric == AMOUNT else ("reaches", "reach")
    means = group_means(rows, ["group", "region"])
    ranked = means.groupby("region", sort=True)["value"].mean()
    ranked = ranked.sort_values(ascending=False, kind="stable")
    found = []
    for region in ranked.index[:HEADLINE_REGIONS]:
        values = _by_group(view, metric, means[means["region"] == region])
        name = wording.region_name(str(region))
        text = wording.sentence(_when(view), name, wording.verb(name, *forms), values)
        flags = flags_of(rows[rows["region"] == region])
        found.append(Answer(question="Q1", text=text, flags=flags))
    return found


def _lesions(view: Overview) -> list[Answer]:
    """What the lesions reach: means over subjects of each subject's mean."""
    if not view.level:
        return []
    rows = view.of(view.level, session=view.focus, last=True)
    rows = rows[rows["kind"] == "lesion"]
    if not len(rows):
        return []
    pooled = _pooled(view, with_lesions_pooled(rows))
    means = group_means(pooled, ["group", "region"])
    text = wording.sentence(
        _when(view),
        "the lesions reach",
        _by_group(view, view.level, means),
    )
    text = text.removesuffix(".") + (
        f"; {wording.count(len(rows), 'lesion')} in "
        f"{wording.count(rows['subject'].nunique(), 'subject')}."
    )
    return [Answer(question="Q1", text=text, flags=flags_of(rows))]


def _balance(view: Overview) -> list[Answer]:
    """How much of the given activity is accounted for, and where the balance does not close."""
    rows = view.of(LEDGER, session=view.focus, last=True)
    total = rows[rows["region"] == "total"]
    if not len(total):
        return []
    mean = next(each(group_means(total.assign(group="all"), ["group"])))
    extent = f" (mean of {mean.subjects} subjects)" if mean.subjects > 1 else ""
    shown = wording.with_interval(mean.value, mean.low, mean.high, "%")
    text = wording.sentence(_when(view), shown, f"of the given activity is accounted for{extent}")
    every = view.of(LEDGER, last=True)
    open_balance = every[every["flags"].str.contains("unaccounted", regex=False)]
    visits = sorted(
        {f"{row.subject} ({wording.session_name(row.session)})" for row in each(open_balance)}
    )
    if visits:
        shown_visits = wording.listed([*visits[:5], *(["others"] if len(visits) > 5 else [])])
        text += f" It does not close within its uncertainty for subject {shown_visits}."
    return [Answer(question="Q1", text=text, flags=flags_of(total))]


def _kinetics(view: Overview) -> list[Answer]:
    """One sentence for each model: its macro-parameter in the lesions, else in the tissues."""
    found = []
    headlines = []
    for model in list(dict.fromkeys(fit.model for fit in view.results.fits))[:HEADLINE_MODELS]:
        named = (f"{model}_{name}" for name in MACRO)
        headlines.append(next((metric for metric in named if len(view.of(metric))), ""))
    for metric in (*headlines, AREA):
        rows = view.of(metric, session=view.focus)
        rows = rows[~rows["kind"].isin(("blood", "remainder"))]
        rows = rows[rows["kind"] == "lesion"] if (rows["kind"] == "lesion").any() else rows
        if not len(rows):
            continue
        when, name = wording.at_session(view.focus), wording.metric_name(metric)
        begin = (f"{when}," if when else "", name)
        unknown = rows["flags"].str.contains(UNKNOWN)
        if unknown.all():
            places = [wording.region_name(str(one)) for one in dict.fromkeys(rows["region"])]
            open_ = wording.listed(places[:HEADLINE_REGIONS])
            more = _below(len(places))
            said = wording.sentence(*begin, "is not determined by the data in", open_, more)
            found.append(Answer(question="Q2", text=said, flags=flags_of(rows)))
            continue
        rows = rows[~unknown]
        means = group_means(_pooled(view, rows), ["group", "region"])
        regions = list(dict.fromkeys(means["region"]))
        parts = [
            f"{_phrase(view, metric, row)} in {wording.region_name(str(row.region))}"
            + (f" {_arm(str(row.group))}" if len(view.groups) > 1 else "")
            for row in each(means[means["region"].isin(regions[:HEADLINE_REGIONS])])
        ]
        said = wording.sentence(*begin, "is", wording.listed(parts), _below(len(regions)))
        found.append(Answer(question="Q2", text=said, flags=flags_of(rows)))
    return found


def _below(regions: int) -> str:
    """Where the regions stand that a sentence leaves out.

    >>> _below(3), _below(4)
    ('', '(1 region more below)')
    """
    more = regions - HEADLINE_REGIONS
    return f"({wording.count(more, 'region')} more below)" if more > 0 else ""


def _over_time(view: Overview) -> list[Answer]:
    """How blood, lesions and the fullest organ change from the first to the last session."""
    rows = view.of(view.level, last=True) if view.level else view.rows.iloc[:0]
    rows = with_lesions_pooled(_pooled(view, rows[rows["kind"] != "remainder"]))
    times = rows.groupby("session")["time"].median()
    seen = [name for name in view.sessions if name in times.index]
    # Sessions without known, different times (two reconstructions, say) are no course of time.
    if len(seen) < 2 or not times[seen[0]] < times[seen[-1]]:
        return []
    first, last = seen[0], seen[-1]
    both = set(rows.loc[rows["session"] == first, "subject"]) & set(
        rows.loc[rows["session"] == last, "subject"]
    )
    rows = rows[rows["subject"].isin(both)]
    found = []
    for region in _followed(rows):
        chosen = rows[rows["region"] == region]
        parts = []
        for group in sorted(chosen["group"].unique()):
            means = group_means(chosen[chosen["group"] == group], ["session"])
            values = {row.session: row for row in each(means)}
            if first in values and last in values:
                ends = [_phrase(view, view.level, values[name]) for name in (first, last)]
                place = f" {_arm(str(group))}" if len(view.groups) > 1 else ""
                parts.append(f"from {ends[0]} to {ends[1]}{place}")
        if parts:
            name = _spoken(region)
            text = wording.sentence(
                f"between {wording.session_name(first)} and {wording.session_name(last)},",
                f"{name} {wording.verb(name, 'goes', 'go')}",
                wording.listed(parts),
            )
            flags = flags_of(chosen[chosen["session"].isin((first, last))])
            found.append(Answer(question="Q2", text=text, flags=flags))
    return found


def _peaks(view: Overview) -> list[Answer]:
    """When blood, lesions and the fullest organ peak in a dynamic scan of one session."""
    if not view.level or len(view.sessions) != 1:
        return []
    rows = with_lesions_pooled(_pooled(view, view.of(view.level)))
    rows = rows[np.isfinite(rows["time"]) & (rows["kind"] != "remainder")]
    frame = rows.groupby("subject")["time"].rank(method="dense")
    if not len(rows) or frame.max() < DYNAMIC_FRAMES:
        return []
    found = []
    for region in _followed(rows):
        chosen = rows.assign(frame=frame)[rows["region"] == region]
        for group in sorted(chosen["group"].unique()):
            means = group_means(chosen[chosen["group"] == group], ["frame"])
            peak = next(each(means.loc[[means["value"].idxmax()]]))
            place = _arm(str(group)) if len(view.groups) > 1 else ""
            name = _spoken(region)
            text = wording.sentence(
                name, wording.verb(name, "peaks", "peak"), "at", _phrase(view, view.level, peak),
                f"in the frame at {wording.duration(peak.time)}", place,
            )  # fmt: skip
            found.append(Answer(question="Q2", text=text, flags=flags_of(chosen)))
    return found


def _spoken(region: str) -> str:
    return "the lesions" if region == LESIONS else wording.region_name(region)


def _followed(rows: pd.DataFrame) -> list[str]:
    """Blood, the lesions, and the organ with the highest mean: the regions worth a sentence."""
    chosen = sorted(rows.loc[rows["kind"] == "blood", "region"].unique())[:1]
    if (rows["kind"] == "lesion").any():
        chosen.append(LESIONS)
    organs = rows[rows["kind"].isin(("organ", "reference"))]
    if len(organs):
        ranked = organs.groupby("region", sort=True)["value"].mean()
        chosen.append(str(ranked.idxmax()))
    return chosen


def _spread(view: Overview) -> list[Answer]:
    """How much lesions differ, and that the measurement's own noise is part of it."""
    if not view.level:
        return []
    rows = view.of(view.level, session=view.focus, last=True)
    rows = _pooled(view, rows[rows["kind"] == "lesion"])
    found = []
    for group, part in rows.groupby("group", sort=True):
        if len(part) < 3 or not part["value"].mean() > 0:
            continue
        spread = 100 * part["value"].std() / part["value"].mean()
        factor, printed = view.scale(view.level)
        ends = [wording.number(float(part["value"].agg(end)) * factor) for end in ("min", "max")]
        place = f" {_arm(str(group))}" if len(view.groups) > 1 else ""
        text = wording.sentence(
            _when(view),
            f"the {wording.count(len(part), 'lesion')}{place} range from",
            f"{ends[0]} to {ends[1]} {printed}".rstrip() + ": a coefficient of variation of",
            f"{spread:.0f}\N{NO-BREAK SPACE}%, measurement noise included",
        )
        found.append(Answer(question="Q3", text=text, flags=flags_of(part)))
    return found
