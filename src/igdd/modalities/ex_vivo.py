"""Ex vivo counting: gamma-counter rows to % of injected dose per organ and per gram.

With N counts in t seconds, started at T after a common instant; background rows b; standards k,
each holding a known share phi_k of the dose; half-life H; mass m; and g, the animal's own dose as a
share of the dose of the standards:

    B = sum N_b / sum t_b                             background rate
    f = decay factor of a frame (T, t) to the common instant (igdd.decay.decay_factor)
    n = f (N / t - B)                                 net rate at the common instant
    S = mean of n_k / phi_k                           net rate of the whole dose
    %ID = 100 n / (S g),   %ID/g = %ID / m

Decay up to the common instant is the same for organ and standard and cancels, so %ID is corrected
to administration. Negative net rates stay negative.

Uncertainty, first order. Random, the row's own: var N = max(N, 1) (Poisson; a tube without a count
is not known exactly) and the mass. Shared by all rows: S, from its counts and the standard
deviations of phi, or from the scatter between standards where that is larger; and B, through the
row and through S together, since a background that is too low raises both.

Dead time and pile-up are NOT corrected: counts must come from the counter's linear range, and
count_time must be live time. Spill-over between nuclides and self-absorption are not corrected.
Source: first-order propagation, JCGM 100:2008 (GUM), section 5.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from igdd import decay
from igdd.declare import Modality
from igdd.errors import InputError
from igdd.facts import Agent, Subject
from igdd.results import Value
from igdd.uncertainty import Estimate

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("kind", "animal", "organ", "time", "counts", "count_time", "counted_at", "fraction")
METHOD = (
    "Gamma counting: net of background, corrected for decay to a common instant, relative to "
    "{standards} of the injected dose"
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What all tubes share: background rate in 1/s, net rate in 1/s of the whole dose.

    cv               relative standard deviation of `dose_rate`, background apart
    background_sd    of the background rate, 1/s
    dose_slope       change of `dose_rate` per change of the background rate (negative)
    standards        number of them
    """

    background: float
    background_sd: float
    dose_rate: float
    cv: float
    dose_slope: float
    standards: int
    flags: tuple[str, ...] = ()


def calibrate(
    table: pd.DataFrame, half_life: float | str | decay.Nuclide, analyte: str = "label"
) -> dict[str, tuple[Value, ...]]:
    """%ID and %ID/g of every organ, by animal, corrected for decay to administration.

    table      as `igdd.io.ex_vivo_table.read` gives it: s, g, counts, shares of the dose
    half_life  in s, or the nuclide
    """
    seconds = decay.half_life_of(half_life)
    _check(table)
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            return _calibrated(table, seconds, analyte)
    except FloatingPointError as error:
        raise InputError(
            f"the ex vivo table holds numbers whose quotients have no finite value ({error}); "
            "check counts, fractions and masses for misplaced digits"
        ) from error


def _calibrated(table: pd.DataFrame, seconds: float, analyte: str) -> dict[str, tuple[Value, ...]]:
    scale = standard_scale(table, seconds)
    method = METHOD.format(standards=f"{scale.standards} standard{'s' * (scale.standards > 1)}")
    samples = table[table["kind"] == "sample"]
    factors = decay.decay_factor(seconds, samples["counted_at"], samples["count_time"])
    values: dict[str, list[Value]] = {}
    for (_, row), factor in zip(samples.iterrows(), factors, strict=True):
        first = Value(
            region=str(row["organ"]),
            metric="percent_id",
            estimate=_share(row, float(factor), scale),
            unit="%",
            time=float(row["time"]),
            analyte=analyte,
            flags=scale.flags,
            method=method,
        )
        rows = values.setdefault(str(row["animal"]), [])
        rows.append(first)
        if np.isfinite(row.get("mass", np.nan)):
            rows.append(_per_gram(first, float(row["mass"]), float(row.get("mass_sd", np.nan))))
    return {animal: tuple(rows) for animal, rows in values.items()}


def _per_gram(share: Value, mass: float, mass_sd: float) -> Value:
    unknown = bool(np.isnan(mass_sd))
    return replace(
        share,
        metric="percent_id_per_g",
        estimate=share.estimate.times(1 / mass, cv_random=0.0 if unknown else mass_sd / mass),
        unit="%/g",
        flags=share.flags + (("mass_sd_unknown",) if unknown else ()),
        method=share.method + ", per gram as weighed",
    )


