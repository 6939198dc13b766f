"""What comes out: values, the one tidy table that holds them, pictures, the results of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError, StudyError
from igdd.facts import Agent, Subject
from igdd.flags import FLAGS, join
from igdd.types import freeze
from igdd.uncertainty import NORMAL_95, Estimate

if TYPE_CHECKING:
    import pandas as pd

# Where rows stand that follow a subject over all sessions.
COURSE = "course"
# The one tidy table and the columns that make a row unique.
KEY = ("subject", "session", "time", "analyte", "region", "metric")
COLUMNS = (
    "subject", "session", "arm", "time", "analyte", "region", "metric", "value", "sd", "sd_shared",
    "low", "high", "unit", "flags", "method",
)  # fmt: skip
FINDINGS = (
    "comparison", "metric", "session", "analyte", "region", "contrast", "estimate", "low", "high",
    "p", "p_adjusted", "n", "unit", "flags", "method", "sentence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Value:
    """What a metric says of one region at one time; `measure` adds subject, session and arm."""

    region: str
    metric: str
    estimate: Estimate
    unit: str
    time: float
    analyte: str
    flags: tuple[str, ...] = ()
    method: str = ""
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        unknown = [flag for flag in self.flags if flag not in FLAGS]
        if unknown:
            raise InputError(f"flag {unknown[0]!r} is not in igdd.flags.FLAGS")

    def row(self, subject: str, session: str, arm: str) -> dict[str, Any]:
        """The row of the tidy table."""
        low, high = (
            self.interval
            if self.interval is not None
            else (
                self.estimate.value - NORMAL_95 * self.estimate.sd,
                self.estimate.value + NORMAL_95 * self.estimate.sd,
            )
        )
        return {
            "subject": subject, "session": session, "arm": arm, "time": self.time,
            "analyte": self.analyte, "region": self.region, "metric": self.metric,
            "value": self.estimate.value, "sd": self.estimate.sd,
            "sd_shared": self.estimate.sd_shared, "low": low, "high": high, "unit": self.unit,
            "flags": join(self.flags), "method": self.method,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One metric of one region over all sessions of a subject, in order of time.

    time               (n,) s after administration, ascending
    value, sd          (n,) in `unit`; sd is NaN where it is not known
    sd_shared          (n,) the part of sd that moves all sessions together: dose, calibration
    sessions, flags    one for each point
    """

    region: str
    metric: str
    analyte: str
    unit: str
    sessions: tuple[str, ...]
    time: np.ndarray
    value: np.ndarray
    sd: np.ndarray
    sd_shared: np.ndarray
    flags: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """One subject over all sessions: what metrics of level "subject" see.

    kinds         region -> kind
    measurements  the subject's rows of the tidy table
    """

    subject: Subject
    agent: Agent
    kinds: Mapping[str, str]
    measurements: pd.DataFrame

    def tracks(self, metric: str, regions: Mapping[str, Any] | None = None) -> tuple[Track, ...]:
        """Every region's track of a metric, one for each analyte; sorted by region.

        regions  "kind" and patterns of "name", as the study selects them, or None for all

        A metric that the study does not ask for, or values at unknown times, raise StudyError.
        """
        table = self.measurements
        rows = table[table["metric"] == metric]
        if not len(rows):
            raise StudyError(
                f"subject {self.subject.id}: no session gives {metric!r}; expected it in the table "
                f"({', '.join(sorted(set(table['metric'])))}); ask for the metric that gives it "
                "with a [[measure]] of its own, and state what it needs, such as the dose"
            )
        wanted = regions or {}
        if wanted.get("kind") is not None:
            rows = rows[rows["region"].map(self.kinds) == wanted["kind"]]
        if wanted.get("name") is not None:
            fits = [
                any(fnmatchcase(one, name) for name in wanted["name"]) for one in rows["region"]
            ]
            rows = rows[np.array(fits, dtype=bool)]
        if not np.isfinite(rows["time"].to_numpy(dtype=float)).all():
            raise StudyError(
                f"subject {self.subject.id}: {metric!r} stands at an unknown time after "
                "administration; expected known times; give subject.given.at"
            )
        ordered = rows.sort_values(["region", "analyte", "time"], kind="stable")
        return tuple(_track(part) for _, part in ordered.groupby(["region", "analyte"], sort=True))


