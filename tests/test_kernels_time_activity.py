"""Physical activity: decay goes in once, from a state that somebody stated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.time_activity import PhysicalActivity, physical

LUTETIUM = np.log(2) / 159.528  # 1/h, ICRP-107: 6.647 d
HOURS = np.array([3.741111, 27.725278, 103.094167, 123.983611])
KIDNEY = np.array([98.561432, 73.599408, 25.39568, 19.046610])


def made(time, value, sd=None, state="none", rate=LUTETIUM) -> PhysicalActivity:
    return physical(time, value, sd, rate=rate, corrected_to=state)


def test_decay_goes_back_into_corrected_activity_once():
    corrected = KIDNEY * np.exp(LUTETIUM * HOURS)
    assert_allclose(made(HOURS, corrected, state=0.0).value[0], KIDNEY, rtol=1e-12)  # rounding
    later = KIDNEY * np.exp(LUTETIUM * (HOURS - 24.0))
    assert_allclose(made(HOURS, later, state=24.0).value[0], KIDNEY, rtol=1e-12)


def test_standard_deviations_decay_with_their_activities():
    found = made(HOURS, KIDNEY, 0.1 * KIDNEY, state=0.0)
    assert_allclose(found.sd, 0.1 * found.value)


def test_decay_cannot_be_applied_twice():
    with pytest.raises(InputError, match="twice"):
        made(HOURS, made(HOURS, KIDNEY))


def test_an_unknown_state_is_refused():
    with pytest.raises(InputError, match="corrected for decay"):
        made(HOURS, KIDNEY, state=None)
    with pytest.raises(InputError, match="'none' or a time"):
        made(HOURS, KIDNEY, state="administration")


@pytest.mark.parametrize(
    ("time", "value", "message"),
    [([-1.0, 2.0], [1, 1], "negative"), ([1.0, 1.0], [1, 1], "ascend"),
     ([2.0, 1.0], [1, 1], "ascend"), ([1.0, np.nan], [1, 1], "not a number"),
     ([1.0], [1, 1], "expected \\(regions, times\\)"), ([], [], "expected \\(regions, times\\)"),
     ([1.0, 1e6], [1, 1], "half-lives after"), ([1.0, np.inf], [1, 1], "not a number")],
)  # fmt: skip
def test_times_that_cannot_be_are_refused(time, value, message):
    with pytest.raises(InputError, match=message):
        made(np.array(time, dtype=float), np.array(value, dtype=float))


def test_physical_activity_is_read_only():
    found = made(HOURS, KIDNEY)
    with pytest.raises(ValueError, match="read-only"):
        found.value[0, 0] = 1.0
