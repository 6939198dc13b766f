"""What is known of a population: typical parameters, covariates, how individuals differ, error.

`igdd.stages.population_file` reads it. Everything is in the units of the event table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError
from igdd.io.event_table import Events
from igdd.stages.amounts import quotient


@dataclass(frozen=True, kw_only=True)
class Covariate:
    """How a column of the table changes a parameter's typical value."""

    column: str
    kind: str
    numbers: Mapping[str, Any]

    def factor(self, value: float | str) -> float:
        """What the typical value is multiplied by."""
        own = self.numbers
        if self.kind == "category":
            key = f"{value:g}" if isinstance(value, float) else value
            if key not in own["factors"]:
                raise InputError(
                    f"{self.column} is {key[:40]!r}; expected one of {', '.join(own['factors'])}"
                )
            return float(own["factors"][key])
        if isinstance(value, str):
            raise InputError(f"{self.column} is {value[:40]!r}; expected a number")
        if self.kind == "below":
            return float(own["factor"]) if value < own["limit"] else 1.0
        away = value - own["reference"]
        with np.errstate(all="ignore"):
            if self.kind == "power":
                found = float(np.float64(value / own["reference"]) ** own["exponent"])
            elif self.kind == "linear":
                found = 1 + own["slope"] * away
            else:
                found = float(np.exp(own["slope"] * away))
        if not 0 < found < np.inf:
            raise InputError(
                f"{self.column} is {value:g}, for which the {self.kind} covariate gives {found:g}; "
                "expected a factor above zero"
            )
        return float(found)


@dataclass(frozen=True, kw_only=True)
class Typical:
    """A parameter: typical value in the table's units, how individuals differ, its covariates.

    unit    as the file has it, and `scale`: table's units -> that unit
    """

    name: str
    value: float
    unit: str
    scale: float
    distribution: str
    covariates: tuple[Covariate, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """A population prior, in the units of the event table.

    random      names of the parameters with an eta, in the order of `omega` (q, q)
    known       column of known standard deviations, or ""
    """

    title: str
    model: str
    depot: bool
    time: str
    dose: str
    concentration: str
    parameters: tuple[Typical, ...]
    random: tuple[str, ...]
    omega: np.ndarray
    additive: float
    proportional: float
    known: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    only: Mapping[str, float] = field(default_factory=dict)

    @property
    def amount_factor(self) -> float:
        """What doses of the table are multiplied by to be in the concentration's amount."""
        return units.factor(self.dose, quotient(self.concentration)[0])

    def typical(self, events: Events, source: str) -> np.ndarray:
        """Typical values (p,) of an individual with its covariates."""
        found = []
        for one in self.parameters:
            value = one.value
            for covariate in one.covariates:
                value *= covariate.factor(_covariate(events, covariate.column, source))
            if not 0 <= value < np.inf:
                raise InputError(
                    f"{source}: ID {events.subject}: the covariates make {one.name} {value:g}; "
                    "expected a value that can be"
                )
            found.append(value)
        return np.array(found)

    def individual(self, typical: np.ndarray, eta: np.ndarray) -> np.ndarray:
        """Parameters (m, p) of etas (m, q), real or complex."""
        columns = []
        places = {name: place for place, name in enumerate(self.random)}
        for one, value in zip(self.parameters, typical, strict=True):
            if one.name not in places:
                columns.append(np.full(len(eta), value, dtype=eta.dtype))
                continue
            own = eta[:, places[one.name]]
            if one.distribution == "log-normal":
                columns.append(value * np.exp(own))
            elif one.distribution == "normal":
                columns.append(value + own)
            else:
                columns.append(1 / (1 + (1 / value - 1) * np.exp(-own)))
        return np.stack(columns, axis=1)


def _covariate(events: Events, column: str, source: str) -> float | str:
    """The one value of a covariate in an individual's rows."""
    if column not in events.covariates:
        raise InputError(
            f"{source}: has no column {column!r}, a covariate of the population; there is "
            f"{', '.join(events.covariates)[:200] or 'none'}"
        )
    cells = events.covariates[column]
    if cells.dtype == object:
        known = {str(cell) for cell in cells if cell != ""}
        if len(known) == 1:
            return known.pop()
    else:
        numbers = np.unique(cells[np.isfinite(cells)])
        if numbers.size == 1:
            return float(numbers[0])
        known = {f"{one:g}" for one in numbers}
    raise InputError(
        f"{source}: ID {events.subject} has {'no' if not known else 'several'} {column}"
        f"{': ' + ', '.join(sorted(known))[:80] if known else ''}; expected one value for all rows "
        "of an individual"
    )
