"""Dynamic contrast imaging: what each voxel holds of an agent, in the unit that its sidecar states.

MR as concentration or change of relaxation rate, CT as concentration or enhancement, ultrasound as
linear intensity: whatever made them of signals has said their unit (Units), and when each frame
began and how long it took (FrameTimesStart, FrameDuration in s). Signals themselves are no such
thing: their relation to concentration bends, and `mr_dce` reads them.
"""

from __future__ import annotations

import numpy as np

from igdd import units
from igdd.declare import Modality
from igdd.errors import UnitsError
from igdd.facts import Agent, Declared, Scanner, Subject
from igdd.modalities._dynamic import frames_of, overridden
from igdd.types import Image, Series

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
            "sidecar or as scan.declared.unit, such as mmol/L"
        )
    inside = next((one for one in QUANTITIES if units.converts(stated, one)), None)
    if inside is None:
        raise UnitsError(
            f"{series.source}: the voxels are in {stated!r}; expected a unit of "
            f"{', '.join(name.replace('_', ' ') for name in QUANTITIES.values())}, such as mmol/L"
        )
    count = series.values.shape[3]
    replaced = overridden(series.sidecar, series.headers, count, declared.interval)
    return Image(
        values=series.values * np.float32(units.factor(stated, inside)),
        grid=series.grid,
        quantity=QUANTITIES[inside],
        unit=inside,
        analyte="contrast",
        frames=frames_of(series, subject, declared, declared.interval),
        source=f"Contrast: {QUANTITIES[inside].replace('_', ' ')} as stored, in {stated}.",
        flags=tuple(sorted({*series.flags, *replaced})),
    )


MODALITIES = (
    Modality(
        name="contrast",
        calibrate=calibrate,
        help="dynamic contrast MR, CT or ultrasound: concentration, or what is in proportion to it",
        reference="CAPLEX Q.IC1.001, doi:10.1002/mrm.29840",
    ),
)
