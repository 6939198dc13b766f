"""Dynamic contrast imaging: what each voxel holds of an agent, in the unit that its sidecar states.

MR as concentration or change of relaxation rate, CT as concentration or enhancement, ultrasound as
linear intensity: whatever made them of signals has said their unit (Units), and when each frame
began and how long it took (FrameTimesStart, FrameDuration in s). Signals themselves are no such
thing: their relation to concentration bends.
"""

from __future__ import annotations

import numpy as np

from igdd import units
from igdd.declare import Modality
from igdd.errors import InputError, UnitsError
from igdd.facts import Agent, Declared, Scanner, Subject
from igdd.types import Frames, Image, Series, Zero

# Unit inside -> the quantity of images whose unit converts to it.
QUANTITIES = {
    "mol/mL": "amount_concentration",
    "g/mL": "mass_concentration",
    "1/s": "relaxation_rate",
    "HU": "attenuation",
    "1": "relative",
}


def calibrate(
    series: Series, subject: Subject, agent: Agent, scanner: Scanner, declared: Declared
) -> Image:
    """What an agent adds to each voxel, in mol/mL, g/mL, 1/s, HU or, of intensity, a number."""
    stated = declared.unit or series.sidecar.get("Units")
    if not isinstance(stated, str) or not stated.strip():
        raise UnitsError(
            f"{series.source}: nothing says in which unit the voxels are; expected Units in its "
            "sidecar, such as mmol/L"
        )
    inside = next((one for one in QUANTITIES if units.converts(stated, one)), None)
    if inside is None:
        raise UnitsError(
            f"{series.source}: the voxels are in {stated!r}; expected a unit of "
            f"{', '.join(name.replace('_', ' ') for name in QUANTITIES.values())}, such as mmol/L"
        )
    return Image(
        values=series.values * np.float32(units.factor(stated, inside)),
        grid=series.grid,
        quantity=QUANTITIES[inside],
        unit=inside,
        analyte="contrast",
        frames=_frames(series, subject, declared),
        source=f"Contrast: {QUANTITIES[inside].replace('_', ' ')} as stored, in {stated}.",
        flags=series.flags,
    )


def _frames(series: Series, subject: Subject, declared: Declared) -> Frames:
    """Frames as the sidecar has them, after administration where both clocks are known."""
    count = series.values.shape[3]
    times = []
    for name in ("FrameTimesStart", "FrameDuration"):
        try:
            found = np.array(series.sidecar[name], dtype=float)
        except (KeyError, TypeError, ValueError):
            found = np.empty(0)
        if found.shape != (count,) or not np.isfinite(found).all():
            raise InputError(
                f"{series.source}: {name} in its sidecar is not {count} numbers; expected one in "
                "s for each frame"
            )
        times.append(found)
    begun, duration = times
    given = subject.given[0].at if subject.given else None
    zero, offset = Zero(kind="scan_start", clock=declared.start), 0.0
    if given is not None and declared.start is not None:
        zero = Zero(kind="administration", clock=given)
        offset = (declared.start - given).total_seconds()
    return Frames(start=begun + offset, duration=duration, zero=zero)


MODALITIES = (
    Modality(
        name="contrast",
        calibrate=calibrate,
        help="dynamic contrast MR, CT or ultrasound: concentration, or what is in proportion to it",
        reference="CAPLEX Q.IC1.001, doi:10.1002/mrm.29840",
    ),
)
