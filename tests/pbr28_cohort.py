"""The PBR28 cohort: 24 human scans with arterial blood, in frontal cortex and thalamus."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from igdd.kinetics import InputCurve, Protocol
from igdd.types import Frames, Zero

FRAMES = 33  # the first ones, of which number 0 has no length


def cohort(
    reference: Callable[[str], Path], model: ModuleType, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the scans of VT in FC and THA, from the last frames."""
    volumes = []
    blood = _rows(reference("pet/pbr28/blooddata.csv"), ("ABSS.sec", "Cpl..metabcorr."))
    tissue = _rows(reference("pet/pbr28/tacdata.csv"), ("StartTime", "Duration", "FC", "THA"))
    for scan, rows in tissue.items():
        table = rows[1:FRAMES]
        frames = Frames(start=table[:, 0], duration=table[:, 1], zero=Zero(kind="administration"))
        plasma = InputCurve(
            time=blood[scan][:, 0],
            values=blood[scan][:, 1],
            compartment="plasma",
            substance="parent",
            unit="nCi/mL",
        )
        # One scan lacks a frame of 180 s, which the published analysis bridged by a straight line.
        protocol = Protocol(
            frames=frames,
            inputs={"plasma": plasma},
            options={"start": table[-last, 0], "gap": 180.0},
        )
        found = model.prepare(protocol)(table[:, 2:].T.copy(), None)
        volumes.append(found.parameters[:, 0])
    assert len(volumes) == 24
    return np.mean(volumes, axis=0), np.std(volumes, axis=0, ddof=1)


def _rows(path: Path, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    found = defaultdict(list)
    with path.open() as stream:
        for row in csv.DictReader(stream):
            found[row["PET"]].append([float(row[column]) for column in columns])
    return {scan: np.array(rows) for scan, rows in found.items()}
