"""A line with errors in both coordinates: York's published example, limits, symmetry."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.kernels.errors_in_variables import Points, line

# Pearson's points with York's weights (York, Can J Phys 1966;44:1079, table II).
X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
X_WEIGHT = np.array([1000.0, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1])
Y_WEIGHT = np.array([1.0, 1.8, 4, 8, 20, 20, 70, 70, 100, 500])
PEARSON = Points(X, Y, X_WEIGHT**-0.5, Y_WEIGHT**-0.5)


def test_york_s_example():
    found = line(PEARSON)
    # York et al., Am J Phys 2004;72:367, table II: to the digits printed there
    assert found.slope == pytest.approx(-0.480533407, abs=1e-9)
    assert found.level == pytest.approx(5.47991022, abs=1e-8)


def test_errors_in_y_alone_are_ordinary_regression():
    from scipy import stats

    ordinary = stats.linregress(X, Y)
    found = line(Points(X, Y, np.full(10, 1e-9), np.ones(10)))
    assert found.slope == pytest.approx(ordinary.slope, rel=1e-9)
    reach = stats.t.ppf(0.975, 8) * ordinary.stderr
    np.testing.assert_allclose(
        found.slope_limits, [ordinary.slope - reach, ordinary.slope + reach], rtol=1e-6
    )


def test_exchanging_the_axes_turns_the_line_over():
    found, turned = line(PEARSON), line(Points(Y, X, PEARSON.y_sd, PEARSON.x_sd))
    assert turned.slope == pytest.approx(1 / found.slope, rel=1e-9)
    np.testing.assert_allclose(turned.slope_limits, [1 / found.slope_limits[1],
                               1 / found.slope_limits[0]], rtol=1e-6)  # fmt: skip


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_only_how_errors_compare_matters(factor):
    found = line(PEARSON)
    other = line(PEARSON._replace(x_sd=factor * PEARSON.x_sd, y_sd=factor * PEARSON.y_sd))
    assert other.slope == pytest.approx(found.slope, rel=1e-9)
    np.testing.assert_allclose(other.slope_limits, found.slope_limits, rtol=1e-7)


def test_the_levels_reach_as_far_as_the_slopes_allow():
    found = line(PEARSON)
    assert found.slopes[0] == found.slope_limits[0]
    # at its limits a slope leaves one level
    np.testing.assert_allclose(found.levels[[0, -1], 0], found.levels[[0, -1], 1], rtol=1e-4)
    middle = found.levels[np.abs(found.slopes - found.slope).argmin()]
    assert middle[0] < found.level < middle[1]


def test_a_cloud_has_no_direction():
    angle = np.arange(8) * np.pi / 4
    found = line(Points(np.cos(angle), np.sin(angle), np.ones(8), np.ones(8)))
    assert np.isnan(found.slope_limits).all()
