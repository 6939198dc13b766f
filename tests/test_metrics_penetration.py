"""Penetration: profiles from the rim and from a vessel whose length is known."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.kernels.depth_profile import depth_from_rim, distance_from
from lesions import ball, rows_of, session_of

LESION = ball(20.0)
SPACING = np.full(3, 2.0)


def test_an_exponential_fall_from_the_rim():
    depth = depth_from_rim(LESION, SPACING)
    found = rows_of(session_of(10 * np.exp(-depth / 5), {"lesion": LESION}), "penetration")
    assert found.loc["rim_exponential_length", "value"] == pytest.approx(5, rel=2e-3)
    assert found.loc["rim_half_depth", "value"] == pytest.approx(5 * np.log(2), rel=0.1)
    shells = [found.loc[f"rim_shell_{n}", "value"] for n in range(1, 6)]
    assert shells == sorted(shells, reverse=True)
    assert found.loc["rim_core_ratio", "value"] == pytest.approx(shells[4] / shells[0])


def test_noise_goes_into_the_interval():
    depth = depth_from_rim(LESION, SPACING)
    rng = np.random.default_rng(0)
    values = 10 * np.exp(-depth / 8) + rng.normal(0, 0.5, LESION.shape)
    found = rows_of(session_of(values, {"lesion": LESION}, sd=0.5), "penetration")
    row = found.loc["rim_exponential_length"]
    assert row["low"] < 8 < row["high"]
    assert row["high"] - row["low"] < 1


def test_distances_from_a_vessel():
    vessel = np.zeros(LESION.shape, dtype=bool)
    vessel[12, 12] = True
    distance = distance_from(vessel, SPACING)
    session = session_of(6 * np.exp(-distance / 4), {"lesion": LESION, "vessel": vessel})
    found = rows_of(session, "penetration", vessel="vessel")
    assert found.loc["vessel_exponential_length", "value"] == pytest.approx(4, rel=2e-3)
    with pytest.raises(StudyError, match="'aorta' is not drawn"):
        rows_of(session, "penetration", vessel="aorta")


def test_a_profile_that_rises_has_no_length():
    depth = depth_from_rim(LESION, SPACING)
    found = rows_of(session_of(1 + depth, {"lesion": LESION}), "penetration")
    assert "rim_exponential_length" not in found.index
    assert "rim_half_depth" not in found.index
    assert found.loc["rim_fall_rate", "value"] < 0
    assert "profile_not_falling" in found.loc["rim_fall_rate", "flags"]
