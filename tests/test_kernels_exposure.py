"""Non-compartmental parameters: analytic curves, WinNonlin's tables, and what no profile can be."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.exposure import RULES, disposition, noncompartmental, partial_area
from igdd.kernels.profiles import PLACES, Places, below_limit
from igdd.kernels.trapezoid import segments, trapezoid_weights

# WinNonlin's column -> our code.
COLUMNS = {
    "Rsq": "R2", "Rsq_adjusted": "R2ADJ", "Corr_XY": "CORRXY", "No_points_lambda_z": "LAMZNPT",
    "Lambda_z": "LAMZ", "Lambda_z_lower": "LAMZLL", "Lambda_z_upper": "LAMZUL",
    "HL_Lambda_z": "LAMZHL", "Tlag": "TLAG", "Tmax": "TMAX", "Cmax": "CMAX", "C0": "C0",
    "Tlast": "TLST", "Clast": "CLST", "AUClast": "AUCLST", "AUCall": "AUCALL",
    "AUCINF_obs": "AUCIFO", "AUCINF_pred": "AUCIFP", "AUC_%Extrap_obs": "AUCPEO",
    "AUC_%Extrap_pred": "AUCPEP", "AUC_%Back_Ext_obs": "AUCPBEO", "AUC_%Back_Ext_pred": "AUCPBEP",
    "AUMClast": "AUMCLST", "AUMCINF_obs": "AUMCIFO", "AUMCINF_pred": "AUMCIFP",
    "AUMC_%Extrap_obs": "AUMCPEO", "AUMC_%Extrap_pred": "AUMCPEP", "MRTlast": "MRTLST",
    "MRTINF_obs": "MRTIFO", "MRTINF_pred": "MRTIFP", "Vz_obs": "VZO", "Vz_pred": "VZP",
    "Cl_obs": "CLO", "Cl_pred": "CLP", "Vz_F_obs": "VZO", "Vz_F_pred": "VZP", "Cl_F_obs": "CLO",
    "Cl_F_pred": "CLP", "Vss_obs": "VSSO", "Vss_pred": "VSSP",
}  # fmt: skip
DOSE_NORMALISED = {"Cmax_D": "CMAX", "AUCINF_D_obs": "AUCIFO", "AUCINF_D_pred": "AUCIFP"}
TABLES = [
    ("Indometh_Linear", "bolus", "linear", 0.0, 25.0),
    ("Indometh_Log", "bolus", "linear-up-log-down", 0.0, 25.0),
    ("Indometh_Log_Infusion", "infusion", "linear-up-log-down", 0.25, 25.0),
    ("Indometh_Linear_Wrong_Extravascular", "extravascular", "linear", 0.0, 25.0),
    ("Indometh_Linear_NoDose", "extravascular", "linear", 0.0, math.nan),
    ("Theoph_Linear", "extravascular", "linear", 0.0, 320.0),
]


def columns(path) -> dict[str, list[str]]:
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [row[name] for row in rows] for name in rows[0]}


def profiles(path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Times and concentrations (subject, point), NaN where a subject has fewer points."""
    table = {name.lower(): cells for name, cells in columns(path).items()}
    subjects = list(dict.fromkeys(table["subject"]))
    rows = [
        sorted(
            (float(time), float(value))
            for who, time, value in zip(table["subject"], table["time"], table["conc"], strict=True)
            if who == subject
        )
        for subject in subjects
    ]
    most = max(len(row) for row in rows)
    padded = np.array([row + [(np.nan, np.nan)] * (most - len(row)) for row in rows])
    return padded[..., 0], padded[..., 1], subjects


@pytest.mark.parametrize(("table", "route", "rule", "infusion", "dose"), TABLES)
def test_winnonlin_to_the_last_printed_digit(reference, table, route, rule, infusion, dose):
    folder = "pharmacokinetics/nca"
    times, values, subjects = profiles(reference(f"{folder}/{table.split('_')[0]}.csv"))
    expected = columns(reference(f"{folder}/winnonlin_{table}.csv"))
    found = noncompartmental(times, values, route=route, rule=rule, infusion=infusion)
    given = {**found._asdict(), **disposition(found, dose, route)._asdict()}
    order = [subjects.index(subject) for subject in expected["Subject"]]
    for column, cells in expected.items():
        if column == "Subject" or (math.isnan(dose) and column[:2] in ("Vz", "Cl")):
            continue  # the table prints 0 for a clearance without a dose; ours is NaN
        if column in DOSE_NORMALISED:
            ours = given[DOSE_NORMALISED[column]] / dose
        else:
            ours = given[COLUMNS[column]]
        # 1e-8: the tables print 9 to 15 digits
        assert_allclose(ours[order], np.array(cells, float), rtol=1e-8, err_msg=column)


