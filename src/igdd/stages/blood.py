"""Blood recordings of one scan joined: whole blood, total plasma and parent plasma as samples.

Where an autosampler ran, it gives the whole blood; the manual samples give it where it did not run
(before, in a pause, after). Manual samples taken while it ran are a check, and give the ratio of
plasma to whole blood by which its curve becomes one of plasma. Nothing is clipped or rescaled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from igdd.errors import InputError
from igdd.io.blood_table import Blood
from igdd.io.input_table import InputTable
from igdd.kernels import blood_models
from igdd.types import Frames

# An autosampler that gives no sample for so many of its own steps was not running.
PAUSE = 10.0
# A sample below this share of the highest is background: it makes no ratio.
BACKGROUND = 0.01
DIFFER = 0.10
# What an automatic recording is called: "autosampler", and "continuous" in drafts of PET-BIDS.
AUTOMATIC = ("auto", "continuous")
# Below any concentration in any unit; its inverse is still a number.
TINY = 1e-100


class Samples(NamedTuple):
    """Times (n,) in s and values (n,), none missing."""

    time: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Recordings:
    """What was measured in one scan's blood, by kind; None where it was not.

    automatic   whole blood second by second: an autosampler, or a region of the image
    fraction    parent share of the plasma activity
    dispersion  time constant in s of the sampler's tubing, where its sidecar tells it and that it
                is not corrected
    seen_in     frames of the image, where `automatic` is a region of it, which has no pauses
    parent      whether the table says that metabolites are out of the plasma already
    decay_corrected  whether activities are corrected to time zero, where the sidecars say
    half_life   in s of the tracer's nuclide, where the image's sidecar names it
    injection   start of the administration in s on the recordings' clock
    """

    unit: str
    automatic: Samples | None = None
    blood: Samples | None = None
    plasma: Samples | None = None
    portal: Samples | None = None
    fraction: Samples | None = None
    seen_in: Frames | None = None
    manual: bool = False
    dispersion_corrected: bool | None = None
    dispersion: float | None = None
    parent: bool = False
    decay_corrected: bool | None = None
    half_life: float | None = None
    injection: float = 0.0
    source: str = ""


@dataclass
class Account:
    """What was done on the way, for `source`, and the flags that it earned."""

    said: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def gather(found: Sequence[Blood | InputTable]) -> Recordings:
    """Recordings of one scan, each quantity from the one file that has it."""
    kinds: dict[str, Any] = {}
    origins: dict[str, str] = {}
    parent = False
    corrected: bool | None = None
    stated: float | None = None
    for one in found:
        is_automatic = any(word in _label(one) for word in AUTOMATIC)
        for kind, values in _columns(one).items():
            name = "automatic" if is_automatic and kind == "blood" else kind
            if name in kinds:
                raise InputError(
                    f"{one.source}: {name.replace('automatic', 'autosampler')} is in "
                    f"{origins[name]} too; expected one recording of it; name only one of them, or "
                    "label the automatic one recording-autosampler"
                )
            known = np.isfinite(values)
            if known.any():
                kinds[name] = Samples(one.time[known], values[known])
                origins[name] = one.source
        if is_automatic and isinstance(one, Blood):
            corrected = one.dispersion_corrected
            stated = one.dispersion if corrected is False else None
        parent |= getattr(one, "parent", False)
    inside = {one.unit if isinstance(one, InputTable) else "Bq/mL" for one in found}
    names = ", ".join(one.source for one in found)
    if len(inside) > 1:
        raise InputError(f"{names}: hold {' and '.join(sorted(inside))}; expected one unit")
    states = {one.decay_corrected for one in found if isinstance(one, Blood)} - {None}
    if len(states) > 1:
        raise InputError(
            f"{names}: one is corrected for decay and one is not, by DecayCorrected in their JSON; "
            "expected one state; correct the other"
        )
    return Recordings(
        unit=inside.pop(),
        **kinds,
        manual=any("manual" in _label(one) for one in found),
        dispersion_corrected=corrected,
        dispersion=stated,
        parent=parent,
        decay_corrected=states.pop() if states else None,
        source=names,
    )


def _label(one: Blood | InputTable) -> str:
    """What the file's name calls its recording, in PET-BIDS "autosampler" or "manual"."""
    named = re.search(r"recording-([A-Za-z0-9]+)", Path(one.source).name)
    return named[1].lower() if named else ""


