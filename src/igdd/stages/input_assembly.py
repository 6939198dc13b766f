"""Inputs by role made of samples: decay, dispersion, metabolites, a fitted model, haematocrit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.kernels import blood_models, input_models
from igdd.kinetics import InputCurve
from igdd.stages import blood
from igdd.stages.blood import Account, Recordings, Samples
from igdd.stages.blood_decay import corrected
from igdd.stages.input_options import InputOptions, check_haematocrit
from igdd.types import Frames

# Of the peak: what a sample from before the injection may hold, as background.
BEFORE_INJECTION = 0.05
# Relative difference between the areas of a fitted input and of its samples.
MISFIT = 0.05
# Of the plasma's time: a parent fraction that ends so much earlier is carried on unknown.
UNKNOWN_SHARE = 0.10
# Substances that do not enter red cells, so that the haematocrit tells plasma from blood.
IN_PLASMA = ("carrier", "contrast")


def assemble(
    recordings: Recordings, options: InputOptions, account: Account
) -> dict[str, InputCurve]:
    """Inputs by role from what was measured in one scan."""
    recordings = _undispersed(corrected(recordings, options, account), options, account)
    substance, injection = _substance(recordings, options), recordings.injection
    samples: dict[str, Samples] = {}
    share = None
    flags: dict[str, tuple[str, ...]] = {}
    measured = found = blood.whole_blood(recordings, account)
    if substance == "total" or recordings.fraction is not None:
        ratio = options.plasma_to_blood
        found = blood.carried_on(measured, recordings, ratio, injection, account)
        if found is not measured and isinstance(ratio, str):
            flags["blood"] = ("blood_from_plasma",)
    if found is not None:
        samples["blood"] = found
    plasma = blood.total_plasma(recordings, options.plasma_to_blood, injection, account)
    if plasma is not None:
        samples["plasma"] = plasma
    if recordings.portal is not None:
        samples["portal"] = recordings.portal
    if plasma is not None and substance == "parent" and recordings.fraction is not None:
        share = blood.parent_share(recordings, options.parent_fraction, injection, account)
        unknown = plasma.time[-1] - recordings.fraction.time[-1]
        if unknown > UNKNOWN_SHARE * (plasma.time[-1] - injection):
            flags["plasma"] = ("parent_fraction_extended",)
    uncorrected = substance == "total" and options.substance is None
    if plasma is not None and uncorrected:
        account.said.append("plasma is total: no parent fraction was measured")
    if not samples:
        raise InputError(
            f"{recordings.source}: hold no concentration in plasma or blood; expected one of them"
        )
    curves = {}
    for role, one in samples.items():
        own = [*flags.get(role, ())]
        seen_in = _frames_of(one, recordings, options)
        one = _from_injection(one, injection, role, seen_in, own)
        of = substance if role != "blood" or substance in IN_PLASMA else "total"
        fraction = share if role == "plasma" else None
        compartment = _like_the_artery(recordings, options) if role == "portal" else role
        about = (compartment, of, recordings.unit)
        curve = _curve(one, fraction, about, options, account)
        if role != "blood" and uncorrected:
            own.append("no_metabolite_correction")
        curves[role] = dataclasses.replace(
            curve,
            flags=tuple(sorted({*curve.flags, *own})),
            own_clock=recordings.seen_in is None,
            seen_in=seen_in,
            corrected_to=0.0 if recordings.unit == "Bq/mL" else None,
        ).later(options.delay)
    return _by_haematocrit(curves, options)


def _substance(recordings: Recordings, options: InputOptions) -> str:
    """What the plasma holds; a parent fraction that is asked for must be there."""
    if recordings.fraction is None and options.parent_fraction != "interpolate":
        raise InputError(
            f"{recordings.source}: hold no parent fraction for parent_fraction = "
            f"{options.parent_fraction!r}; expected samples of it, or no parent_fraction"
        )
    if (options.substance == "parent" or recordings.parent) and recordings.fraction is not None:
        raise InputError(
            f"{recordings.source}: hold a parent fraction, and the plasma is said to be parent; "
            "expected no substance, so that it is applied once, or a table without it"
        )
    if options.substance is not None:
        return options.substance
    if recordings.parent:
        return "parent"
    if recordings.unit != "Bq/mL":
        return "contrast"
    return "total" if recordings.fraction is None else "parent"


def _undispersed(recordings: Recordings, options: InputOptions, account: Account) -> Recordings:
    constant = recordings.dispersion if options.dispersion is None else options.dispersion
    if constant is None and recordings.dispersion_corrected is False:
        account.flags.append("dispersion_not_corrected")
    if not constant:
        return recordings
    if recordings.dispersion_corrected:
        raise InputError(
            f"{recordings.source}: its JSON says that dispersion is corrected; expected no "
            "dispersion, so that it is corrected once"
        )
    kind = "automatic" if recordings.automatic is not None else "blood"
    one = getattr(recordings, kind)
    if one is None or recordings.seen_in is not None or (kind == "blood" and recordings.manual):
        raise InputError(
            f"{recordings.source}: dispersion is of an autosampler's tubing; expected a recording "
            "of one, or no dispersion"
        )
    account.said.append(f"dispersion of {constant:g} s undone")
    values = blood_models.correct_dispersion(one.time, one.values, constant)
    changed: dict[str, Any] = {kind: Samples(one.time, values)}
    return dataclasses.replace(recordings, **changed)


def _curve(
    samples: Samples,
    share: Callable[[np.ndarray], np.ndarray] | None,
    about: tuple[str, str, str],
    options: InputOptions,
    account: Account,
) -> InputCurve:
    """One role's curve: knots of the samples or of the model fitted to them."""
    compartment, substance, unit = about
    flags = list(account.flags)
    said = list(account.said)
    if options.model != "interpolate":
        values = samples.values if share is None else samples.values * share(samples.time)
        area = _area(samples.time, values)
        held = {} if options.infusion is None else {"infusion": options.infusion}
        found = input_models.fit(options.model, samples.time, values, held=held)
        start = min(float(samples.time[0]), *found.breaks)
        time, knots = input_models.knots(
            found.function, start, float(samples.time[-1]), found.breaks
        )
        if not abs(_area(samples.time, found.function(samples.time)) / area - 1) <= MISFIT:
            flags.append("input_model_misfit")
        listed = ", ".join(f"{name} {value:.4g}" for name, value in found.parameters.items())
        said.append(f"{options.model} fitted" + (f" ({listed})" if listed else ""))
    elif share is None:
        time, knots = samples
    else:
        ends = float(samples.time[0]), float(samples.time[-1])
        time, knots = input_models.knots(
            lambda at: np.interp(at, *samples) * share(at), *ends, samples.time
        )
    if options.delay:
        said.append(f"delayed by {options.delay:g} s")
    return InputCurve(
        time=time,
        values=knots,
        compartment=compartment,
        substance=substance,
        unit=unit,
        source="; ".join(said),
        flags=tuple(sorted(set(flags))),
    )


