"""Lesions at matched resolution: one truth seen by two scanners gives one number."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.kernels.matched_resolution import blurred
from lesions import SPACING, ball, rows_of, session_of

STEP = np.full(3, SPACING)


def seen(psf: float, **known):
    """A lesion of 22 mm with a cold core of 10 mm, as a scanner of a point spread shows it."""
    lesion = ball(22.0, (40, 40, 40))
    truth = np.where(lesion, 10.0, 1.0) - np.where(ball(10.0, (40, 40, 40)), 8.0, 0.0)
    masks = {"lesion_1": lesion, "organ": ball(8.0, (40, 40, 40))}
    return session_of(blurred(truth, STEP, psf), masks, psf=psf, **known)


@pytest.mark.parametrize(
    ("metric", "options", "row"),
    [
        ("heterogeneity", {}, "cv"),
        ("heterogeneity", {}, "gini"),
        ("heterogeneity", {"reference": "organ"}, "hot_tail_ratio"),
        ("coverage", {"threshold": "6 kBq/mL"}, "coverage"),
        ("coverage", {"threshold": 1.5, "relative_to": "organ"}, "under_dosed_share"),
        ("penetration", {}, "rim_core_ratio"),
    ],
)
def test_two_scanners_agree_at_one_resolution_alone(metric, options, row):
    sharp, blurry = (rows_of(seen(psf), metric, **options).loc[row] for psf in (5.0, 9.0))
    matched = [
        rows_of(seen(psf), metric, resolution="9 mm", **options).loc[row] for psf in (5.0, 9.0)
    ]
    assert abs(sharp["value"] - blurry["value"]) > 0.05 * abs(blurry["value"])
    # Sampled Gaussians on voxels of 2 mm: two blurs are one to 0.5 %.
    assert matched[0]["value"] == pytest.approx(matched[1]["value"], rel=0.01)
    assert matched[1]["value"] == blurry["value"]
    assert all("resolution 9 mm" in one["method"] for one in matched)
    assert "resolution 5 mm" in sharp["method"]


def test_the_interior_lies_a_blurred_point_spread_below_the_rim():
    plain = rows_of(seen(5.0), "heterogeneity").loc["d50_interior", "method"]
    made = rows_of(seen(5.0), "heterogeneity", resolution="12 mm").loc["d50_interior", "method"]
    assert ("resolution 5 mm" in plain, "resolution 12 mm" in made) == (True, True)


def test_noise_is_blurred_with_the_image():
    """An even lesion stays even: what blur leaves of its noise is known, and subtracted."""
    rng = np.random.default_rng(3)
    lesion = ball(20.0, (40, 40, 40))
    values = 10.0 + 3.0 * rng.standard_normal(lesion.shape)
    session = session_of(values, {"lesion_1": lesion}, psf=4.0, sd=3.0)
    made = rows_of(session, "heterogeneity", resolution="7 mm")
    assert made.loc["cv_uncorrected", "value"] < 0.1 < 0.25
    assert made.loc["cv", "low"] == 0.0
    # What noise alone leaves in the blurred image: 0.3 times the kernel's norm.
    width = np.sqrt(49.0 - 16.0) / np.sqrt(8 * np.log(2)) / SPACING
    alone = 0.3 / (2 * np.sqrt(np.pi) * width) ** 1.5
    # The image's own mean is taken off, and a lesion this size holds 200 grains: 8 %.
    assert made.loc["cv_uncorrected", "value"] == pytest.approx(alone, rel=0.15)


@pytest.mark.parametrize("psf", [None, 12.0])
def test_an_unknown_or_lower_resolution_is_flagged_and_nothing_is_changed(psf):
    session = session_of(ball(12.0).astype(float) * 3, {"lesion_1": ball(12.0)}, psf=psf)
    plain, asked = rows_of(session, "penetration"), rows_of(
        session, "penetration", resolution="8 mm"
    )  # fmt: skip
    assert "resolution_unmatched" in asked.loc["rim_shell_1", "flags"]
    assert asked.loc["rim_shell_1", "value"] == plain.loc["rim_shell_1", "value"]


@pytest.mark.parametrize("wrong", ["0 mm", "-3 mm", float("nan")])
def test_a_resolution_that_is_none_is_refused(wrong):
    with pytest.raises(StudyError, match="expected above 0 mm"):
        rows_of(seen(5.0), "heterogeneity", resolution=wrong)


def test_a_lesion_at_the_image_s_edge_and_an_empty_one_are_measured_or_flagged():
    edge = np.zeros((10, 10, 10), dtype=bool)
    edge[:4, :4, :4] = True
    masks = {"lesion_1": edge, "lesion_2": np.zeros_like(edge)}
    session = session_of(np.full(edge.shape, 4.0), masks, psf=3.0, sd=0.1)
    table = rows_of(session, "heterogeneity", resolution="6 mm").reset_index()
    found = table[table["metric"] == "d50"].set_index("region")
    assert found.loc["lesion_1", "value"] == pytest.approx(4.0)
    assert "empty_region" in found.loc["lesion_2", "flags"]


def test_hot_spots_are_tested_at_the_resolution_that_came_out():
    method = rows_of(seen(5.0, psf_sd=0.6), "hot_spots", resolution="10 mm").loc[
        "cold_spot_p", "method"
    ]
    # Of 10^2 = 5^2 + 8.66^2 only the 5 is uncertain: 5 x 0.6 / 10.
    assert method.startswith("surrogates blurred by 10 mm (standard deviation 0.3 mm)")
