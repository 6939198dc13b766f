"""What comes out: values, the one tidy table that holds them, pictures, the results of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.errors import InputError
from igdd.flags import FLAGS, join
from igdd.types import freeze
from igdd.uncertainty import NORMAL_95, Estimate

if TYPE_CHECKING:
    import pandas as pd

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
class Panel:
    """A picture to show: a projection or a slice, as numbers, with the outlines of regions.

    kind     "mip_coronal", "mip_sagittal", "slice" or "map" (a slice of a parametric map)
    pixels   (row, column) float32; row 0 is the top of the picture (head, or front in a slice)
    spacing  mm between rows and between columns
    outlines region name -> mask (row, column) of the region in this view
    under    anatomy to show beneath, same shape, or None
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
class Results:
    """All that the report, the writers and the web app read, and nothing else.

    study         the resolved study document, as plain dictionaries
    measurements  the tidy table: columns `COLUMNS`, one row per `KEY`
    findings      columns `FINDINGS`
    panels        pictures to show
    fits          curves with the models fitted to them
    methods       sentences ready for a methods section, one per rule used
    provenance    inputs with SHA-256, versions, seed
    """

    study: Mapping[str, Any]
    measurements: pd.DataFrame
    findings: pd.DataFrame
    panels: tuple[Panel, ...] = ()
    fits: tuple[FittedCurves, ...] = ()
    methods: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
