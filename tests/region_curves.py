"""Curves of regions for fits, without volume or image noise."""

from __future__ import annotations

import numpy as np

from igdd.types import Curves


def curves_of(values, frames, **changes):
    """Values (n, t) as the curves of regions r0, r1, ...; `changes` in place of the rest."""
    count, length = values.shape
    return Curves(
        **{
            "values": values,
            "covariance": np.full((length, count, count), np.nan),
            "volume": np.ones(count),
            "volume_sd": np.zeros(count),
            "names": tuple(f"r{number}" for number in range(count)),
            "kinds": ("organ",) * count,
            "frames": frames,
            "quantity": "concentration",
            "unit": "mmol/L",
            "analyte": "contrast",
        }
        | changes
    )
