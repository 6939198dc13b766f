"""A fit or a map without a study: what `igdd fit` and `igdd map` read and print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import catalog, units
from igdd.errors import InputError
from igdd.io.sidecar import read_sidecar
from igdd.kinetics import Fit, InputCurve
from igdd.results import COLUMNS, FINDINGS, Results
from igdd.stages import protocol as doors
from igdd.types import Curves

if TYPE_CHECKING:
    from igdd.stages.map import MapResult


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the tissue sees, as the caller names it.

    tables      blood tables of one scan, autosampler and manual together
    reference   region of the curves that serves as reference tissue
    artery, portal  regions of the curves that serve as input
    population  a published input
    options     `igdd.stages.input_options.InputOptions` by name
    """

    tables: tuple[Path, ...] = ()
    reference: str | None = None
    artery: str | None = None
    portal: str | None = None
    population: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sources = {
            "--input": bool(self.tables),
            "--artery": self.artery is not None,
            "--population": self.population is not None,
        }
        said = [name for name, given in sources.items() if given]
        if len(said) > 1:
            raise InputError(f"{' and '.join(said)} both name the input; expected one of them")
        if self.portal is not None and self.artery is None:
            raise InputError("--portal needs --artery, the other supply of the liver")


def inputs_of(seen: Seen, curves: Curves | None, until: float) -> dict[str, InputCurve]:
    """The inputs by role; those of regions need the curves, a population's its end in s."""
    from igdd.stages import inputs

    found: dict[str, InputCurve] = {}
    haematocrit = seen.options.get("haematocrit")
    if seen.tables:
        found |= inputs.read_inputs(seen.tables, **seen.options)
    if seen.population is not None:
        found |= inputs.population_input(seen.population, until, haematocrit=haematocrit)
    if curves is None:
        if seen.reference or seen.artery:
            raise InputError("--reference and --artery name regions of --curves, which is missing")
        return found
    if seen.artery is not None and seen.portal is not None:
        found |= inputs.dual_input(curves, seen.artery, seen.portal, haematocrit=haematocrit)
    elif seen.artery is not None:
        found |= inputs.image_derived(curves, seen.artery, **seen.options)
    if seen.reference is not None:
        found |= inputs.reference_input(curves, seen.reference)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class TableFit:
    """A fit with the curves and inputs that it was made from."""

    fit: Fit
    curves: Curves
    inputs: Mapping[str, InputCurve]
    held: tuple[str, ...]


def fit_table(
    model: str,
    path: Path,
    seen: Seen,
    *,
    unit: str | None = None,
    hold: Mapping[str, str] | None = None,
    free: tuple[str, ...] = (),
    **words: Any,
) -> TableFit:
    """A model fitted to every region of a table of curves but those that serve as inputs."""
    from igdd.io import tac_table
    from igdd.stages.fit import common_names, fit

    curves = tac_table.read(path, unit=unit)
    found = inputs_of(seen, curves, float(curves.frames.end.max()))
    rows = [
        row
        for row, name in enumerate(curves.names)
        if name not in (seen.reference, seen.artery, seen.portal)
    ]
    if not rows:
        raise InputError(f"{path}: has no region beside those that serve as inputs")
    declared = catalog.find("models", model)
    curves = doors.in_percent(declared, curves.of(rows))
    held = doors.held_values(declared, hold or {}, free)
    # The blood's clock is not the tissue's: one delay for the scan, unless the caller says.
    measured = common_names(declared, None, {*(hold or {}), *free}, measured=bool(seen.tables))
    made = fit(model, curves, found, hold=hold, free=free, shared=measured, **words)
    return TableFit(fit=made, curves=curves, inputs=found, held=tuple(held))


def entries(made: Sequence[TableFit]) -> list[dict[str, Any]]:
    """One entry for each region of all fits, in display units."""
    from igdd.stages.fit import as_json

    return [entry for one in made for entry in as_json(one.fit)]


def results(made: Sequence[TableFit], title: str) -> Results:
    """The fits as results of a study of one nameless subject, for the report's pages."""
    import pandas as pd

    from igdd.stages.kinetics import rows, to_show

    values = [
        value
        for one in made
        for value in rows(one.fit, np.zeros_like(one.fit.values), one.curves, one.held)
    ]
    return Results(
        study={"schema": 1, "title": title},
        measurements=pd.DataFrame([one.row("1", "1", "") for one in values], columns=list(COLUMNS)),
        findings=pd.DataFrame(columns=list(FINDINGS)),
        fits=tuple(to_show(one.fit, one.curves, ("1", "1"), one.inputs, one.held) for one in made),
    )


