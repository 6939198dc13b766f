"""Two images of a visit: where the target is, is the drug there too?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.types import Beside, Grid
from lesions import SPACING, ball, rows_of, session_of

LESION = ball(18.0)
WEST = np.broadcast_to(np.arange(24)[:, None, None] < 12, (24, 24, 24))


def visit(values, other, psf=None, other_psf=None, **changes):
    """A session whose image is `values`, with another image called "target"."""
    session = session_of(np.asarray(values, dtype=float), {"lesion_1": LESION}, psf=psf)
    image = replace(session.image, values=np.asarray(other, dtype=float)[..., None], unit="1")
    image = replace(image, **changes)
    return replace(session, others={"target": Beside(image=image, psf=other_psf)})


def grains(seed):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.random.default_rng(seed).standard_normal(LESION.shape), 1.5) * 5 + 10


def test_a_drug_that_is_where_the_target_is_reaches_all_of_it():
    target = grains(1)
    found = rows_of(visit(3 * target + 1, target), "together", other="target")
    assert found.loc["pearson_with_target", "value"] == pytest.approx(1.0)
    assert found.loc["target_volume_reached", "value"] == 1.0
    assert found.loc["dice_with_target", "value"] == 1.0
    assert found.loc["target_missed_volume", "value"] == 0.0
    assert found.loc["target_shift", "value"] == 0.0


def test_a_drug_that_is_where_the_target_is_not_misses_it():
    drug, target = np.where(WEST, 5.0, 1.0), np.where(WEST, 1.0, 5.0)
    found = rows_of(
        visit(drug, target), "together", other="target", above="3 kBq/mL", other_above="3"
    )
    assert found.loc["pearson_with_target", "value"] == pytest.approx(-1.0)
    assert found.loc["target_volume_reached", "value"] == 0.0
    half = float((LESION & ~WEST).sum()) * 0.008
    assert found.loc["target_missed_volume", "value"] == pytest.approx(half)
    assert found.loc["target_missed_largest_part", "value"] == pytest.approx(half)
    # Of the drug's amount a sixth lies where the target is: 1 of 1 + 5.
    assert found.loc["amount_where_target", "value"] == pytest.approx(1 / 6)


def test_independent_images_agree_by_chance_alone():
    found = rows_of(visit(grains(2), grains(3), 4.0, 4.0), "together", other="target")
    row = found.loc["pearson_with_target"]
    assert row["low"] < 0 < row["high"]
    assert found.loc["target_effective_samples", "value"] < LESION.sum() / 5
    assert found.loc["target_volume_reached", "value"] == pytest.approx(0.5, abs=0.2)


def test_the_other_image_may_lie_on_another_grid():
    target = grains(1)
    moved = Grid(
        shape=(24, 24, 24), affine=np.diag([-SPACING, SPACING, SPACING, 1.0])
        + np.outer([23 * SPACING, 0, 0, 0], [0, 0, 0, 1.0])
    )  # fmt: skip
    session = visit(target, target[::-1], grid=moved)
    found = rows_of(session, "together", other="target")
    assert found.loc["pearson_with_target", "value"] == pytest.approx(1.0)


def test_both_are_compared_at_the_coarser_resolution():
    from igdd.kernels.matched_resolution import blurred

    truth = np.where(ball(10.0), 8.0, 2.0) + grains(4) / 10
    sharp, blurry = (blurred(truth, np.full(3, SPACING), fwhm) for fwhm in (4.0, 9.0))
    matched = rows_of(visit(sharp, blurry, 4.0, 9.0), "together", other="target")
    free = rows_of(visit(sharp, blurry), "together", other="target")
    assert matched.loc["pearson_with_target", "value"] > 0.999
    assert free.loc["pearson_with_target", "value"] < matched.loc["pearson_with_target", "value"]
    assert "resolution_unmatched" in free.loc["pearson_with_target", "flags"]
    assert "resolution_unmatched" not in matched.loc["pearson_with_target", "flags"]


@pytest.mark.parametrize("factor", [1.0, 1e-3])
def test_no_measure_depends_on_the_unit(factor):
    plain = rows_of(visit(grains(1), grains(2)), "together", other="target")
    other = rows_of(visit(factor * grains(1), grains(2) / factor), "together", other="target")
    np.testing.assert_allclose(plain["value"], other["value"], rtol=1e-9)


@pytest.mark.parametrize("case", ["flat", "nan", "far"])
def test_what_cannot_be_compared_is_nan_and_flagged(case):
    other = {"flat": np.full(LESION.shape, 3.0), "nan": np.full(LESION.shape, np.nan)}.get(
        case, grains(2)
    )
    changes = {}
    if case == "far":
        affine = np.diag([SPACING, SPACING, SPACING, 1.0])
        affine[0, 3] = 5000.0
        changes = {"grid": Grid(shape=LESION.shape, affine=affine)}
    found = rows_of(visit(grains(1), other, **changes), "together", other="target")
    row = found.loc["pearson_with_target"]
    assert np.isnan(row["value"])
    assert row["flags"].find("feature_undefined" if case == "flat" else "empty_region") >= 0


def test_an_image_that_the_visit_does_not_have_is_named():
    with pytest.raises(StudyError, match=r"expected one of: target; give the visit a \[\[scan\]\]"):
        rows_of(visit(grains(1), grains(2)), "together", other="perfusion")


def test_a_visit_without_another_image_has_rows_without_a_number():
    session = replace(visit(grains(1), grains(2)), others={})
    found = rows_of(session, "together", other="target")
    assert found["value"].isna().all()
    assert found["flags"].str.contains("other_image_missing").all()


def test_other_frames_than_the_measured_image_s_are_refused():
    session = visit(grains(1), grains(2))
    image = session.others["target"].image
    frames = replace(image.frames, start=np.array([0.0, 60.0, 120.0]), duration=np.full(3, 60.0))
    three = replace(image, values=np.repeat(image.values, 3, axis=3), frames=frames)
    with pytest.raises(StudyError, match="3 frames and the measured image 1"):
        rows_of(replace(session, others={"target": Beside(image=three)}), "together",
                other="target")  # fmt: skip
