"""Where a formulation stands in the prior of delivery: among all studies, and among its kind.

* Against all studies that have the figure in its window.
* Against those of its kind, by the regression of the figure's logarithm on the logarithms of tumour
  weight and size, targeting, site and graft, with partial pooling over carrier types and cancers.
  Only what is stated of the formulation enters; the studies that do not state it are left out.

Several studies stem from one paper and resemble each other (their correlation is near 0.8):
consecutive studies that share type of carrier, tumour model, cancer and weights count as one
series, and intervals are those of series.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.kernels.allometry import log_sd
from igdd.kernels.pooled_regression import (
    Prediction,
    Rank,
    effective_size,
    fit_pooled,
    predict,
    predictive_rank,
    sample_rank,
)
from igdd.metrics.delivery_prior import (
    FIXED_TIMES,
    GRAFTS,
    SITES,
    TARGETINGS,
    Formulation,
    figures,
    studies,
)

# Fewer comparable studies than this are named as few; fewer than LEAST are not regressed.
FEW = 10
LEAST = 20
SIZE_FACTOR = 2.0
WEIGHT_FACTOR = 3.0


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of delivery: metric, value, its sd (0: not known), window in h.

    at     the time of "percent_id_at"; until: end of the window, None: each study's own
    """

    metric: str
    value: float
    sd: float = 0.0
    at: float | None = None
    until: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """Where a figure stands.

    all_studies  percentile among all studies with the figure; `all_count` of them, `quartiles`
    correlation  of the figure's logarithm within a series; `series` of them hold the figure
    adjusted     percentile among studies of its kind, by regression; NaN where it cannot be
    expected     of the logarithm; `count` studies regressed, on `terms`
    comparable   (k,) figures of the studies like it, `comparable_rank` its place among them
    values       (n,) figures of all studies, NaN where a study has none
    """

    figure: Figure
    all_studies: Rank
    all_count: int
    quartiles: tuple[float, float, float]
    correlation: float
    series: int
    adjusted: Rank
    expected: Prediction | None
    count: int
    terms: tuple[str, ...]
    comparable: np.ndarray
    comparable_rank: Rank
    values: np.ndarray
    flags: tuple[str, ...]


def place(figure: Figure, formulation: Formulation) -> Placed:
    """Where a figure of a formulation stands among the studies."""
    values = figures(figure.metric, figure.at, figure.until)
    known = np.isfinite(values)
    if not known.any():
        raise InputError(
            f"no study of the prior has {figure.metric} in this window; expected a time within "
            f"{np.nanmin(studies().courses.first):g} to {studies().courses.last.max():g} h"
        )
    comparable = known & _alike(formulation)
    flags = set() if figure.sd > 0 else {"value_sd_unknown"}
    if figure.until is None and figure.metric not in (*FIXED_TIMES, "percent_id_at"):
        flags.add("window_not_stated")
    if int(comparable.sum()) < FEW:
        flags.add("few_comparable_studies")
    kind = _of_its_kind(figure, values, formulation)
    flags |= set(kind.flags)
    low, median, high = (float(one) for one in np.percentile(values[known], (25, 50, 75)))
    series, correlation = studies().series, _correlation(figure.metric, figure.at, figure.until)

    def rank(some: np.ndarray) -> Rank:
        worth = effective_size(series[some], correlation)
        return sample_rank(figure.value, figure.sd, values[some], worth)

    return Placed(
        figure=figure,
        all_studies=rank(known),
        all_count=int(known.sum()),
        quartiles=(low, median, high),
        correlation=correlation,
        series=np.unique(series[known]).size,
        adjusted=kind.rank,
        expected=kind.expected,
        count=kind.studies,
        terms=kind.terms,
        comparable=values[comparable],
        comparable_rank=rank(comparable),
        values=values,
        flags=tuple(sorted(flags)),
    )


@lru_cache(maxsize=64)
def _correlation(metric: str, at: float | None, until: float | None) -> float:
    """Correlation of a figure's logarithm between studies of one series."""
    values = figures(metric, at, until)
    used = values > 0
    if int(used.sum()) < LEAST:
        return 1.0
    ones = np.ones((int(used.sum()), 1))
    ratio = fit_pooled(np.log(values[used]), ones, (), studies().series[used]).series_ratio
    return ratio / (1 + ratio)


