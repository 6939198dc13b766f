"""Four lesions whose unevenness is known on paper, through every metric of evenness.

Two levels, a linear gradient, a checkerboard, and a sphere with a cold core; each also in another
unit. Values are exact: no noise, no blur.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lesions import ball, rows_of, session_of

VOXEL = 0.008  # mL
MAD = 1.482602218505602
WHOLE = {"lesion_1": np.ones((20, 10, 10), dtype=bool)}
ALONG = np.broadcast_to(np.arange(20.0)[:, None, None], (20, 10, 10))
LESION, CORE = ball(20.0), ball(14.0)
COLD = float(CORE.sum() / LESION.sum())  # about a third of the volume
MEAN = 10 - 8 * COLD


def two_levels():
    return np.where(ALONG < 10, 1.0, 3.0), WHOLE


def gradient():
    return ALONG + 1.0, WHOLE


def checkerboard():
    return np.where(np.indices((20, 10, 10)).sum(axis=0) % 2 == 0, 1.0, 3.0), WHOLE


def cold_core():
    return np.where(CORE, 2.0, 10.0), {"lesion_1": LESION}


def equivalent(values, shares):
    """-ln(mean exp(-C / 2)) / (1 / 2)."""
    return -2 * np.log(np.dot(shares, np.exp(-np.asarray(values) / 2)))


LEVELS = {
    "d10": 3.0, "d50": 2.0, "d90": 1.0, "cv": 0.5, "robust_cv": MAD / 2, "quartile_dispersion": 0.5,
    "gini": 0.25, "entropy": 1.0, "hot_tail_mean": 3.0, "negative_share": 0.0,
    "equivalent_uniform_exposure": equivalent([1, 3], [0.5, 0.5]),
    # Reached: 2 kBq/mL, and of the curve 0.5, 1, 1.5, 2.5, 3 and 4.
    "coverage": 0.5, "under_dosed_share": 0.5, "under_dosed_volume": 1000 * VOXEL,
    "under_dosed_largest_part": 1000 * VOXEL,
    "coverage_at_25_percent": 1.0, "coverage_at_50_percent": 1.0, "coverage_at_75_percent": 0.5,
    "coverage_at_100_percent": 0.5, "coverage_at_125_percent": 0.5, "coverage_at_150_percent": 0.5,
    "coverage_at_200_percent": 0.0,
    # Both halves have the same depths: every shell is half of each.
    "rim_shell_1": 2.0, "rim_shell_5": 2.0, "rim_core_ratio": 1.0, "rim_fall_rate": 0.0,
}  # fmt: skip
TRUTHS = {
    "two_levels": (two_levels, 2.0, LEVELS),
    # The same histogram; all cold voxels touch by their edges, and the neighbours are unlike.
    "checkerboard": (checkerboard, 2.0, LEVELS),
    "gradient": (gradient, 11.0, {
        "d10": 18.5, "d50": 10.5, "d90": 2.5, "cv": np.sqrt(399 / 12) / 10.5,
        "robust_cv": MAD * 5 / 10.5, "quartile_dispersion": 10 / 21, "gini": 19 / 60,
        "entropy": np.log2(20), "hot_tail_mean": 19.5, "negative_share": 0.0,
        "equivalent_uniform_exposure": equivalent(np.arange(1, 21), np.full(20, 0.05)),
        "coverage": 0.5, "under_dosed_share": 0.5, "under_dosed_volume": 1000 * VOXEL,
        "under_dosed_largest_part": 1000 * VOXEL,
        "coverage_at_25_percent": 0.9, "coverage_at_50_percent": 0.75,
        "coverage_at_75_percent": 0.6, "coverage_at_100_percent": 0.5,
        "coverage_at_125_percent": 0.35, "coverage_at_150_percent": 0.2,
        "coverage_at_200_percent": 0.0,
        # Front and back of a shell lie on both sides of the middle.
        "rim_shell_1": 10.5, "rim_shell_5": 10.5, "rim_core_ratio": 1.0, "rim_fall_rate": 0.0,
    }),
    "cold_core": (cold_core, 5.0, {
        "d10": 10.0, "d50": 10.0, "d90": 2.0, "cv": 8 * np.sqrt(COLD * (1 - COLD)) / MEAN,
        "robust_cv": 0.0, "quartile_dispersion": 8 / 12, "gini": 8 * COLD * (1 - COLD) / MEAN,
        "entropy": -COLD * np.log2(COLD) - (1 - COLD) * np.log2(1 - COLD),
        "hot_tail_mean": 10.0, "negative_share": 0.0,
        "equivalent_uniform_exposure": equivalent([2, 10], [COLD, 1 - COLD]),
        "coverage": 1 - COLD, "under_dosed_share": COLD,
        "under_dosed_volume": COLD * LESION.sum() * VOXEL,
        "under_dosed_largest_part": COLD * LESION.sum() * VOXEL,
        "coverage_at_25_percent": 1.0, "coverage_at_50_percent": 1 - COLD,
        "coverage_at_75_percent": 1 - COLD, "coverage_at_100_percent": 1 - COLD,
        "coverage_at_125_percent": 1 - COLD, "coverage_at_150_percent": 1 - COLD,
        "coverage_at_200_percent": 1 - COLD,
        # Six millimetres of rim hold two thirds: three shells are hot, and the core is cold.
        "rim_shell_1": 10.0, "rim_shell_2": 10.0, "rim_shell_3": 10.0, "rim_shell_5": 2.0,
        "rim_core_ratio": 0.2,
    }),
}  # fmt: skip
# Rows in the unit of the image; the rest have none, or a volume's.
OF_IMAGE = (
    "d10", "d50", "d90", "hot_tail_mean", "equivalent_uniform_exposure", "rim_shell_1",
    "rim_shell_2", "rim_shell_3", "rim_shell_5",
)  # fmt: skip


def measured(session, threshold, factor):
    """All rows by name; options in a unit that is `factor` times smaller than the image's first."""
    rows = {}
    for metric, options in (
        ("heterogeneity", {"bin_width": 1.0 * factor, "steepness": 0.5 / factor}),
        ("coverage", {"threshold": threshold * factor}),
        ("penetration", {}),
        ("hot_spots", {}),
    ):
        rows |= rows_of(session, metric, **options)["value"].to_dict()
    return rows


