"""Thermosensitive liposomes in a heated tumour, from a description with units and a temperature.

The description is a TOML file (docs/release.md has one): the dose, the body, the tumour, and the
rate of release by temperature. The course is given at the samples of the history and between them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io import bounded
from igdd.io.temperature_table import History, read_histories
from igdd.kernels.thermosensitive import PLACES, Heating, Tumour, balance, course
from igdd.stages.heat_release import read_rate

LARGEST = 2**16
# Key -> the unit that it is brought to: s, mL, g; "1" is a plain number.
TUMOUR = {
    "plasma_volume": "mL", "volume": "mL", "vessels": "1", "interstitium": "1", "cells": "1",
    "flow": "mL/s", "PS": "mL/s", "liposomal_clearance": "1/s", "clearance": "1/s",
}  # fmt: skip
OPTIONAL = {"k12": "1/s", "k21": "1/s", "Vmax": "g/(mL.s)", "Ke": "g/mL", "Ki": "g/mL"}
GIVEN = {"dose": "g", "duration": "s"}
# Together or not at all: saturable uptake.
UPTAKE = ("Vmax", "Ke", "Ki")
EXAMPLES = {"mL": "mL", "1": "a plain number", "mL/s": "mL/min", "1/s": "1/min", "g": "mg",
            "s": "min", "g/(mL.s)": "ug/(mL.min)", "g/mL": "ug/mL"}  # fmt: skip
MICROGRAM, MINUTE = 1e6, 60.0
# Even times at which the course is given, beside those of the history.
STEPS = 241


def thermosensitive(description: Path | str, history: Path | str) -> list[dict[str, Any]]:
    """Where the drug is over time, for every region of a temperature history.

    description  TOML: dose, duration, rate (as of `heat_release`), and the keys of `Tumour`
    history      table with columns time, temperature and, where there are several, region
    """
    path = Path(description)
    document = _read(path)
    tumour = Tumour(**{
        name: _number(document, name, unit, path)
        for name, unit in (TUMOUR | OPTIONAL).items()
        if name in TUMOUR or name in document
    })  # fmt: skip
    dose, duration = (_number(document, name, unit, path) for name, unit in GIVEN.items())
    rate = document["rate"]
    if isinstance(rate, str) and "=" not in rate:
        rate = path.parent / rate
    law = read_rate(rate)
    found = []
    for one in read_histories(Path(history)):
        heating = Heating(dose=dose, duration=duration, time=one.time, temperature=one.temperature)
        times = np.union1d(one.time[one.time >= 0], np.linspace(0.0, one.time[-1], STEPS))
        try:
            amounts = course(tumour, heating, law, times)
        except InputError as error:
            raise InputError(f"{history}: {error}") from error
        missing = float(np.abs(balance(heating, times, amounts)).max())
        found.append(_described(one, tumour, times, amounts, missing))
    return found


def _read(path: Path) -> dict[str, Any]:
    """The description with all keys that it must have and none that it may not."""
    try:
        document = tomllib.loads(bounded.read_text(path, LARGEST))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is not valid TOML ({error}); expected keys = values") from error
    known = {**TUMOUR, **OPTIONAL, **GIVEN, "rate": "text"}
    for name in document:
        if name not in known:
            raise InputError(f"{path}: {name[:60]!r} is unknown; expected {', '.join(known)}")
    for name in (*TUMOUR, *GIVEN, "rate"):
        if name not in document:
            raise InputError(f"{path}: {name} is missing; expected {', '.join(known)}")
    some = [name for name in UPTAKE if name in document]
    if 0 < len(some) < len(UPTAKE):
        raise InputError(
            f"{path}: {', '.join(some)} without the rest; expected Vmax, Ke and Ki together"
        )
    if not isinstance(document["rate"], str):
        raise InputError(f"{path}: rate is not text; expected the words of a rate, or a table")
    return document


def _number(document: Mapping[str, Any], name: str, unit: str, path: Path) -> float:
    value = document[name]
    if unit == "1" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str) or unit == "1":
        raise UnitsError(
            f"{path}: {name} is {str(value)[:40]!r}; expected "
            f"{EXAMPLES[unit] if unit == '1' else f'text with a unit such as {EXAMPLES[unit]}'}"
        )
    try:
        return units.read(value, unit)
    except UnitsError as error:
        raise UnitsError(f"{path}: {name}: {error}") from error


def _described(
    one: History, tumour: Tumour, times: np.ndarray, amounts: np.ndarray, missing: float
) -> dict[str, Any]:
    """Concentrations in ug/mL of their own space, and what the tumour holds."""
    place = {name: number for number, name in enumerate(PLACES)}
    spaces = {
        "plasma": tumour.plasma_volume,
        "interstitium": tumour.volume * tumour.interstitium,
        "cells": tumour.volume * tumour.cells,
    }
    levels = {name: MICROGRAM * amounts[:, place[name]] / space for name, space in spaces.items()}
    inside = ("liposomal_vessels", "vessels", "interstitium", "cells")
    held = MICROGRAM * amounts[:, [place[name] for name in inside]].sum(axis=1) / tumour.volume
    outside = levels["interstitium"]
    area = float(np.trapezoid(outside, times)) / MINUTE
    return {
        "region": one.region,
        "tumour_last": {"value": float(held[-1]), "unit": "ug/mL"},
        "cells_last": {"value": float(levels["cells"][-1]), "unit": "ug/mL"},
        "interstitium_highest": {"value": float(outside.max()), "unit": "ug/mL"},
        "interstitium_auc": {"value": area, "unit": "min.ug/mL"},
        "mass_error": missing,
        "course": [
            {"time_s": float(at), "tumour": float(held[row]),
             **{name: float(level[row]) for name, level in levels.items()}}
            for row, at in enumerate(times)
        ],
    }  # fmt: skip


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """A line for each region."""
    return "\n".join(
        f"{one['region'] or 'tumour'}: {one['tumour_last']['value']:.4g} ug/mL in the tumour "
        f"at the end, {one['cells_last']['value']:.4g} ug/mL in its cells; interstitium up to "
        f"{one['interstitium_highest']['value']:.4g} ug/mL (mass error {one['mass_error']:.1e})"
        for one in found
    )
