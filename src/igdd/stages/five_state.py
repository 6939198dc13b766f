"""Five-state delivery model fitted to amounts over time: what enters the target cells, and why.

Least squares on log10 of the amounts at the administration site, at the target (vicinity and
inside together, as a balance or counter sees it), off target, and excreted where that is known.
Every rate gets its profile likelihood, for such tables seldom determine all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import tables
from igdd.kernels.elasticity import elasticities
from igdd.kernels.five_state import RATES, RETURNS, courses, ever_inside, one_way_efficiency
from igdd.kernels.levenberg import fit_curves

SEEN = ("administration", "target", "off_target", "excreted")
# Rates from a thousandth of the slowest time seen to a thousand times the fastest, or 0.
STARTS, SEED = 60, 5
SPAN = 1e3
# Points of a profile on each side, and rounds that narrow the place where it crosses the limit.
POINTS, ROUNDS = 8, 2
REACH = 4.0  # decades to each side of the estimate
MOST_TIMES = 200
_HEADER = re.compile(r"(?P<name>.+?)\s*[\[(](?P<unit>[^\[\]()]+)[\])]")


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """What was found where: time (t,) in h, amounts (t, 4) in % of the dose, NaN: not known;
    what was found nowhere (t,)."""

    time: np.ndarray
    share: np.ndarray
    missing: np.ndarray
    source: str


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of the table that make up each place, summed; empty: the column of that name."""

    administration: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    off_target: tuple[str, ...] = ()
    excreted: tuple[str, ...] = ()


