"""The inputs of one session of a study, brought from the blood's clock to the image's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from igdd.errors import StudyError
from igdd.kinetics import InputCurve
from igdd.stages.plan import InputsPlan, SessionPlan
from igdd.types import Curves, Frames, Session

# Keys of [[inputs]] that are options of `igdd.stages.inputs`.
INPUT_OPTIONS = frozenset({
    "unit", "time_unit", "compartment", "substance", "parent_fraction", "plasma_to_blood", "model",
    "infusion", "haematocrit", "delay", "dispersion", "decay_corrected", "recovery", "background",
    "blood_scaling", "dose",
})  # fmt: skip


def session_inputs(
    session: Session, plan: InputsPlan, shift: float | None
) -> dict[str, InputCurve]:
    """The inputs of a session by role, in s after the image's own zero.

    shift  what is added to the blood's clock to count from the image's zero; None: not known
    """
    from igdd.stages.input_options import check_known
    from igdd.stages.inputs import (
        dual_input,
        image_derived,
        population_input,
        read_inputs,
        reference_input,
    )

    entry = plan.entry
    curves = session.recovered or session.curves
    if plan.blood and shift is None:
        raise StudyError(
            f"subject {session.subject.id}, session {session.name}: nothing says what the blood's "
            "clock counts from; expected inputs.zero = 'scan_start' or 'administration', or a "
            "PET-BIDS scan, which says it (TimeZero)"
        )
    # What is said, and no more: a source refuses what it cannot use.
    options = {name: getattr(entry, name) for name in INPUT_OPTIONS & entry.model_fields_set}
    clock: dict[str, Any] = {}
    if plan.blood and not entry.decay_corrected and curves.decay is not None:
        clock["half_life"] = curves.decay.half_life
    if curves.frames.zero.kind == "administration":
        clock["injection"] = -(shift or 0.0)
    if plan.blood and entry.region is not None:
        options["manual"] = plan.blood
    found: dict[str, InputCurve] = {}
    if entry.portal is not None and entry.region is not None:
        found |= dual_input(curves, entry.region, entry.portal, **options)
    elif entry.region is not None:
        seen = _earlier(curves, shift or 0.0)
        found |= _later(image_derived(seen, entry.region, **options, **clock), shift, curves)
    elif plan.blood:
        found |= _later(read_inputs(plan.blood, **options, **clock), shift, curves)
    elif entry.population is not None:
        until = float(curves.frames.end.max())
        found |= population_input(entry.population, until, **options)
    else:
        check_known(options, (), "a reference region")
    if entry.reference is not None:
        found |= reference_input(curves, entry.reference)
    return found


def _later(
    inputs: Mapping[str, InputCurve], shift: float | None, curves: Curves
) -> dict[str, InputCurve]:
    """Inputs on the clock and in the decay state of the image's curves, from the blood's."""
    return {
        role: one.on_clock(shift or 0.0).corrected_as(curves.decay) for role, one in inputs.items()
    }


def _earlier(curves: Curves, shift: float) -> Curves:
    """Curves on the blood's clock, from the image's."""
    decay = curves.decay
    if decay is not None and decay.corrected_to is not None:
        decay = replace(decay, corrected_to=decay.corrected_to - shift)
    frames = replace(curves.frames, start=curves.frames.start - shift)
    return replace(curves, frames=frames, decay=decay)


def blood_shift(plan: SessionPlan, frames: Frames) -> float | None:
    """What is added to the blood's clock to count from the frames' zero, in s; None: not known.

    Without a word of the study it is what PET-BIDS says: blood counts from TimeZero, as
    FrameTimesStart does.
    """
    from igdd.io.sidecar import read_sidecar

    said = None if plan.inputs is None else plan.inputs.entry.zero
    administration = frames.zero.kind == "administration"
    if said is not None:
        if said == "administration" and not administration:
            return None
        return float(frames.start[0]) if said == "scan_start" and administration else 0.0
    images = [plan.scan.path]
    if plan.scan.path.is_dir():
        images = sorted(plan.scan.path.glob("*_pet.nii*"))
    if len(images) != 1:
        return None
    sidecar, _ = read_sidecar(images[0])
    starts = sidecar.get("FrameTimesStart")
    if not isinstance(starts, list) or not starts or not isinstance(starts[0], int | float):
        return None
    return float(frames.start[0]) - float(starts[0])
