"""Lesions: a row of small plots for each; which are chosen, by a rule that the caption states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import wording
from igdd.report.lesion_plots import SHELL, STEP, Shown, drawn
from igdd.report.overview import Overview, natural
from igdd.report.pictures import Picture
from igdd.results import Panel

if TYPE_CHECKING:
    import pandas as pd

MOST = 12
A_PICTURE = 6  # rows of a picture: more do not fit a page
METRICS = re.compile(rf"{STEP.pattern}|{SHELL.pattern}|cv|gini|coverage|d50")


def lesion_pictures(view: Overview) -> tuple[Picture, ...]:
    """A row of small plots for each lesion; none where nothing of evenness was measured."""
    panels = {
        (panel.kind, panel.subject, panel.session, panel.title): panel
        for panel in view.results.panels
        if panel.kind in ("lesion", "histogram") and panel.pixels.size
    }
    rows = _rows(view)
    if not len(rows) or not panels:
        return ()
    keys, words = _chosen(rows, view)
    table = dict(list(rows.groupby(["subject", "session", "region"], sort=False)))
    lesions = [_lesion(key, table[key], panels) for key in keys]
    caption = _caption(lesions, words)
    found = []
    for start in range(0, len(lesions), A_PICTURE):
        part = lesions[start : start + A_PICTURE]
        number = start // A_PICTURE + 1
        title = "Each lesion: map, histogram, coverage, depth"
        found.append(
            Picture(
                name=f"lesions-{number}",
                title=title if number == 1 else f"{title} (continued)",
                caption=caption if number == 1 else "As above.",
                png=drawn(part),
            )
        )
    return tuple(found)


def _rows(view: Overview) -> pd.DataFrame:
    """Finite rows of lesions, of the last frame of each session."""
    rows = view.rows[(view.rows["kind"] == "lesion") & np.isfinite(view.rows["value"])]
    names = {name for name in rows["metric"].unique() if METRICS.fullmatch(name)}
    rows = rows[rows["metric"].isin(sorted(names))]
    rows = rows.sort_values("time", kind="stable", na_position="first")
    last: pd.DataFrame = rows.drop_duplicates(
        ["subject", "session", "region", "metric"], keep="last"
    )
    return last


def _chosen(rows: pd.DataFrame, view: Overview) -> tuple[list[tuple[str, str, str]], str]:
    """Which lesions, in which order, and the rule in words.

    All sessions of all lesions where there is room; else the headline session's, and of these the
    least covered (or the most uneven).
    """
    order = {name: place for place, name in enumerate(view.sessions)}
    every = sorted(
        set(zip(rows["subject"], rows["session"], rows["region"], strict=True)),
        key=lambda key: (natural(key[0]), natural(key[2]), order.get(key[1], 0)),
    )
    if len(every) <= MOST:
        return every, ""
    here = [key for key in every if key[1] == view.focus] or every
    when = wording.at_session(view.focus)
    if len(here) <= MOST:
        return here, f"{len(here)} of {len(every)} lesions and sessions: those {when}."
    values, words = _worst(rows, here)
    ranked = sorted(here, key=lambda key: values.get(key, np.inf))[:MOST]
    place = f" {when}" if when else ""
    return ranked, f"{MOST} of {len(here)} lesions{place}: {words}. The others are in the table."


def _worst(
    rows: pd.DataFrame, here: Sequence[tuple[str, str, str]]
) -> tuple[dict[tuple[str, str, str], float], str]:
    """What lesions are ranked by, the least first, and the rule in words."""
    for metric, words, sign in (
        ("coverage", "the least covered", 1.0),
        ("cv", "the most uneven by their coefficient of variation", -1.0),
    ):
        part = rows[rows["metric"] == metric]
        places = zip(part["subject"], part["session"], part["region"], strict=True)
        values = dict(zip(places, (sign * part["value"]).tolist(), strict=True))
        if any(key in values for key in here):
            return values, words
    return {}, "the first by name"


def _lesion(key: Any, rows: pd.DataFrame, panels: dict[tuple[str, str, str, str], Panel]) -> Shown:
    subject, session, region = (str(part) for part in key)
    return Shown(
        subject=subject,
        session=session,
        region=region,
        arm=str(rows["arm"].iloc[0]),
        rows={str(row["metric"]): row for row in _records(rows)},
        image=panels.get(("lesion", subject, session, region)),
        histogram=panels.get(("histogram", subject, session, region)),
    )


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _caption(lesions: Sequence[Shown], words: str) -> str:
    said = [
        "Map: the transverse slice with most of the lesion, as imaged, from zero to the lesion's "
        "highest voxel; what is hotter around it saturates. The line is its outline, the bar 10 mm."
    ]
    if any(one.histogram is not None for one in lesions):
        bare = any(
            one.histogram is not None and np.isfinite(one.histogram.pixels[2]).any()
            for one in lesions
        )
        said.append(
            "Histogram: shares of the volume, as imaged, in the map's colours"
            + ("; black: with the image's noise taken out." if bare else ", noise included.")
        )
    names = {name for one in lesions for name in one.rows}
    if any(STEP.fullmatch(name) for name in names):
        said.append(
            "Coverage: the volume at or above a percentage of the threshold, without noise where "
            "that is known, with its 95 % band; dashed: as imaged."
        )
    if any(SHELL.fullmatch(name) for name in names):
        said.append(
            "Depth: means of shells of equal volume over the lesion's own, with their 95 % "
            "intervals."
        )
    return " ".join([*said, words]).strip()
