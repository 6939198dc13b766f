"""Figures of courses: against quadrature of the same lines, and the windows they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.kernels.delivery_course import Courses, measure

TIME = (np.array([1.0, 4.0, 24.0]), np.array([0.5, 2.0, 8.0, 24.0, 72.0]))
AMOUNT = (np.array([0.4, 1.2, 0.9]), np.array([0.1, 0.6, 1.5, 2.0, 0.5]))


@pytest.fixture(scope="module")
def courses() -> Courses:
    study = np.repeat([7.0, 9.0], [3, 5])
    return Courses.of(study, np.concatenate(TIME), np.concatenate(AMOUNT), np.ones(8))


def _area(place: int, until: float) -> float:
    time = np.concatenate([[0.0], TIME[place]])
    amount = np.concatenate([[0.0], AMOUNT[place]])
    grid = np.union1d(time[time <= until], np.linspace(0, until, 20001))
    return float(np.trapezoid(np.interp(grid, time, amount), grid))


def test_areas_are_those_of_the_lines(courses):
    found = measure(courses, "auc_percent_id")
    assert_allclose(found, [_area(0, 24.0), _area(1, 72.0)], rtol=1e-12)
    assert_allclose(measure(courses, "time_averaged_percent_id"), found / [24.0, 72.0])


@pytest.mark.parametrize("until", [1.0, 3.3, 24.0])
def test_a_common_window_cuts_every_course_alike(courses, until):
    found = measure(courses, "auc_percent_id", until=until)
    assert_allclose(found, [_area(0, until), _area(1, until)], rtol=1e-12)


def test_nothing_is_carried_beyond_the_samples(courses):
    assert np.isnan(measure(courses, "auc_percent_id", until=48.0)).tolist() == [True, False]
    assert np.isnan(measure(courses, "percent_id_at", at=48.0)).tolist() == [True, False]
    assert np.isnan(measure(courses, "max_percent_id", until=0.7)).tolist() == [True, False]
    assert np.isnan(measure(courses, "percent_id_at", at=0.7)).tolist() == [True, False]


def test_times_within_a_twentieth_are_one_time(courses):
    own = measure(courses, "time_averaged_percent_id", until=24.0)
    late = measure(courses, "time_averaged_percent_id", until=25.0)
    assert late[0] == own[0]  # the first course ends at 24 h: its own window
    assert late[1] != own[1]
    assert np.isnan(measure(courses, "time_averaged_percent_id", until=25.4)[0])
    assert measure(courses, "percent_id_at", at=25.0)[0] == 0.9
    assert measure(courses, "percent_id_at", at=0.97)[0] == 0.4
    assert np.isnan(measure(courses, "percent_id_at", at=0.94)[0])


def test_a_share_at_a_time_is_on_the_line(courses):
    found = measure(courses, "percent_id_at", at=14.0)
    assert_allclose(found, [1.2 - 0.3 * 0.5, 1.5 + 0.5 * 6 / 16])


def test_the_highest_sample_of_a_window(courses):
    assert measure(courses, "max_percent_id").tolist() == [1.2, 2.0]
    assert measure(courses, "max_percent_id", until=10.0).tolist() == [1.2, 1.5]
    assert measure(courses, "max_percent_id_per_g").tolist() == [1.0, 1.0]
