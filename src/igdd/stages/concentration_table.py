"""Curves of signals made into curves of concentration: T1 and relaxivity of each region.

Blood differs from tissue in T1, and contrast agents in what they do in it: both may be stated by
region. Frames stay frames, and samples at instants stay such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from igdd import provenance
from igdd.errors import InputError, UnitsError
from igdd.io import bids, sidecar, tac_table
from igdd.modalities._spoiled_echo import baseline_frames, check_pace
from igdd.modalities.mr_dce import Doubt, Reading, concentrations, sentence
from igdd.stages.concentration import (
    EVERYWHERE,
    SHOWN,
    UNIT,
    Asked,
    ByRegion,
    Converted,
    account,
    check_free,
    is_signal,
    relaxivity_of,
    t1_in_seconds,
)
from igdd.types import Curves, Frames

# What stands in for a signal's unit: any, since only ratios count.
ARBITRARY = "1"


def convert(table: Path, folder: Path, asked: Asked) -> Converted:
    """A table of concentrations beside its JSON, in a folder, as `igdd fit` reads it."""
    target = folder / "concentration.tsv"
    beside = target.with_suffix(".json")
    check_free((target, beside))
    facts, _ = sidecar.read_sidecar(table)
    curves = _signals(table)
    if asked.interval is not None or asked.b1 is not None:
        raise InputError(
            f"{table}: a table says its own times, and b1 is a map; leave interval and b1 out"
        )
    made = asked.echo(facts, (), str(table))
    check_pace(made, curves.frames, str(table))
    before = baseline_frames(asked.baseline, curves.frames, str(table))
    t1 = {name: t1_in_seconds(text) for name, text in _by_region(asked.t1, curves, "t1").items()}
    readings = {
        name: Reading(echo=made, baseline=before, relaxivity=relaxivity_of(text))
        for name, text in _by_region(asked.r1, curves, "r1").items()
    }
    found, doubts = _read(curves, t1, readings, table)
    _write_table(target, replace(curves, values=found))
    bids.write_json(beside, {
        "Description": sentence(readings[curves.names[0]], _words(asked.t1)),
        **account(readings[curves.names[0]], asked),
        "Flags": list(made.flags),
        "Sources": {table.name: provenance.sha256(table)},
        "Software": provenance.versions(),
        **{name: {"Units": "s"} for name in _times(curves.frames)},
        **{
            name: {"Units": UNIT, "T1BeforeContrast": t1[name],
                   "BaselineStandardDeviation": _scatter(values, before),
                   "Flags": list(Doubt(int(bits)).flags)}
            for name, values, bits in zip(curves.names, found, doubts, strict=True)
        },
    })  # fmt: skip
    counts = {bit.flags[0]: int(np.count_nonzero(doubts & bit)) for bit in Doubt}
    return Converted(
        files=(target, beside),
        echo=made,
        baseline=(before[0] + 1, before[1]),
        places=len(curves.names),
        converted=int(np.count_nonzero(doubts == 0)),
        counts={name: count for name, count in counts.items() if count},
        flags=made.flags,
    )


def _read(
    curves: Curves, t1: Mapping[str, float], readings: Mapping[str, Reading], table: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Concentrations (region, t) in mmol/L of signals, and bits of `Doubt` of each region."""
    found = np.full(curves.values.shape, np.nan)
    doubts = np.zeros(len(curves.names), dtype=int)
    for row, name in enumerate(curves.names):
        values, bits = concentrations(curves.values[row], t1[name], readings[name])
        found[row], doubts[row] = SHOWN * values, int(bits)
    if not np.isfinite(found).any():
        raise InputError(
            f"{table}: no curve has a concentration in any frame "
            f"({', '.join(Doubt(int(np.bitwise_or.reduce(doubts))).flags)}); expected signals "
            "above zero, and the T1, repetition time and flip angle that they were made with"
        )
    return found, doubts


def _signals(table: Path) -> Curves:
    """The curves of a table, whose unit nobody needs to say; one that is a quantity is refused."""
    try:
        found = tac_table.read(table)
    except UnitsError:
        found = tac_table.read(table, unit=ARBITRARY)
    else:
        is_signal(found.stated, str(table))
    return found


def _by_region(stated: ByRegion | Path, curves: Curves, what: str) -> dict[str, str]:
    """What is stated for each region: its own, else that of all."""
    if not isinstance(stated, Mapping):
        stated = {EVERYWHERE: str(stated)}
    unknown = [name for name in stated if name not in (EVERYWHERE, *curves.names)]
    if unknown:
        raise InputError(
            f"{what} names region {unknown[0]!r}; expected one of {', '.join(curves.names)}"
        )
    found = {name: stated.get(name, stated.get(EVERYWHERE)) for name in curves.names}
    missing = [name for name, text in found.items() if text is None]
    if missing:
        raise InputError(
            f"{what} of region {missing[0]!r} is not stated; expected it, or one for all regions"
        )
    return {name: str(text) for name, text in found.items()}


def _words(t1: ByRegion | Path) -> str:
    return "of each region as stated" if isinstance(t1, Mapping) else str(t1)


def _scatter(values: np.ndarray, before: tuple[int, int]) -> float | None:
    """Standard deviation over the frames of the baseline; None where nothing is known of it."""
    rest = values[slice(*before)]
    return float(rest.std(ddof=1)) if rest.size > 1 and np.isfinite(rest).all() else None


def _times(frames: Frames) -> dict[str, np.ndarray]:
    """Columns of times in s: of frames, or of samples at instants."""
    if frames.sampled:
        return {"time": frames.middle}
    return {"frame_start": frames.start, "frame_end": frames.end}


def _write_table(target: Path, curves: Curves) -> None:
    """The table: times in s, and a column for each region."""
    columns = _times(curves.frames) | dict(zip(curves.names, curves.values, strict=True))
    rows = [
        dict(zip(columns, numbers, strict=True)) for numbers in zip(*columns.values(), strict=True)
    ]
    bids.write_table(target, tuple(columns), rows)
