"""Population inputs against the curves that their papers and the OSIPI collection publish."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from igdd.kernels import population_inputs
from igdd.kernels.population_inputs import MILLIMOLAR, MINUTE, POPULATIONS

FOLDER = "mri/osipi_dce_dsc/pop_aif"


def columns(path):
    """Times in the file's unit, mmol/L, and delays in s."""
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    time, values = (np.array([float(row[name]) for row in rows]) for name in ("time", "Cb"))
    return time, values, np.array([float(row.get("delay") or 0) for row in rows])


@pytest.mark.parametrize(
    ("file", "name", "second", "tolerance"),
    [
        # the same formula and constants: rounding of doubles only
        ("ParkerAIF_ref", "parker", MINUTE, 1e-13),
        ("ParkerAIF_ref_with_delay", "parker", MINUTE, 1e-13),
        ("preclinicalAIF_ref", "mcgrath", 1.0, 1e-13),
        ("preclinicalAIF_ref_delay", "mcgrath", 1.0, 1e-13),
        # constants found from the published curve itself, of a peak of 10 mmol/L; source's: 1e-4
        ("GeorgiouAIF_ref", "georgiou", MINUTE, 3e-5),
    ],
)
def test_every_published_value_is_met(reference, file, name, second, tolerance):
    time, expected, delay = columns(reference(f"{FOLDER}/{file}.csv"))
    found = POPULATIONS[name].function(time * second - delay) / MILLIMOLAR
    assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_weinmann_is_the_printed_bi_exponential():
    minutes = np.linspace(0, 60, 7)
    expected = 0.1 * (3.99 * np.exp(-0.144 * minutes) + 4.78 * np.exp(-0.0111 * minutes))
    assert_allclose(population_inputs.weinmann(minutes * 60) / MILLIMOLAR, expected, rtol=1e-14)


@pytest.mark.parametrize("name", POPULATIONS)
def test_nothing_is_there_before_the_injection(name):
    before = POPULATIONS[name].function(np.array([-600.0, -1.0, -1e-9]))
    assert_array_equal(before, 0.0)


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_value_does_not_depend_on_its_neighbours(name):
    function = POPULATIONS[name].function
    time = np.linspace(0, 900, 31)
    alone = np.array([function(np.array([at]))[0] for at in time])
    assert_allclose(alone, function(time), rtol=1e-12, atol=0)
