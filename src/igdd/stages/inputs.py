"""Inputs of kinetic models: from blood tables, populations and the image to curves by role.

An input carries what it is of: compartment (plasma or whole blood) and substance (parent, total,
carrier, contrast). Everything is in SI: s, Bq/mL or mol/mL. A role that cannot be had from what was
measured is absent, and the model that needs it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from igdd.errors import InputError
from igdd.kernels import input_models
from igdd.kernels.population_inputs import POPULATIONS
from igdd.kinetics import InputCurve
from igdd.stages.blood import Account, scaled_to_manual
from igdd.stages.blood_files import read_recordings
from igdd.stages.image_inputs import dual_input, image_derived, reference_input
from igdd.stages.input_assembly import assemble, to_blood, to_plasma
from igdd.stages.input_options import InputOptions, check_choice, check_known

__all__ = [
    "InputOptions",
    "dual_input",
    "image_derived",
    "population_input",
    "read_inputs",
    "reference_input",
    "to_blood",
    "to_plasma",
]

# mol per g of body weight: 10 mmol/kg, a hundred times a dose of gadolinium.
LARGEST_DOSE = 1e-5


def read_inputs(
    paths: Path | str | Sequence[Path | str], *, blood_scaling: bool = False, **given: Any
) -> dict[str, InputCurve]:
    """Inputs by role ("plasma", "blood", "portal") from the blood tables of one scan.

    paths          a table, several (autosampler and manual), or a folder with PET-BIDS `_blood.tsv`
    blood_scaling  scale an autosampler's blood by the manual samples after the bolus has passed
    given          `InputOptions` by name
    """
    check_choice("blood_scaling", blood_scaling, (True, False))
    options, account = InputOptions.of(given), Account()
    recordings = read_recordings(paths, options, account)
    if blood_scaling:
        recordings = scaled_to_manual(recordings, account)
    return assemble(recordings, options, account)


def population_input(
    name: str,
    until: float,
    *,
    dose: float | None = None,
    haematocrit: float | None = None,
    delay: float = 0.0,
    **others: Any,
) -> dict[str, InputCurve]:
    """Inputs by role of a published population, in mol/mL from its injection to `until` s.

    dose         mol per g of body weight (0.1 mmol/kg is 1e-7); None: the publication's own
    haematocrit  makes plasma of a curve published for whole blood
    delay        s from time zero to the injection
    others       are refused: they say nothing of a published curve
    """
    check_known(others, ("dose", "haematocrit", "delay"), f"population {name!r}")
    if name not in POPULATIONS:
        raise InputError(f"population {name!r} is unknown; expected {', '.join(POPULATIONS)}")
    found = POPULATIONS[name]
    scale = 1.0
    if dose is not None:
        if found.dose is None:
            raise InputError(f"the dose behind {name!r} is not stated; expected no dose")
        if not 0 < dose <= LARGEST_DOSE:
            raise InputError(f"dose is {dose:g} mol/g; expected e.g. 1e-7 for 0.1 mmol/kg")
        scale = dose / found.dose
    if not until > delay:
        raise InputError(f"the input would end at {until:g} s, before its injection at {delay:g} s")
    time, values = input_models.knots(found.function, 0.0, until - delay, found.breaks)
    curve = InputCurve(
        time=time + delay,
        values=values * scale,
        compartment=found.compartment,
        substance="contrast",
        unit="mol/mL",
        source=f"population input {name} ({found.species}, {found.reference})"
        + (f", scaled to {dose:g} mol/g" if dose is not None else ""),
    )
    if haematocrit is None:
        return {found.compartment: curve}
    return {found.compartment: curve, "plasma": to_plasma(curve, haematocrit)}
