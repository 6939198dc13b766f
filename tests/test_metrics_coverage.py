"""Coverage: shares and under-dosed parts that are known, with and without noise."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import StudyError, UnitsError
from lesions import ball, rows_of, session_of

LESION = ball(14.0)


def two_levels():
    """A lesion whose lower slices are at 0.5 kBq/mL, the others at 2."""
    values = np.where(np.indices(LESION.shape)[2] < 9, 0.5, 2.0)
    return values, float((values < 1)[LESION].mean())


def test_a_lesion_of_two_levels_without_noise():
    values, share = two_levels()
    found = rows_of(session_of(values, {"lesion": LESION}), "coverage", threshold="1 kBq/mL")
    volume = LESION.sum() * 0.008
    assert found.loc["coverage", "value"] == pytest.approx(1 - share)
    assert found.loc["under_dosed_volume", "value"] == pytest.approx(share * volume)
    assert found.loc["under_dosed_largest_part", "value"] == pytest.approx(share * volume)
    assert found.loc["coverage_at_50_percent", "value"] == 1.0
    assert found.loc["coverage_at_200_percent", "value"] == pytest.approx(1 - share)
    assert "noise_unknown" in found.loc["coverage", "flags"]
    assert np.isnan(found.loc["coverage", "sd"])


def test_a_checkerboard_is_half_covered_and_its_parts_touch():
    board = np.indices(LESION.shape).sum(axis=0) % 2 * 2.0
    found = rows_of(session_of(board, {"lesion": LESION}), "coverage", threshold="1 kBq/mL")
    share = (board < 1)[LESION].mean()
    assert found.loc["under_dosed_share", "value"] == pytest.approx(share)
    largest = found.loc["under_dosed_largest_part", "value"]
    assert largest == pytest.approx(found.loc["under_dosed_volume", "value"])


@pytest.mark.parametrize("correlation", [0.0, 4.0])
def test_noise_alone_makes_no_under_dosed_part(correlation):
    """Even at 1.2 times the threshold, voxels with 30 % noise: 0 % lies in the interval."""
    bare = session_of(
        np.full(LESION.shape, 1.2), {"lesion": LESION}, sd=0.36, correlation=correlation
    )
    noise = drawn(bare, 3)
    held = session_of(
        1.2 + noise, {"lesion": LESION}, sd=0.36, correlation=correlation, psf=6.0, scale_cv=0.03
    )
    found = rows_of(held, "coverage", threshold="1 kBq/mL")
    for ending in ("", "_interior"):
        row = found.loc["under_dosed_share" + ending]
        assert row["low"] <= 0 <= row["high"]
    assert found.loc["under_dosed_share_uncorrected", "low"] > 0.1
    assert found.loc["under_dosed_share", "value"] < 0.1


def drawn(session, seed):
    """Noise as the session's image declares it, on its whole grid."""
    from igdd.kernels.noise_deconvolution import noise_of

    places = np.unravel_index(np.arange(LESION.size), LESION.shape)
    sd = np.sqrt(session.image.variance[..., 0]).ravel()
    fwhm = session.image.noise_correlation
    noise = noise_of(sd, np.ones(sd.size), places, spacing=np.full(3, 2.0), fwhm=fwhm)
    return noise.draw(np.random.default_rng(seed)).reshape(LESION.shape)


def test_a_truly_under_dosed_share_is_found_below_noise():
    values, share = two_levels()
    bare = session_of(values, {"lesion": LESION}, sd=0.45)
    held = session_of(values + drawn(bare, 5), {"lesion": LESION}, sd=0.45)
    row = rows_of(held, "coverage", threshold="1 kBq/mL").loc["under_dosed_share"]
    assert row["low"] <= share <= row["high"]
    assert row["low"] > 0


def test_the_calibration_moves_the_threshold():
    slope = np.indices(LESION.shape)[0] / 10.0
    found = rows_of(
        session_of(slope, {"lesion": LESION}, sd=0.0, scale_cv=0.1),
        "coverage",
        threshold="1.15 kBq/mL",
    )
    up, down = ((by * slope >= 1.15)[LESION].mean() for by in (1.1, 0.9))
    assert found.loc["coverage", "sd_shared"] == pytest.approx((up - down) / 2)


def test_the_unit_of_the_threshold_does_not_matter():
    values, _ = two_levels()
    session = session_of(values, {"lesion": LESION})
    pair = [
        rows_of(session, "coverage", threshold=text).loc["coverage", "value"]
        for text in ("1 kBq/mL", "1000 Bq/mL")
    ]
    assert pair[0] == pair[1]
    with pytest.raises(UnitsError, match=r"measure\.threshold"):
        rows_of(session, "coverage", threshold="1 mg/mL")
    with pytest.raises(UnitsError, match=r"measure\.threshold"):
        rows_of(session, "coverage", threshold="1")


def test_a_threshold_relative_to_a_region():
    values, share = two_levels()
    blood = np.zeros(LESION.shape, dtype=bool)
    blood[0] = True
    session = session_of(values, {"lesion": LESION, "blood": blood})
    mean = float(values[blood].mean())
    found = rows_of(session, "coverage", threshold="0.7", relative_to="blood")
    assert 0.5 < 0.7 * mean < 2
    assert found.loc["under_dosed_share", "value"] == pytest.approx(share)
    with pytest.raises(StudyError, match="'liver' is not drawn"):
        rows_of(session, "coverage", threshold="0.7", relative_to="liver")


def test_percent_of_the_dose_and_suv_are_thresholds(phantom_session):
    given = phantom_session.net_activity().value
    pair = [
        rows_of(phantom_session, "coverage", threshold=text).loc["coverage", "value"]
        for text in (f"{100 * 7000 / given} %/mL", f"{7000 * 70_000 / given} g/mL", "7 kBq/mL")
    ]
    assert pair[0] == pytest.approx(pair[2])
    assert pair[1] == pytest.approx(pair[2])


@pytest.mark.parametrize("metric", ["coverage", "heterogeneity", "penetration", "hot_spots"])
def test_small_and_broken_lesions_are_nan_with_a_flag(metric):
    shape = (12, 12, 12)
    one = np.zeros(shape, dtype=bool)
    one[0, 0, 0] = True
    edge, hole, row = (np.zeros(shape, dtype=bool) for _ in range(3))
    edge[:5, :5, :5] = True
    hole[6:, 6:, 6:] = True
    row[8, 2, :] = True
    values = np.random.default_rng(0).normal(5, 1, shape)
    values[7, 7, 7] = np.nan
    values[edge] = 3.0
    masks = {"lesion_one": one, "lesion_edge": edge, "lesion_hole": hole, "lesion_row": row}
    masks["lesion_none"] = np.zeros(shape, dtype=bool)
    options = {"threshold": 4.0} if metric == "coverage" else {}
    for sd in (None, 0.5):
        found = rows_of(session_of(values, masks, sd=sd, psf=5.0), metric, **options)
        unknown = found[~np.isfinite(found["value"])]
        assert (unknown["flags"] != "").all()
        told = unknown["flags"].str.contains("feature_undefined|interior_empty|empty_region")
        assert told.all()
        assert found[found["region"] == "lesion_hole"]["flags"].str.contains("nan_voxels").all()
        empty = found[found["region"] == "lesion_none"]
        assert empty["flags"].str.contains("empty_region").all()
        assert empty["value"].isna().all()
