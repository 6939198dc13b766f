"""The dose, or the concentration in plasma, at which a drug occupies half of its target.

Over the subjects of a table, occupancy = Emax x^Hill / (ED50^Hill + x^Hill): by least squares, each
region by itself. Where x is a concentration, ED50 is called EC50.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.io import occupancy_table
from igdd.kernels.occupancy import dose_occupancy as fit
from igdd.kinetics import Status

# Largest occupancy below which numbers said to be percent look like fractions.
FRACTION = 0.015
KEYS = ("value", "sd", "low", "high")


def dose_occupancy(
    table: Path | str | Mapping[str, Sequence[Any] | np.ndarray],
    *,
    Emax: float | None = None,
    Hill: float | None = 1.0,
    unit: str | None = None,
    occupancy_unit: str | None = None,
) -> dict[str, Any]:
    """ED50 (or EC50) and Emax of occupancies over doses, with 95 % intervals.

    table  CSV, TSV or xlsx with columns dose or concentration, occupancy, optional subject, region,
           sd; or a mapping of such columns
    Emax   largest occupancy in %, where it is known (100); None: fitted
    Hill   exponent; None: fitted
    unit   of dose or concentration, and `occupancy_unit` percent or fraction, where the table does
           not say

    Standard errors say how occupancies compare; their scatter about the curve says how large the
    noise is. Subjects without a dose take no part.

    >>> found = dose_occupancy(
    ...     {"dose": [1, 3, 10, 30], "occupancy": [16.7, 37.5, 66.7, 85.7]},
    ...     unit="mg", occupancy_unit="percent", Emax=100,
    ... )
    >>> round(found["fits"][0]["parameters"]["ED50"]["value"], 2)
    5.0
    """
    if Emax is not None and not 0 < Emax <= 200:
        raise InputError(
            f"Emax is held at {Emax:g} %; expected above 0, at most 200 %, such as 100"
        )
    if Hill is not None and not 0.1 <= Hill <= 10:
        raise InputError(f"Hill is held at {Hill:g}; expected from 0.1 to 10")
    if isinstance(table, Mapping):
        seen = occupancy_table.of_columns(table, unit, occupancy_unit)
    elif isinstance(table, str | Path):
        seen = occupancy_table.read(Path(table), unit, occupancy_unit)
    else:
        raise InputError(
            f"occupancies are a {type(table).__name__}; expected the path of a table, or a mapping "
            "of columns, such as dict(frame) makes of a DataFrame"
        )
    names = tuple(dict.fromkeys(seen.region))
    held = (None if Emax is None else Emax / 100, Hill)
    return {
        "source": seen.source,
        "driver": seen.driver,
        "unit": seen.unit,
        "fits": [_fitted(seen, name, held, alone=len(names) == 1) for name in names],
    }


def _fitted(
    seen: occupancy_table.Occupancies,
    region: str,
    held: tuple[float | None, float | None],
    *,
    alone: bool,
) -> dict[str, Any]:
    """One region's parameters, flags and points; of several, one that cannot be fitted is null."""
    rows = np.array([name == region for name in seen.region])
    level, occupancy = seen.level[rows], seen.occupancy[rows]
    sd = seen.sd[rows] if np.isfinite(seen.sd[rows]).all() else None
    flags: set[str] = set()
    try:
        found = fit(level, occupancy, sd, Emax=held[0], Hill=held[1])
        numbers = np.stack([found.parameters, found.sd, found.low, found.high])
        flags.update(Status(found.status).flags)
    except InputError as error:
        if alone:
            raise InputError(f"{seen.source}: {error}") from error
        numbers = np.full((4, 3), np.nan)
        flags.add("not_fitted")
    if np.abs(occupancy).max() < FRACTION:
        flags.add("fractions_suspected")
    subjects = [name for name, own in zip(seen.subject, rows, strict=True) if own]
    half = "ED50" if seen.driver == "dose" else "EC50"
    kinds = (
        ("Emax", 100.0, "%", held[0] is not None),
        (half, 1.0, seen.unit, False),
        ("Hill", 1.0, "1", held[1] is not None),
    )
    return {
        "region": region,
        "parameters": {
            name: {
                **{
                    key: _number(scale * value)
                    for key, value in zip(KEYS, numbers[:, column], strict=True)
                },
                "unit": unit,
                "held": stays,
            }
            for column, (name, scale, unit, stays) in enumerate(kinds)
        },
        "flags": sorted(flags),
        "points": int(np.count_nonzero(level > 0)),
        "observed": [
            {"subject": subject, seen.driver: float(x), "occupancy": _number(100 * y),
             "predicted": _number(100 * _predicted(numbers[0], float(x)))}
            for subject, x, y in zip(subjects, level, occupancy, strict=True)
        ],
    }  # fmt: skip


def _predicted(parameters: np.ndarray, level: float) -> float:
    most, half, hill = (float(one) for one in parameters)
    return 0.0 if level == 0 else most / (1 + (half / level) ** hill)


def _number(value: float) -> float | None:
    """The number without the last digits, which a change of unit makes up; null: not known."""
    return float(f"{value:.12g}") if np.isfinite(value) else None


def text(found: Mapping[str, Any]) -> str:
    """The parameters with their intervals, for the eye."""
    half = "ED50" if found["driver"] == "dose" else "EC50"
    lines = []
    for one in found["fits"]:
        place = f"{one['region']}: " if one["region"] else ""
        flags = f"  ({', '.join(one['flags'])})" if one["flags"] else ""
        hill = one["parameters"]["Hill"]
        power = "" if hill["held"] and hill["value"] == 1 else "^Hill"
        lines.append(
            f"{place}occupancy = Emax {found['driver']}{power} / ({half}{power} + "
            f"{found['driver']}{power}), {one['points']} points{flags}"
        )
        lines += [f"  {name:4} {_shown(entry)}" for name, entry in one["parameters"].items()]
    return "\n".join(lines)


def _shown(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    unit = "" if entry["unit"] == "1" else f" {entry['unit']}"
    if entry["held"]:
        return f"{entry['value']:.4g}{unit}, held"
    if entry["low"] is None or entry["high"] is None:
        return f"{entry['value']:.4g}{unit}"
    return f"{entry['value']:.4g}{unit} ({entry['low']:.4g} to {entry['high']:.4g})"
