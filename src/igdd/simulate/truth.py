"""The truth of the virtual trial, in the columns of the measurement table and of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd.results import COLUMNS, KEY
from igdd.simulate.kinetics import EXCRETA
from igdd.simulate.phantom import LESION_DENSITY, TISSUES
from igdd.simulate.write import Record, write_table

ANALYTE = "label"  # what is imaged; it is on the carrier and stays there
METHOD = "simulated truth"


def truth_rows(
    record: Record,
    session: str,
    time: float,
    held: Mapping[str, float],
    volumes: Mapping[str, float],
    net: float,
) -> list[dict[str, Any]]:
    """True values of one scan: % of the given activity and what follows from it, per region.

    held     % in every region, the rest of the body ("rest") and the excreta
    volumes  true volumes in mL; net: true activity given in Bq; time: frame middle in s
    """
    found: list[tuple[str, str, float, str]] = []
    for name, volume in volumes.items():
        if name == "rest":
            continue
        density = TISSUES[name][1] if name in TISSUES else LESION_DENSITY
        share, concentration = held[name], held[name] / 100 * net / volume
        found += [
            (name, "percent_id", share, "%"),
            (name, "percent_id_per_g", share / (volume * density), "%/g"),
            (name, "percent_id_per_kg", share / (volume * density) * 1000, "%/kg"),
            (name, "percent_id_per_ml", share / volume, "%/mL"),
            (name, "concentration", concentration, "Bq/mL"),
            (name, "suvbw", concentration / (net / record.weight), "g/mL"),
            (name, "volume", volume, "mL"),
            (name, "ledger_percent_id", share, "%"),
        ]
    found += [(name, "ledger_percent_id", held[name], "%") for name in EXCRETA]
    found += [
        ("remainder", "percent_id", held["rest"], "%"),
        ("remainder", "ledger_percent_id", held["rest"], "%"),
        ("total", "ledger_percent_id", float(sum(held.values())), "%"),
        ("unaccounted", "ledger_percent_id", 0.0, "%"),
    ]
    shared = {"subject": record.id, "session": session, "arm": record.arm, "time": time}
    return [
        shared
        | {"analyte": ANALYTE, "region": region, "metric": metric, "value": float(value)}
        | {"sd": 0.0, "sd_shared": 0.0, "low": float(value), "high": float(value)}
        | {"unit": unit, "flags": "", "method": METHOD}
        for region, metric, value, unit in found
    ]


def write_truth(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The true values, sorted by the key of the measurement table."""
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in KEY))
    write_table(path, COLUMNS, [[_text(row[name]) for name in COLUMNS] for row in ordered])


def _text(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value


def write_true_findings(
    path: Path, rows: Sequence[Mapping[str, Any]], arms: tuple[str, str], effect: float
) -> None:
    """Lesion uptake (%/g), second arm over first, per session: two ratios of geometric means.

    population  over all patients that could have been drawn: the effect that was simulated
    realised    over the patients that were: mean of logarithms per patient, then per arm
    """
    sessions = dict.fromkeys(
        str(row["session"]) for row in sorted(rows, key=lambda row: float(row["time"]))
    )
    found = [
        (
            session,
            "percent_id_per_g",
            "lesion",
            f"{arms[1]} / {arms[0]}",
            repr(effect),
            repr(_realised(rows, session, arms)),
            "1",
        )
        for session in sessions
    ]
    columns = ("session", "metric", "region", "contrast", "population", "realised", "unit")
    write_table(path, columns, found)


def _realised(rows: Sequence[Mapping[str, Any]], session: str, arms: tuple[str, str]) -> float:
    means: dict[str, list[float]] = {arm: [] for arm in arms}
    chosen = [
        row
        for row in rows
        if row["session"] == session
        and row["metric"] == "percent_id_per_g"
        and str(row["region"]).startswith("lesion_")
    ]
    for subject in dict.fromkeys(row["subject"] for row in chosen):
        own = [row for row in chosen if row["subject"] == subject]
        means[own[0]["arm"]].append(float(np.mean([np.log(row["value"]) for row in own])))
    return float(np.exp(np.mean(means[arms[1]]) - np.mean(means[arms[0]])))
