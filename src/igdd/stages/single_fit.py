"""A fit or a map without a study: what `igdd fit` and `igdd map` read and print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from igdd import catalog, units
from igdd.errors import InputError, StudyError
from igdd.io.sidecar import decay_of, read_sidecar
from igdd.kinetics import Fit, InputCurve
from igdd.results import COLUMNS, FINDINGS, Results
from igdd.stages import protocol as doors
from igdd.types import Curves, Decay

if TYPE_CHECKING:
    from igdd.stages.map import MapResult


# Words of any fit or map that the command line has a flag for, and so are no --option.
FLAGS = (
    "start", "end", "hold", "free", "integration", "sd", "profile", "unit", "time_unit", "mask",
    "nuclide", "out",
)  # fmt: skip


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
        if self.options and not said:
            raise InputError(
                f"--input-option {next(iter(self.options))} is of an input that is not named; "
                f"expected {', '.join(sources)}"
            )


def inputs_of(
    seen: Seen, tables: Sequence[Curves], until: float, decays: Iterable[Decay | None] = ()
) -> dict[str, InputCurve]:
    """The inputs by role; those of regions come from the table that has them, a population's needs
    its end in s, and blood whose nuclide its files do not say has that of the tissue."""
    from igdd.stages import inputs

    found: dict[str, InputCurve] = {}
    if seen.tables:
        known = (*(one.decay for one in tables), *decays)
        nuclides = {one.half_life for one in known if one is not None}
        clock = {"half_life": nuclides.pop()} if len(nuclides) == 1 else {}
        found |= inputs.read_inputs(seen.tables, **{**clock, **seen.options})
    if seen.population is not None:
        found |= inputs.population_input(seen.population, until, **seen.options)
    if not tables:
        if seen.reference or seen.artery:
            raise InputError("--reference and --artery name regions of --curves, which is missing")
        return found
    if seen.artery is not None and seen.portal is not None:
        regions = seen.artery, seen.portal
        found |= inputs.dual_input(_with(tables, seen.artery), *regions, **seen.options)
    elif seen.artery is not None:
        found |= inputs.image_derived(_with(tables, seen.artery), seen.artery, **seen.options)
    if seen.reference is not None:
        found |= inputs.reference_input(_with(tables, seen.reference), seen.reference)
    return found


def _with(tables: Sequence[Curves], region: str) -> Curves:
    """The curves that hold a region; the first where none does, for its reader to say so."""
    return next((curves for curves in tables if region in curves.names), tables[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class TableFit:
    """A fit with the curves and inputs that it was made from."""

    fit: Fit
    curves: Curves
    inputs: Mapping[str, InputCurve]
    held: tuple[str, ...]


def fit_tables(
    model: str,
    paths: Sequence[Path],
    seen: Seen,
    *,
    unit: str | None = None,
    time_unit: str | None = None,
    nuclide: str | None = None,
    hold: Mapping[str, str] | None = None,
    free: tuple[str, ...] = (),
    **words: Any,
) -> tuple[TableFit, ...]:
    """A model fitted to every region of tables of curves but those that serve as inputs.

    Several tables are of one scan, such as of its beds: each has frames of its own, on one clock,
    and all see the same inputs. The delay that is shared is that of a table.
    """
    from igdd.io import tac_table
    from igdd.stages.fit import fit
    from igdd.stages.fit_sets import check_apart

    tables = [
        tac_table.read(path, unit=unit, time_unit=time_unit, nuclide=nuclide) for path in paths
    ]
    check_apart([curves.names for curves in tables])
    found = inputs_of(seen, tables, max(float(curves.frames.end.max()) for curves in tables))
    declared = catalog.find("models", model)
    held = doors.held_values(declared, hold or {}, free)
    made = []
    for curves in tables:
        rows = [
            row
            for row, name in enumerate(curves.names)
            if name not in (seen.reference, seen.artery, seen.portal)
        ]
        if rows:
            curves = doors.in_percent(declared, curves.of(rows))
            one = fit(model, curves, found, hold=hold, free=free, **words)
            made.append(TableFit(fit=one, curves=curves, inputs=found, held=tuple(held)))
    if not made:
        raise InputError(f"{paths[0]}: has no region beside those that serve as inputs")
    return tuple(made)


def entries(made: Sequence[TableFit]) -> list[dict[str, Any]]:
    """One entry for each region of all fits, in display units."""
    from igdd.stages.fit_text import as_json

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
    nuclide: str | None = None,
    hold: Mapping[str, str] | None = None,
    free: tuple[str, ...] = (),
    progress: Callable[[int, int], None] | None = None,
    **words: Any,
) -> MapResult:
    """Maps of a model over a dynamic image; `curves` holds the regions that serve as inputs."""
    from igdd.io import tac_table
    from igdd.stages.map import map_image

    regions = [] if curves is None else [tac_table.read(curves, unit=unit, nuclide=nuclide)]
    facts, _ = read_sidecar(image)
    until = float(regions[0].frames.end.max()) if regions else _end_of(facts)
    found = inputs_of(seen, regions, until, [decay_of(facts, image, nuclide)])
    return map_image(
        model, image, found, out=out, unit=unit, hold=hold, free=free, nuclide=nuclide,
        progress=progress, **words,
    )  # fmt: skip


def _end_of(facts: Mapping[str, Any]) -> float:
    """End of the last frame in s, by the sidecar; NaN where there is none to say it."""
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


def model_options(model: str, texts: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` words as options of a model; one that it does not declare is refused.

    >>> model_options("logan", ["gap=3 min"])
    {'gap': '3 min'}
    """
    found = named_values(texts, "--option")
    declared = catalog.find("models", model).options
    known = [option.name for option in declared if option.name not in FLAGS]
    for name in found:
        if name in known:
            continue
        meant = f"; --{name.replace('_', '-')} says it" if name in FLAGS else ""
        raise StudyError(
            f"model {model} has no option {name!r}; expected "
            f"{', '.join(known) or 'none at all'}{meant}"
        )
    return found


def input_options(texts: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as options of the input: times in s, shares and ratios as numbers.

    >>> input_options(["haematocrit=0.45", "delay=5 s", "decay_corrected=yes"])
    {'haematocrit': 0.45, 'delay': 5.0, 'decay_corrected': True}
    """
    kinds = {"delay": "s", "dispersion": "s", "infusion": "s", "injection": "s", "half_life": "s",
             "haematocrit": "1", "recovery": "1", "dose": "mol/g"}  # fmt: skip
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
