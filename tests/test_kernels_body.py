"""Body-size normalisers against values that were checked by hand."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from igdd.errors import InputError
from igdd.kernels import body

MASSES = (
    body.lean_body_mass_james128,
    body.lean_body_mass_morgan120,
    body.lean_body_mass_janmahasatian,
)


@pytest.mark.reference
def test_body_sizes_of_75_kg_and_185_cm_are_the_published_ones(reference):
    expected = json.loads(reference("pet/calculate_suv/expected.json").read_text())
    expected = expected["body_75kg_1.85m"]
    found = {
        "LBM_Morgan120_M_g": 1000 * body.lean_body_mass_morgan120(75, 185, "M"),
        "LBM_F_g": 1000 * body.lean_body_mass_morgan120(75, 185, "F"),
        "LBM_Janma_M_g": 1000 * body.lean_body_mass_janmahasatian(75, 185, "M"),
        "LBM_Janma_F_g": 1000 * body.lean_body_mass_janmahasatian(75, 185, "F"),
        "BSA_DuBois_cm2": body.body_surface_area(75, 185),
    }
    assert found == pytest.approx(expected, rel=1e-6)  # the tolerance


def test_james_and_morgan_differ_for_men_only():
    difference = body.lean_body_mass_morgan120(75, 185, "M") - body.lean_body_mass_james128(
        75, 185, "M"
    )
    assert difference == pytest.approx(8 * (75 / 185) ** 2, rel=1e-12)  # (128 - 120) (W/H)^2
    assert body.lean_body_mass_james128(75, 185, "F") == body.lean_body_mass_morgan120(75, 185, "F")


@given(st.floats(40, 80), st.floats(150, 200))
def test_other_sex_is_the_mean_of_both(weight, height):
    for mass in MASSES:
        both = (mass(weight, height, "M") + mass(weight, height, "F")) / 2
        assert mass(weight, height, "O") == pytest.approx(both, rel=1e-12)


def test_ideal_body_mass_is_linear_in_height():
    step = body.ideal_body_mass(181, "M") - body.ideal_body_mass(180, "M")
    assert step == pytest.approx(1.06, rel=1e-9)  # kg per cm, the formula's slope


@given(st.floats(20, 300))
def test_janmahasatian_lean_mass_grows_with_weight(weight):
    lean = body.lean_body_mass_janmahasatian(weight, 175, "F")
    assert lean < body.lean_body_mass_janmahasatian(weight * 1.01, 175, "F")


@pytest.mark.parametrize("sex", ["", "male", "X"])
def test_an_unknown_sex_is_refused(sex):
    with pytest.raises(InputError, match="expected M, F or O"):
        body.lean_body_mass_janmahasatian(70, 175, sex)


@pytest.mark.parametrize(("weight", "height"), [(0, 170), (70, 0), (-1, 170), (1000, 100)])
def test_a_body_outside_the_formula_is_refused(weight, height):
    with pytest.raises(InputError):
        body.lean_body_mass_james128(weight, height, "M")


def test_surface_needs_weight_and_height():
    with pytest.raises(InputError, match="expected both > 0"):
        body.body_surface_area(0, 170)
