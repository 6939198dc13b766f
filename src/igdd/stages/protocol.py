"""What a model is fitted with, from what the user says: held parameters, options, inputs, sd.

Text and display units end here; a `Protocol` holds SI. What does not fit together is refused: an
input that ends before the image, one in another unit of time, a role filled by the wrong fluid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from igdd import units
from igdd.declare import REQUIRED, Model, Option, Parameter
from igdd.errors import InputError, StudyError, UnitsError
from igdd.kinetics import InputCurve, Integration, Protocol
from igdd.stages import amounts
from igdd.types import Curves, Decay, Frames

# The fluid that may fill a role.
FLUIDS = {"plasma": "plasma", "blood": "blood", "portal": "plasma", "reference": "tissue"}
# Roles that a region of the curves fills, and how that is said.
REGIONS = {
    "portal": "--artery and --portal name regions of the curves",
    "reference": "--reference names a region of the curves",
}
# An input that runs so many times longer than the frames, or they than it, has another unit.
FAR = 20.0
# Clocks of frames are kept to the millisecond, and some tables round to 0.1 s.
ROUNDED = 0.1


def si_factor(unit: str) -> float:
    """What a number in a display unit is multiplied by to be in s, mL, g, Bq, mol.

    >>> si_factor("mL/cm3/min") * 60, si_factor("min"), si_factor("1"), si_factor("kBq/mL")
    (1.0, 60.0, 1.0, 1000.0)
    """
    parsed = units.parse(unit)
    millimetres = dict(parsed.dimensions).get("mm", 0)
    # Volumes are counted in mL, lengths in mm.
    volume = 1000 ** (millimetres // 3) if millimetres % 3 == 0 else 1
    return float(parsed.factor / volume)


def seconds(value: str | float | None, name: str) -> float | None:
    """An instant in s, from text with a unit or a number of s."""
    if value is None or not isinstance(value, str):
        return None if value is None else float(value)
    try:
        return units.read(value, "s")
    except UnitsError as error:
        raise UnitsError(f"{name}: {error}") from error


def within(frames: Frames, start: float | None, end: float | None) -> np.ndarray:
    """Which frames (t,) start at `start` or later and end by `end`; refuses an empty choice."""
    used = np.ones(frames.start.size, dtype=bool)
    if start is not None:
        used &= frames.start >= start - ROUNDED
    if end is not None:
        used &= frames.end <= end + ROUNDED
    if not used.any():
        raise InputError(
            f"no frame lies between {'the first' if start is None else f'{start:g} s'} and "
            f"{'the last' if end is None else f'{end:g} s'}; the frames last from "
            f"{frames.start[0]:g} to {frames.end[-1]:g} s; expected a time within them"
        )
    return used


def check_frames(frames: Frames) -> None:
    """Refuse frames out of order, or before the scan's own start."""
    if not (np.diff(frames.start) > 0).all():
        late = int(np.argmin(np.diff(frames.start) > 0)) + 1
        raise InputError(
            f"frame {late + 1} starts at {frames.start[late]:g} s, not after frame {late} at "
            f"{frames.start[late - 1]:g} s; expected frames in order"
        )
    if frames.zero.kind == "scan_start" and frames.start[0] < -ROUNDED and not frames.sampled:
        raise InputError(
            f"frame 1 starts at {frames.start[0]:g} s, before the scan's start; expected times "
            "from 0 on; where they count from the injection, the JSON's InjectionStart is 0"
        )


def check_corrected(model: Model, decay: Decay | None) -> None:
    """Refuse values that still decay where a model asks how tissue answers its input."""
    if model.needs and decay is not None and decay.corrected_to is None:
        raise InputError(
            f"model {model.name}: the values are not corrected for decay (ImageDecayCorrected is "
            "false); expected values that are, as those of the input"
        )


def held_values(
    model: Model, hold: Mapping[str, str | float], free: Iterable[str]
) -> dict[str, float]:
    """Parameters that stay, in SI: those that the user holds, those that the model does.

    hold  parameter -> text with a unit, or a number in the parameter's display unit
    free  parameters that the model holds unless told otherwise, such as delay
    """
    known = {parameter.name: parameter for parameter in model.parameters}
    if isinstance(free, str):
        raise StudyError(f"free is {free!r}; expected a list of names, such as [{free!r}]")
    free = tuple(free)
    for name in (*hold, *free):
        if name not in known:
            raise StudyError(
                f"model {model.name} has no parameter {name!r}; expected {', '.join(known)}"
            )
        if name in free and not known[name].fitted:
            raise StudyError(
                f"model {model.name} does not fit {name!r}; expected a value to hold it at"
            )
        if name in hold and name in free:
            raise StudyError(f"{name!r} is both held and free; expected one of them")
    held = {
        name: parameter.held * si_factor(parameter.unit)
        for name, parameter in known.items()
        if parameter.held is not None and name not in free
    }
    return held | {name: _held(known[name], value) for name, value in hold.items()}


