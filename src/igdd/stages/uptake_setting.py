"""A tumour, a plasma and an agent of a size: the uptake they give, and what decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from igdd.kernels.size_permeability import (
    CAPILLARY_UM,
    KROGH_UM,
    Plasma,
    Tissue,
    permeability,
    time_of_maximum,
    tissue_of,
    tumour_uptake,
    uptake_rate,
    void_fraction,
)

HOUR = 3600.0
STEP = 1e-4  # of a parameter's logarithm, for its elasticity
HORIZON = 1e4  # h: a maximum later than this is none


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A tumour and a plasma, all in nm, um, h, mL and 1/h; shares of the dose.

    permeability in cm/s and void follow from the radius where they are None.
    """

    radius: float
    half_lives: tuple[float, ...]
    shares: tuple[float, ...]
    plasma: float
    capillary: float = CAPILLARY_UM
    krogh: float = KROGH_UM
    permeability: float | None = None
    void: float | None = None
    trap: float = 0.0
    release: float = 0.0
    antigen_over_kd: float = 0.0
    internalisation: float = 0.0

    @property
    def wall(self) -> float:
        """Permeability in cm/s."""
        known = self.permeability
        return float(permeability(np.array(self.radius))) if known is None else known

    @property
    def open(self) -> float:
        """Share of the tumour that is open to the agent."""
        return float(void_fraction(np.array(self.radius))) if self.void is None else self.void

    @property
    def rate(self) -> float:
        """Plasma cleared into the tumour, in 1/h."""
        return HOUR * float(uptake_rate(np.array(self.wall), self.capillary, self.krogh))

    @property
    def curve(self) -> Plasma:
        """Plasma after a bolus, in shares of the dose per mL."""
        return Plasma(
            np.array(self.shares) / self.plasma, np.log(2) / np.array(self.half_lives)
        )  # fmt: skip

    def tissue(self, trap: float | None = None) -> Tissue:
        """Rates of the tumour, with the setting's trapping or another."""
        return tissue_of(
            self.rate, self.open, trap=self.trap if trap is None else trap, release=self.release,
            antigen_over_kd=self.antigen_over_kd, internalisation=self.internalisation,
        )  # fmt: skip

    def uptake(self, time: np.ndarray, trap: float | None = None) -> np.ndarray:
        """%ID/mL of tumour at times in h, with the setting's trapping or another."""
        return 100 * tumour_uptake(self.tissue(trap), self.curve, time)

    def maximum(self) -> float:
        """Time in h at which the tumour holds most; infinite where it only rises."""
        return time_of_maximum(self.tissue(), self.curve, HORIZON)


def elasticities(setting: Setting, hours: float) -> dict[str, float]:
    """Percent of uptake at a time for a percent of each parameter: d ln A / d ln p.

    Of the radius through permeability and void together, where neither was stated.

    >>> one = Setting(radius=50.0, half_lives=(76.1,), shares=(1.0,), plasma=3000.0)
    >>> round(elasticities(one, 72.0)["plasma_volume"], 6)
    -1.0
    """
    named: dict[str, str] = {
        "permeability": "permeability", "void_fraction": "void", "capillary_radius": "capillary",
        "krogh_radius": "krogh", "plasma_volume": "plasma",
    }  # fmt: skip
    named |= {
        field: field
        for field in ("trap", "release", "antigen_over_kd", "internalisation")
        if 0 < getattr(setting, field) < np.inf
    }
    fixed = replace(setting, permeability=setting.wall, void=setting.open)
    found = {
        name: _slope([_moved(fixed, field, side) for side in (-1, 1)], hours)
        for name, field in named.items()
    }
    if setting.permeability is None and setting.void is None:
        found["radius"] = _slope([_moved(setting, "radius", side) for side in (-1, 1)], hours)
    for place, value in enumerate(setting.half_lives):
        sides = []
        for side in (-1, 1):
            changed = list(setting.half_lives)
            changed[place] = value * float(np.exp(side * STEP))
            sides.append(replace(fixed, half_lives=tuple(changed)))
        key = "half_life" if len(setting.half_lives) == 1 else f"half_life_{place + 1}"
        found[key] = _slope(sides, hours)
    return found


def _moved(setting: Setting, field: str, side: int) -> Setting:
    """A setting with one parameter a step up or down."""
    moved: dict[str, Any] = {field: getattr(setting, field) * float(np.exp(side * STEP))}
    return replace(setting, **moved)


def _slope(sides: Sequence[Setting], hours: float) -> float:
    low, high = (float(one.uptake(np.array([hours]))[0]) for one in sides)
    # Long after the agent has gone nothing is left to compare.
    return float(np.log(high / low) / (2 * STEP)) if low > 0 and high > 0 else float("nan")
