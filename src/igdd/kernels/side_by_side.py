"""One uptake in every scale that the field uses: none of them alone carries over between bodies.

    %ID/kg = 1000 %ID/g        SUV = %ID/kg W / 100, W in kg (tissue of 1 kg/L; given by weight)
    %ID = %ID/g m              drug, ug/g = %ID/g D / 100, D in ug, if the label still is the drug

The same %ID/g means another SUV in another body: 5.5 %ID/g of a mouse of 25 g is SUV 1.4, and
33 %ID/kg of a person of 70 kg is SUV 23.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SCALES = ("percent_id_per_g", "percent_id_per_kg", "suvbw", "percent_id", "drug_concentration")


class Scales(NamedTuple):
    """Uptake in %ID/g, %ID/kg, SUV (g/mL), %ID and ug/g; NaN where a fact is missing."""

    percent_id_per_g: np.ndarray
    percent_id_per_kg: np.ndarray
    suvbw: np.ndarray
    percent_id: np.ndarray
    drug_concentration: np.ndarray


def scales(
    percent_id_per_g: np.ndarray,
    body_weight: float = np.nan,
    mass: float = np.nan,
    dose: float = np.nan,
    density: float = 1.0,
) -> Scales:
    """Every scale of an uptake in %ID/g: body weight, region's mass and dose in g, density in g/mL.

    >>> scales(np.array(5.5), body_weight=25.0).suvbw
    array(1.375)
    """
    per_g = np.asarray(percent_id_per_g, float)
    return Scales(
        percent_id_per_g=per_g,
        percent_id_per_kg=per_g * 1000,
        suvbw=np.asarray(per_g * body_weight * density / 100),
        percent_id=np.asarray(per_g * mass),
        drug_concentration=np.asarray(per_g * dose * 1e6 / 100),
    )
