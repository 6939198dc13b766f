"""CT: a volume in Hounsfield units, as anatomy beside the tracer's image."""

from __future__ import annotations

from igdd.declare import Modality
from igdd.errors import InputError
from igdd.facts import Agent, Declared, Scanner, Subject
from igdd.headers import label, quiet, text
from igdd.modalities._still import still_frames
from igdd.types import Image, Series


def calibrate(
    series: Series, subject: Subject, agent: Agent, scanner: Scanner, declared: Declared
) -> Image:
    """Radiodensity in Hounsfield units: stored values with slope and intercept, as they are."""
    with quiet() as warned:
        stated = text(series.headers[0], "RescaleType") if series.headers else None
        frames = still_frames(series, subject, declared)
    if stated not in (None, "HU", "US"):  # US: unspecified
        raise InputError(
            f"{series.source}: {label('RescaleType')} is {stated[:20]}; expected HU; the series is "
            "no plain CT (a map of dual energy?)"
        )
    return Image(
        values=series.values,
        grid=series.grid,
        quantity="radiodensity",
        unit="HU",
        analyte="contrast",
        frames=frames,
        source="CT: radiodensity in Hounsfield units as reconstructed.",
        flags=(*series.flags, *(("header_warning",) if warned else ())),
    )


MODALITIES = (
    Modality(
        name="ct",
        calibrate=calibrate,
        help="computed tomography: radiodensity in Hounsfield units",
        reference="DICOM PS3.3 C.8.2.1",
    ),
)
