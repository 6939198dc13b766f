"""Inputs from the image: a blood pool, two blood supplies of the liver, a reference tissue.

A region has only frame means. Its curve begins with 0 at the first frame's start, has each frame's
mean over the frame and at its middle, and ends with the last one; that of instants is straight
between them.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.decay import activity
from igdd.errors import InputError
from igdd.kernels import convolve
from igdd.kinetics import InputCurve
from igdd.stages.blood import Account, Recordings, Samples, scaled_to_manual
from igdd.stages.blood_files import read_recordings
from igdd.stages.input_assembly import assemble, to_plasma
from igdd.stages.input_options import InputOptions, check_choice, check_known
from igdd.types import Curves

# Of contrast, a change of relaxation rate, of attenuation or, in ultrasound, of intensity serves.
UNITS = ("Bq/mL", "mol/mL", "g/mL", "1/s", "HU", "1")
# Options of `image_derived` that need no blood samples, and those of `dual_input`.
OF_IMAGE = (
    "recovery", "background", "manual", "plasma_to_blood", "substance", "haematocrit", "delay",
    "model", "infusion", "injection",
)  # fmt: skip
OF_TWO_REGIONS = ("haematocrit", "recovery", "background")
# Names of regions that are so alike may be one misspelt: cerebelum for Cerebellum Cortex.
ALIKE = 0.65


def reference_input(curves: Curves, region: str) -> dict[str, InputCurve]:
    """The role "reference": a reference region's curve, made into an input."""
    time, values = _knots(curves, region)
    curve = InputCurve(
        time=time,
        values=values,
        compartment="tissue",
        substance="total",
        unit=curves.unit,
        source=f"reference region {region}",
        flags=_begins_late(curves, region),
        seen_in=curves.frames,
        corrected_to=None if curves.decay is None else curves.decay.corrected_to,
    )
    return {"reference": curve}


def image_derived(
    curves: Curves,
    region: str,
    *,
    recovery: float = 1.0,
    background: str | None = None,
    manual: Path | str | Sequence[Path | str] | None = None,
    blood_scaling: bool = False,
    **given: Any,
) -> dict[str, InputCurve]:
    """Inputs by role from a blood pool in the image, with manual blood samples if there are any.

    recovery       share of the blood's activity that the region shows (recovery coefficient)
    background     region around it whose activity spills in: blood = (region - (1 - recovery) x
                   background) / recovery
    manual         blood tables: the plasma ratio and parent fraction come from them, and the blood
                   after the scan's end
    blood_scaling  scale the image's blood by its manual samples after the bolus has passed
    given          `InputOptions` by name; `plasma_to_blood` and `substance` where there are
                   no manual samples
    """
    check_choice("blood_scaling", blood_scaling, (True, False))
    if manual is None:
        check_known(given, OF_IMAGE, f"region {region!r} without manual blood samples")
    options = InputOptions.of(given)
    if curves.decay is not None and curves.decay.corrected_to is None:
        raise InputError("the image is not corrected for decay; expected curves that are")
    curves = _as_blood(curves)
    if options.model != "interpolate":
        # A model is fitted to each frame once, at its middle.
        middles = dataclasses.replace(curves.frames, sampled=True)
        curves = dataclasses.replace(curves, frames=middles)
    image, said = _recovered(curves, region, recovery, background)
    account = Account(said=said)
    recordings = _with_manual(manual, image, curves, options, account)
    if blood_scaling:
        recordings = scaled_to_manual(recordings, account)
    if curves.decay is not None and manual is None:
        options = dataclasses.replace(options, decay_corrected=True, half_life=None)
    account.flags.extend(_begins_late(curves, region))
    return assemble(recordings, options, account)


def _as_blood(curves: Curves) -> Curves:
    """The curves corrected for decay to time zero, as blood is."""
    decay = curves.decay
    if decay is None or not decay.corrected_to:
        return curves
    factor = float(activity(1.0, decay.half_life, -decay.corrected_to))
    return dataclasses.replace(
        curves,
        values=curves.values * factor,
        covariance=curves.covariance * factor**2,
        decay=dataclasses.replace(decay, corrected_to=0.0),
    )