@pytest.mark.parametrize("rule", ["linear", "lin up/log down"])
def test_theophylline_areas_equal_another_program(reference, rule):
    times, values, subjects = profiles(reference("pharmacokinetics/nca/Theoph.csv"))
    ours = "linear" if rule == "linear" else "linear-up-log-down"
    found = noncompartmental(times, values, route="extravascular", rule=ours)
    path = reference("pharmacokinetics/nca/expected_PKNCA_0.10.2.csv")
    with path.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["case"] == "Theoph"]
    compared = 0
    for row in rows:
        code = {f"auclast[0-tlast] {rule}": "AUCLST", f"aumclast {rule}": "AUMCLST"}
        if row["quantity"] in code:
            one = getattr(found, code[row["quantity"]])[subjects.index(row["subject"])]
            assert_allclose(one, float(row["value"]), rtol=1e-9)  # 12 digits printed
            compared += 1
    assert compared == 24


@pytest.mark.parametrize("case", ["A", "B", "C"])
@pytest.mark.parametrize("how", ["default", "keep"])
@pytest.mark.parametrize("rule", ["linear", "lin up/log down"])
def test_below_limit_by_position_equals_another_program(reference, case, how, rule):
    path = reference("pharmacokinetics/nca/expected_PKNCA_0.10.2.csv")
    with path.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["case"].startswith(f"BLQ case {case}")]
    name = rows[0]["case"]
    times = np.array(name.split("t=")[1].split(" c=")[0].split(), float)
    values = np.array(name.split("c=")[1].split(), float)[None]
    places = PLACES["middle-dropped" if how == "default" else "as-given"]
    filled = below_limit(values, values == 0, np.nan, places)
    ours = "linear" if rule == "linear" else "linear-up-log-down"
    found = noncompartmental(times, filled, route="extravascular", rule=ours)
    for code, label in (("AUCLST", "AUClast"), ("AUCALL", "AUCall")):
        (row,) = (r for r in rows if r["quantity"] == f"{label} {rule} conc.blq {how}")
        assert_allclose(getattr(found, code)[0], float(row["value"]), rtol=1e-10)


def mono(times: np.ndarray, rate: float = 0.3, height: float = 7.0) -> np.ndarray:
    return height * np.exp(-rate * times)


def test_an_exponential_after_a_bolus_is_exact_by_logs():
    times = np.array([0.5, 1.0, 2.0, 3.5, 8.0])
    found = noncompartmental(times, mono(times)[None], route="bolus", rule="linear-up-log-down")
    assert_allclose(found.C0, 7.0)
    assert_allclose(found.LAMZ, 0.3)
    assert_allclose(found.LAMZNPT, 5)
    assert_allclose(found.AUCIFO, 7 / 0.3)
    assert_allclose(found.AUCIFP, 7 / 0.3)
    assert_allclose(found.AUMCIFO, 7 / 0.3**2)
    assert_allclose(found.AUCPBEO, 100 * (1 - math.exp(-0.15)))
    parts = disposition(found, 35.0, "bolus")
    assert_allclose([parts.CLO[0], parts.VZO[0], parts.VSSO[0]], [1.5, 5.0, 5.0])


def test_an_infusion_takes_half_its_time_from_the_residence():
    times = np.array([0.5, 1.0, 2.0, 3.5, 8.0])
    short = noncompartmental(times, mono(times)[None], route="infusion", infusion=0.5)
    whole = noncompartmental(times, mono(times)[None], route="extravascular")
    assert_allclose(whole.MRTIFO - short.MRTIFO, 0.25)
    assert np.isnan(disposition(whole, 1.0, "extravascular").VSSO).all()


def test_points_before_the_end_of_an_infusion_are_no_terminal_phase():
    times = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
    values = np.array([[9.0, 8.0, 7.0, 3.0, 1.5, 0.7]])
    found = noncompartmental(times, values, route="infusion", infusion=2.0)
    assert found.LAMZLL[0] == 2.0
    assert found.LAMZNPT[0] == 3


def test_linear_log_takes_logs_after_the_peak_also_where_it_rises():
    times = np.array([0.0, 1.0, 2.0, 3.0])
    values = np.array([[0.0, 8.0, 2.0, 4.0]])
    found = noncompartmental(times, values, route="extravascular", rule="linear-log")
    assert_allclose(found.AUCLST, 4 + 6 / math.log(4) + 2 / math.log(2))
    after = noncompartmental(times, values, route="extravascular", rule="linear-up-log-down")
    assert_allclose(after.AUCLST, 4 + 6 / math.log(4) + 3)