def _frames_of(samples: Samples, recordings: Recordings, options: InputOptions) -> Frames | None:
    """The image's frames, where these samples are its means and no model stands for them."""
    frames, automatic = recordings.seen_in, recordings.automatic
    if automatic is None or options.model != "interpolate":
        return None
    return frames if np.isin(automatic.time, samples.time).all() else None


def _area(time: np.ndarray, values: np.ndarray) -> float:
    return float(np.trapezoid(values, time))


def _like_the_artery(recordings: Recordings, options: InputOptions) -> str:
    """Compartment of portal samples: that of the arterial ones beside them."""
    if recordings.plasma is not None:
        return "plasma"
    return "blood" if recordings.blood is not None else options.compartment or "plasma"


def _from_injection(
    samples: Samples, injection: float, what: str, seen_in: Frames | None, flags: list[str]
) -> Samples:
    """Samples with nothing but background before the injection, and 0 at it if none is earlier.

    A frame of the image that the injection falls into shows what came after it, too.
    """
    time, values = samples
    peak = float(np.max(np.abs(values)))
    before = injection
    if seen_in is not None:
        before = min(injection, *seen_in.start[seen_in.end > injection])
    early = (time < before) & (np.abs(values) > BEFORE_INJECTION * peak)
    if early.any():
        first = int(np.argmax(early))
        raise InputError(
            f"{what} holds {values[first]:g} at {time[first]:g} s, before the injection at "
            f"{injection:g} s, {abs(values[first]) / peak:.0%} of its peak; expected background "
            "there; give injection = the start of the administration on the recording's clock"
        )
    if not time[0] > injection:
        return samples
    if int(np.argmax(values)) == 0 and peak > 0:
        flags.append("input_peak_missed")
    return Samples(np.append(injection, time), np.append(0.0, values))


def _by_haematocrit(curves: dict[str, InputCurve], options: InputOptions) -> dict[str, InputCurve]:
    """Plasma from blood or blood from plasma, once, for an agent that stays in plasma."""
    if options.haematocrit is None:
        return curves
    if not {"plasma", "blood"} & set(curves):
        raise InputError("a haematocrit was given, but there is neither plasma nor blood")
    of = next(curves[role] for role in ("blood", "plasma") if role in curves)
    if of.substance not in IN_PLASMA:
        raise InputError(
            f"a haematocrit was given for {of.substance}, which may enter red cells; expected "
            "plasma_to_blood, or substance = 'carrier' or 'contrast' if it stays in plasma"
        )
    if "plasma" in curves and ("blood" in curves or of.substance == "contrast"):
        raise InputError(
            "a haematocrit was given, but the curve is of plasma already; expected whole blood, or "
            "no haematocrit"
        )
    found = dict(curves)
    if "blood" in curves:
        found["plasma"] = to_plasma(curves["blood"], options.haematocrit)
        if "portal" in curves and curves["portal"].compartment == "blood":
            found["portal"] = to_plasma(curves["portal"], options.haematocrit)
    else:
        found["blood"] = to_blood(curves["plasma"], options.haematocrit)
    return found


def to_plasma(curve: InputCurve, haematocrit: float) -> InputCurve:
    """Plasma of an agent that stays in it: whole blood / (1 - haematocrit)."""
    check_haematocrit(haematocrit)
    if curve.compartment != "blood" or curve.substance not in IN_PLASMA:
        raise InputError(
            f"the input is {curve.substance} in {curve.compartment}; expected a carrier or "
            "contrast in whole blood to divide by 1 - haematocrit"
        )
    return dataclasses.replace(
        curve,
        values=curve.values / (1 - haematocrit),
        compartment="plasma",
        source=f"{curve.source}; plasma = blood / (1 - {haematocrit:g})".strip("; "),
    )


def to_blood(curve: InputCurve, haematocrit: float) -> InputCurve:
    """Whole blood of an agent that stays in plasma: (1 - haematocrit) x plasma."""
    check_haematocrit(haematocrit)
    if curve.compartment != "plasma" or curve.substance not in IN_PLASMA:
        raise InputError(
            f"the input is {curve.substance} in {curve.compartment}; expected a carrier or "
            "contrast in plasma to multiply by 1 - haematocrit"
        )
    return dataclasses.replace(
        curve,
        values=curve.values * (1 - haematocrit),
        compartment="blood",
        source=f"{curve.source}; blood = (1 - {haematocrit:g}) x plasma".strip("; "),
    )
