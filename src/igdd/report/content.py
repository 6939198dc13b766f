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
from igdd.report import balance, figures, wording
from igdd.report.answers import QUESTIONS, Answer, answers, finding_sentence
from igdd.report.chart import Chart
from igdd.report.overview import (
    ALL,
    AMOUNT,
    Overview,
    each,
    flag_counts,
    group_means,
    natural,
    overview,
    with_lesions_pooled,
)
from igdd.report.pictures import Picture, pictures
from igdd.types import Results

MOST_ROWS = 60
MOST_FINDINGS = 200
MOST_SOURCES = 60
DEEPEST = 8


@dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts; `right` says which columns hold numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    note: str = ""


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
    found = answers(view)
    grouped = tuple(
        (f"{question} {title}", tuple(answer for answer in found if answer.question == question))
        for question, title in QUESTIONS.items()
        if any(answer.question == question for answer in found)
    )
    shown = pictures(view)
    sections = [
        *(_question(view, question, shown) for question in QUESTIONS),
        Section(name="methods", title="Methods", blocks=_methods(results)),
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
    if question == "Q1":
        if view.level:
            blocks.append(figures.biodistribution(view, view.level))
        if view.level != AMOUNT:
            blocks.append(figures.biodistribution(view, AMOUNT))
        blocks.append(_numbers(view))
        blocks.extend(shown)
        blocks.append(balance.mass_balance(view))
        blocks.append(figures.partial_volume(view))
    if question == "Q2":
        blocks.append(figures.time_activity(view))
    if question == "Q3":
        blocks.append(figures.waterfall(view))
    blocks.append(balance.forest(view, question))
    blocks.append(_findings(view, question))
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
        given.append(f"{label['nuclide']} on the {label.get('on', 'label')}")
    sessions = ", ".join(wording.session_name(name) for name in view.sessions[:8])
    lesions = rows[rows["kind"] == "lesion"].drop_duplicates(["subject", "region"])
    regions = rows.loc[rows["metric"] == view.level, "region"].nunique()
    parts = [
        f"{wording.capitalised(', '.join(given))}: " if given else "",
        wording.count(rows["subject"].nunique(), "subject"),
        split if list(arms.index) != [ALL] else "",
        f", {wording.count(len(view.sessions), 'session')} ({sessions}"
        f"{', …' if len(view.sessions) > 8 else ''})",
        f", {wording.count(regions, 'region')}",
        f", {wording.count(len(lesions), 'lesion')}" if len(lesions) else "",
        f"; {wording.count(len(rows), 'measurement')} in the table. ",
        "Brackets hold 95 % intervals. ",
        _first_finding(view),
    ]
    return "".join(parts).strip()


def _first_finding(view: Overview) -> str:
    """The study's own first comparison, whatever it says: not the most striking one."""
    findings = view.results.findings
    return finding_sentence(findings.iloc[0].to_dict()) if len(findings) else ""


def _numbers(view: Overview) -> Table | None:
    """Mean per region, session and arm of the headline metric."""
    if not view.level:
        return None
    rows = view.of(view.level, last=True)
    if rows.loc[rows["kind"] == "lesion", "region"].nunique() > 1 and rows["subject"].nunique() > 1:
        rows = with_lesions_pooled(rows)
    means = group_means(rows, ["region", "group", "session"])
    factor, unit = view.scale(view.level)
    order = means.groupby("region", sort=True)["value"].mean().sort_values(
        ascending=False, kind="stable"
    )  # fmt: skip
    cells = {(row.region, row.group, row.session): (row, int(row.subjects)) for row in each(means)}
    lines = []
    for region in order.index:
        for group in view.groups:
            found = [cells.get((region, group, session)) for session in view.sessions]
            if any(found):
                subjects = max(amount for _, amount in filter(None, found))
                texts = [_cell(cell[0], factor) if cell else "–" for cell in found]
                arm = (str(group),) if len(view.groups) > 1 else ()
                lines.append((str(region), *arm, str(subjects), *texts))
    sessions = [wording.session_name(name) for name in view.sessions]
    arms = ("arm",) if len(view.groups) > 1 else ()
    left = f" {len(lines) - MOST_ROWS} rows more are in measurements.csv." \
        if len(lines) > MOST_ROWS else ""  # fmt: skip
    return Table(
        title=wording.capitalised(wording.axis_title(view.level, unit)),
        columns=("region", *arms, "n", *sessions),
        rows=tuple(lines[:MOST_ROWS]),
        right=(False, *(False for _ in arms), True, *(True for _ in sessions)),
        note="Mean over subjects with its 95 % interval (Student's t from three subjects on; one "
        f"subject: of the measurement; two: none).{left}",
    )


def _cell(row: Any, factor: float) -> str:
    low, high = row.low * factor, row.high * factor
    shown = wording.with_interval(row.value * factor, low, high)
    return shown.replace(f" ({wording.INTERVAL_UNKNOWN})", "")


def _findings(view: Overview, question: str) -> Table | None:
    table = balance.findings_of(view, question)
    if not len(table):
        return None
    lines = [
        (
            finding_sentence(row),
            wording.with_interval(
                float(row["estimate"]), float(row["low"]), float(row["high"]),
                "" if row["unit"] == "1" else str(row["unit"]),
            ),
            wording.p_value(float(row["p"])),
            wording.p_value(float(row["p_adjusted"])),
            f"{row['n']:.0f}" if np.isfinite(row["n"]) else "–",
            ", ".join(str(row["flags"] or "").split(";")),
        )
        for row in table.head(MOST_FINDINGS).to_dict("records")
    ]  # fmt: skip
    left = len(table) - len(lines)
    methods = " ".join(dict.fromkeys(str(text) for text in table["method"] if str(text or "")))
    return Table(
        title="Comparisons",
        columns=("comparison", "estimate (95 %)", "p", "p adjusted", "n", "flags"),
        rows=tuple(lines),
        right=(False, True, True, True, True, False),
        note=(methods + (f" {left} rows more are in findings.csv." if left else "")).strip(),
    )


def _methods(results: Results) -> tuple[Block, ...]:
    """The rules that were used, as sentences, each once."""
    sentences = dict.fromkeys(text.strip() for text in results.methods if text.strip())
    ended = [text if text[-1] in ".!?" else f"{text}." for text in sentences]
    return (Text(text=" ".join(ended)),) if ended else ()


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
    lines = [line for line in _flat(results.provenance, "", 0) if line[0] != "warnings"]
    lines = [line for line in lines if not line[0].startswith("warnings")]
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
                2 * isinstance(value[key], list | tuple) + isinstance(value[key], Mapping),
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