def test_linear_log_after_a_bolus_begins_at_the_initial_concentration():
    times = np.array([1.0, 2.0, 4.0])
    found = noncompartmental(times, mono(times)[None], route="bolus", rule="linear-log")
    assert_allclose(found.AUCLST, 7 / 0.3 * (1 - math.exp(-1.2)))


def test_an_initial_concentration_that_would_rise_is_the_first_value():
    found = noncompartmental(np.array([1.0, 2.0, 3.0]), np.array([[2.0, 5.0, 1.0]]), route="bolus")
    assert found.C0[0] == 2.0


@pytest.mark.parametrize("rule", RULES)
def test_two_points_give_areas_and_no_terminal_phase(rule):
    found = noncompartmental(
        np.array([1.0, 2.0]), np.array([[4.0, 2.0]]), route="extravascular", rule=rule
    )
    assert np.isfinite(found.AUCLST).all()
    assert np.isnan([found.LAMZ[0], found.AUCIFO[0], found.MRTIFO[0], found.R2ADJ[0]]).all()
    assert found.LAMZNPT[0] == 0


def test_a_rising_tail_has_no_terminal_phase():
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    values = np.array([[0.0, 9.0, 1.0, 2.0, 3.0]])
    found = noncompartmental(times, values, route="extravascular")
    assert np.isnan(found.LAMZ[0])


def test_a_rising_window_does_not_decide_which_falling_window_is_near_the_best():
    # the last three points rise on a perfect line (R2 = 1); the falling windows fit worse
    times = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    values = np.exp(np.array([[3.0, 2.4, 1.0, 0.0, 0.1, 0.2]]))
    found = noncompartmental(times, values, route="bolus")
    assert found.LAMZ[0] > 0
    assert found.LAMZNPT[0] == 6  # of 4, 5 and 6 points the best adjusted R2


def test_of_windows_near_the_best_the_longest_is_taken():
    times = np.arange(1.0, 8.0)
    logs = -0.5 * times
    logs[0] += 0.01  # the whole window fits a little worse than the last six: by less than 1e-4
    found = noncompartmental(times, np.exp(logs)[None], route="bolus")
    assert found.LAMZNPT[0] == 7


def test_all_below_the_limit_is_an_area_of_zero_and_nothing_else():
    found = noncompartmental(np.array([0.0, 1.0, 2.0]), np.zeros((1, 3)), route="extravascular")
    assert (found.AUCLST[0], found.CMAX[0]) == (0.0, 0.0)
    assert np.isnan([found.TMAX[0], found.CLST[0], found.TLST[0], found.LAMZ[0]]).all()


def test_no_value_at_all_is_nan_everywhere():
    found = noncompartmental(np.array([1.0, 2.0]), np.full((1, 2), np.nan), route="bolus")
    assert np.isnan([one[0] for name, one in found._asdict().items() if name != "LAMZNPT"]).all()


def test_negative_values_are_part_of_areas_and_of_no_logarithm():
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    values = np.array([[-0.2, 8.0, 4.0, -0.1, 2.0, 1.0]])
    found = noncompartmental(times, values, route="extravascular", rule="linear-up-log-down")
    inner = 3.9 + 4 / math.log(2) + 1.95 + 0.95 + 1 / math.log(2)
    assert_allclose(found.AUCLST, inner)
    assert found.LAMZNPT[0] == 3  # 4, 2 and 1; the negative one between them has no logarithm


def test_gaps_and_full_grids_give_the_same():
    times = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 8.0])
    values = np.array([mono(times), mono(times, 0.1), mono(times, 0.7)])
    values[1, 3] = values[2, [0, 5]] = np.nan
    together = noncompartmental(times, values, route="bolus", rule="linear-log")
    for row, kept in enumerate(np.isfinite(values)):
        alone = noncompartmental(
            times[kept], values[row, kept][None], route="bolus", rule="linear-log"
        )
        for name, one in alone._asdict().items():
            assert_allclose(getattr(together, name)[row], one[0], rtol=1e-12, err_msg=name)


def test_chunks_give_what_one_profile_gives():
    times = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    rates = np.linspace(0.05, 0.6, 20001)
    found = noncompartmental(
        times, np.exp(-rates[:, None] * times), route="bolus", rule="linear-log"
    )
    assert_allclose(found.AUCIFO, 1 / rates, rtol=1e-9)
    assert found.AUCIFO.shape == (20001,)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.01, 100), min_size=4, max_size=9),
    st.floats(0.1, 1000), st.floats(0.01, 50), st.sampled_from(RULES),
)  # fmt: skip
def test_units_of_time_and_concentration_only_scale(values, stretch, height, rule):
    times = np.arange(1.0, len(values) + 1)
    one = noncompartmental(times, np.array([values]), route="extravascular", rule=rule)
    other = noncompartmental(
        times * stretch, np.array([values]) * height, route="extravascular", rule=rule
    )
    assert_allclose(other.AUCLST, one.AUCLST * stretch * height, rtol=1e-9)
    assert_allclose(other.AUMCLST, one.AUMCLST * stretch**2 * height, rtol=1e-9)


