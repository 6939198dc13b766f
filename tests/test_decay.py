"""Decay against ICRP-107, a high-precision chain reference, and its own algebra."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd import decay
from igdd.errors import InputError

SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
names = st.sampled_from([n for n, v in decay.table().items() if math.isfinite(v.half_life)])


def test_half_lives_and_branchings_are_those_of_the_reference_table(reference):
    with reference("pet/decay/halflives_icrp107.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 60
    for row in rows:
        found = decay.nuclide(row["nuclide"])
        assert_allclose(found.half_life, float(row["half_life_s"]), rtol=1e-12)  # rounding
        assert [name for name, _ in found.progeny] == row["progeny"].split("|")
        assert [b for _, b in found.progeny] == [float(b) for b in row["branching"].split("|")]


def test_chains_equal_the_high_precision_reference(reference):
    with reference("pet/decay/chain_activity_reference.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 40
    for row in rows:
        t = float(row["t"]) * SECONDS[row["unit"]]
        found = decay.chain_activities(row["parent"], float(row["A0_Bq"]), t)
        # the reference is printed with ten digits
        assert_allclose(found[row["nuclide"]], float(row["activity_Bq"]), rtol=1e-9)


def test_copper_64_of_400_mbq_after_one_and_two_days():
    days = [86400.0, 172800.0]
    # 107.95 and 29.13 stand in the literature for a half-life of 12.701 h ...
    assert decay.activity(400.0, 12.701 * 3600, days).round(2).tolist() == [107.95, 29.13]
    # ... that of ICRP-107, 12.700 h, gives 107.940 and 29.128: the same to 1e-4
    assert_allclose(decay.activity(400.0, "Cu-64", days), [107.95, 29.13], rtol=1e-4)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [(s, "F-18") for s in ("F-18", "18F", "F18", "^18^F", "18Fluorine", "Fluorine-18", "f 18")]
    + [(s, "F-18") for s in ("F^18^[^18^Fluorine]", "^18^Fluorine", "[18F]", "fluorine 18")]
    + [(s, "Tc-99m") for s in ("99mTc", "Tc99m", "99Tcm", "^99m^Technetium", "TC-99M", "Tc-99m")]
    + [("52mn", "Mn-52"), ("52mMn", "Mn-52m"), ("Mn-52m", "Mn-52m"), ("13N", "N-13")]
    + [("Cesium-137", "Cs-137"), ("Caesium-137", "Cs-137"), ("^68^Gallium", "Ga-68")],
)
def test_a_nuclide_is_known_in_every_common_spelling(spelling, name):
    assert decay.nuclide(spelling).name == name


def test_an_unknown_nuclide_is_an_error_that_lists_close_names():
    with pytest.raises(InputError, match="Zr-89"):
        decay.nuclide("Zr-98")


@pytest.mark.parametrize("text", ["", "18", "F", "68Ga-DOTATATE", "Zr89\0", "9" * 10**6, 18, None])
def test_what_is_no_nuclide_is_refused(text):
    with pytest.raises(InputError):
        decay.nuclide(text)


def test_positron_yields_are_known_or_nan_never_guessed():
    # ICRP-107 values per decay
    known = {"F-18": 0.967, "Cu-64": 0.174, "Zr-89": 0.227, "I-124": 0.229, "Mn-52": 0.297}
    for name, fraction in known.items():
        assert decay.nuclide(name).positron_fraction == fraction
    assert math.isnan(decay.nuclide("Ga-68").positron_fraction)


def test_every_chain_ends_in_stable_nuclides_of_the_table():
    table = decay.table()
    for member in table.values():
        if math.isfinite(member.half_life):
            assert member.progeny
            # ICRP-107 leaves rare branches out (At-217: 1.2e-4; At-219: 3 %)
            assert 0.97 <= sum(fraction for _, fraction in member.progeny) <= 1.0001
        for name, _ in member.progeny:
            assert name in table


@given(names, st.floats(1e-9, 1e12))
def test_a_chain_conserves_atoms_until_they_are_stable(name, t):
    # d/dt of all radioactive atoms = -(activity into stable ends): checked as A_j >= 0 and, for
    # one step, parent and first progeny by the two-member closed form.
    found = decay.chain_activities(name, 1.0, t)
    parent = decay.nuclide(name)
    assert_allclose(found[name], math.exp(-min(parent.rate * t, 745.0)), rtol=1e-9, atol=1e-320)
    assert all(value >= 0 for value in found.values())


@pytest.mark.parametrize("t", [1e-3, 1.0, 1e4, 1e7, 1e9])
def test_two_members_follow_the_closed_form(t):
    germanium, gallium = decay.nuclide("Ge-68").rate, decay.nuclide("Ga-68").rate
    rise = -math.expm1(-(gallium - germanium) * t)
    expected = gallium / (gallium - germanium) * math.exp(-germanium * t) * rise
    assert_allclose(decay.chain_activities("Ge-68", 1.0, t)["Ga-68"], expected, rtol=1e-12)


def test_equal_half_lives_give_the_limit_rate_times_t(monkeypatch):
    members = {
        "A": decay.Nuclide("A", 100.0, (("B", 1.0),)),
        "B": decay.Nuclide("B", 100.0, (("C", 1.0),)),
        "C": decay.Nuclide("C", 100.0, (("D", 1.0),)),
        "D": decay.Nuclide("D", math.inf),
    }
    monkeypatch.setattr(decay, "table", lambda: members)
    x = math.log(2) / 100 * 30
    found = decay.chain_activities("A", 1.0, 30.0)
    # Erlang: A_k = x^k / k! exp(-x); 1e-13 is the agreement that the evaluation asks for
    expected = [x**k / math.factorial(k) * math.exp(-x) for k in range(3)]
    assert_allclose(list(found.values()), expected, rtol=1e-12)


def test_a_tiny_time_gives_the_leading_power_of_a_deep_chain():
    chain = decay.chain("Ra-223")
    t = 1e-12
    found = decay.chain_activities("Ra-223", 1.0, t)
    rates = [decay.nuclide(name).rate for name in ("Rn-219", "Po-215", "Pb-211")]
    # A_k = t^k / k! x product of the decay constants; the next term is smaller by rate x t < 1e-9
    assert_allclose(found["Pb-211"], math.prod(rates) * t**3 / 6, rtol=1e-8)
    assert {member.name for member in chain} == set(found)


def test_secular_equilibrium_of_a_microsecond_progeny():
    # Po-212 (0.3 us) of Pb-212 (10.6 h): A = branching x A(Bi-212) to half-life ratio
    found = decay.chain_activities("Pb-212", 1.0, 3 * 3600.0)
    assert_allclose(found["Po-212"], 0.6406 * found["Bi-212"], rtol=1e-9)


@pytest.mark.parametrize(
    ("parent", "activity0", "t"),
    [("Pb-207", 1.0, 1.0), ("Ac-225", 1.0, -1.0), ("Ac-225", math.nan, 1.0), ("Mo-99", 1.0, 1e999)],
)
def test_a_chain_refuses_what_has_no_answer(parent, activity0, t):
    with pytest.raises(InputError):
        decay.chain_activities(parent, activity0, t)


@given(names, st.floats(0.1, 5), st.floats(-3, 3), st.floats(-3, 3))
def test_correcting_to_one_instant_then_another_is_correcting_to_the_last(name, length, t1, t2):
    half_life = decay.nuclide(name).half_life
    start, duration = np.array([0.0, 1.0]) * half_life, np.full(2, length * half_life)
    first, last = t1 * half_life, t2 * half_life
    one = decay.correction(name, start, duration, found=None, wanted=first)
    two = decay.correction(name, start, duration, found=first, wanted=last)
    at_once = decay.correction(name, start, duration, found=None, wanted=last)
    assert_allclose(one * two, at_once, rtol=1e-12)  # rounding of exponentials
    back = decay.correction(name, start, duration, found=last, wanted=None)
    assert_allclose(at_once * back, 1.0, rtol=1e-12)


@given(st.floats(1e-6, 20), st.floats(-5, 5))
def test_the_frame_factor_is_the_mean_of_the_exponential(length, start):
    # mean of exp(-rate t) over the frame by Gauss-Legendre, exact to rounding at 60 nodes
    nodes, weights = np.polynomial.legendre.leggauss(60)
    times = start + length * (nodes + 1) / 2
    mean = (weights * np.exp(-math.log(2) * times)).sum() / 2
    assert_allclose(decay.decay_factor(1.0, start, length) * mean, 1.0, rtol=1e-11)


def test_splitting_a_frame_keeps_its_counts():
    whole = 600 / decay.decay_factor("C-11", 0.0, 600.0)
    parts = 200 / decay.decay_factor("C-11", [0.0, 200.0, 400.0], [200.0] * 3)
    assert_allclose(parts.sum(), whole, rtol=1e-13)


def test_a_stable_nuclide_needs_no_correction():
    assert_allclose(decay.decay_factor("Pb-207", [0.0, 5.0], [1.0, 9.0]), 1.0, rtol=0)


def test_correcting_twice_does_nothing():
    same = decay.correction("F-18", [0.0], [60.0], found=0.0, wanted=0.0)
    assert same.tolist() == [1.0]


def test_a_half_life_that_differs_by_more_than_a_thousandth_is_reported():
    assert decay.half_life_check("Rb-82", 75.0)
    assert not decay.half_life_check("Lu-177", 6.647 * 86400 * 1.0009)
    assert decay.half_life_check("Lu-177", 6.647 * 86400 * 1.0011)


@pytest.mark.parametrize("half_life", [0.0, -1.0, math.nan])
def test_a_half_life_must_be_positive(half_life):
    with pytest.raises(InputError, match="half-life"):
        decay.activity(1.0, half_life, 1.0)


def test_correction_over_thousands_of_half_lives_is_an_error_not_infinity():
    with pytest.raises(InputError, match="half-lives"):
        decay.activity(1.0, "O-15", -1e6)
    with pytest.raises(InputError, match="half-lives"):
        decay.decay_factor("O-15", [1e6], [60.0])


def test_numbers_give_a_number_and_arrays_an_array():
    assert isinstance(decay.activity(400e6, "Cu-64", 24 * 3600), float)
    assert isinstance(decay.decay_factor("F-18", 0, 600), float)
    assert decay.activity([1.0, 2.0], "F-18", 0).shape == (2,)