def _columns(one: Blood | InputTable) -> dict[str, np.ndarray]:
    if isinstance(one, InputTable):
        renamed = {"parent_fraction": "fraction"}
        return {renamed.get(what, what): values for what, values in one.columns.items()}
    measured = {"plasma": one.plasma, "blood": one.whole_blood, "fraction": one.parent_fraction}
    return {kind: values for kind, values in measured.items() if values is not None}


def _running(recordings: Recordings, time: np.ndarray) -> np.ndarray:
    """Whether the automatic recording was running at times (n,)."""
    if recordings.automatic is None:
        return np.zeros(time.shape, dtype=bool)
    clock = recordings.automatic.time
    inside = (time >= clock[0]) & (time <= clock[-1])
    if recordings.seen_in is not None or clock.size < 3:
        return np.asarray(inside)
    after = np.clip(np.searchsorted(clock, time), 1, clock.size - 1)
    gap = clock[after] - clock[after - 1]
    return np.asarray(inside & ((gap <= PAUSE * np.median(np.diff(clock))) | np.isin(time, clock)))


def _joined(automatic: Samples, manual: Samples | None, recordings: Recordings) -> Samples:
    if manual is None:
        return automatic
    kept = ~_running(recordings, manual.time)
    time = np.concatenate([automatic.time, manual.time[kept]])
    order = np.argsort(time, kind="stable")
    values = np.concatenate([automatic.values, manual.values[kept]])
    return Samples(time[order], values[order])


def whole_blood(recordings: Recordings, account: Account) -> Samples | None:
    """Whole blood: automatic as long as it ran, manual where it did not; their ratio is told."""
    automatic, manual = recordings.automatic, recordings.blood
    if automatic is None:
        return manual
    if manual is None:
        return automatic
    ratio, count = check_ratio(recordings)
    used = int((~_running(recordings, manual.time)).sum())
    account.said.append(
        f"whole blood automatic to {automatic.time[-1]:g} s, and {used} manual samples outside it"
    )
    if count:
        account.said.append(f"manual over automatic {ratio:.3f} (median of {count})")
        if abs(ratio - 1) > DIFFER:
            account.flags.append("blood_recordings_differ")
    return _joined(automatic, manual, recordings)


def check_ratio(recordings: Recordings) -> tuple[float, int]:
    """Median ratio of manual to automatic whole blood where both ran past the peak, and how many.

    Not on the rising edge, where a second of delay is a factor. NaN and 0: no such sample.
    """
    automatic, manual = recordings.automatic, recordings.blood
    if automatic is None or manual is None:
        return float("nan"), 0
    beside = np.interp(manual.time, automatic.time, automatic.values)
    peak = int(np.argmax(automatic.values))
    both = _running(recordings, manual.time) & (manual.time > automatic.time[peak])
    both &= beside > max(BACKGROUND * min(automatic.values[peak], float(manual.values.max())), TINY)
    if not both.any():
        return float("nan"), 0
    return float(np.median(manual.values[both] / beside[both])), int(both.sum())


def scaled_to_manual(recordings: Recordings, account: Account) -> Recordings:
    """Automatic blood times the median ratio of the manual samples after the bolus to it."""
    automatic, manual = recordings.automatic, recordings.blood
    if automatic is None or manual is None:
        raise InputError(
            f"{recordings.source}: blood_scaling needs manual whole-blood samples beside an "
            "automatic recording; expected both"
        )
    high = np.flatnonzero(automatic.values > automatic.values.max() / 2)
    passed = float(automatic.time[min(high[-1] + 1, automatic.time.size - 1)])
    late = (manual.time >= passed) & (manual.time <= automatic.time[-1])
    beside = np.interp(manual.time, *automatic)
    late &= beside > 0
    if not late.any():
        raise InputError(
            f"blood_scaling needs manual samples from {passed:g} to {automatic.time[-1]:g} s, "
            "after the bolus; there is none"
        )
    scale = float(np.median(manual.values[late] / beside[late]))
    account.said.append(f"scaled by {scale:.3f}, the median of {int(late.sum())} blood samples")
    scaled = Samples(automatic.time, automatic.values * scale)
    return replace(recordings, automatic=scaled)