def map_file(
    model: str,
    image: Path,
    seen: Seen,
    out: Path,
    *,
    curves: Path | None = None,
    unit: str | None = None,
    hold: Mapping[str, str] | None = None,
    free: tuple[str, ...] = (),
    progress: Callable[[int, int], None] | None = None,
    **words: Any,
) -> MapResult:
    """Maps of a model over a dynamic image; `curves` holds the regions that serve as inputs."""
    from igdd.io import tac_table
    from igdd.stages.fit import common_names
    from igdd.stages.map import map_image

    regions = None if curves is None else tac_table.read(curves, unit=unit)
    until = _end_of(image) if regions is None else float(regions.frames.end.max())
    found = inputs_of(seen, regions, until)
    said = {*(hold or {}), *free}
    measured = common_names(catalog.find("models", model), None, said, measured=bool(seen.tables))
    return map_image(
        model, image, found, out=out, unit=unit, hold=hold, free=free, shared=measured,
        progress=progress, **words,
    )  # fmt: skip


def _end_of(image: Path) -> float:
    """End of the last frame in s, by the sidecar; NaN where there is none to say it."""
    facts, _ = read_sidecar(image)
    try:
        starts, durations = facts["FrameTimesStart"], facts["FrameDuration"]
        return float(starts[-1]) + float(durations[-1])
    except (KeyError, IndexError, TypeError, ValueError):
        return float("nan")


def named_values(texts: Sequence[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` words of the command line as a mapping.

    >>> named_values(["Vb=0.05", "delay=5 s"], "--hold")
    {'Vb': '0.05', 'delay': '5 s'}
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise InputError(f"{option} {text!r}; expected NAME=VALUE, such as {option} Vb=0.05")
        found[name.strip()] = value.strip()
    return found


def input_options(texts: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as options of the input: times in s, shares and ratios as numbers.

    >>> input_options(["haematocrit=0.45", "delay=5 s", "decay_corrected=yes"])
    {'haematocrit': 0.45, 'delay': 5.0, 'decay_corrected': True}
    """
    kinds = {"delay": "s", "dispersion": "s", "infusion": "s", "injection": "s", "half_life": "s",
             "haematocrit": "1", "recovery": "1"}  # fmt: skip
    words = {"yes": True, "true": True, "no": False, "false": False}
    found: dict[str, Any] = {}
    for name, value in named_values(texts, "--input-option").items():
        if name in kinds:
            found[name] = units.read(value, kinds[name])
        elif name in ("decay_corrected", "blood_scaling"):
            if value.lower() not in words:
                raise InputError(f"--input-option {name}={value}; expected yes or no")
            found[name] = words[value.lower()]
        elif name == "facts":
            found[name] = Path(value)
        else:
            found[name] = _number_or_text(value) if name == "plasma_to_blood" else value
    return found


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def described(found: MapResult) -> dict[str, Any]:
    """What a map left on disk, as plain values."""
    return {
        "model": found.model,
        "maps": {name: str(path) for name, path in found.maps.items()},
        "sd": {name: str(path) for name, path in found.sd.items()},
        "units": dict(found.units),
        "flags": str(found.flags),
        "voxels": found.voxels,
        "fitted": found.fitted,
        "counts": dict(found.counts),
        "notes": dict(found.notes),
    }


def map_text(found: MapResult) -> str:
    """What a map left on disk, as lines."""
    lines = [f"{found.model}: {found.fitted} of {found.voxels} voxels fitted"]
    lines += [f"  {name} ({found.units[name]}): {path}" for name, path in found.maps.items()]
    lines += [f"  {name} {value:.4g}" for name, value in found.notes.items()]
    lines += [f"  flag {name}: {count} voxels" for name, count in found.counts.items() if count]
    return "\n".join([*lines, f"  flags: {found.flags}"])


def text(fit: Fit) -> str:
    """The parameters as a table of text: one line for each region, value ± standard error."""
    factors = [doors.si_factor(unit) for unit in fit.display]
    header = ["region", *(
        name if unit == "1" else f"{name} ({unit})"
        for name, unit in zip(fit.parameters, fit.display, strict=True)
    ), "AICc", "notes", "flags"]  # fmt: skip
    lines = [header]
    for row, region in enumerate(fit.names):
        cells = [
            _cell(fit.values[row, column] / factor,
                  np.sqrt(max(fit.covariance[row, column, column], 0.0)) / factor)
            + ("" if fit.limits is None else _range(fit.limits[row, column] / factor))
            for column, factor in enumerate(factors)
        ]  # fmt: skip
        notes = fit.notes[row] if fit.notes else {}
        aicc = fit.aicc[row]
        lines.append([
            region, *cells, f"{aicc:.1f}" if np.isfinite(aicc) else "-",
            ", ".join(f"{name} {value:.4g}" for name, value in notes.items()) or "-",
            ", ".join(fit.flags[row]) or "-",
        ])  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _range(limits: np.ndarray) -> str:
    low, high = limits
    return "" if np.isnan(limits).any() else f" [{low:.4g}, {high:.4g}]"


def _cell(value: float, sd: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.4g}" if not (np.isfinite(sd) and sd > 0) else f"{value:.4g} ± {sd:.2g}"