class _Kind(NamedTuple):
    """A figure among studies of its kind: rank, what is expected, studies and terms used."""

    rank: Rank = Rank(np.nan, np.nan, np.nan)
    expected: Prediction | None = None
    studies: int = 0
    terms: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def _of_its_kind(figure: Figure, values: np.ndarray, formulation: Formulation) -> _Kind:
    """The adjusted percentile; without one where the figure has no logarithm, or studies lack."""
    if not figure.value > 0:
        return _Kind(flags=("estimate_not_positive",))
    fitted = _regressed(values, formulation)
    if fitted is None:
        return _Kind(flags=("few_comparable_studies",))
    expected, count, terms, beyond = fitted
    spread = log_sd(figure.sd / figure.value)
    rank = predictive_rank(float(np.log(figure.value)), spread, expected)
    return _Kind(rank, expected, count, terms, ("outside_prior",) if beyond else ())


def _alike(formulation: Formulation) -> np.ndarray:
    """Studies that are like a formulation in all that is stated of it."""
    prior = studies()
    alike = np.ones(prior.size.shape, dtype=bool)
    for name in ("carrier", "targeting", "site", "graft", "cancer"):
        wanted = getattr(formulation, name)
        if wanted is not None:
            alike &= np.array([found == wanted for found in getattr(prior, name)])
    for numbers, value, factor in (
        (prior.size, formulation.size, SIZE_FACTOR),
        (prior.tumour_weight, formulation.tumour_weight, WEIGHT_FACTOR),
    ):
        if value is not None:
            alike &= np.abs(np.log(numbers / value)) <= np.log(factor)
    return alike


def _regressed(
    values: np.ndarray, formulation: Formulation
) -> tuple[Prediction, int, tuple[str, ...], bool] | None:
    """What is expected of a formulation's logarithm; the studies and terms used; beyond them?

    None where too few studies state what is stated of the formulation.
    """
    prior = studies()
    used = values > 0
    columns, row, terms = [np.ones(values.size)], [1.0], []
    numeric = {"tumour_weight": prior.tumour_weight, "size": prior.size}
    for name, numbers in numeric.items():
        value = getattr(formulation, name)
        if value is not None:
            used = used & np.isfinite(numbers)
            columns.append(np.log(np.where(np.isfinite(numbers), numbers, 1.0)))
            row.append(float(np.log(value)))
            terms.append(f"ln {name}")
    for name, choices in (("targeting", TARGETINGS), ("site", SITES), ("graft", GRAFTS)):
        value = getattr(formulation, name)
        if value is not None:
            stated = getattr(prior, name)
            used = used & np.array([one in choices for one in stated])
            columns.append(np.array([float(one == choices[0]) for one in stated]))
            row.append(float(value == choices[0]))
            terms.append(name)
    if int(used.sum()) < max(LEAST, len(row) + 2):
        return None
    design = np.column_stack(columns)[used]
    varied = np.concatenate([[True], np.ptp(design[:, 1:], axis=0) > 0])
    if np.linalg.matrix_rank(design[:, varied]) < int(varied.sum()):
        return None
    beyond = any(
        not design[:, place].min() <= row[place] <= design[:, place].max()
        for place in range(1, len(row))
    )
    codes, wanted, pooled = _groups(formulation, used)
    fit = fit_pooled(np.log(values[used]), design[:, varied], codes, prior.series[used])
    expected = predict(fit, np.array(row)[varied], wanted)
    return expected, int(used.sum()), (*terms, *pooled), beyond


def _groups(
    formulation: Formulation, used: np.ndarray
) -> tuple[tuple[np.ndarray, ...], tuple[int | None, ...], tuple[str, ...]]:
    """Codes (n,) of carrier types and cancers, the formulation's own, and their names."""
    codes, wanted, names = [], [], []
    for name in ("carrier", "cancer"):
        value = getattr(formulation, name)
        if value is None:
            continue
        stated = [one for one, keep in zip(getattr(studies(), name), used, strict=True) if keep]
        known = sorted(set(stated))
        if len(known) < 2:
            continue
        codes.append(np.array([known.index(one) for one in stated]))
        wanted.append(known.index(value) if value in known else None)
        names.append(f"{name} (pooled)")
    return tuple(codes), tuple(wanted), tuple(names)
