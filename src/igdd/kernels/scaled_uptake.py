"""What one body's tumour uptake says of another's: by exposure, by equal SUV, by permeability.

Each is a band: the exponent's scatter between substances, that of tumours, and the value's own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from igdd.kernels.allometry import CLEARANCE, Exponent, Scaled, scaled
from igdd.kernels.size_permeability import (
    Plasma,
    permeability,
    tissue_of,
    tumour_uptake,
    uptake_rate,
    void_fraction,
)

# Scatter (sd of ln) of tumours around what the plasma explains: 5.3, 18.3 and 33.0 %ID/kg of three
# tumour types of one agent (sd of their logarithms 0.93), each with CV 0.49, 0.31 and 0.48 between
# patients (0.42 on the logarithm) (Harrington et al. 2001, Clin Cancer Res 7:243).
GAIN_SD = 1.02


class Body(NamedTuple):
    """Half-life of the agent in plasma and time of the uptake, in h; volume of plasma in mL."""

    half_life: float
    plasma: float
    time: float


class Model(NamedTuple):
    """A prediction by permeability: uptake, and what the model says of both bodies, as shares of
    the dose per mL."""

    uptake: Scaled
    here: float
    there: float


def by_exposure(
    uptake: float,
    relative_sd: float,
    ratio: float,
    *,
    exponent: Exponent = CLEARANCE,
    gain_sd: float = GAIN_SD,
) -> Scaled:
    """Share of the dose per mass of tumour in a body `ratio` times as heavy.

    A tumour takes from plasma in proportion to the area under its curve, dose over clearance, so
    that the share per mass falls as clearance grows, W^-b, and SUV grows as W^(1 - b).

    >>> round(by_exposure(5500.0, 0.0, 2800.0, exponent=Exponent(0.74, 0.0, "")).value, 2)
    15.47
    """
    return scaled(uptake, ratio, Exponent(-exponent.value, exponent.sd, ""), relative_sd, gain_sd)


def by_equal_suv(
    uptake: float, relative_sd: float, ratio: float, gain_sd: float = GAIN_SD
) -> Scaled:
    """Share of the dose per mass of tumour if SUV were the same in both bodies.

    >>> by_equal_suv(2800.0, 0.0, 2800.0).value
    1.0
    """
    return scaled(uptake, ratio, Exponent(-1.0, 0.0, ""), relative_sd, gain_sd)


def by_permeability(
    uptake: float,
    relative_sd: float,
    radius_nm: float,
    bodies: tuple[Body, Body],
    *,
    trapped: bool,
    gain_sd: float = GAIN_SD,
) -> Model:
    """The uptake times what the closed form says of one tumour in the other plasma over this one.

    `trapped`: nothing that entered leaves; else all that entered may.
    """
    rate = float(uptake_rate(permeability(np.array(radius_nm)))) * 3600
    tissue = tissue_of(
        rate, float(void_fraction(np.array(radius_nm))), trap=np.inf if trapped else 0.0
    )
    here, there = (
        float(
            tumour_uptake(
                tissue,
                Plasma(np.array([1 / one.plasma]), np.array([np.log(2) / one.half_life])),
                np.array([one.time]),
            )[0]
        )
        for one in bodies
    )
    found = scaled(uptake * there / here, 1.0, Exponent(0.0, 0.0, ""), relative_sd, gain_sd)
    return Model(found, here, there)
