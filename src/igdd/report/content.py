"""Content: what the report says, as plain values; the page and the print only set it.

Sections follow the seven questions; then how it was measured, what to be careful about, and
where it came from. Every text is plain: nothing here is markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from igdd.flags import FLAGS
from igdd.report import (
    balance,
    courses,
    figures,
    heterogeneity,
    kinetics,
    listings,
    methods,
    over_time,
    release,
    response,
    wording,
)
from igdd.report.answers import QUESTIONS, Answer, answers, finding_sentence
from igdd.report.chart import Chart
from igdd.report.listings import Table
from igdd.report.overview import (
    ALL,
    AMOUNT,
    Overview,
    flag_counts,
    natural,
    overview,
)
from igdd.report.pictures import Picture, pictures
from igdd.results import Results

MOST_SOURCES = 60
DEEPEST = 8
# Parts of the provenance that stand elsewhere: in sections of their own, or in provenance.json.
_ELSEWHERE = ("warnings", "study", "kinds")


@dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str


Block = Text | Table | Chart | Picture


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands below it; `folded` sections are closed at first on the page."""

    name: str
    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Content:
    """The report: title, summary, headline answers by question, sections."""

    title: str
    summary: str
    answers: tuple[tuple[str, tuple[Answer, ...]], ...]
    sections: tuple[Section, ...]
    version: str


def content(results: Results) -> Content:
    """The report's content from Results alone."""
    view = overview(results)
    found = [*answers(view), *release.answers(results.releases)]
    grouped = tuple(
        (f"{question} {title}", tuple(answer for answer in found if answer.question == question))
        for question, title in QUESTIONS.items()
        if any(answer.question == question for answer in found)
    )
    shown = pictures(view)
    sections = [
        *(_question(view, question, shown) for question in QUESTIONS),
        Section(name="methods", title="Methods", blocks=_methods(view.results)),
        Section(name="cautions", title="Flags, exclusions, warnings", blocks=_cautions(view)),
        Section(
            name="provenance", title="Provenance", blocks=_provenance(results), folded=True
        ),
    ]  # fmt: skip
    return Content(
        title=str(results.study.get("title") or "Delivery report"),
        summary=_summary(view),
        answers=grouped,
        sections=tuple(section for section in sections if section.blocks),
        version=_version(results),
    )


def _version(results: Results) -> str:
    from igdd import __version__

    versions = results.provenance.get("versions")
    recorded = versions.get("igdd") if isinstance(versions, Mapping) else None
    return str(recorded or __version__)


def _question(view: Overview, question: str, shown: tuple[Picture, ...]) -> Section:
    """The charts, pictures and tables that serve one question."""
    blocks: list[Block | None] = []
    maps = [picture for picture in shown if picture.name.startswith("map")]
    if question == "Q1":
        if view.level:
            blocks.append(figures.biodistribution(view, view.level))
        if view.level != AMOUNT:
            blocks.append(figures.biodistribution(view, AMOUNT))
        blocks.append(listings.numbers(view))
        blocks.extend(picture for picture in shown if picture not in maps)
        blocks.append(balance.mass_balance(view))
        blocks.append(figures.partial_volume(view))
    if question == "Q2":
        blocks.append(over_time.time_activity(view))
        blocks.extend(kinetics.blocks(view))
        blocks.extend(maps)
        blocks.append(kinetics.lassen(view))
    if question == "Q3":
        blocks.append(figures.waterfall(view))
        blocks.extend(heterogeneity.blocks(view))
    if question == "Q4":
        blocks.extend(release.blocks(view.results.releases))
    if question == "Q5":
        blocks.extend(response.blocks(view))
    blocks.extend(courses.blocks(view, question))
    blocks.append(balance.forest(view, question))
    blocks.append(listings.findings(view, question))
    return Section(
        name=question.lower(),
        title=f"{question} {QUESTIONS[question]}",
        blocks=tuple(block for block in blocks if block is not None),
    )


