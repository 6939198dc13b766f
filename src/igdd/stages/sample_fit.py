"""A fit of a table without a study: curves as `tacs` writes them, or one sample in each row.

Samples are fitted as instants, profiles of the same times together; each keeps its own units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from igdd import catalog, units
from igdd.errors import InputError, UnitsError
from igdd.io import tac_table
from igdd.kinetics import Fit
from igdd.stages import frame_noise
from igdd.stages import protocol as doors
from igdd.stages.fit import fit
from igdd.stages.sample_curves import check_kind, is_samples, read_samples
from igdd.stages.single_fit import Seen, TableFit, fit_tables, inputs_of
from igdd.types import Curves


def fit_file(
    model: str,
    paths: Path | Sequence[Path],
    seen: Seen,
    *,
    time_unit: str | None = None,
    unit: str | None = None,
    nuclide: str | None = None,
    **words: Any,
) -> tuple[TableFit, ...]:
    """A model fitted to every curve of a table, of frames or of samples at instants, or of several
    tables of frames.

    Samples (columns subject, time, concentration or released) are fitted as instants; those of
    other times are fits of their own.
    """
    several = [paths] if isinstance(paths, Path) else list(paths)
    for path in several if len(several) > 1 else ():
        if is_samples(path):
            raise InputError(f"{path}: holds samples; expected several tables of frames, or one")
    path = several[0]
    if is_samples(path):
        if isinstance(words.get("sd"), np.ndarray):
            raise InputError(f"{path}: --sd names a table; expected a word, or a column sd in it")
        return _fit_samples(model, path, seen, (time_unit, unit), words)
    for path in several if time_unit is not None else ():
        _check_time_unit(path, str(time_unit))
    return fit_tables(
        model, several, seen, unit=unit, time_unit=time_unit, nuclide=nuclide, **words
    )


def _check_time_unit(path: Path, given: str) -> None:
    """Refuse a unit of times that the table, or the JSON beside it, contradicts."""
    stated = tac_table.stated_time_unit(path)
    if stated is not None and units.factor(given, "s") != units.factor(stated[1], "s"):
        raise UnitsError(
            f"{path}: its times are in {stated[1]!r} by {stated[0]}, but in {given!r} by "
            "--time-unit; expected one unit; leave --time-unit out, or correct the table"
        )


def _fit_samples(
    model: str,
    path: Path,
    seen: Seen,
    stated: tuple[str | None, str | None],
    words: Mapping[str, Any],
) -> tuple[TableFit, ...]:
    """Fits of a table of samples, the curves of each set of times together."""
    declared = catalog.find("models", model)
    dosed = declared.describes or any(option.unit == "{amount}" for option in declared.options)
    sets, unit = read_samples(path, *stated, converted=dosed or bool(declared.needs))
    check_kind(unit, declared.family)
    if len(sets) > 1 and (seen.reference or seen.artery):
        raise InputError(
            f"{path}: --reference and --artery need curves of the same times; these were sampled "
            "at different ones"
        )
    said = {**words, "shown": unit if dosed else None}
    made = []
    for curves in sets:
        found = inputs_of(seen, [curves], float(curves.frames.middle.max()))
        rows = [
            row for row, name in enumerate(curves.names)
            if name not in (seen.reference, seen.artery, seen.portal)
        ]  # fmt: skip
        curves = _without_weight(curves.of(rows), words.get("sd"))
        one = fit(model, curves, found, **(said | _moments(said, curves)))
        scale = _scale_of_criterion(one, curves, unit, words.get("sd"))
        one = replace(one, aicc=one.aicc + scale)
        held = tuple(words.get("hold") or ())
        made.append(TableFit(fit=one, curves=curves, inputs=found, held=held))
    return tuple(made)


def _without_weight(curves: Curves, sd: str | None) -> Curves:
    """The curves with a flag where a value has no standard deviation in proportion to it."""
    if sd not in frame_noise.POWERS:
        return curves
    left_out: np.ndarray = np.any(curves.values <= 0, axis=1)
    flags = tuple(
        (*own, "not_above_zero_left_out") if out else own
        for own, out in zip(curves.flags, left_out, strict=True)
    )
    return replace(curves, flags=flags)


def _scale_of_criterion(made: Fit, curves: Curves, unit: str, sd: str | None) -> np.ndarray:
    """What AICc (n,) gains where it is told in the table's unit: n ln of the ratio, to the power in
    which the sum of squares has a unit. With known or relative standard deviations it has none."""
    samples = np.isfinite(made.predicted).sum(axis=1)
    known = sd is None and np.isfinite(curves.covariance).any()
    power = 0.0 if known else 2 - 2 * frame_noise.POWERS.get(sd or "", 0.0)
    return np.asarray(power * samples * np.log(units.factor(curves.unit, unit)))


def _moments(words: Mapping[str, Any], curves: Curves) -> dict[str, float]:
    """Start and end as they bound instants, each the middle of a frame."""
    half = float(curves.frames.duration[0]) / 2
    found = {}
    for name, sign in (("start", -1.0), ("end", 1.0)):
        moment = doors.seconds(words.get(name), name)
        if moment is not None:
            found[name] = moment + sign * half
    return found