def ratio_samples(recordings: Recordings) -> Samples:
    """Plasma over whole blood where both were measured, background samples left out; may be empty.

    From manual samples of the same time, else from plasma over the automatic recording.
    """
    plasma, manual, automatic = recordings.plasma, recordings.blood, recordings.automatic
    nothing = Samples(np.empty(0), np.empty(0))
    if plasma is None:
        return nothing
    if manual is not None:
        time, first, second = np.intersect1d(plasma.time, manual.time, return_indices=True)
        upper, lower = plasma.values[first], manual.values[second]
    elif automatic is not None:
        both = _running(recordings, plasma.time)
        time, upper = plasma.time[both], plasma.values[both]
        lower = np.interp(time, automatic.time, automatic.values)
    else:
        return nothing
    if not time.size:
        return nothing
    sound = np.ones(time.shape, dtype=bool)
    for one in (upper, lower):
        sound &= one > max(BACKGROUND * float(one.max()), TINY)
    return Samples(time[sound], upper[sound] / lower[sound])


def carried_on(
    blood: Samples | None,
    recordings: Recordings,
    ratio: str | float,
    injection: float,
    account: Account,
) -> Samples | None:
    """Whole blood, carried on as plasma over their ratio where only plasma was measured."""
    plasma = recordings.plasma
    if plasma is None or recordings.seen_in is not None:
        return blood
    later = plasma.time > (-np.inf if blood is None else blood.time[-1])
    if not later.any():
        return blood
    time, values = plasma.time[later], plasma.values[later]
    if isinstance(ratio, int | float):
        values = values / ratio
    else:
        pairs = ratio_samples(recordings)
        if not pairs.time.size:
            return blood
        values = values / _ratio(recordings, ratio, pairs, injection).function(time - injection)
    account.said.append(f"whole blood from {time[0]:g} s on = plasma / ratio")
    if blood is None:
        return Samples(time, values)
    return Samples(np.append(blood.time, time), np.append(blood.values, values))


def _ratio(
    recordings: Recordings, ratio: str, pairs: Samples, injection: float
) -> blood_models.ShareFit:
    try:
        return blood_models.plasma_to_blood(ratio, pairs.time - injection, pairs.values)
    except InputError as error:
        raise InputError(f"{recordings.source}: plasma to blood: {error}") from error


def total_plasma(
    recordings: Recordings, ratio: str | float, injection: float, account: Account
) -> Samples | None:
    """Activity or concentration in plasma, metabolites included; None where it cannot be known.

    ratio  of plasma to whole blood: a model of it (`blood_models.RATIO_MODELS`) or a number
    """
    automatic, plasma = recordings.automatic, recordings.plasma
    if isinstance(ratio, int | float):
        blood = automatic or recordings.blood
        if automatic is None and plasma is not None and blood is not None:
            raise InputError(
                f"{recordings.source}: plasma was measured, and whole blood too; expected no "
                f"plasma_to_blood = {ratio:g}"
            )
        if blood is None:
            return plasma
        account.said.append(f"plasma = {ratio:g} x whole blood, as given")
        if automatic is None:
            return Samples(blood.time, blood.values * ratio)
        if plasma is None and recordings.blood is not None:
            plasma = Samples(recordings.blood.time, recordings.blood.values * ratio)
        return _joined(Samples(automatic.time, automatic.values * ratio), plasma, recordings)
    pairs = ratio_samples(recordings)
    if automatic is None or not pairs.time.size:
        if automatic is not None and plasma is not None:
            account.said.append("plasma from manual samples alone: none tells its ratio to blood")
        return plasma
    found = _ratio(recordings, ratio, pairs, injection)
    account.said.append(
        f"plasma = whole blood x ratio ({ratio}, {pairs.time.size} samples, "
        f"{pairs.values.min():.3f} to {pairs.values.max():.3f}{_listed(found.parameters)}) while "
        "automatic, manual samples elsewhere"
    )
    values = automatic.values * found.function(automatic.time - injection)
    return _joined(Samples(automatic.time, values), plasma, recordings)


def parent_share(
    recordings: Recordings, model: str, injection: float, account: Account
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Parent fraction as a function of the recording's time in s, or None: not measured."""
    samples = recordings.fraction
    if samples is None:
        return None
    try:
        found = blood_models.parent_fraction(model, samples.time - injection, samples.values)
    except InputError as error:
        raise InputError(f"{recordings.source}: parent fraction: {error}") from error
    account.said.append(
        f"parent fraction {model} ({int((samples.time > injection).sum())} samples, 1 at the "
        f"injection, to {samples.time[-1]:g} s{_listed(found.parameters)})"
    )
    return lambda time: found.function(np.asarray(time, float) - injection)


def _listed(parameters: object) -> str:
    pairs = dict(parameters).items() if isinstance(parameters, dict) else ()
    return "".join(f", {name} {value:.4g}" for name, value in pairs)
