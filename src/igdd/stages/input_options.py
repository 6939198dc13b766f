"""How measured blood becomes inputs: the options, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from igdd.errors import InputError
from igdd.kernels import blood_models, input_models
from igdd.kinetics import SUBSTANCES

MODELS = ("interpolate", *input_models.MODELS)
NUMBERS = ("infusion", "injection", "delay", "dispersion", "haematocrit", "half_life")


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How measured blood becomes inputs, in SI units.

    unit, time_unit  of the stored numbers, where the files do not say or say wrongly
    facts            JSON of the table's units, if it is not the one beside it
    compartment      what a single unnamed column holds: plasma, blood or portal
    substance        what the plasma holds: "parent" (metabolites are out already), "total" (there
                     are none, or they shall count), "carrier" or "contrast"; by default parent
                     where its fraction was measured, total otherwise, contrast for mol/mL
    parent_fraction  interpolate, hill, power, exponential, inverse_gamma
    plasma_to_blood  interpolate, constant, linear, exponential, or the ratio itself
    model            interpolate, tri_exponential, feng, feng_infusion, spline, monotone
    infusion         length of the infusion in s, for feng_infusion; None: fitted
    injection        start of the administration in s on the recordings' clock; None: InjectionStart
                     in the `_pet.json` of the blood's scan, else 0
    delay            s by which the tissue sees the blood later than the recording; negative where
                     the sampler lags
    dispersion       time constant in s of the sampler's tubing, to be undone; None: what the
                     autosampler's sidecar states, if it says that it is not corrected
    haematocrit      of an agent that stays in plasma: blood = (1 - haematocrit) x plasma
    decay_corrected  whether activities are corrected to the recordings' time zero; None: nobody
                     says (flagged, unless their late fall proves it)
    half_life        in s, of blood that is not corrected or may not be; None: that of the nuclide
                     in the `_pet.json` of the blood's scan
    """

    unit: str | None = None
    time_unit: str | None = None
    facts: Path | None = None
    compartment: str | None = None
    substance: str | None = None
    parent_fraction: str = "interpolate"
    plasma_to_blood: str | float = "interpolate"
    model: str = "interpolate"
    infusion: float | None = None
    injection: float | None = None
    delay: float = 0.0
    dispersion: float | None = None
    haematocrit: float | None = None
    decay_corrected: bool | None = None
    half_life: float | None = None

    def __post_init__(self) -> None:
        choices = (
            ("compartment", (None, "plasma", "blood", "portal")),
            ("substance", (None, *SUBSTANCES)),
            ("parent_fraction", blood_models.PARENT_MODELS),
            ("model", MODELS),
        )
        for name, known in choices:
            check_choice(name, getattr(self, name), known)
        if isinstance(self.plasma_to_blood, str):
            check_choice("plasma_to_blood", self.plasma_to_blood, blood_models.RATIO_MODELS)
        for name in NUMBERS:
            value = getattr(self, name)
            if not (value is None or isinstance(value, int | float)):
                raise InputError(f"{name} is {value!r}; expected a number in SI units")
        check_choice("decay_corrected", self.decay_corrected, (None, True, False))
        for name in ("infusion", "dispersion", "half_life", "plasma_to_blood"):
            value = getattr(self, name)
            if not (value is None or isinstance(value, str) or 0 < value < np.inf):
                raise InputError(f"{name} is {value}; expected more than 0")
        for name in ("injection", "delay"):
            value = getattr(self, name)
            if not (value is None or np.isfinite(value)):
                raise InputError(f"{name} is {value}; expected seconds")
        if self.infusion is not None and self.model != "feng_infusion":
            raise InputError(f"infusion belongs to feng_infusion; the model is {self.model!r}")
        if self.haematocrit is not None:
            check_haematocrit(self.haematocrit)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> InputOptions:
        """Options by name; one that is not known is an error that lists those that are."""
        check_known(given, [item.name for item in dataclasses.fields(cls)], "measured blood")
        return cls(**given)


def check_known(given: Iterable[str], known: Sequence[str], source: str) -> None:
    """Refuse an option of the input that would change nothing in one from `source`."""
    for name in given:
        if name not in known:
            raise InputError(
                f"input option {name!r} says nothing of {source}; expected "
                f"{', '.join(known) or 'none'}"
            )


def check_choice(name: str, value: object, known: Sequence[object]) -> None:
    """Refuse a value that is none of those known."""
    if value not in known:
        listed = ", ".join(str(one) for one in known if one is not None)
        raise InputError(f"{name} is {value!r}; expected one of {listed}")


def check_haematocrit(value: float) -> None:
    """Refuse what is no share of blood that is cells."""
    if not 0 < value < 1:
        raise InputError(f"haematocrit is {value}; expected a share between 0 and 1, such as 0.42")
