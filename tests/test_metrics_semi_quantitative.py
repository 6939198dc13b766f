"""Semi-quantitative figures in the table: by hand, with their uncertainty, and what is absent."""

from dataclasses import replace

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.metrics.semi_quantitative import semi_quantitative
from igdd.types import Frames, Zero

START = np.arange(0.0, 200.0, 10.0)


def session_of(phantom_session, values, *, zero="administration", start=START, noise=0.0):
    """The phantom's session with one region, whose curve is given, in frames of 10 s."""
    curves = phantom_session.curves
    frames = Frames(start=start, duration=np.full(start.size, 10.0), zero=Zero(kind=zero))
    values = np.asarray(values, dtype=float)[None]
    curves = replace(
        curves,
        values=values,
        covariance=np.full((start.size, 1, 1), noise**2),
        volume=np.ones(1),
        volume_sd=np.zeros(1),
        names=("liver",),
        kinds=("organ",),
        flags=((),),
        frames=frames,
        scale_cv=0.0,
        modes=None,
    )
    return replace(phantom_session, curves=curves, recovered=None)


def found(session, **options):
    return {value.metric: value for value in semi_quantitative(session, **options)}


def test_figures_of_a_bolus_by_hand(phantom_session):
    curve = np.where(START < 30, 2.0, np.where(START < 60, START - 20.0, 40.0 - START / 10))
    values = found(session_of(phantom_session, curve), arrival=30.0)
    inside = (START >= 30) & (START < 90)
    assert values["iauc_60"].estimate.value == pytest.approx(10 * (curve[inside] - 2).sum())
    assert values["iauc_60"].unit == "Bq.s/mL"
    assert values["peak"].estimate.value == 34.0
    assert values["peak"].time == 65.0
    assert values["time_to_peak"].estimate.value == 35.0
    assert values["wash_in"].estimate.value == pytest.approx(32.0 / 35.0)
    assert values["wash_out"].estimate.value == pytest.approx((34.0 - 21.0) / 130.0)


def test_areas_carry_the_noise_of_their_frames(phantom_session):
    values = found(session_of(phantom_session, np.ones(20), noise=0.5))
    # Six independent frames of 10 s.
    assert values["iauc_60"].estimate.sd == pytest.approx(0.5 * 10 * np.sqrt(6))


def test_a_baseline_from_few_frames_adds_its_own_noise(phantom_session):
    values = found(session_of(phantom_session, np.ones(20), noise=0.5), arrival=20.0)
    expected = 0.5 * np.sqrt(6 * 10**2 + 60**2 / 2)
    assert values["iauc_60"].estimate.sd == pytest.approx(expected)


def test_what_the_scan_does_not_reach_is_absent(phantom_session):
    values = found(session_of(phantom_session, START), arrival=100.0)
    assert {"iauc_60", "iauc_90"} <= set(values)
    assert "iauc_120" not in values
    assert "wash_out" not in values


def test_a_gap_between_frames_gives_no_area(phantom_session):
    late = np.where(START > 40, START + 30, START)
    assert "iauc_60" not in found(session_of(phantom_session, START, start=late))


def test_a_curve_with_a_value_missing_says_nothing(phantom_session):
    curve = START.copy()
    curve[3] = np.nan
    assert not found(session_of(phantom_session, curve))


def test_arrival_is_asked_for_where_zero_is_the_start_of_the_scan(phantom_session):
    with pytest.raises(StudyError, match=r"give measure\.arrival"):
        found(session_of(phantom_session, START, zero="scan_start"))


def test_an_arrival_after_the_scan_is_refused(phantom_session):
    with pytest.raises(StudyError, match=r"measure\.arrival is 300 s"):
        found(session_of(phantom_session, START), arrival=300.0)
