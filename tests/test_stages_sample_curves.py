"""Tables of samples through the door of `igdd fit`: curves, units, weights, what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from igdd.cli import app
from igdd.errors import InputError, UnitsError
from igdd.kernels.disposition import disposition
from igdd.stages.sample_curves import is_samples, read_samples
from igdd.stages.sample_fit import fit_file
from igdd.stages.single_fit import Seen, entries

TIMES = np.array([0.1, 0.25, 0.5, 1, 2, 3, 4, 6, 8, 12])
CL, V1, Q, V2 = 5.0, 10.0, 6.0, 40.0  # L/h, L
DOSE = {"dose": "250 mg", "route": "bolus"}


def curve(times: np.ndarray = TIMES) -> np.ndarray:
    """Concentrations in mg/L after 250 mg."""
    found = disposition(np.array([[CL, V1, Q, V2]]))
    return 250 / V1 * (found.shares[0] * np.exp(-found.rates[0] * times[:, None])).sum(axis=1)


def table(tmp_path, rows, header="subject,time,concentration", name="samples.csv"):
    path = tmp_path / name
    lines = [header, *(",".join(str(cell) for cell in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def plain(tmp_path, **words):
    return table(tmp_path, [("a", t, c) for t, c in zip(TIMES, curve(), strict=True)], **words)


def fitted(path, model="pk_two_compartment", **words):
    words = {"time_unit": "h", "unit": "mg/L", **DOSE} | words
    return entries(fit_file(model, path, Seen(), **words))


def value(entry, name):
    return entry["parameters"][name]["value"]


def test_samples_are_told_from_frames(tmp_path):
    assert is_samples(plain(tmp_path))
    frames = table(tmp_path, [(0, 1, 5)], "frame_start,frame_end,liver", "tacs.csv")
    assert not is_samples(frames)
    assert not is_samples(tmp_path / "nowhere.csv")
    assert not is_samples(table(tmp_path, [(0, 1, 5)], "time[s],tumour[mM],muscle[mM]"))


def test_a_table_gives_the_parameters_in_its_own_units(tmp_path):
    (entry,) = fitted(plain(tmp_path))
    assert entry["region"] == "a"
    units = {name: one["unit"] for name, one in entry["parameters"].items()}
    assert units["CL"] == "L/h"
    assert units["V1"] == "L"
    assert units["AUC"] == "h.mg/L"
    found = [value(entry, name) for name in ("CL", "V1", "Q", "V2", "AUC", "Vss")]
    np.testing.assert_allclose(found, [CL, V1, Q, V2, 250 / CL, V1 + V2], rtol=1e-6)


def test_another_unit_of_the_same_numbers_changes_only_the_units(tmp_path):
    first = fitted(plain(tmp_path))[0]
    scaled = [("a", 60 * t, 1000 * c) for t, c in zip(TIMES, curve(), strict=True)]
    second = fitted(table(tmp_path, scaled, name="other.csv"), time_unit="min", unit="ug/L")[0]
    assert value(second, "V1") == pytest.approx(value(first, "V1"), rel=1e-6)
    assert value(second, "CL") == pytest.approx(value(first, "CL"), rel=1e-6)


def test_subjects_keep_their_own_times_and_groups_their_names(tmp_path):
    rows = [("a", "plain", "blood", t, c) for t, c in zip(TIMES, curve(), strict=True)]
    late = TIMES * 1.1
    rows += [("b", "plain", "blood", t, 2 * c) for t, c in zip(late, curve(late), strict=True)]
    found = fitted(table(tmp_path, rows[::-1], "subject,group,organ,time,concentration"))
    assert {one["region"] for one in found} == {"a plain blood", "b plain blood"}
    by_name = {one["region"]: one for one in found}
    assert value(by_name["b plain blood"], "V1") == pytest.approx(V1 / 2, rel=1e-6)


def test_what_is_left_out_is_flagged(tmp_path):
    rows = [("a", -1, 3), *(("a", t, c) for t, c in zip(TIMES, curve(), strict=True))]
    rows += [("a", 20, "BLQ"), ("a", 24, "n/a")]
    (entry,) = fitted(table(tmp_path, rows))
    assert value(entry, "CL") == pytest.approx(CL, rel=1e-6)
    expected = {"predose_left_out", "below_limit_left_out", "concentration_missing"}
    assert expected <= {*entry["flags"]}


def test_a_column_of_standard_deviations_weighs_the_samples(tmp_path):
    wrong = curve() * np.where(TIMES == 3, 1.5, 1.0)
    rows = [("a", t, c, 100.0 if t == 3 else 0.01) for t, c in zip(TIMES, wrong, strict=True)]
    (entry,) = fitted(table(tmp_path, rows, "subject,time,concentration,sd"))
    # a sample of a ten-thousandth of the others' weight squared
    assert value(entry, "CL") == pytest.approx(CL, rel=1e-4)


def test_weights_by_the_value_leave_out_what_is_not_above_zero(tmp_path):
    rows = [*zip("a" * TIMES.size, TIMES, curve(), strict=True), ("a", 30, 0.0)]
    (entry,) = fitted(table(tmp_path, rows), sd="relative")
    assert value(entry, "CL") == pytest.approx(CL, rel=1e-6)
    assert "not_above_zero_left_out" in entry["flags"]


def test_start_and_end_bound_instants(tmp_path):
    noisy = np.where((TIMES >= 0.5) & (TIMES <= 8), curve(), 99.0)
    rows = list(zip("a" * TIMES.size, TIMES, noisy, strict=True))
    (entry,) = fitted(table(tmp_path, rows), start="0.5 h", end="8 h")
    assert value(entry, "CL") == pytest.approx(CL, rel=1e-4)


def test_other_models_see_samples_too(tmp_path):
    (entry,) = entries(
        fit_file("bi_exponential", plain(tmp_path), Seen(), time_unit="h", unit="mg/L")
    )
    found = disposition(np.array([[CL, V1, Q, V2]]))
    # amplitudes in the table's own unit
    assert value(entry, "A1") == pytest.approx(250 / V1 * found.shares[0, 0], rel=1e-5)
    assert value(entry, "rate2") == pytest.approx(found.rates[0, 1] / 60, rel=1e-5)


def test_released_shares_go_to_the_release_models(tmp_path):
    hours = np.array([0.5, 1, 2, 4, 8, 24])
    rows = [("a", t, 100 * (1 - np.exp(-0.3 * t))) for t in hours]
    words = {"time_unit": "h", "unit": None}
    for header, scale in (("subject,time,percent", 1.0), ("subject,time,fraction", 0.01)):
        path = table(tmp_path, [(a, t, scale * c) for a, t, c in rows], header)
        (entry,) = entries(fit_file("first_order", path, Seen(), **words))
        assert value(entry, "k1") == pytest.approx(0.3, rel=1e-5)


def test_aicc_is_that_of_the_tables_unit(tmp_path):
    noisy = curve() * (1 + 0.05 * np.random.default_rng(1).standard_normal(TIMES.size))
    rows = list(zip("a" * TIMES.size, TIMES, noisy, strict=True))
    path = table(tmp_path, rows)
    one = fit_file("pk_two_compartment", path, Seen(), time_unit="h", unit="mg/L", **DOSE)[0]
    squares = np.sum((one.curves.values - one.fit.predicted) ** 2) * 1e12  # (g/mL)^2 in (mg/L)^2
    count, size = TIMES.size, 4
    expected = count * np.log(squares / count) + 2 * size + 2 * size * 5 / (count - 5)
    assert one.fit.aicc[0] == pytest.approx(expected, rel=1e-9)
    for sd in ("root", "relative"):
        other = fit_file("pk_two_compartment", path, Seen(), time_unit="h", unit="mg/L", sd=sd,
                         **DOSE)[0]  # fmt: skip
        power = {"root": 0.5, "relative": 1.0}[sd]
        weighted = (noisy - other.fit.predicted[0] * 1e6) / noisy**power
        expected = count * np.log(np.sum(weighted**2) / count) + 8 + 40 / (count - 5)
        assert other.fit.aicc[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("header", "rows", "words", "error", "message"),
    [
        ("subject,time", [("a", 1)], {}, InputError, "column concentration is missing"),
        ("subject,time,concentration", [], {}, InputError, "no sample"),
        ("subject,time,concentration", [("a", -1, 5), ("a", -2, 6)], {}, InputError, "at least 0"),
        ("subject,time,concentration", [("a", 1, 5), ("a", 1, 6)], {}, InputError, "two conc"),
        ("subject,time,concentration", [("a", 1, "x")], {}, InputError, "expected a number"),
        ("subject,time,concentration", [("a", "inf", 5)], {}, InputError, "expected a number"),
        ("subject,time,concentration", [("9" * 300, 1, 5)], {}, InputError, "300 characters"),
        ("subject,time,concentration", [("a", 1, 5)], {"time_unit": None}, UnitsError, "time is"),
        ("subject,time,concentration", [("a", 1, 5)], {"unit": "furlong"}, UnitsError, "furlong"),
        ("subject,time,concentration", [("a", 1, 5)], {"unit": "mg"}, UnitsError, "no volume"),
        ("subject,time,concentration", [("a", 1, 5)], {"unit": "HU"}, UnitsError, "amount"),
        ("subject,time,concentration,sd", [("a", 1, 5, 0)], {}, InputError, "sd is missing or"),
        ("subject,time,concentration", [("a", 1, 5)], {"integration": "exact"}, InputError, "inst"),
        ("subject,time,percent", [("a", 1, 5)], {"unit": None}, UnitsError, "release in %"),
        ("subject,organ,time,concentration",
         [("a b", "c", 1, 5), ("a", "b c", 1, 5)], {}, InputError, "both be called"),
    ],
)  # fmt: skip
def test_what_no_fit_can_use_is_refused(tmp_path, header, rows, words, error, message):
    with pytest.raises(error, match=message):
        fitted(table(tmp_path, rows, header), **words)


def test_a_release_model_refuses_concentrations(tmp_path):
    with pytest.raises(UnitsError, match="released"):
        fit_file("weibull", plain(tmp_path), Seen(), time_unit="h", unit="mg/L")


@pytest.mark.parametrize(
    ("header", "facts"),
    [
        ("frame_start,frame_end,liver", {}),
        ("start[s],end,liver", {}),
        ("start,end,liver", {"end": {"Units": "s"}}),
        ("liver", {"FrameTimesStart": [0], "FrameDuration": [60]}),
    ],
)
def test_a_time_unit_of_the_call_that_frames_contradict_is_refused(tmp_path, header, facts):
    rows = [(0, 60, 5)[-len(header.split(",")) :]]
    path = table(tmp_path, rows, header, "tacs.csv")
    path.with_suffix(".json").write_text(json.dumps(facts | {"Units": "Bq/mL"}))
    with pytest.raises(UnitsError, match=r"in 's' by .* but in 'h' by --time-unit"):
        fit_file("mono_exponential", path, Seen(), time_unit="h")


def test_frames_whose_time_unit_nobody_states_have_that_of_the_call(tmp_path):
    values = 100 * np.exp(-0.1 * np.arange(0.5, 20))
    rows = [(begun, 1, value) for begun, value in enumerate(values)]
    path = table(tmp_path, rows, "StartTime,Duration,liver", "tacs.csv")
    with pytest.raises(UnitsError, match="or --time-unit s"):
        fit_file("mono_exponential", path, Seen(), unit="kBq/mL")
    found = fit_file("mono_exponential", path, Seen(), unit="kBq/mL", time_unit="min")
    assert found[0].curves.frames.end[-1] == 1200


def test_a_reference_region_needs_common_times(tmp_path):
    rows = [("a", 1, 5), ("a", 2, 4), ("b", 1, 5), ("b", 3, 4)]
    with pytest.raises(InputError, match="same times"):
        fit_file("mono_exponential", table(tmp_path, rows), Seen(reference="b"), time_unit="h",
                 unit="mg/L")  # fmt: skip


def test_many_profiles_of_the_same_times_stay_in_small_sets(tmp_path):
    rows = [(number, t, 5) for number in range(250) for t in (1, 2, 3)]
    sets, unit = read_samples(table(tmp_path, rows), "h", "mg/L")
    assert unit == "mg/L"
    assert [len(one.names) for one in sets] == [100, 100, 50]


def test_the_command_prints_limits_by_profile_likelihood(tmp_path):
    noisy = curve() * (1 + 0.02 * np.random.default_rng(2).standard_normal(TIMES.size))
    path = table(tmp_path, zip("a" * TIMES.size, TIMES, noisy, strict=True))
    words = ["fit", "pk_two_compartment", "--curves", str(path), "--option", "dose=250 mg",
             "--option", "route=bolus", "--time-unit", "h", "--concentration-unit", "mg/L",
             "--sd", "relative"]  # fmt: skip
    done = CliRunner().invoke(app, [*words, "--profile", "--json"])
    assert done.exit_code == 0, done.output
    (entry,) = json.loads(done.stdout)
    clearance = entry["parameters"]["CL"]
    assert clearance["low"] < clearance["value"] < clearance["high"]
    # Student's interval, to which the profile comes near where the data are good
    half = 2.447 * clearance["sd"]
    assert clearance["high"] - clearance["low"] == pytest.approx(2 * half, rel=0.2)
    assert "low" not in entry["parameters"]["AUC"]
    told = CliRunner().invoke(app, [*words, "--profile"])
    assert "[" in told.stdout


def test_limits_without_an_end_are_flagged(tmp_path):
    path = table(tmp_path, [("a", 1, 5.0), ("a", 2, 4.0)])
    (entry,) = fitted(path, "pk_one_compartment", profile=True)
    assert entry["parameters"]["CL"]["high"] is None
    assert "profile_unbounded" in entry["flags"]


@pytest.mark.reference
def test_indometh_is_that_of_r(tmp_path, reference):
    # R's SSbiexp on subject 1 (datasets 4.2.2): A1, lrc1, A2, lrc2 as its help page prints them
    with reference("pharmacokinetics/nca/Indometh.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    path = table(tmp_path, rows)
    found = fitted(path, dose="25 mg")
    assert [one["region"] for one in found] == list("123456")
    first = found[0]
    fast, slow = np.exp(0.5793887), np.exp(-1.7878499)
    assert np.log(2) / value(first, "half_life1") == pytest.approx(fast, rel=1e-4)
    assert np.log(2) / value(first, "half_life2") == pytest.approx(slow, rel=1e-4)
    assert 25 / value(first, "V1") == pytest.approx(2.0293 + 0.1916, rel=1e-4)
    area = 2.0293 / fast + 0.1916 / slow
    assert value(first, "AUC") == pytest.approx(area, rel=2e-4)


@pytest.mark.reference
def test_theophylline_is_that_of_r(tmp_path, reference):
    # R's SSfol on subject 1, 4.02 mg/kg: lKe, lKa, lCl as its help page prints them
    with reference("pharmacokinetics/nca/Theoph.csv").open() as file:
        rows = [(row["Subject"], row["Time"], row["conc"]) for row in csv.DictReader(file)]
    path = table(tmp_path, [row for row in rows if row[0] == "1"])
    (entry,) = fitted(path, "pk_one_compartment", dose="4.02 mg", route="first_order")
    found = [value(entry, name) for name in ("CL", "V", "ka")]
    rate, uptake, clearance = np.exp([-2.9196, 0.5752, -3.9159])
    # logarithms printed to 1e-4
    np.testing.assert_allclose(found, [clearance, clearance / rate, uptake], rtol=2e-4)


def test_a_picture_shows_profiles_of_different_times(tmp_path):
    late = TIMES * 1.1
    rows = list(zip("a" * TIMES.size, TIMES, curve(), strict=True))
    rows += zip("b" * TIMES.size, late, curve(late), strict=True)
    words = ["fit", "pk_two_compartment", "--curves", str(table(tmp_path, rows)), "--option",
             "dose=250 mg", "--option", "route=bolus", "--time-unit", "h", "--unit", "mg/L",
             "--plot", str(tmp_path / "fit.html")]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "fit.html").read_text(encoding="utf-8")
    assert "half_life2" in page


def test_a_scan_that_is_taken_for_the_dose_is_flagged(tmp_path):
    starts = np.arange(0, 3600, 300)
    rows = [(t, t + 300, 100 * np.exp(-t / 1000)) for t in starts]
    path = table(tmp_path, rows, "frame_start[s],frame_end[s],blood[kBq/mL]", "tacs.csv")
    words = {"dose": "1 MBq", "route": "bolus"}
    (entry,) = entries(fit_file("pk_one_compartment", path, Seen(), **words))
    assert "dose_time_assumed" in entry["flags"]
    assert entry["parameters"]["V"]["unit"] == "mL"
    # the mean of a frame from 0 to 300 s is where the curve is there: exact for frames
    assert value(entry, "half_life") == pytest.approx(np.log(2) * 1000 / 3600, rel=1e-6)