def _summary(view: Overview) -> str:
    """Who was imaged, when, what was measured, and what an interval means."""
    rows, agent = view.rows, view.study.get("agent") or {}
    if not len(rows):
        return "No measurement was made: every scan or region is excluded, or nothing was asked."
    subjects = rows.drop_duplicates(["subject", "group"])
    arms = subjects["group"].value_counts().sort_index()
    split = f" ({', '.join(f'{n} {arm}' for arm, n in arms.items())})"
    label = agent.get("label") or {}
    given = [str(agent.get(name)) for name in ("carrier", "drug") if agent.get(name)]
    if label.get("nuclide"):
        on = label.get("on", "label")
        given.append(f"{label['nuclide']} {'label' if on == 'label' else f'on the {on}'}")
    sessions = ", ".join(wording.session_name(name) for name in view.sessions[:8])
    lesions = rows[rows["kind"] == "lesion"].drop_duplicates(["subject", "region"])
    measured = rows[rows["metric"] == view.level] if view.level else rows
    organs = measured[measured["kind"] != "lesion"]
    parts = [
        f"{wording.capitalised(', '.join(given))}: " if given else "",
        wording.count(rows["subject"].nunique(), "subject"),
        split if list(arms.index) != [ALL] else "",
        f", {wording.count(len(view.sessions), 'session')} ({sessions}"
        f"{', …' if len(view.sessions) > 8 else ''})",
        f", {wording.count(organs['region'].nunique(), 'region')}",
        f", {wording.count(len(lesions), 'lesion')}" if len(lesions) else "",
        f"; {wording.count(len(rows), 'measurement')} in the table. ",
        "Brackets hold 95 % intervals. ",
        _first_finding(view),
    ]
    return "".join(parts).strip()


def _first_finding(view: Overview) -> str:
    """The study's own first comparison, whatever it says: not the most striking one."""
    findings = view.results.findings
    here = findings[findings["session"] == view.focus]
    findings = here if len(here) else findings
    return finding_sentence(findings.iloc[0].to_dict()) if len(findings) else ""


def _methods(results: Results) -> tuple[Block, ...]:
    text = methods.paragraph(results, _version(results))
    return (Text(text=text),) if text else ()


def _cautions(view: Overview) -> tuple[Block, ...]:
    results = view.results
    counts = flag_counts(results)
    blocks: list[Block] = []
    if counts:
        rows = tuple(
            (flag, FLAGS.get(flag, "Not in the table of flags."), str(rows), str(findings))
            for flag, (rows, findings) in counts.items()
        )
        blocks.append(
            Table(
                title="Flags",
                columns=("flag", "meaning", "measurements", "comparisons"),
                rows=rows,
                right=(False, False, True, True),
                note="A flag never changes a number; it says what to keep in mind.",
            )
        )
    else:
        blocks.append(Text(text="No measurement carries a flag."))
    blocks.append(_exclusions(results))
    missing = int((~np.isfinite(results.measurements["value"].astype(float))).sum())
    if missing:
        amount = wording.count(missing, "measurement")
        blocks.append(
            Text(text=f"{amount} without a value: left out of charts and means, kept in the table.")
        )
    warnings = results.provenance.get("warnings") or ()
    if warnings:
        shown = tuple((str(text),) for text in tuple(warnings)[:MOST_SOURCES])
        blocks.append(Table(title="Warnings", columns=("warning",), rows=shown, right=(False,)))
    return tuple(blocks)


def _exclusions(results: Results) -> Block:
    entries = [e for e in results.study.get("exclude") or () if isinstance(e, Mapping)]
    if not entries:
        return Text(text="Nothing was excluded by the study.")
    return Table(
        title="Exclusions",
        columns=("subject", "session", "region", "reason"),
        rows=tuple(
            (
                str(entry.get("subject") or "all"),
                str(entry.get("session") or "all"),
                str(entry.get("region") or "all"),
                str(entry.get("reason") or "no reason given"),
            )
            for entry in entries
        ),
        right=(False,) * 4,
    )


def _provenance(results: Results) -> tuple[Block, ...]:
    """Versions, seed and inputs with their hashes, flattened to names and values."""
    shown = {name: value for name, value in results.provenance.items() if name not in _ELSEWHERE}
    lines = _flat(shown, "", 0)
    if not lines:
        return ()
    left = len(lines) - MOST_SOURCES
    note = f"{left} lines more are in provenance.json." if left > 0 else ""
    return (
        Table(
            title="What this report was made from",
            columns=("item", "value"),
            rows=tuple(lines[:MOST_SOURCES]),
            right=(False, False),
            note=note,
        ),
    )


def _flat(value: Any, name: str, depth: int) -> list[tuple[str, str]]:
    if depth >= DEEPEST:
        return [(name, "…")]
    if isinstance(value, Mapping):
        # A file's own entry reads best as one line: its path and its hash. Short facts first.
        if "sha256" in value and "path" in value:
            return [(str(value["path"]), str(value["sha256"]))]
        keys = sorted(
            value,
            key=lambda key: (
                len(value[key]) if isinstance(value[key], Mapping | list | tuple) else 0,
                natural(str(key)),
            ),
        )
        return [
            line
            for key in keys
            for line in _flat(value[key], f"{name} · {key}" if name else str(key), depth + 1)
        ]
    if isinstance(value, list | tuple):
        if all(not isinstance(item, Mapping | list | tuple) for item in value):
            return [(name, ", ".join(str(item) for item in value))]
        return [line for item in value for line in _flat(item, name, depth + 1)]
    return [(name, str(value))]