def dual_input(
    curves: Curves,
    arterial: str,
    portal: str,
    *,
    haematocrit: float | None = None,
    recovery: float = 1.0,
    background: str | None = None,
    **others: Any,
) -> dict[str, InputCurve]:
    """The roles "plasma" and "portal" of the liver from an artery's and the portal vein's region.

    haematocrit  of contrast in whole blood, as vessels show it; None: the curves are taken as
                 plasma (flagged)
    recovery     of the artery, and the `background` that spills into it, as in `image_derived`;
                 the wider portal vein is taken as it is
    others       are refused: they say nothing of two regions
    """
    check_known(others, OF_TWO_REGIONS, f"the regions {arterial!r} and {portal!r}")
    artery = _recovered(curves, arterial, recovery, background)
    vein = _recovered(curves, portal)
    assumed = ("input_taken_as_plasma",) if haematocrit is None else ()
    found = {}
    supplies = (("plasma", arterial, artery), ("portal", portal, vein))
    for role, region, (samples, said) in supplies:
        curve = InputCurve(
            time=samples.time,
            values=samples.values,
            compartment="plasma" if haematocrit is None else "blood",
            substance="total" if curves.unit == "Bq/mL" else "contrast",
            unit=curves.unit,
            source="; ".join(said),
            flags=(*_begins_late(curves, region), *assumed),
            seen_in=curves.frames,
        )
        found[role] = curve if haematocrit is None else to_plasma(curve, haematocrit)
    return found


def _recovered(
    curves: Curves, region: str, recovery: float = 1.0, background: str | None = None
) -> tuple[Samples, list[str]]:
    """A region's curve corrected for recovery and spill-in, and what is said of it."""
    if not 0 < recovery <= 2:
        raise InputError(f"recovery is {recovery:g}; expected a coefficient near 1, above 0")
    time, values = _knots(curves, region)
    said = [f"image-derived, region {region}"]
    if background is not None and recovery == 1.0:
        raise InputError("with a recovery of 1 nothing spills in; expected a recovery, too")
    around = _knots(curves, background).values if background is not None else 0.0
    if recovery != 1.0:
        spilled = f", spill-in from {background}" if background is not None else ""
        said.append(f"recovery {recovery:g}{spilled}")
    return Samples(time, (values - (1 - recovery) * around) / recovery), said


def _meant(region: str, names: Sequence[str]) -> str:
    """What a name that is none of the regions may stand for; an atlas has a hundred of them.

    >>> _meant("cerebelum", ("Left-Putamen", "Cerebellum"))
    'did you mean Cerebellum?'
    """
    lower = {name.lower(): name for name in names}
    near = [
        lower[one] for one in difflib.get_close_matches(region.lower(), lower, n=3, cutoff=ALIKE)
    ]
    return f"did you mean {', '.join(near)}?" if near else f"expected one of {', '.join(names)}"


def _knots(curves: Curves, region: str) -> Samples:
    if region not in curves.names:
        raise InputError(f"region {region!r} is not there; {_meant(region, curves.names)}")
    if not any(units.converts(curves.unit, one) for one in UNITS):
        raise InputError(f"curves are in {curves.unit!r}; expected one of {', '.join(UNITS)}")
    order = np.argsort(curves.frames.middle, kind="stable")
    middle = curves.frames.middle[order]
    values = curves.values[curves.names.index(region)][order]
    if not np.isfinite(values).all():
        lost = int(order[np.argmin(np.isfinite(values))])
        raise InputError(f"region {region!r} has no value in frame {lost + 1}; expected a number")
    if not (np.diff(middle) > 0).all():
        raise InputError("two frames have the same middle; expected frames one after another")
    start, end = curves.frames.start[order], curves.frames.end[order]
    if curves.frames.sampled:
        time = np.concatenate([start[:1], middle, end[-1:]])
        return Samples(time, np.concatenate([[0.0], values, values[-1:]]))
    over = np.flatnonzero(start[1:] < (middle + end)[:-1] / 2)
    if over.size:
        first = int(over[0])
        raise InputError(
            f"region {region!r}: a frame ends at {end[first]:g} s, but the next starts at "
            f"{start[first + 1]:g} s; expected frames that do not overlap"
        )
    return Samples(*convolve.with_means(start, end, values))


def _begins_late(curves: Curves, region: str) -> tuple[str, ...]:
    """The first frame is the highest: the bolus came before the scan."""
    values = curves.values[curves.names.index(region), np.argsort(curves.frames.start)]
    return ("input_peak_missed",) if values[0] > 0 and np.argmax(values) == 0 else ()


def _with_manual(
    manual: Path | str | Sequence[Path | str] | None,
    image: Samples,
    curves: Curves,
    options: InputOptions,
    account: Account,
) -> Recordings:
    if manual is None:
        begun = options.injection or 0.0
        return Recordings(
            unit=curves.unit,
            automatic=image,
            seen_in=curves.frames,
            injection=begun,
            source="image",
        )
    found = read_recordings(manual, options, account)
    if found.unit != curves.unit:
        raise InputError(
            f"{found.source}: is in {found.unit} but the image in {curves.unit}; expected one unit"
        )
    if found.automatic is not None:
        raise InputError(f"{found.source}: holds an autosampler's blood; expected manual samples")
    return dataclasses.replace(found, automatic=image, seen_in=curves.frames)