@pytest.mark.parametrize("factor", [1.0, 1000.0, 1e-3])
@pytest.mark.parametrize("name", list(TRUTHS))
def test_every_measure_has_its_value_in_every_unit(name, factor):
    lesion, threshold, truth = TRUTHS[name]
    values, masks = lesion()
    found = measured(session_of(values * factor, masks), threshold, factor)
    for metric, wanted in truth.items():
        scale = factor if metric in OF_IMAGE else 1.0
        # Rounding of sums over 2,000 voxels, and of an exponential that underflows nowhere.
        assert found[metric] == pytest.approx(wanted * scale, rel=1e-9, abs=1e-6 * scale), metric


def test_every_metric_of_evenness_that_the_study_knows_is_among_the_truths():
    """What has no value on paper here has its own test: lengths and spatial statistics."""
    from igdd import catalog

    known = set().union(*(truth for _, _, truth in TRUTHS.values()))
    elsewhere = {
        "rim_shell_4", "rim_exponential_length", "rim_half_depth", "hot_tail_ratio",
        # test_kernels_spatial_statistics.py, test_metrics_hot_spots.py
        "gi_star_highest", "gi_star_lowest", "local_moran_highest", "variogram_range",
        "unevenness_p", "cold_spot_p", "cold_core_power", "hot_volume", "hot_clusters",
        "hot_largest_cluster", "hot_euler_number", "cold_volume", "cold_clusters",
        "cold_largest_cluster", "cold_euler_number",
    }  # fmt: skip
    every = {
        metric
        for name in ("heterogeneity", "coverage", "penetration", "hot_spots")
        for metric, _ in catalog.find("metrics", name).gives
        if not metric.endswith(("_interior", "_uncorrected")) and not metric.startswith("vessel_")
    }
    assert every == known | elsewhere


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_the_checkerboard_is_unlike_its_neighbours_and_two_levels_are_not(factor):
    board, halves = (
        rows_of(session_of(made()[0] * factor, WHOLE), "hot_spots")["value"]
        for made in (checkerboard, two_levels)
    )
    # 26 neighbours of an inner voxel: 14 unlike (6 + 8), 12 alike: I = (12 - 14) / 26, and at a
    # corner 3 + 1 unlike of 7: -1 / 7.
    # At an edge's end the most alike: nowhere is the balance above zero.
    assert board["local_moran_highest"] <= 0.0 < halves["local_moran_highest"]
    # All of an inner voxel's neighbours are of its own level, which lies one sd from the mean.
    assert halves["local_moran_highest"] == pytest.approx(1.0)
    # Gi* of 27 alike of 2,000: 27 / sqrt((2000 x 27 - 27^2) / 1999).
    wanted = 27 / np.sqrt((2000 * 27 - 27**2) / 1999)
    assert halves["gi_star_highest"] == pytest.approx(wanted)
    assert halves["gi_star_lowest"] == pytest.approx(-wanted)
    assert abs(board["gi_star_highest"]) < 1.0


def test_lengths_of_a_fall_from_a_vessel_in_any_unit():
    vessel = np.zeros((20, 10, 10), dtype=bool)
    vessel[0] = True
    masks = {"lesion_1": ~vessel, "vessels": vessel}
    away = np.maximum(ALONG * 2.0 - 1.0, 0.0)  # mm from the face of the vessel's voxels
    for factor in (1.0, 1000.0):
        session = session_of(factor * 8.0 * np.exp(-away / 6.0), masks)
        found = rows_of(session, "penetration", vessel="vessels")["value"]
        assert found["vessel_exponential_length"] == pytest.approx(6.0, rel=1e-3)
        # ln 2 x 6 mm, read off straight lines between shells of 1.9 mm: known to a fifth of one.
        assert found["vessel_half_depth"] == pytest.approx(6 * np.log(2), abs=1.9 / 5)


def test_the_mask_s_weights_count_as_volume():
    """Half of each voxel's weight changes no share and halves every volume."""
    session = session_of(*two_levels())
    halved = replace(session.regions, weights=session.regions.weights * 0.5)
    found = rows_of(replace(session, regions=halved), "coverage", threshold=2.0)["value"]
    assert found["coverage"] == 0.5
    assert found["under_dosed_volume"] == pytest.approx(500 * VOXEL)
