"""Overview: what the report needs to know of Results before it can speak of them.

Which metric stands for uptake, which session is spoken about, what kind each region is, and the
mean over subjects with its 95 % interval. Every choice is a rule and is said in the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.report import wording
from igdd.results import COURSE, FINDINGS, Results

if TYPE_CHECKING:
    import pandas as pd

# The first of these that holds a number stands for "how concentrated"; then ratios, and Bq/mL.
LEVELS = (
    "percent_id_per_g", "percent_id_per_ml", "percent_id_per_kg", "suvbw", "suvlbm_janma",
    "suvlbm_james128", "suvlbm_morgan120", "suvibw", "suvbsa", "drug_concentration",
)  # fmt: skip
AMOUNT = "percent_id"
LEDGER = "ledger_percent_id"
UNCORRECTED = "_uncorrected"
LESIONS = "lesions (subject mean)"
ALL = "all subjects"


@dataclass(frozen=True, kw_only=True, eq=False)
class Overview:
    """Results as the report reads them.

    rows      the sessions' rows without excluded ones, with the columns `kind` and `group` added;
              `group` is the arm, or "all subjects" where no arm is declared
    followed  likewise, the rows that follow a subject over all sessions
    sessions  in the order of their median time
    groups    in alphabetical order
    focus     the session that headlines speak of: that of the findings if they have but one,
              else the last
    level     the metric that stands for concentration ("" when there is none)
    analyte   the analyte of `level`
    kinds     region -> kind
    """

    results: Results
    rows: pd.DataFrame
    followed: pd.DataFrame
    sessions: tuple[str, ...]
    groups: tuple[str, ...]
    focus: str
    level: str
    analyte: str
    kinds: Mapping[str, str]

    @property
    def study(self) -> Mapping[str, Any]:
        """The resolved study document."""
        return self.results.study

    def scale(self, metric: str) -> tuple[float, str]:
        """Factor and printed unit of a metric, one for the whole report."""
        rows = self.of(metric)
        rows = rows[rows["kind"] != "remainder"] if (rows["kind"] != "remainder").any() else rows
        if not len(rows):
            return 1.0, ""
        unit = str(rows["unit"].iloc[0])
        return wording.scaled(metric, unit, float(rows["value"].abs().median()))

    def of(self, metric: str, *, session: str | None = None, last: bool = False) -> pd.DataFrame:
        """Finite rows of one metric; `last` keeps each session's last frame.

        Where several analytes carry the metric, the overview's own is taken, else the first.
        """
        fitting = (self.rows["metric"] == metric) & np.isfinite(self.rows["value"])
        rows: pd.DataFrame = self.rows[fitting]
        analytes = sorted(rows["analyte"].unique())
        if len(analytes) > 1:
            chosen = self.analyte if self.analyte in analytes else analytes[0]
            rows = rows[rows["analyte"] == chosen]
        if session is not None:
            rows = rows[rows["session"] == session]
        if last and len(rows):
            rows = rows.sort_values("time", kind="stable", na_position="first")
            rows = rows.drop_duplicates(["subject", "session", "region"], keep="last")
        return rows


def overview(results: Results) -> Overview:
    """Read Results for the report."""
    results = replace(results, findings=_typed(results.findings))
    table = results.measurements
    flags = table["flags"].fillna("").astype(str)
    rows = table.assign(flags=flags)[~flags.str.contains(r"(?:^|;)excluded(?:;|$)")]
    kinds = region_kinds(results)
    arms = rows["arm"].fillna("").astype(str)
    groups = arms.where(arms != "", ALL if not (arms != "").any() else "no arm")
    rows = rows.assign(
        arm=arms,
        group=groups,
        kind=rows["region"].astype(str).map(kinds).fillna("organ"),
        **{name: rows[name].astype(str) for name in ("subject", "session", "region", "metric")},
        **{name: rows[name].astype(float) for name in ("time", "value", "low", "high")},
    )
    over_all = rows["session"] == COURSE
    followed, rows = rows[over_all], rows[~over_all]
    sessions = _ordered_sessions(rows)
    fitted = {f"{fit.model}_{name}" for fit in results.fits for name in fit.parameters}
    level = _level(rows[~rows["metric"].isin(list(fitted))])
    analytes = rows.loc[(rows["metric"] == level) & np.isfinite(rows["value"]), "analyte"]
    return Overview(
        results=results,
        rows=rows,
        followed=followed,
        sessions=sessions,
        groups=tuple(sorted(rows["group"].unique())),
        focus=_focus(results, rows, sessions, level),
        level=level,
        analyte="" if analytes.empty else str(analytes.value_counts().sort_index().idxmax()),
        kinds=kinds,
    )


def region_kinds(results: Results) -> dict[str, str]:
    """Kind of every region: as the run recorded it, else as the study's last fitting entry says.

    A picture knows the kinds that its own session had.
    """
    said: dict[str, str] = {"remainder": "remainder"}
    entries = [entry for entry in results.study.get("region") or () if isinstance(entry, Mapping)]
    for region in (str(name) for name in results.measurements["region"].unique()):
        for entry in entries:
            if fnmatchcase(region, str(entry.get("name", ""))):
                said[region] = str(entry.get("kind") or "organ")
    for panel in results.panels:
        said |= {str(name): str(kind) for name, kind in panel.kinds.items()}
    recorded = results.provenance.get("kinds")
    if isinstance(recorded, Mapping):
        said |= {str(name): str(kind) for name, kind in recorded.items()}
    return said


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts lesion_2 before lesion_10.

    >>> sorted(["lesion_10", "lesion_2"], key=natural)
    ['lesion_2', 'lesion_10']
    """
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]


