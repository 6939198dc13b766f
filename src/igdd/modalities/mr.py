"""MR: a volume of signal in the scanner's own arbitrary unit, as anatomy."""

from __future__ import annotations

from igdd.declare import Modality
from igdd.facts import Agent, Declared, Scanner, Subject
from igdd.headers import quiet
from igdd.modalities._still import still_frames
from igdd.types import Image, Series


def calibrate(
    series: Series, subject: Subject, agent: Agent, scanner: Scanner, declared: Declared
) -> Image:
    """Signal in arbitrary units: good to look at and to draw on, not to quantify."""
    with quiet() as warned:
        frames = still_frames(series, subject, declared)
    return Image(
        values=series.values,
        grid=series.grid,
        quantity="signal",
        unit="1",
        analyte="contrast",
        frames=frames,
        source="MR: signal in arbitrary units as reconstructed.",
        flags=(*series.flags, *(("header_warning",) if warned else ())),
    )


MODALITIES = (
    Modality(
        name="mr",
        calibrate=calibrate,
        help="magnetic resonance: signal in arbitrary units, for anatomy",
        reference="DICOM PS3.3 C.8.3.1",
    ),
)
