"""Measure: rows of the tidy table, with honest uncertainty for plain functions of voxels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from igdd.declare import Metric
from igdd.errors import StudyError
from igdd.facts import Agent, Scanner, Subject
from igdd.results import COLUMNS, Value
from igdd.stages.measure import measure
from igdd.stages.sample import sample
from igdd.types import Frames, Grid, Image, Regions, Session, Zero
from igdd.uncertainty import Estimate

SHAPE = (12, 10, 8)
GRID = Grid(shape=SHAPE, affine=np.diag([3.0, 3.0, 3.0, 1.0]))


def mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ values / weights.sum())


def share_above(values: np.ndarray, weights: np.ndarray, threshold: float) -> float:
    return float(weights[values >= threshold].sum() / weights.sum())


MEAN = Metric("voxel_mean", mean, level="voxels", unit="of image")
ABOVE = Metric("above", share_above, level="voxels")


def session(
    variance: float | None = 4.0, fwhm: float = 0.0, scale_cv: float = 0.0, hole: bool = False
) -> Session:
    left, right, nothing = (np.zeros(SHAPE) for _ in range(3))
    left[1:5, 2:8, 2:6], right[7:11, 2:8, 2:6] = 1, 1
    values = np.stack([10 * left + 20 * right, 20 * left + 40 * right], axis=-1)
    if hole:
        values[1, 2, 2] = np.nan
    frames = Frames(
        start=np.array([0.0, 100.0]), duration=np.full(2, 100.0), zero=Zero(kind="administration")
    )
    image = Image(
        values=values,
        grid=GRID,
        quantity="activity_concentration",
        unit="Bq/mL",
        analyte="carrier",
        frames=frames,
        variance=None if variance is None else np.full(values.shape, variance),
        noise_correlation=fwhm,
        scale_cv=scale_cv,
    )
    masks = sparse.csr_matrix(np.stack([left.ravel(), right.ravel(), nothing.ravel()]))
    names, kinds = ("left", "right", "nothing"), ("organ",) * 3
    regions = Regions(weights=masks, names=names, kinds=kinds, grid=GRID)
    curves, _ = sample(image, regions, Scanner())
    subject = Subject(id="01", arm="plain")
    whole = {"curves": curves, "image": image, "regions": regions}
    return Session(subject=subject, name="24h", agent=Agent(), **whole)


def row(table, region: str, time: float = 50.0):
    found = table[(table.region == region) & (table.time == time)]
    assert len(found) == 1
    return found.iloc[0]


def test_every_region_and_frame_gets_a_row_of_the_tidy_table():
    table = measure(session(), [(MEAN, {})])
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 6
    found = row(table, "right", 150.0)
    assert (found.value, found.unit, found.subject, found.session, found.arm, found.analyte) == (
        40.0, "Bq/mL", "01", "24h", "plain", "carrier"
    )  # fmt: skip


def test_white_noise_of_a_mean_falls_with_the_root_of_the_number():
    found = row(measure(session(), [(MEAN, {})]), "left")
    # 200 replicates tell a standard deviation to 5 %: three of that.
    assert found.sd == pytest.approx(2 / np.sqrt(96), rel=0.15)
    assert found.sd_shared == 0


def test_correlated_noise_of_a_mean_is_that_of_sampling():
    one = session(fwhm=7.0)
    found = row(measure(one, [(MEAN, {})]), "left")
    assert found.sd == pytest.approx(np.sqrt(one.curves.covariance[0, 0, 0]), rel=0.15)  # 3 x 5 %
    assert found.sd > 3 * 2 / np.sqrt(96)


def test_calibration_is_the_shared_part():
    found = row(measure(session(scale_cv=0.03), [(MEAN, {})]), "right")
    assert found.sd_shared == pytest.approx(0.03 * 20)
    assert found.sd == pytest.approx(np.hypot(0.6, 2 / np.sqrt(96)), rel=0.05)


def test_the_same_session_gives_the_same_bytes():
    first, second = (measure(session(fwhm=5.0), [(MEAN, {})]).to_csv() for _ in range(2))
    assert first == second


def test_the_uncertainty_does_not_depend_on_other_regions_or_metrics():
    alone = measure(session(), [(MEAN, {})])
    beside = measure(session(), [(ABOVE, {"threshold": 5.0}), (MEAN, {})])
    assert row(alone, "left").sd == row(beside[beside.metric == "voxel_mean"], "left").sd


def test_unknown_noise_is_nan_and_flagged():
    found = row(measure(session(variance=None), [(MEAN, {})]), "left")
    assert np.isnan(found.sd)
    assert found.value == 10.0
    assert "noise_unknown" in found["flags"]


def test_an_empty_region_is_nan_and_flagged_and_not_asked():
    found = row(measure(session(), [(MEAN, {})]), "nothing")
    assert np.isnan(found.value)
    assert "empty_region" in found["flags"]


def test_voxels_without_a_value_are_left_out():
    found = row(measure(session(hole=True), [(MEAN, {})]), "left")
    assert found.value == pytest.approx(10.0)
    assert "nan_voxels" in found["flags"]


def test_options_reach_the_metric():
    table = measure(session(), [(ABOVE, {"threshold": 15.0})])
    assert (row(table, "left").value, row(table, "right").value) == (0.0, 1.0)
    assert row(table, "left").method == "threshold 15.0"


def test_a_metric_that_knows_its_uncertainty_keeps_it():
    def known(values: np.ndarray, weights: np.ndarray) -> Estimate:
        return Estimate(value=1.0, sd=0.5)

    found = row(measure(session(), [(Metric("known", known, level="voxels"), {})]), "left")
    assert (found.value, found.sd) == (1.0, 0.5)


def test_the_same_metric_twice_is_an_error():
    with pytest.raises(StudyError, match="same place in the table"):
        measure(session(), [(MEAN, {}), (MEAN, {})])


def of_session(one: Session) -> Iterator[Value]:
    for name in ("left", "urine"):
        yield Value(
            region=name,
            metric="made",
            estimate=Estimate(value=1.0, sd=0.1),
            unit="%",
            time=50.0,
            analyte="carrier",
        )


def test_what_nobody_declared_of_the_scanner_flags_its_regions_and_no_other_place():
    table = measure(session(), [(Metric("made", of_session, level="session"), {})])
    assert row(table, "left")["flags"] == "calibration_sd_unknown;psf_unknown"
    assert row(table, "urine")["flags"] == ""


def of_nothing_known(one: Session) -> Iterator[Value]:
    for value in of_session(one):
        yield replace(value, estimate=Estimate(value=1.0, sd=0.0))


def test_an_uncertainty_of_which_no_part_is_known_is_not_zero():
    table = measure(session(), [(Metric("made", of_nothing_known, level="session"), {})])
    assert np.isnan(row(table, "left")["sd"])
    assert np.isnan(row(table, "left")["low"])


def test_flags_of_the_session_stand_on_every_row():
    one = replace(session(), flags=("branching_unknown",))
    table = measure(one, [(MEAN, {}), (Metric("made", of_session, level="session"), {})])
    assert table["flags"].str.contains("branching_unknown").all()


def test_no_request_gives_an_empty_table():
    assert tuple(measure(session(), []).columns) == COLUMNS


def test_voxels_are_needed_for_a_metric_of_voxels():
    with pytest.raises(StudyError, match="needs the voxels"):
        measure(replace(session(), image=None), [(MEAN, {})])