def with_lesions_pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every lesion renamed to one name, so that subjects' means pool them."""
    return rows.assign(region=rows["region"].where(rows["kind"] != "lesion", LESIONS))


def subject_means(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean value per subject: columns `by`, subject, value, low, high, time, entries.

    The interval is the row's own where the mean is of one row, else NaN.
    """
    keys = [*by, "subject"]
    found = rows.groupby(keys, sort=True, observed=True).agg(
        value=("value", "mean"),
        low=("low", "first"),
        high=("high", "first"),
        time=("time", "mean"),
        entries=("value", "size"),
    )
    found.loc[found["entries"] > 1, ["low", "high"]] = np.nan
    return found.reset_index()


def group_means(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean over subjects: columns `by`, value, low, high, time, subjects, entries.

    From three subjects on, the interval is Student's t over the subjects' means; for one subject
    it is the measurement's own; for two it is NaN, because t with one degree says nothing.
    """
    from scipy.special import stdtrit

    subjects = subject_means(rows, by)
    found = subjects.groupby(by, sort=True, observed=True).agg(
        value=("value", "mean"),
        sd=("value", "std"),
        low=("low", "first"),
        high=("high", "first"),
        time=("time", "mean"),
        subjects=("value", "size"),
        entries=("entries", "sum"),
    )
    size = found["subjects"].to_numpy()
    half = stdtrit(np.maximum(size - 1, 1), 0.975) * found["sd"] / np.sqrt(size)
    several, pair = size > 2, size == 2
    found.loc[several, "low"] = (found["value"] - half)[several]
    found.loc[several, "high"] = (found["value"] + half)[several]
    found.loc[pair, ["low", "high"]] = np.nan
    return found.drop(columns="sd").reset_index()


def each(table: pd.DataFrame) -> Iterator[Any]:
    """The rows as named tuples."""
    yield from table.itertuples(index=False)


def flag_counts(results: Results) -> dict[str, tuple[int, int]]:
    """Flag -> number of measurements and of findings that carry it."""
    counts: dict[str, list[int]] = {}
    for place, table in enumerate((results.measurements, results.findings)):
        if not len(table):
            continue
        for text, amount in table["flags"].fillna("").astype(str).value_counts().items():
            for flag in filter(None, str(text).split(";")):
                counts.setdefault(flag, [0, 0])[place] += int(amount)
    return {flag: (counts[flag][0], counts[flag][1]) for flag in sorted(counts)}


def flags_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """Every flag that the rows carry, sorted."""
    if not len(rows):
        return ()
    texts = rows["flags"].fillna("").astype(str).unique()
    return tuple(sorted({flag for text in texts for flag in text.split(";") if flag}))


def _typed(findings: pd.DataFrame) -> pd.DataFrame:
    """Findings with numbers as numbers (None becomes NaN) and texts as texts (None is empty)."""
    numbers = ("estimate", "low", "high", "p", "p_adjusted", "n")
    table = findings.reindex(columns=list(FINDINGS))
    return table.assign(
        **{
            name: table[name].astype(float)
            if name in numbers
            else table[name].astype(object).where(table[name].notna(), "").astype(str)
            for name in FINDINGS
        }
    )


def _ordered_sessions(rows: pd.DataFrame) -> tuple[str, ...]:
    medians = rows.groupby("session", sort=True)["time"].median()
    return tuple(
        sorted(
            (str(name) for name in medians.index),
            key=lambda name: (
                medians[name] if np.isfinite(medians[name]) else np.inf,
                natural(name),
            ),
        )
    )


def _level(rows: pd.DataFrame) -> str:
    known: set[str] = set(rows.loc[np.isfinite(rows["value"]), "metric"].unique())
    ratios = tuple(sorted(name for name in known if name.startswith("ratio_to_")))
    others = tuple(
        sorted(name for name in known - {"volume", LEDGER} if not name.endswith(UNCORRECTED))
    )
    # Without a dose, a ratio that was asked for says more than a concentration.
    plain = (name for name in ratios if not name.endswith(UNCORRECTED))
    for name in (*LEVELS, *plain, "concentration", *others):
        if name in known:
            return name
    return ""


def _focus(results: Results, rows: pd.DataFrame, sessions: tuple[str, ...], level: str) -> str:
    if len(results.findings):
        compared = set(results.findings["session"]) & set(sessions)
        if len(compared) == 1:
            return str(compared.pop())
    known = rows[np.isfinite(rows["value"])]
    filled = set(known.loc[known["metric"] == level, "session"]) or set(known["session"])
    return next((name for name in reversed(sessions) if name in filled), "")
