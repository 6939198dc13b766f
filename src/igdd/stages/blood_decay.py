"""Whether blood is corrected for decay: as somebody says it, or as its late fall proves it.

PET-BIDS wants blood corrected to the recordings' time zero but has no field that says so. Blood
that falls more slowly than its nuclide decays would, uncorrected, stand for activity that rises:
so it is corrected. Blood that falls as fast may be either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from igdd import decay
from igdd.errors import InputError
from igdd.io import bounded, sidecar
from igdd.stages.blood import Account, Recordings, Samples
from igdd.stages.input_options import InputOptions

# Of the decay rate: blood that falls by less is corrected. Labelled metabolites may let corrected
# blood rise late: in 20 scans of [11C]PBR28 by up to 0.22 of the rate, where it falls by 0.1.
SLOWER = 0.5
# Late: the second half of the recording, judged where it lasts so much of a half-life or more.
LATE, SPAN = 0.5, 0.3
FEWEST = 3


def half_life(files: Sequence[Path]) -> float | None:
    """Half-life in s of the tracer's nuclide, as the `_pet.json` of the blood's scan names it."""
    for stated in _said_of_scan(files, "TracerRadionuclide"):
        try:
            return decay.nuclide(str(stated)).half_life
        except InputError:
            continue
    return None


def injection(files: Sequence[Path]) -> float:
    """Start of the administration in s after TimeZero, as the `_pet.json` of the blood's scan says
    it; 0 where it does not."""
    for stated in _said_of_scan(files, "InjectionStart"):
        if isinstance(stated, int | float) and not isinstance(stated, bool):
            return float(stated)
    return 0.0


def _said_of_scan(files: Sequence[Path], key: str) -> Iterator[Any]:
    """What the `_pet.json` of the blood's scan and those above it say, the nearest first."""
    for file in files:
        named = sidecar.entities(file.stem)
        if named is None or named[1] != "blood":
            continue
        scan = "_".join(f"{k}-{v}" for k, v in named[0].items() if k != "recording")
        for facts in reversed(sidecar.applicable(file.with_name(f"{scan}_pet.nii.gz"), ".json")):
            yield bounded.read_json(facts).get(key)


def corrected(recordings: Recordings, options: InputOptions, account: Account) -> Recordings:
    """The recordings corrected for decay to their time zero, where they are said not to be.

    Where nobody says it, they are taken as they are, flagged unless their late fall proves it.
    """
    known = options.decay_corrected
    known = recordings.decay_corrected if known is None else known
    if recordings.unit != "Bq/mL" or known:
        return recordings
    halves_in = options.half_life or recordings.half_life
    if known is None:
        proven = None if halves_in is None else falls_slowly(recordings, halves_in)
        if proven:
            account.said.append("corrected for decay: blood falls more slowly than it decays")
        else:
            doubt = "decay_state_assumed" if proven is None else "decay_state_doubtful"
            account.flags.append(doubt)
        return recordings
    if halves_in is None:
        raise InputError(
            f"{recordings.source}: blood that is not corrected for decay needs its half_life, such "
            "as half_life = '20.4 min', or TracerRadionuclide in the _pet.json of its scan; "
            "expected one of them, or decay_corrected = yes if it is"
        )
    account.said.append(f"corrected for decay to time zero, half-life {halves_in:g} s")
    changed: dict[str, Any] = {
        kind: Samples(one.time, decay.activity(one.values, halves_in, -one.time))
        for kind in ("automatic", "blood", "plasma", "portal")
        if (one := getattr(recordings, kind)) is not None
        and not (kind == "automatic" and recordings.seen_in is not None)
    }
    return dataclasses.replace(recordings, **changed)


def falls_slowly(recordings: Recordings, half_life: float) -> bool | None:
    """Whether late blood surely falls by less than half the decay rate; None: it cannot be judged.

    By the upper 97.5 % limit of the slope of the logarithm of the samples that end last.
    """
    automatic = None if recordings.seen_in is not None else recordings.automatic
    measured = [one for one in (recordings.blood, recordings.plasma, automatic) if one is not None]
    if not measured:
        return None
    time, values = max(measured, key=lambda one: float(one.time[-1]))
    late = time >= LATE * time[-1]
    time, values = time[late], values[late]
    if time.size < FEWEST or np.ptp(time) < SPAN * half_life or not (values > 0).all():
        return None
    slopes, spread = np.polyfit(time, np.log(values), 1, cov=True)
    limit = float(special.stdtrit(time.size - 2, 0.975))
    fall = -float(slopes[0]) + limit * float(np.sqrt(spread[0, 0]))
    return bool(fall < SLOWER * np.log(2) / half_life)
