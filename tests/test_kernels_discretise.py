"""Discretisation into grey levels, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from igdd.errors import InputError
from igdd.kernels.discretise import MOST_LEVELS, as_levels, fixed_number, fixed_size


def test_fixed_number_puts_the_maximum_into_the_last_bin():
    assert fixed_number(np.linspace(0, 10, 11), 5).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]


def test_fixed_size_starts_at_its_anchor_not_at_the_minimum():
    values = np.array([12.0, 24.9, 25.0, 50.0])
    assert fixed_size(values, 25.0, 0.0).tolist() == [1, 1, 2, 3]
    assert fixed_size(values, 25.0, -500.0).tolist() == [21, 21, 22, 23]


def test_a_flat_region_has_one_level():
    assert fixed_number(np.full(5, 3.3), 32).tolist() == [1] * 5


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.integers(2, 64))
def test_fixed_number_does_not_know_the_unit(scale, shift, number):
    values = np.arange(17) ** 2 / 8  # multiples of an eighth: their order survives rounding
    levels = fixed_number(values, number)
    again = fixed_number(values * scale + shift, number)
    assert np.abs(levels - again).max() <= 1  # a value on a bin's edge may round to either side
    assert levels.min() == again.min() == 1
    assert levels.max() == again.max() == number


def test_a_value_below_the_anchor_is_refused():
    with pytest.raises(InputError, match="below the first bin"):
        fixed_size(np.array([-1.0, 5.0]), 1.0, 0.0)


@pytest.mark.parametrize("width", [1e-7, 5e-324])
def test_a_billion_bins_are_refused_at_once(width):
    with np.errstate(over="ignore"), pytest.raises(InputError, match=f"at most {MOST_LEVELS}"):
        fixed_size(np.array([0.0, 100.0]), width, 0.0)


def test_levels_must_be_whole_and_positive():
    assert as_levels(np.array([1.0, 6.0])).tolist() == [1, 6]
    for values in ([0.0, 1.0], [1.5]):
        with pytest.raises(InputError, match="no grey levels"):
            as_levels(np.array(values))
