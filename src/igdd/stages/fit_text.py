"""Fits and maps as JSON and as lines of text, in display units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd.kinetics import Fit
from igdd.stages.protocol import si_factor

if TYPE_CHECKING:
    from igdd.stages.map import MapResult

# Display units of what was chosen for all curves alike; NAME_shared has that of the parameter NAME.
NOTE_UNITS = {
    "t_star": "min",
    "t_star_by_rule": "min",
    "k2prime": "1/min",
    "delay_shared": "s",
    "arrival": "s",
}
# Lines of a spectrum: how much of the tissue's answer decays at the rate in 1/s in their name.
ALPHA, ALPHA_UNIT = "alpha_at_", "mL/cm3/min"


def shown_note(name: str, value: float, display: Mapping[str, str]) -> tuple[float, str]:
    """A note in its display unit, from SI; `display` holds the units of the parameters.

    >>> shown_note("t_star", 2400.0, {}), shown_note("K1_shared", 0.5, {"K1": "1/s"})
    ((40.0, 'min'), (0.5, '1/s'))
    """
    unit = NOTE_UNITS.get(name) or display.get(name.removesuffix("_shared"), "1")
    unit = ALPHA_UNIT if name.startswith(ALPHA) else unit
    return value / si_factor(unit), unit


def notes_json(notes: Mapping[str, float], display: Mapping[str, str]) -> dict[str, Any]:
    """Notes as value and unit; what is not known is null."""
    shown = {name: shown_note(name, value, display) for name, value in notes.items()}
    return {name: {"value": _number(value), "unit": unit} for name, (value, unit) in shown.items()}


def notes_text(notes: Mapping[str, float], display: Mapping[str, str]) -> str:
    """Notes as words; what could not be found is none.

    >>> notes_text({"t_star": 2400.0, "t_star_by_rule": float("nan")}, {})
    't_star 40 min, t_star_by_rule none'
    """
    shown = [(name, *shown_note(name, value, display)) for name, value in notes.items()]
    return ", ".join(
        f"{name} {value:.4g} {unit}".removesuffix(" 1") if np.isfinite(value) else f"{name} none"
        for name, value, unit in shown
    )


def as_json(fit: Fit) -> list[dict[str, Any]]:
    """One entry for each region, in display units; what is not known is null."""
    factors = np.array([si_factor(unit) for unit in fit.display])
    values = fit.values / factors
    # A derived variance of all but 0 may be below it by rounding.
    deviations = np.sqrt(np.maximum(np.einsum("njj->nj", fit.covariance), 0.0)) / factors
    notes = fit.notes or ({},) * len(fit.names)
    display = dict(zip(fit.parameters, fit.display, strict=True))
    return [
        {
            "region": name,
            "parameters": {
                parameter: {
                    "value": _number(values[row, column]),
                    "sd": _number(deviations[row, column]),
                    "unit": fit.display[column],
                    **_limits(fit, row, column, factors[column]),
                }
                for column, parameter in enumerate(fit.parameters)
            },
            "flags": list(fit.flags[row]),
            "aicc": _number(fit.aicc[row]),
            "notes": notes_json(notes[row], display),
        }
        for row, name in enumerate(fit.names)
    ]


def _limits(fit: Fit, row: int, column: int, factor: float) -> dict[str, float | None]:
    """Limits of 95 % in the display unit, where they were asked for; null: there is none."""
    if fit.limits is None or np.isnan(fit.limits[row, column]).any():
        return {}
    low, high = fit.limits[row, column] / factor
    return {"low": _number(low), "high": _number(high)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def described(found: MapResult) -> dict[str, Any]:
    """What a map left on disk, as plain values."""
    return {
        "model": found.model,
        "maps": {name: str(path) for name, path in found.maps.items()},
        "sd": {name: str(path) for name, path in found.sd.items()},
        "units": dict(found.units),
        "flags": str(found.flags),
        "voxels": found.voxels,
        "fitted": found.fitted,
        "counts": dict(found.counts),
        "input_flags": list(found.input_flags),
        "notes": notes_json(found.notes, found.units),
    }


def map_text(found: MapResult) -> str:
    """What a map left on disk, as lines."""
    lines = [f"{found.model}: {found.fitted} of {found.voxels} voxels fitted"]
    lines += [f"  {name} ({found.units[name]}): {path}" for name, path in found.maps.items()]
    lines += [f"  {notes_text(found.notes, found.units)}"] if found.notes else []
    lines += [f"  flag {name}: {count} voxels" for name, count in found.counts.items() if count]
    if found.input_flags:
        lines.append(f"  the input, and so all voxels: {', '.join(found.input_flags)}")
    return "\n".join([*lines, f"  flags: {found.flags}"])


def text(fit: Fit) -> str:
    """The parameters as a table of text: one line for each region, value ± standard error."""
    factors = [si_factor(unit) for unit in fit.display]
    display = dict(zip(fit.parameters, fit.display, strict=True))
    header = ["region", *(
        name if unit == "1" else f"{name} ({unit})"
        for name, unit in zip(fit.parameters, fit.display, strict=True)
    ), "AICc", "notes", "flags"]  # fmt: skip
    lines = [header]
    for row, region in enumerate(fit.names):
        cells = [
            _cell(fit.values[row, column] / factor,
                  np.sqrt(max(fit.covariance[row, column, column], 0.0)) / factor)
            + ("" if fit.limits is None else _range(fit.limits[row, column] / factor))
            for column, factor in enumerate(factors)
        ]  # fmt: skip
        notes = fit.notes[row] if fit.notes else {}
        aicc = fit.aicc[row]
        lines.append([
            region, *cells, f"{aicc:.1f}" if np.isfinite(aicc) else "-",
            notes_text(notes, display) or "-",
            ", ".join(fit.flags[row]) or "-",
        ])  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _range(limits: np.ndarray) -> str:
    low, high = limits
    return "" if np.isnan(limits).any() else f" [{low:.4g}, {high:.4g}]"


def _cell(value: float, sd: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.4g}" if not (np.isfinite(sd) and sd > 0) else f"{value:.4g} ± {sd:.2g}"