def _track(rows: pd.DataFrame) -> Track:
    """The track in rows of one region, metric and analyte, which are in order of time."""
    first = rows.iloc[0]
    units = sorted(set(rows["unit"]))
    if len(units) > 1:
        raise StudyError(
            f"subject {first['subject']}: {first['metric']} of {first['region']} stands in "
            f"{' and '.join(units)}; expected one unit in all sessions"
        )
    columns = {
        name: rows[name].to_numpy(dtype=float) for name in ("time", "value", "sd", "sd_shared")
    }
    return Track(
        region=first["region"],
        metric=first["metric"],
        analyte=first["analyte"],
        unit=units[0],
        sessions=tuple(rows["session"]),
        flags=tuple(tuple(text.split(";")) if text else () for text in rows["flags"]),
        **columns,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """A picture to show: a projection or a slice, as numbers, with the outlines of regions.

    kind     "mip_coronal", "mip_sagittal", "slice", "map" (a slice of a parametric map), "lesion"
             (its slice, cut out) or "histogram" (pixels hold its rows: bins and shares)
    pixels   (row, column) float32; row 0 is the top of the picture (head, or front in a slice)
    spacing  mm between rows and between columns
    outlines region name -> mask (row, column) of the region in this view
    under    anatomy to show beneath, same shape, or None
    flagged  of a map: where the fit carries a flag, same shape, or None
    """

    subject: str
    session: str
    kind: str
    title: str
    pixels: np.ndarray
    spacing: tuple[float, float]
    quantity: str
    unit: str
    outlines: Mapping[str, np.ndarray] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    under: np.ndarray | None = None
    flagged: np.ndarray | None = None

    def __post_init__(self) -> None:
        freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedCurves:
    """A model's fit to show: the curves of one session, what the model makes of them, its input.

    values, predicted  (region, time); predicted is NaN in frames that the fit did not use
    time               (time,) frames' middles in s
    input_time, input_values  the exchanging input in the curves' unit, thinned for showing
    aicc               (region,)
    notes              one for each region: what was chosen, such as t_star, in s
    """

    subject: str
    session: str
    model: str
    regions: tuple[str, ...]
    parameters: tuple[str, ...]
    time: np.ndarray
    values: np.ndarray
    predicted: np.ndarray
    input_time: np.ndarray
    input_values: np.ndarray
    aicc: np.ndarray
    unit: str
    quantity: str
    notes: tuple[Mapping[str, float], ...] = ()

    def __post_init__(self) -> None:
        freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReleaseModel:
    """A model fitted to a mean release profile; NaN where samples are too few, or others.

    parameters  name -> value, sd (0 where it was held) and their unit
    weight      the probability, among the models of the same samples, of being the nearest
    """

    model: str
    parameters: Mapping[str, tuple[float, float, str]]
    weight: float
    aicc: float
    r2_adjusted: float
    msc: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Released:
    """Release of one formulation in vitro, in % of the load, and what was fitted to its mean.

    time, released, sd  (t,) mean over vessels; sd is NaN where it is not known
    line_time, line     (m,) the model of the lowest AICc; empty where none could be ranked
    numbers             T50, T80, MDT, dissolution_efficiency, released_last -> value and its unit
    models              best first
    """

    formulation: str
    vessels: int
    time: np.ndarray
    released: np.ndarray
    sd: np.ndarray
    line_time: np.ndarray
    line: np.ndarray
    numbers: Mapping[str, tuple[float, str]]
    models: tuple[ReleaseModel, ...]
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReleaseSimilarity:
    """How alike a formulation is to the reference: f1, and f2 with its 90 % limits over vessels."""

    reference: str
    test: str
    f1: float
    f2: float
    low: float
    high: float
    points: int
    verdict: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class ReleasedCurves:
    """Release in vitro of one table: its formulations, and comparisons with one of them.

    source     name of the table
    time_unit  of every time
    """

    source: str
    time_unit: str
    formulations: tuple[Released, ...]
    comparisons: tuple[ReleaseSimilarity, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """All that the report, the writers and the web app read, and nothing else.

    study         the resolved study document, as plain dictionaries
    measurements  the tidy table: columns `COLUMNS`, one row per `KEY`
    findings      columns `FINDINGS`
    panels        pictures to show
    fits          curves with the models fitted to them
    releases      release in vitro, one for each table
    methods       sentences ready for a methods section, one per rule used
    provenance    inputs with SHA-256, versions, seed
    """

    study: Mapping[str, Any]
    measurements: pd.DataFrame
    findings: pd.DataFrame
    panels: tuple[Panel, ...] = ()
    fits: tuple[FittedCurves, ...] = ()
    releases: tuple[ReleasedCurves, ...] = ()
    methods: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