def _held(parameter: Parameter, value: str | float) -> float:
    if isinstance(value, str):
        try:
            value = units.read(value, parameter.unit)
        except UnitsError as error:
            raise UnitsError(f"hold {parameter.name}: {error}") from error
    low, high = parameter.bounds
    if not low <= value <= high:
        found = f"{value:g} {parameter.unit}".removesuffix(" 1")
        raise InputError(f"hold {parameter.name}: {found}; expected from {low:g} to {high:g}")
    return float(value) * si_factor(parameter.unit)


def in_percent(model: Model, curves: Curves) -> Curves:
    """The curves as the model has them: those of a release in % of the load, others as they are."""
    if model.family != "release" or curves.unit == "%":
        return curves
    try:
        scale = units.factor(curves.unit, "%")
    except UnitsError as error:
        raise UnitsError(f"model {model.name} is of release in % of the load; {error}") from error
    return replace(
        curves, values=curves.values * scale, covariance=curves.covariance * scale**2, unit="%"
    )


def arranged(
    model: Model, unit: str, given: Mapping[str, Any], shown: str | None = None
) -> tuple[Model, dict[str, Any]]:
    """The model as its options and the curves' unit make it, and the options in SI.

    shown  concentration in whose units volumes and clearances are shown and held
    """
    known = amounts.concrete(model, unit)
    if known is not model and units.factor(unit, amounts.inside(unit)) != 1:
        raise UnitsError(
            f"model {model.name}: the curves are in {unit}; expected them in "
            f"{amounts.inside(unit)}, as tables of them are read"
        )
    options = option_values(known, given)
    model = model if model.variant is None else model.variant(model, options)
    shown = unit if shown is None else shown
    named = amounts.in_unit_of(amounts.concrete(model, shown), shown)
    if named is not model and model.describes and si_factor(unit) != 1:
        raise UnitsError(
            f"model {model.name}: the curves are in {unit}; expected them in the units inside "
            "(mol/mL, Bq/mL, 1/s), as tables and images of them are read; a table says its own"
        )
    return named, options


def option_values(model: Model, given: Mapping[str, Any]) -> dict[str, Any]:
    """The model's options in SI, defaults filled in; an unknown or missing one is refused."""
    known = {option.name: option for option in model.options}
    for name in given:
        if name not in known:
            held = any(one.name == name for one in model.parameters)
            raise StudyError(
                f"model {model.name} has no option {name!r}; expected "
                + (f"hold, as {name!r} is a parameter" if held else ", ".join(known) or "none")
            )
    for name, option in known.items():
        if option.default == REQUIRED and given.get(name) is None:
            raise StudyError(f"model {model.name} needs {name}: {option.help}")
    defaults = {name: option.default for name, option in known.items()}
    return defaults | {
        name: _option(known[name], value) for name, value in given.items() if value is not None
    }


def _option(option: Option, value: Any) -> Any:
    if option.choices and value not in option.choices:
        raise StudyError(f"{option.name}: {value!r}; expected one of {', '.join(option.choices)}")
    if option.choices or not isinstance(value, str) or option.unit in ("text", "region"):
        return value
    try:
        return units.read(value, option.unit)
    except UnitsError as error:
        raise UnitsError(f"{option.name}: {error}") from error


def build(
    model: Model,
    frames: Frames,
    inputs: Mapping[str, InputCurve],
    unit: str,
    *,
    held: Mapping[str, float],
    options: Mapping[str, Any],
    integration: Integration | None = None,
) -> Protocol:
    """Protocol of a model over the frames that are used, its inputs in the tissue's `unit`."""
    check_frames(frames)
    integration = _integration(frames, integration)
    until = float(frames.end[-1] if integration == "exact" else frames.middle[-1])
    needed = {
        role: _bloodless(frames, unit)
        if role == "blood" and role not in inputs and held.get("Vb") == 0
        else _fitting(_known(model, role, inputs), role, (frames, until), unit)
        for role in _roles(model, held, inputs)
    }
    if integration != "exact":
        needed = {role: curve.joined() for role, curve in needed.items()}
    return Protocol(
        frames=frames,
        inputs=needed,
        integration=integration,
        held=held,
        options=options,
    )


