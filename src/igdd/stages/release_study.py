"""Release in vitro in a study: its tables analysed, stored beside the sessions, ready to show.

A table of release has no subject, so nothing of it stands in the tidy table. `release.json` in the
results holds what `igdd release --json` prints, from which a report is written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from igdd.document import Document
from igdd.entries import ReleaseEntry
from igdd.errors import InputError, StudyError
from igdd.results import Released, ReleasedCurves, ReleaseModel, ReleaseSimilarity
from igdd.study import Study

FILE = "release.json"
NUMBERS = ("T50", "T80", "MDT", "dissolution_efficiency", "released_last")
# Points of a model's line, dense where release is fast: no corner is seen at the width of a page.
POINTS = 120
RULES = {
    "either": "up to the first at which either mean has reached 85 %",
    "both": "up to the first at which both means have reached 85 %",
    "all": "all that are shared",
}


def paths(study: Study) -> tuple[Path, ...]:
    """The tables of `[[release]]`, each there; a name that no release model has is refused."""
    from igdd.stages.release import chosen

    found = []
    for number, entry in enumerate(study.document.release, start=1):
        found.append(study.resolve(entry.path, "release.path"))
        try:
            chosen(entry.models, entry.free, entry.hold)
        except InputError as error:
            raise StudyError(f"{study.path}: release[{number}]: {error}") from error
    return tuple(found)


def compute(study: Study, folder: Path) -> None:
    """Analyse every table and write `release.json`; without any, none is left from before."""
    from igdd.stages.release import release

    found = [
        {"table": path.name, **release(path, **_words(entry))}
        for path, entry in zip(paths(study), study.document.release, strict=True)
    ]
    if not found:
        (folder / FILE).unlink(missing_ok=True)
        return
    known = json.loads(json.dumps(found), parse_constant=lambda _: None)
    draft = folder / f".{FILE}"
    draft.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / FILE)


def _words(entry: ReleaseEntry) -> dict[str, Any]:
    """What `release` is asked, in its own words."""
    return entry.model_dump(exclude={"path"}) | {"models": entry.models or None}


def load(document: Document, folder: Path) -> tuple[ReleasedCurves, ...]:
    """What `compute` stored, ready to show."""
    if not document.release:
        return ()
    stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return tuple(to_show(found, found["table"]) for found in stored)


def methods(document: Document) -> tuple[str, ...]:
    """How the tables were analysed, one sentence for each way; empty without a table."""
    ways: dict[str, list[str]] = {}
    for entry in document.release:
        ways.setdefault(_method(entry), []).append(Path(entry.path).name)

    def whose(names: list[str]) -> str:
        return f" ({', '.join(names)})" if len(ways) > 1 else ""

    return tuple(f"Release in vitro{whose(names)}: {text}." for text, names in ways.items())


def _method(entry: ReleaseEntry) -> str:
    weights = "samples alike" if entry.weights == "equal" else "samples by their standard deviation"
    text = (
        f"models were fitted to the mean profiles by least squares, {weights}, and ranked by AICc "
        "with Akaike weights"
    )
    if entry.reference is None:
        return text
    return (
        f"{text}; f1 and f2 are over the times, {RULES[entry.rule]}, with 90 % limits (BCa) of f2 "
        "from 5,000 draws of whole vessels"
    )


def to_show(found: Mapping[str, Any], source: str) -> ReleasedCurves:
    """What `igdd.stages.release.release` found in a table, also read back from JSON."""
    return ReleasedCurves(
        source=source,
        time_unit=found["time_unit"],
        formulations=tuple(_released(one) for one in found["formulations"]),
        comparisons=tuple(_similarity(one) for one in found["comparisons"]),
    )


def _released(one: Mapping[str, Any]) -> Released:
    from igdd.stages.release import curve

    time, released, sd = (
        _numbers(point[name] for point in one["profile"]) for name in ("time", "released", "sd")
    )
    ranked = one["best"] is not None
    line_time = time.max() * np.linspace(0.0, 1.0, POINTS if ranked else 0) ** 2
    return Released(
        formulation=one["formulation"],
        vessels=one["vessels"],
        time=time,
        released=released,
        sd=sd,
        line_time=line_time,
        line=curve(one["models"][0], line_time) if ranked else np.empty(0),
        numbers={name: _with_unit(one[name]) for name in NUMBERS},
        models=tuple(_model(row) for row in one["models"]),
        flags=tuple(one["flags"]),
    )


def _model(row: Mapping[str, Any]) -> ReleaseModel:
    return ReleaseModel(
        model=row["model"],
        parameters={
            name: (_number(entry["value"]), _number(entry["sd"]), entry["unit"])
            for name, entry in row["parameters"].items()
        },
        flags=tuple(row["flags"]),
        **{name: _number(row[name]) for name in ("weight", "aicc", "r2_adjusted", "msc")},
    )


def _similarity(one: Mapping[str, Any]) -> ReleaseSimilarity:
    limits = one["bootstrap"]["f2"]
    return ReleaseSimilarity(
        reference=one["reference"],
        test=one["test"],
        f1=_number(one["f1"]),
        f2=_number(one["f2"]),
        low=_number(limits["low"]),
        high=_number(limits["high"]),
        points=one["points"],
        verdict=one["verdict"],
        flags=tuple(one["flags"]),
    )


def _with_unit(entry: Mapping[str, Any]) -> tuple[float, str]:
    return _number(entry["value"]), entry["unit"]


def _numbers(values: Iterable[float | None]) -> np.ndarray:
    return np.array([_number(one) for one in values])


def _number(value: float | None) -> float:
    """A number; NaN where JSON has null."""
    return np.nan if value is None else float(value)
