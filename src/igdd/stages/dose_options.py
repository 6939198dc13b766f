"""What can be asked of `igdd dose`, as people write it, and the job that it makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from igdd import units
from igdd.decay import nuclide as find_nuclide
from igdd.emissions import emissions
from igdd.errors import InputError
from igdd.metrics._decays import Rules
from igdd.metrics._region_dose import Biology, Doubt, check_marrow
from igdd.stages.dose_regions import Job, Mouse

STATES = ("none", "administration")
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Options of `igdd.dose`; quantities are texts with a unit.

    nuclide       such as "Lu-177"; `daughters`: "equilibrium", "none" or decays per decay
    corrected_to  "none": activity as it was at each time; "administration": corrected to that
    administered  net activity given, for the residence time and for activities in %
    density       "1.04 g/mL": makes a mass of a volume; without one of them there is no dose
    method        auto, haenscheid, population, log_linear, trapezoid, or a model's name;
                  `declared` stands where AICc may not choose; `start` and `tail` are for trapezoid
    weights       "sd", by the column sd where it is there, or "equal"
    at            the measurement that a rule for one uses; `half_life` (effective, with its
                  geometric sd `half_life_spread`) is for the method population
    s_values      table of S values by target and source, for dose from other regions
    alpha_beta, repair  "2.6 Gy" and "2.8 h" for the biologically effective dose
    calibration_cv, recovery_cv, elasticity  of the activities (`igdd.kernels.organ_dose.dose_cv`)
    from_mouse    body weights of mouse and human: uptake is scaled by organ and body mass;
                  `scale_time` scales the times too
    hematocrit    red marrow from the region "blood", for a `carrier` that marrow does not take up
    time_unit, activity_unit, volume_unit, mass_unit   where the table does not say
    """

    nuclide: str
    corrected_to: str | None = None
    administered: str | None = None
    density: str | None = None
    method: str = "auto"
    declared: str | None = None
    start: str = "triangle"
    tail: str = "last_three"
    weights: str = "sd"
    at: str | None = None
    half_life: str | None = None
    half_life_spread: float | None = None
    daughters: str | Mapping[str, float] | None = None
    s_values: Path | str | None = None
    alpha_beta: str | None = None
    repair: str | None = None
    calibration_cv: float = 0.0
    recovery_cv: float = 0.0
    elasticity: float = 0.0
    from_mouse: tuple[str, str] | None = None
    scale_time: bool = False
    hematocrit: float | None = None
    carrier: str | None = None
    time_unit: str | None = None
    activity_unit: str | None = None
    volume_unit: str | None = None
    mass_unit: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Asked:
        """The options by name; an unknown one, or a missing nuclide, is refused."""
        known = [item.name for item in dataclasses.fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise InputError(
                f"dose has no option {unknown[0][:40]!r}; expected one of {', '.join(known)}"
            )
        if "nuclide" not in options:
            raise InputError("dose needs the nuclide; expected nuclide, such as 'Lu-177'")
        return cls(**options)

    def __post_init__(self) -> None:
        if self.weights not in ("sd", "equal"):
            raise InputError(f"weights is {self.weights[:40]!r}; expected sd or equal")
        if (self.hematocrit is None) != (self.carrier is None):
            raise InputError(
                "red marrow from blood needs the haematocrit and what carries the label; expected "
                "both"
            )
        if self.carrier is not None:
            check_marrow(self.carrier)

    @property
    def units(self) -> dict[str, str | None]:
        """Units of the table's columns, where the call states them."""
        return {
            "time": self.time_unit, "activity": self.activity_unit, "volume": self.volume_unit,
            "mass": self.mass_unit,
        }  # fmt: skip

    def job(self) -> Job:
        """What every region is solved with, in h, MBq and g."""
        return Job(
            rate=find_nuclide(self.nuclide).rate * HOUR,
            state=_state(self.corrected_to),
            given=_above(self.administered, "MBq", "administered"),
            density=_above(self.density, "g/mL", "density"),
            rules=Rules(
                method=self.method, declared=self.declared or "", start=self.start, tail=self.tail,
                weigh=self.weights == "sd", at=_above(self.at, "h", "at"),
                half_life=_above(self.half_life, "h", "half_life"), spread=self.half_life_spread,
            ),
            source=emissions(self.nuclide, self.daughters),
            doubt=Doubt(
                calibration=self.calibration_cv, recovery=self.recovery_cv,
                elasticity=self.elasticity,
            ),
            biology=_biology(self.alpha_beta, self.repair),
            mouse=_mouse(self.from_mouse, self.scale_time),
        )  # fmt: skip


def _above(text: str | None, unit: str, name: str) -> float | None:
    if text is None:
        return None
    found = units.read(text, unit)
    if not found > 0:
        raise InputError(f"{name} is {text!r}; expected a quantity above zero")
    return found


def _state(corrected_to: str | None) -> float | str | None:
    if corrected_to is None:
        raise InputError(
            "nothing says whether the activities are corrected for decay; expected corrected_to "
            "'none' (as it was at each time) or 'administration'"
        )
    if corrected_to not in STATES:
        raise InputError(f"corrected_to is {corrected_to[:40]!r}; expected {' or '.join(STATES)}")
    return 0.0 if corrected_to == "administration" else "none"


def _biology(alpha_beta: str | None, repair: str | None) -> Biology | None:
    if (alpha_beta is None) != (repair is None):
        raise InputError(
            "the biologically effective dose needs alpha/beta and the half-life of repair; "
            "expected both, such as '2.6 Gy' and '2.8 h', or neither"
        )
    if alpha_beta is None or repair is None:
        return None
    ratio, half_life = _above(alpha_beta, "Gy", "alpha_beta"), _above(repair, "h", "repair")
    return Biology(ratio=ratio or 0.0, repair=half_life or 0.0)


def _mouse(from_mouse: tuple[str, str] | None, scale_time: bool) -> Mouse | None:
    if from_mouse is None:
        if scale_time:
            raise InputError("times scale between species; expected from_mouse with it")
        return None
    mouse, human = (_above(text, "g", "a body weight") or 0.0 for text in from_mouse)
    return Mouse(body_mouse=mouse, body_human=human, scale_time=scale_time)