def standard_scale(table: pd.DataFrame, half_life: float) -> Scale:
    """Background rate and the net rate of the whole dose, from a table's own rows."""
    background, standards = (table[table["kind"] == kind] for kind in ("background", "standard"))
    length = float(background["count_time"].sum())
    counts = float(background["counts"].sum())
    rate, rate_sd = counts / length, float(np.sqrt(max(counts, 1.0)) / length)
    factor = decay.decay_factor(half_life, standards["counted_at"], standards["count_time"])
    share = standards["fraction"].to_numpy(float)
    time = standards["count_time"].to_numpy(float)
    found = standards["counts"].to_numpy(float)
    whole = factor * (found / time - rate) / share
    dose_rate = float(whole.mean())
    if not dose_rate > 0:
        raise InputError(
            f"the standards' net rate is {dose_rate:g}/s; expected more than the background's "
            f"{rate:g}/s; check kind, counts and count_time of the standards"
        )
    counting = factor * np.sqrt(np.maximum(found, 1)) / time / share
    share_sd = _column(standards, "fraction_sd")
    pipetting = whole * np.nan_to_num(share_sd) / share
    # several standards show by their scatter how well they were made; a single one does not
    unknown = share.size == 1 and bool(np.isnan(share_sd).any())
    propagated = float(np.sqrt((counting**2 + pipetting**2).sum())) / share.size
    scatter = float(whole.std(ddof=1) / np.sqrt(share.size)) if share.size > 1 else 0.0
    return Scale(
        background=rate,
        background_sd=rate_sd,
        dose_rate=dose_rate,
        cv=max(propagated, scatter) / dose_rate,
        dose_slope=-float((factor / share).mean()),
        standards=int(share.size),
        flags=("standard_sd_unknown",) if unknown else (),
    )


def _share(row: pd.Series, factor: float, scale: Scale) -> Estimate:
    """% of the animal's injected dose in one tube."""
    given = row.get("given", np.nan)
    percent = 100 * factor / (scale.dose_rate * (1.0 if np.isnan(given) else given))
    value = percent * (row["counts"] / row["count_time"] - scale.background)
    random = percent * np.sqrt(max(row["counts"], 1.0)) / row["count_time"]
    slope = -percent - value * scale.dose_slope / scale.dose_rate
    shared = float(np.hypot(value * scale.cv, slope * scale.background_sd))
    return Estimate(value=float(value), sd=float(np.hypot(random, shared)), sd_shared=shared)


def _column(rows: pd.DataFrame, name: str) -> np.ndarray:
    if name not in rows:
        return np.full(len(rows), np.nan)
    return rows[name].to_numpy(float)


def _check(table: pd.DataFrame) -> None:
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise InputError(f"the ex vivo table lacks {', '.join(missing)}; read it by its reader")
    kinds = table["kind"]
    for kind, remedy in (
        ("sample", "the organs"),
        ("standard", "tubes with a known share of the dose"),
        ("background", "empty tubes"),
    ):
        if not (kinds == kind).any():
            raise InputError(f"the ex vivo table has no row of kind {kind}; expected {remedy}")
    sample, standard = kinds == "sample", kinds == "standard"
    _positive(table, "count_time", "s")
    _positive(table[standard], "fraction", "of the dose")
    _finite(table, "counts")
    _finite(table[sample | standard], "counted_at")
    _finite(table[sample], "time")
    for name in ("mass", "mass_sd", "fraction_sd", "given"):
        if name in table:
            _positive(table[table[name].notna()], name, "", zero=name.endswith("_sd"))
    for name in ("animal", "organ"):
        empty = table.index[sample & (table[name].fillna("") == "")]
        if len(empty):
            raise InputError(f"line {empty[0]}: a sample has no {name}; expected its name")
    rows = table.loc[sample, ["animal", "organ", "time"]].itertuples(index=False, name=None)
    (row, times), *_ = Counter(rows).most_common(1)
    if times > 1:
        raise InputError(
            f"animal {row[0]}, organ {row[1]} at {row[2]:g} s stands there {times} times; expected "
            "once; name parts or repeats apart, such as 'liver 1' and 'liver 2'"
        )


def _finite(rows: pd.DataFrame, name: str) -> None:
    values = rows[name].to_numpy(float)
    wrong = ~np.isfinite(values) | ((values < 0) & (name == "counts"))
    if wrong.any():
        raise InputError(
            f"line {rows.index[wrong][0]}: {name} is {values[wrong][0]}; expected a finite number"
            + (" >= 0" if name == "counts" else "")
        )


def _positive(rows: pd.DataFrame, name: str, unit: str, zero: bool = False) -> None:
    values = rows[name].to_numpy(float)
    wrong = ~(np.isfinite(values) & ((values > 0) | (zero & (values == 0))))
    if wrong.any():
        raise InputError(
            f"line {rows.index[wrong][0]}: {name} is {values[wrong][0]} {unit}; "
            f"expected {'>=' if zero else '>'} 0"
        )


def of_subject(table: pd.DataFrame, subject: Subject, agent: Agent) -> tuple[Value, ...]:
    """%ID and %ID/g of one animal's organs; its subject id is the table's animal."""
    half_life: float | str = agent.half_life
    if np.isnan(agent.half_life):
        if not agent.nuclide:
            raise InputError(
                "the ex vivo table needs the label's half-life; give agent.label.nuclide, "
                "such as label = { nuclide = 'Zr-89', on = 'carrier' }"
            )
        half_life = agent.nuclide
    found = calibrate(table, half_life, agent.analyte)
    if subject.id not in found:
        raise InputError(
            f"the ex vivo table holds no animal {subject.id!r}; expected the subject's id among "
            f"{', '.join(sorted(found))}"
        )
    return found[subject.id]


MODALITIES = (
    Modality(
        name="ex_vivo",
        calibrate=of_subject,
        gives="values",
        help="organs in a gamma counter: %ID and %ID/g from counts, standards and background",
    ),
)
