"""Wavelets: what makes a filter a wavelet's, and the kernels of a band."""

from __future__ import annotations

import math

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.wavelets import MOST_MOMENTS, high_pass, low_pass, spread, stationary

DAUBECHIES = [f"db{number}" for number in range(1, MOST_MOMENTS + 1)]
# The roots of a polynomial of degree 9 keep 6 digits of 16 at worst; of degree 3, 13.
PRECISION = {name: 1e-12 if int(name[2:]) <= 4 else 1e-7 for name in DAUBECHIES}


@pytest.mark.parametrize("name", [*DAUBECHIES, "haar", "coif1"])
def test_a_filter_is_orthogonal_to_its_even_shifts_and_to_its_mirror(name):
    low, high = low_pass(name), high_pass(name)
    tolerance = PRECISION.get(name, 1e-12)
    for shift in range(0, low.size, 2):
        overlap = low[: low.size - shift] @ low[shift:]
        assert overlap == pytest.approx(float(shift == 0), abs=tolerance)
        assert low[: low.size - shift] @ high[shift:] == pytest.approx(0.0, abs=tolerance)
        assert high[: low.size - shift] @ low[shift:] == pytest.approx(0.0, abs=tolerance)
    assert low.sum() == pytest.approx(math.sqrt(2), abs=1e-14)


@pytest.mark.parametrize("name", [*DAUBECHIES, "coif1"])
def test_the_high_pass_answers_nothing_to_polynomials(name):
    moments = 2 if name == "coif1" else int(name[2:])
    high = high_pass(name)
    place = np.linspace(-1, 1, high.size)
    for power in range(moments):
        assert high @ place**power == pytest.approx(0.0, abs=PRECISION.get(name, 1e-12) * 10)


def test_the_coiflets_scaling_function_has_a_vanishing_moment_too():
    low = low_pass("coif1")
    moments = [low @ (np.arange(low.size) - centre) for centre in range(low.size)]
    assert min(abs(one) for one in moments) < 1e-14


def test_known_coefficients():
    """Daubechies' closed forms for two and three vanishing moments (SIAM 1992, table 6.1)."""
    root = math.sqrt(3)
    two = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * math.sqrt(2))
    np.testing.assert_allclose(low_pass("db2"), two[::-1], atol=1e-14)
    ten, mixed = math.sqrt(10), math.sqrt(5 + 2 * math.sqrt(10))
    three = [1 + ten + mixed, 5 + ten + 3 * mixed, 10 - 2 * ten + 2 * mixed,
             10 - 2 * ten - 2 * mixed, 5 + ten - 3 * mixed, 1 + ten - mixed]  # fmt: skip
    np.testing.assert_allclose(
        low_pass("db3"), np.array(three)[::-1] / (16 * math.sqrt(2)), atol=1e-13
    )
    assert low_pass("db1").tolist() == low_pass("haar").tolist()
    np.testing.assert_allclose(low_pass("haar"), np.full(2, math.sqrt(0.5)), rtol=1e-15)


def test_a_level_spreads_the_filter_after_the_low_passes_below_it():
    (line, other) = stationary("haar", "HL", 2)
    assert [kernel.size for kernel in line] == [3, 5]
    np.testing.assert_array_equal(line[0], spread(low_pass("haar"), 1))
    np.testing.assert_array_equal(line[1], spread(high_pass("haar"), 2))
    np.testing.assert_array_equal(other[1], spread(low_pass("haar"), 2))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_bands_of_one_level_keep_the_energy_of_the_level_below(level):
    """Undecimated: |L|^2 + |H|^2 is twice the energy, on a ring."""
    from igdd.kernels.filters_separable import along

    signal = np.random.default_rng(0).normal(size=(64, 1))
    below = signal
    for line in stationary("db3", "LL", level)[0][: level - 1]:
        below = along(below, (line,), 0, "periodic")
    low, high = (
        along(signal, stationary("db3", letter * 2, level)[0], 0, "periodic") for letter in "LH"
    )
    assert (low**2).sum() + (high**2).sum() == pytest.approx(2 * (below**2).sum(), rel=1e-12)


@pytest.mark.parametrize("name", ["db0", "db11", "db", "coif2", "Haar", "sym4", ""])
def test_a_wavelet_that_is_not_known_is_refused(name):
    with pytest.raises(InputError, match="expected haar, db1 to db10, or coif1"):
        low_pass(name)


@pytest.mark.parametrize("band", ["", "L", "LHX", "LHLH", "lh"])
def test_a_band_that_is_not_one_is_refused(band):
    with pytest.raises(InputError, match="L and H"):
        stationary("haar", band, 1)