def _integration(frames: Frames, wished: Integration | None) -> Integration:
    """How frames are integrated: as wished, else as the values were taken."""
    if frames.sampled and wished == "exact":
        raise InputError(
            "integration 'exact' is over frames; the values are of instants, which have no "
            "duration; expected instant, or trapezium"
        )
    return wished or ("instant" if frames.sampled else "exact")


def _roles(
    model: Model, held: Mapping[str, float], inputs: Mapping[str, InputCurve]
) -> tuple[str, ...]:
    """Inputs that are asked for; blood also where a share of it is known beforehand, and where it
    is at hand for the delay that another model finds."""
    sought = any(one.name == "delay" and not one.fitted for one in model.parameters)
    if "blood" not in model.needs and (held.get("Vb", 0.0) != 0 or (sought and "blood" in inputs)):
        return (*model.needs, "blood")
    return model.needs


def _bloodless(frames: Frames, unit: str) -> InputCurve:
    """What fills vessels of no volume: nobody needs to have measured it."""
    return InputCurve(
        time=np.array([0.0, max(float(frames.end[-1]), 1.0)]),
        values=np.zeros(2),
        compartment="blood",
        substance="total",
        unit=unit,
        source="no blood: its share Vb is held at 0",
    )


def _known(model: Model, role: str, inputs: Mapping[str, InputCurve]) -> InputCurve:
    if role not in inputs:
        raise InputError(
            f"model {model.name} needs the input {role!r}; there is "
            f"{', '.join(inputs) or 'none'}; {_remedy(role, inputs)}, or choose a model without"
        )
    return inputs[role]


def _remedy(role: str, inputs: Mapping[str, InputCurve]) -> str:
    """How a role that is missing can be had from what there is."""
    from igdd.stages.input_assembly import IN_PLASMA

    if role in REGIONS:
        return f"give it ({REGIONS[role]})"
    other = {"plasma": "blood", "blood": "plasma"}.get(role, "")
    without = ", hold Vb at 0" if role == "blood" else ""
    if other not in inputs:
        return f"give it{without}"
    if inputs[other].substance in IN_PLASMA:
        return f"give the haematocrit (such as 0.42), which makes {role} of {other}{without}"
    return f"give plasma_to_blood, their ratio (such as 1.1), or {role} samples{without}"


def _fitting(curve: InputCurve, role: str, seen: tuple[Frames, float], unit: str) -> InputCurve:
    """The input in the tissue's unit, once its fluid and its times are found to fit.

    seen  frames, and until when in s the tissue is seen in them
    """
    frames, until = seen
    where = curve.source.partition(";")[0] or f"the input {role!r}"
    if curve.compartment != FLUIDS[role]:
        raise InputError(
            f"{where}: is of {curve.compartment}, but the role {role!r} needs {FLUIDS[role]}; "
            "expected a conversion by haematocrit or plasma-to-blood ratio before"
        )
    try:
        factor = units.factor(curve.unit, unit)
    except UnitsError as error:
        raise UnitsError(
            f"{where}: is in {curve.unit}, the tissue's curves in {unit}; expected units that "
            "convert into one another"
        ) from error
    last, begun, end = float(curve.time[-1]), float(frames.start[-1]), float(frames.end[-1])
    if last > FAR * end:
        raise InputError(
            f"{where}: runs to {last:g} s, but the last frame ends at {end:g} s; expected the same "
            "unit of time: are the frames' times in min?"
        )
    if last < begun:
        doubt = ": are its times in min?" if FAR * last < end else ""
        raise InputError(
            f"{where}: ends at {last:g} s, before the last frame starts at {begun:g} s; "
            f"expected an input as long as the image, or an end of the fit before{doubt}"
        )
    if curve.time[0] > begun:
        raise InputError(
            f"{where}: begins at {curve.time[0]:g} s, after the last frame's start at "
            f"{begun:g} s; expected an input from the administration on"
        )
    if role != "blood" and not curve.values[curve.time < end].any():
        raise InputError(
            f"{where}: is zero until the last frame ends at {end:g} s; expected a concentration "
            "that the tissue can have seen, on the frames' clock"
        )
    flags = curve.flags
    # A reference tissue has no knot after its last frame's middle: that is no want of data.
    if last < until - ROUNDED and role != "reference":
        flags = tuple(dict.fromkeys((*flags, "input_extended")))
    return replace(curve, values=curve.values * factor, unit=unit, flags=flags)


def has_option(model: Model, name: str) -> bool:
    """Whether the model chooses its frames itself: a graphical one integrates earlier ones too."""
    return any(option.name == name for option in model.options)