def five_state(
    table: Path | str,
    dose: str,
    *,
    columns: Columns | None = None,
    excreted_by_difference: bool = False,
    hold: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Rates (1/h) of the five-state model from amounts over time, and the share inside the cells.

    table   column time [h], and amounts with their unit in the header
    dose    in the same dimension, such as "160.3 ug" or "100 %"
    hold    rates that are known, such as {"kin": "0.4 1/h"}
    excreted_by_difference  take what was found nowhere as excreted; else it is only printed
    """
    seen = _read(Path(table), dose, columns or Columns(), excreted_by_difference)
    held = _held(hold or {})
    free = np.array([name not in held for name in RATES])
    known = np.isfinite(seen.share)
    spare = int(known.sum() - free.sum())
    if spare < 1:
        raise InputError(
            f"{seen.source}: {int(known.sum())} amounts for {int(free.sum())} rates; expected more "
            "amounts than rates; hold rates that are known"
        )
    rates, squares, predicted = _fit(seen, held, free)
    limit = squares * (1 + stats.f.ppf(0.95, 1, spare) / spare)
    profiles = _profiles(seen, rates, free, limit)
    residuals = (predicted - np.log10(np.where(known, seen.share, 1.0)))[known]
    return {
        "model": "five-state delivery model (Wu and others 2022)",
        "rates": [_rate(name, rates[place], held, profiles) for place, name in enumerate(RATES)],
        "fit": {
            "amounts": int(known.sum()),
            "rates": int(free.sum()),
            "rms_log10": float(np.sqrt(np.mean(residuals**2))),
            "aafe": float(10 ** np.mean(np.abs(residuals))),
        },
        "times": {"unit": "h", "values": seen.time.tolist()},
        "observed": {name: seen.share[:, place].tolist() for place, name in enumerate(SEEN)},
        "predicted": {name: (10 ** predicted[:, place]).tolist()
                      for place, name in enumerate(SEEN)},
        "found_nowhere": {"unit": "%", "values": seen.missing.tolist(),
                          "taken_as_excreted": excreted_by_difference},
        **_delivery(rates, seen.time),
    }  # fmt: skip


def _read(path: Path, dose: str, columns: Columns, by_difference: bool) -> Amounts:
    table = tables.read_table(path)
    headers = {}
    for header in map(str, table.columns):
        match = _HEADER.fullmatch(header.strip())
        name = match["name"] if match else header.strip()
        if name in headers:
            raise InputError(f"{path}: two columns are {name!r}; expected one each")
        headers[name] = (header, match["unit"] if match else None)
    if not 0 < len(table) <= MOST_TIMES:
        raise InputError(f"{path}: holds {len(table)} times; expected 1 to {MOST_TIMES}")
    time = _column(table, headers, "time", path, "h")
    if not np.isfinite(time).all() or (time <= 0).any() or (np.diff(time) <= 0).any():
        raise InputError(f"{path}: times must be above 0 and ascend, one row each")
    share = np.full((time.size, len(SEEN)), np.nan)
    for place, name in enumerate(SEEN):
        wanted = getattr(columns, name) or ((name,) if name in headers else ())
        if not wanted and name == "excreted":
            continue
        if not wanted:
            raise InputError(f"{path}: column {name} is missing; expected it, or to be told which "
                             f"columns make it up; found {', '.join(headers)}")  # fmt: skip
        share[:, place] = sum(_share(table, headers, one, path, dose) for one in wanted)
    missing = 100 - np.nansum(share, axis=1)
    if by_difference:
        if np.isfinite(share[:, 3]).any():
            raise InputError(f"{path}: has a column of what was excreted; expected no difference")
        share[:, 3] = missing
    if (share <= 0).any() or (np.nansum(share, axis=1) > 100 * (1 + 1e-9)).any():
        raise InputError(
            f"{path}: an amount is 0 or below, or a row holds more than the dose of {dose}; "
            "logarithms are fitted: leave the cell empty, or mend the dose"
        )
    return Amounts(time=time, share=share, missing=missing, source=path.name)


def _column(
    table: Any, headers: Mapping[str, tuple[str, str | None]], name: str, path: Path, unit: str
) -> np.ndarray:
    if name not in headers:
        raise InputError(f"{path}: column {name} is missing; found {', '.join(headers)}")
    header, found = headers[name]
    if found is None:
        raise UnitsError(
            f"{path}: column {header!r} has no unit; expected such as '{name} [{unit}]'"
        )
    return tables.numbers(table, header, str(path)) * units.factor(found, unit)


def _share(
    table: Any,
    headers: Mapping[str, tuple[str, str | None]],
    name: str,
    path: Path,
    dose: str,
) -> np.ndarray:
    """A column in percent of the dose."""
    if name not in headers:
        raise InputError(f"{path}: column {name} is missing; found {', '.join(headers)}")
    found = headers[name][1]
    if found is None:
        raise UnitsError(f"{path}: column {headers[name][0]!r} has no unit; expected '{name} [ug]'")
    given = units.read(dose, found)
    if not given > 0:
        raise InputError(f"dose {dose!r}; expected one above 0")
    return _column(table, headers, name, path, found) * 100 / given


def _held(hold: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for name, value in hold.items():
        if name not in RATES:
            raise InputError(f"rate {name!r} is unknown; expected one of {', '.join(RATES)}")
        found[name] = units.read(value, "1/h")
        if found[name] < 0:
            raise InputError(f"rate {name} = {value}; expected at least 0")
    return found


def _seen(amounts: np.ndarray) -> np.ndarray:
    """The four places that are measured (m, t, 4) of the five (m, t, 5)."""
    return np.stack(
        [amounts[..., 0], amounts[..., 1] + amounts[..., 2], amounts[..., 3], amounts[..., 4]], -1
    )


def _logs(rates: np.ndarray, time: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(np.maximum(_seen(courses(rates, time, 100.0)), 0.0)))


def _problem(seen: Amounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log10 amounts (1, 4 t), their standard deviations (inf: unknown), bounds of the rates."""
    known = np.isfinite(seen.share)
    target = np.log10(np.where(known, seen.share, 1.0)).reshape(1, -1)
    sd = np.where(known, 1.0, np.inf).reshape(1, -1)
    return target, sd, np.array([[0.0, SPAN / seen.time[0]]] * len(RATES))


def _fitted(
    seen: Amounts, starts: np.ndarray, free: np.ndarray, curves: int
) -> tuple[np.ndarray, np.ndarray]:
    """Best rates (curves, 10) and sums of squares from starts (s, 10) or (curves, s, 10)."""
    target, sd, bounds = _problem(seen)
    unknown = np.isinf(sd[0])

    def predict(rates: np.ndarray) -> np.ndarray:
        logs = _logs(rates, seen.time).reshape(len(rates), -1)
        logs[:, unknown] = 0.0
        return logs

    target, sd = np.repeat(target, curves, axis=0), np.repeat(sd, curves, axis=0)
    found = fit_curves(predict, target, sd, starts, bounds, free=free)
    residuals = np.where(np.isinf(sd), 0.0, found.predicted - target)
    squares = np.sum(residuals**2, axis=1)
    return found.parameters, np.where(np.isfinite(squares), squares, np.inf)


def _fit(
    seen: Amounts, held: Mapping[str, float], free: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Best rates (10,), their sum of squares, and log10 of the amounts (t, 4) they predict."""
    low, high = np.log10([0.3 / seen.time[-1], 10 / seen.time[0]])
    starts = 10 ** np.random.default_rng(SEED).uniform(low, high, (STARTS, len(RATES)))
    for name, value in held.items():
        starts[:, RATES.index(name)] = value
    rates, squares = _fitted(seen, starts, free, 1)
    if not np.isfinite(squares[0]):
        raise InputError(f"{seen.source}: no start of the fit led to amounts above 0; a rate that "
                         "is held at 0 may cut a place off")  # fmt: skip
    return rates[0], float(squares[0]), _logs(rates, seen.time)[0]


def _profiles(
    seen: Amounts, rates: np.ndarray, free: np.ndarray, limit: float
) -> dict[str, tuple[float, float]]:
    """95 % limits of each free rate by profile likelihood; 0 or inf where there is none.

    A rate is held at values away from its estimate and all others are fitted anew; the limits are
    where the sum of squares exceeds its least by the factor 1 + F(1, n - k) / (n - k).
    """
    floor = 1e-2 / seen.time[-1]
    limits = {}
    for place in map(int, np.flatnonzero(free)):
        centre = max(rates[place], floor)
        # both sides at once: decades from the estimate that are inside, and that are beyond
        inner, outer = np.zeros(2), np.full(2, np.inf)
        for _ in range(ROUNDS):
            far = np.where(np.isfinite(outer), outer, REACH)
            steps = inner[:, None] + (far - inner)[:, None] * np.linspace(0, 1, POINTS + 1)[1:]
            values = centre * 10 ** (np.array([[-1.0], [1.0]]) * steps)
            least = _least(seen, rates, free, place, values.ravel())
            beyond = least.reshape(values.shape) > limit
            for side in (0, 1):
                if beyond[side].any():
                    first = int(np.argmax(beyond[side]))
                    outer[side] = steps[side, first]
                    inner[side] = steps[side, first - 1] if first else inner[side]
                elif np.isfinite(outer[side]):
                    inner[side] = steps[side, -2]
        low, high = centre * 10 ** (np.array([-1.0, 1.0]) * (inner + outer) / 2)
        limits[RATES[place]] = (float(low), float(high))
    return limits


def _least(
    seen: Amounts, rates: np.ndarray, free: np.ndarray, place: int, values: np.ndarray
) -> np.ndarray:
    """Least sum of squares (v,) with one rate held at each of some values."""
    starts = np.repeat(np.maximum(rates, 1e-3 / seen.time[-1])[None, None], values.size, axis=0)
    starts[:, :, ~free] = rates[~free]
    starts[:, :, place] = values[:, None]
    others = free.copy()
    others[place] = False
    return _fitted(seen, starts, others, values.size)[1]


def _rate(
    name: str, value: float, held: Mapping[str, float], profiles: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    if name in held:
        return {"rate": name, "value": float(value), "unit": "1/h", "held": True, "flags": []}
    low, high = profiles[name]
    flags = [*(["at_bound"] if value <= 0 else []),
             *(["poorly_identified"] if low == 0 or np.isinf(high) else [])]  # fmt: skip
    return {"rate": name, "value": float(value), "unit": "1/h", "held": False,
            "low": low, "high": high, "flags": flags}  # fmt: skip


def _delivery(rates: np.ndarray, time: np.ndarray) -> dict[str, Any]:
    """What is inside the cells, how much ever was, and what each rate does to it."""
    inside = courses(rates, time, 100.0)[0, :, 2]
    highest = int(np.argmax(inside))
    at = time[: highest + 1]

    def outcomes(points: np.ndarray) -> np.ndarray:
        return np.column_stack([courses(points, at)[:, -1, 2], ever_inside(points)])

    found = elasticities(outcomes, rates)
    names = (f"inside at {time[highest]:g} h", "ever inside")
    one_way = not any(rates[RATES.index(name)] for name in RETURNS)
    return {
        "inside": {"unit": "%", "values": inside.tolist(),
                   "highest": {"value": float(inside[highest]), "time": float(time[highest])}},
        "ever_inside": float(100 * ever_inside(rates)[0]),
        "one_way_efficiency": float(100 * one_way_efficiency(rates)[0]) if one_way else None,
        "elasticities": [
            {"outcome": outcome, "rate": RATES[row], "elasticity": float(found.value[row, column]),
             "error": float(found.error[row, column])}
            for column, outcome in enumerate(names)
            for row in np.argsort(-np.nan_to_num(np.abs(found.value[:, column])), kind="stable")
        ],
    }  # fmt: skip


def text(found: Mapping[str, Any]) -> str:
    """Rates with their profile limits, how the model follows, and what enters the cells."""
    lines = [found["model"]]
    for row in found["rates"]:
        if row["held"]:
            lines.append(f"  {row['rate']:5} {row['value']:10.4g} 1/h  held")
            continue
        flags = f"  ({', '.join(row['flags'])})" if row["flags"] else ""
        lines.append(f"  {row['rate']:5} {row['value']:10.4g} 1/h  "
                     f"[{row['low']:.3g}, {row['high']:.3g}]{flags}")  # fmt: skip
    fit, highest = found["fit"], found["inside"]["highest"]
    lines += [
        f"{fit['amounts']} amounts, {fit['rates']} rates: rms of log10 {fit['rms_log10']:.3f}, "
        f"average absolute fold error {fit['aafe']:.2f}",
        f"inside the target cells: {highest['value']:.3g} %ID at {highest['time']:g} h, the most "
        f"at the times seen; ever inside {found['ever_inside']:.3g} %",
    ]
    nowhere = found["found_nowhere"]
    gaps = ", ".join(f"{value:.3g}" for value in nowhere["values"])
    lines.append(f"found in no place: {gaps} %ID"
                 + (", taken as excreted" if nowhere["taken_as_excreted"] else ""))  # fmt: skip
    rows: Sequence[Mapping[str, Any]] = found["elasticities"]
    first = rows[0]["outcome"]
    lines.append(f"elasticity of the amount {first}:")
    lines += [f"  {row['rate']:5} {row['elasticity']:+.3f}" for row in rows
              if row["outcome"] == first and abs(row["elasticity"]) > 0.005]  # fmt: skip
    return "\n".join(lines)