@pytest.mark.parametrize("drop", [1e-12, 1e-8, 1e-5, 0.009, 0.011, 0.3])
def test_exponential_segments_lose_no_digits_however_flat(drop):
    from fractions import Fraction
    from math import factorial

    height, start, step = 5.0, 2.0, 3.0
    area, moment = segments(
        *(np.array([one]) for one in (height, height * math.exp(-drop), start, start + step)),
        np.array([True]),
    )
    # Taylor series of both integrals in exact arithmetic, 30 terms
    terms = [(-Fraction(drop)) ** n / factorial(n) for n in range(30)]
    shape = sum(term / (n + 1) for n, term in enumerate(terms))
    lever = sum(term / (n + 2) for n, term in enumerate(terms))
    assert_allclose(area, height * step * float(shape), rtol=1e-14)
    # 1e-11: the closed form's cancellation at L = 0.01 in double precision
    assert_allclose(moment, height * step * float(start * shape + step * lever), rtol=1e-11)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0.0, 2.0), 7 / 0.3 * (1 - math.exp(-0.6))),
        ((0.7, 3.1), 7 / 0.3 * (math.exp(-0.21) - math.exp(-0.93))),
        ((8.0, 20.0), 7 / 0.3 * (math.exp(-2.4) - math.exp(-6.0))),
        ((6.0, 8.0), 7 / 0.3 * (math.exp(-1.8) - math.exp(-2.4))),
    ],
)
def test_partial_areas_of_an_exponential(span, expected):
    times = np.array([0.5, 1.0, 2.0, 3.5, 8.0])
    found = partial_area(times, mono(times)[None], span, route="bolus", rule="linear-log")
    assert_allclose(found, expected)


def test_partial_areas_add_up():
    times = np.array([0.0, 1.0, 2.0, 4.0, 8.0, 12.0])
    values = np.array([[0.0, 3.0, 8.0, 4.0, 2.0, 1.1]])
    whole = noncompartmental(times, values, route="extravascular", rule="linear")
    parts = [
        partial_area(times, values, span, route="extravascular")
        for span in ((0, 0.4), (0.4, 3), (3, 8), (8, 12))
    ]
    assert_allclose(sum(parts), whole.AUCLST)


def test_a_partial_area_beyond_a_tail_without_slope_is_nan():
    found = partial_area(
        np.array([1.0, 2.0]), np.array([[1.0, 2.0]]), (0.0, 5.0), route="extravascular"
    )
    assert np.isnan(found[0])


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([1.0, 1.0, 2.0], "profile 0, point 1"),
        ([2.0, 1.0, 3.0], "profile 0, point 1"),
        ([-1.0, 1.0, 2.0], "profile 0, point 0"),
    ],
)
def test_times_that_no_profile_has_are_refused(times, words):
    with pytest.raises(InputError, match=words):
        noncompartmental(np.array(times), np.ones((1, 3)), route="bolus")


@pytest.mark.parametrize(
    "how",
    [
        {"route": "oral"},
        {"route": "bolus", "rule": "log"},
        {"route": "infusion"},
        {"route": "bolus", "infusion": 1.0},
    ],
)
def test_unknown_ways_are_refused(how):
    with pytest.raises(InputError, match="expected"):
        noncompartmental(np.arange(3.0), np.ones((1, 3)), **how)


def test_half_the_limit_stands_after_the_peak():
    values = np.array([[0.0, 5.0, 0.0, 2.0, 0.0]])
    found = below_limit(values, values == 0, 0.4, PLACES["half-after-peak"])
    assert_allclose(found, [[0.0, 5.0, 0.2, 2.0, 0.2]])


def test_half_of_an_unknown_limit_is_refused():
    with pytest.raises(InputError, match="no limit is known"):
        below_limit(np.zeros((1, 2)), np.ones((1, 2), bool), np.nan, Places("half", "zero", "zero"))


def test_trapezoid_weights_are_the_trapezoidal_rule():
    times = np.array([0.0, 0.5, 3.0, 4.0])
    values = np.array([1.0, 7.0, 2.0, 5.0])
    assert_allclose(trapezoid_weights(times) @ values, np.trapezoid(values, times))
