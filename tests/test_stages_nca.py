"""`igdd nca`: WinNonlin's tables through the door, units, and every row of docs/nca.md."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

import igdd
from igdd import units
from igdd.cli import app
from igdd.errors import IgddError, InputError, UnitsError
from igdd.flags import FLAGS
from igdd.stages.nca import nca, text
from igdd.stages.nca_sparse import nca_sparse
from igdd.stages.nca_units import read_dose, unit_of

DOCS = Path(__file__).resolve().parents[1] / "docs/nca.md"
PLAIN = {"time_unit": "h", "concentration_unit": "mg/L"}
FALLING = [(0.5, 8.0), (1, 6.0), (2, 4.0), (4, 2.0), (8, 0.6), (12, 0.2)]


def table(folder: Path, rows, header="subject,time,concentration", name="table.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def one(folder: Path, rows, **options) -> dict:
    """Parameters of a single subject's rows (time, concentration)."""
    (found,) = nca(table(folder, [("a", *row) for row in rows]), **{**PLAIN, **options})
    return found["parameters"]


def flags(parameters: dict) -> set[str]:
    return {flag for entry in parameters.values() for flag in entry["flags"]}


def command(*words: str):
    return CliRunner().invoke(app, ["nca", *words])


CODES = {
    "AUClast": "AUCLST", "AUCINF_obs": "AUCIFO", "AUCINF_pred": "AUCIFP", "Lambda_z": "LAMZ",
    "HL_Lambda_z": "LAMZHL", "Cmax": "CMAX", "Tmax": "TMAX", "Clast": "CLST",
    "AUMClast": "AUMCLST", "Rsq_adjusted": "R2ADJ", "Cl_obs": "CLO", "Cl_F_obs": "CLFO",
    "Vz_obs": "VZO", "Vz_F_obs": "VZFO", "Vss_obs": "VSSO", "C0": "C0", "Tlag": "TLAG",
    "MRTlast": None, "Cmax_D": "CMAXD", "AUCINF_D_obs": "AUCIFOD",
}  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ("Theoph_Linear", ["--dose", "320 mg", "--route", "extravascular", "--auc", "linear"]),
        ("Indometh_Linear", ["--dose", "25 mg", "--route", "bolus", "--auc", "linear"]),
        ("Indometh_Log", ["--dose", "25000 ug", "--route", "bolus",
                          "--auc", "linear-up-log-down"]),
        ("Indometh_Log_Infusion", ["--dose", "25 mg", "--route", "infusion", "--infusion-time",
                                   "15 min", "--auc", "linear-up-log-down"]),
    ],
)  # fmt: skip
def test_winnonlin_through_the_door(reference, tmp_path, expected, words):
    folder = "pharmacokinetics/nca"
    with reference(f"{folder}/{expected.split('_')[0]}.csv").open(newline="") as stream:
        rows = [{key.lower(): cell for key, cell in row.items()} for row in csv.DictReader(stream)]
    order = np.random.default_rng(0).permutation(len(rows))  # rows of any order
    samples = [(rows[k]["subject"], rows[k]["time"], rows[k]["conc"]) for k in order]
    path = table(tmp_path, samples)
    done = command(str(path), *words, "--time-unit", "h", "--concentration-unit", "mg/L", "--json")
    assert done.exit_code == 0, done.output
    found = {entry["subject"]: entry["parameters"] for entry in json.loads(done.stdout)}
    with reference(f"{folder}/winnonlin_{expected}.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            ours = found[row["Subject"]]
            for column, code in CODES.items():
                if column in row and code is not None:
                    # 1e-8: the tables print 9 to 15 digits
                    assert_allclose(ours[code]["value"], float(row[column]), rtol=1e-8)
            kind = "EV" if "extravascular" in words else "IV"
            assert_allclose(ours[f"MRT{kind}LST"]["value"], float(row["MRTlast"]), rtol=1e-8)


def test_the_units_are_those_of_the_field(tmp_path):
    found = one(tmp_path, FALLING, dose="5 mg/kg", route="bolus")
    shown = {code: entry["unit"] for code, entry in found.items()}
    assert shown["AUCLST"] == "h.mg/L"
    assert shown["AUMCLST"] == "h2.mg/L"
    assert shown["CLO"] == "L/(h.kg)"
    assert shown["VSSO"] == "L/kg"
    assert shown["LAMZ"] == "1/h"
    assert shown["AUCPEO"] == "%"
    for unit in shown.values():
        units.parse(unit)


def test_units_of_clearance_and_volume_are_dose_over_area():
    for dose, concentration in (("320 mg", "mg/L"), ("100 %", "%ID/g"), ("37 MBq", "kBq/mL"),
                                ("5 mg/kg", "ng/mL"), ("3 umol", "nM")):  # fmt: skip
        given = read_dose(dose, concentration)
        area = units.parse(unit_of("AUCLST", "h", concentration, given))
        clearance = units.parse(unit_of("CLO", "h", concentration, given))
        amount = dict(area.dimensions)
        for base, power in clearance.dimensions:
            amount[base] = amount.get(base, 0) + power
        said = units.parse(dose.split(" ", 1)[1])
        assert {base: power for base, power in amount.items() if power} == dict(said.dimensions)
        # value and unit together: dose = CL AUC, whatever the prefixes
        number = float(dose.split()[0]) * said.factor
        assert_allclose(float(area.factor * clearance.factor) * given.value, float(number))


def test_other_units_are_the_same_exposure(tmp_path):
    hours = one(tmp_path, FALLING, dose="320 mg", route="bolus")
    minutes = one(
        tmp_path, [(60 * t, 1000 * c) for t, c in FALLING],
        dose="0.32 g", route="bolus", time_unit="min", concentration_unit="ng/mL",
    )  # fmt: skip
    for code, entry in hours.items():
        factor = units.factor(minutes[code]["unit"], entry["unit"]) if entry["unit"] != "1" else 1
        assert_allclose(minutes[code]["value"] * factor, entry["value"], rtol=1e-9, err_msg=code)


def test_units_may_stand_in_the_header_a_column_or_beside(tmp_path):
    rows = [("a", t, c) for t, c in FALLING]
    headed = table(tmp_path, rows, "subject,time [min],conc (ng/mL)", "headed.csv")
    named = table(tmp_path, [(*row, "min", "ng/mL") for row in rows],
                  "subject,time,concentration,time_unit,concentration_unit",
                  "named.csv")  # fmt: skip
    beside = table(tmp_path, rows, name="beside.csv")
    beside.with_suffix(".json").write_text(
        json.dumps({"time": {"Units": "min"}, "concentration": {"Units": "ug/L"}})
    )
    for path in (headed, named, beside):
        (found,) = nca(path)
        assert units.factor(found["parameters"]["AUCLST"]["unit"], "min.ng/mL") == 1


@pytest.mark.parametrize(
    ("header", "rows", "options"),
    [
        ("subject,time [min],concentration", [("a", 1, 2)], PLAIN),
        ("subject,time,concentration,concentration_unit",
         [("a", 1, 2, "mg/L"), ("a", 2, 1, "ng/mL")], {"time_unit": "h"}),
        ("subject,time,concentration,time_unit",
         [("a", 1, 2, "h"), ("a", 20, 1, "min")], {"concentration_unit": "mg/L"}),
        ("subject,time,concentration", [("a", 1, 2), ("a", 2, "3 ng/mL")], PLAIN),
        ("subject,time,concentration", [("a", 1, 2), ("a", "30min", 3)], PLAIN),
    ],
)  # fmt: skip
def test_mixed_units_are_refused(tmp_path, header, rows, options):
    with pytest.raises(UnitsError, match="mixed units"):
        nca(table(tmp_path, rows, header), **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"time_unit": "h"},
        {"concentration_unit": "mg/L"},
        {**PLAIN, "dose": "320"},
        {**PLAIN, "dose": "3 umol"},
        {**PLAIN, "dose": "3 h"},
        {"time_unit": "mg", "concentration_unit": "mg/L"},
        {"time_unit": "h", "concentration_unit": "mol", "dose": "3 mol"},
        {**PLAIN, "limit": "0.1"},
    ],
)
def test_a_unit_that_is_missing_or_does_not_fit_is_refused(tmp_path, options):
    with pytest.raises(UnitsError):
        nca(table(tmp_path, [("a", 1, 2), ("a", 2, 1)]), **options)


def test_rows_say_the_same_twice_and_count_once(tmp_path):
    plain, doubled = one(tmp_path, FALLING), one(tmp_path, [*FALLING, FALLING[2]])
    assert doubled["AUCLST"]["value"] == plain["AUCLST"]["value"]
    assert all("duplicate_sample" in entry["flags"] for entry in doubled.values())


def test_two_concentrations_at_one_time_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"lines 2 and 4: 'a' has two concentrations at time 0\.5"):
        one(tmp_path, [(0.5, 8.0), (1, 6.0), (0.5, 7.0)])


def test_negative_times_are_before_the_dose(tmp_path):
    plain, found = one(tmp_path, FALLING), one(tmp_path, [(-1, 0.3), *FALLING])
    assert found["AUCLST"]["value"] == plain["AUCLST"]["value"]
    assert "predose_left_out" in found["AUCLST"]["flags"]
    nothing = one(tmp_path, [(-2, 1.0), (-1, 0.3)])
    assert math.isnan(nothing["AUCLST"]["value"])
    assert {"predose_left_out", "nothing_measured"} <= set(nothing["AUCLST"]["flags"])


@pytest.mark.parametrize(
    ("options", "flag"),
    [({"dose": "0 mg"}, "dose_zero"), ({}, "dose_unknown")],
)
@pytest.mark.parametrize("route", ["bolus", "extravascular"])
def test_without_a_dose_there_is_no_clearance(tmp_path, options, flag, route):
    found = one(tmp_path, FALLING, route=route, **options)
    codes = {"CLO", "VZO", "CLFO", "VZFO", "VSSO", "CMAXD"} & found.keys()
    assert len(codes) >= 3
    for code in codes:
        assert math.isnan(found[code]["value"])
        assert flag in found[code]["flags"]
    assert found["AUCIFO"]["value"] > 0
    assert flag not in found["AUCIFO"]["flags"]


def test_all_below_the_limit(tmp_path):
    for rows, options in (
        ([(0, 0), (1, 0), (2, 0)], {}),
        ([(0, "BLQ"), (1, "<LLOQ"), (2, "<0.05")], {"below": "zero"}),
        ([(0, 0.01), (1, 0.02), (2, 0.03)], {"limit": "50 ug/L", "below": "zero"}),
    ):
        found = one(tmp_path, rows, dose="1 mg", **options)
        assert found["AUCLST"]["value"] == 0
        assert math.isnan(found["TMAX"]["value"])
        assert math.isnan(found["CLFO"]["value"])
        assert all("nothing_measured" in entry["flags"] for entry in found.values())


def test_below_the_limit_by_rule(tmp_path):
    rows = [(0, "BLQ"), (1, 1), (2, 3), (3, 2), (4, "<0.2"), (6, 0.5), (8, "bloq")]
    found = one(tmp_path, rows, below="middle-dropped")
    assert found["AUCLST"]["value"] == 8.75
    assert found["AUCALL"]["value"] == 9.25
    assert "below_limit" in found["AUCLST"]["flags"]
    half = one(tmp_path, rows, below="half-after-peak", limit="0.2 mg/L")
    assert_allclose(half["AUCLST"]["value"], 0.5 + 2 + 2.5 + 1.05 + 0.6)
    assert half["TLST"]["value"] == 6
    assert half["LAMZNPT"]["value"] == 0  # two measured after the peak: none of the others counts
    with pytest.raises(InputError, match="line 2 is below the limit without a number"):
        one(tmp_path, rows)
    with pytest.raises(InputError, match="no limit is known"):
        one(tmp_path, rows, below="half-after-peak")


@pytest.mark.parametrize(
    ("rows", "options", "flag", "code"),
    [
        ([(0, 0), (1, 9), (2, 1), (3, 2), (4, 3)], {}, "rising_tail", "AUCIFO"),
        ([(0, 0), (1, 9), (2, 1), (4, 3)], {}, "rising_tail", "LAMZ"),
        ([(1, 4), (2, 2)], {}, "terminal_points_few", "LAMZ"),
        ([(1, 4), (2, 2)], {"route": "bolus"}, "terminal_points_few", "LAMZ"),
        ([(1, 4)], {}, "terminal_points_few", "AUCIFO"),
        ([(0, 1), (1, 9), (2, 1), (3, 4), (4, 1), (5, 2)], {}, "terminal_fit_poor", "LAMZ"),
        ([(0, 1), (1, 9), (2, 8), (3, 7), (4, 6)], {}, "terminal_span_short", "LAMZHL"),
        ([(0, 1), (1, 9), (2, 8), (3, 7), (4, 6)], {}, "extrapolated_over_fifth", "CLFO"),
        ([(2, 9), (3, 4), (4, 2), (6, 0.5)], {"route": "bolus"},
         "back_extrapolated_over_fifth", "AUCIFO"),
        (FALLING, {}, "peak_at_first_sample", "CMAX"),
        ([(1, 1), (2, 2), (3, 4)], {}, "peak_at_last_sample", "TMAX"),
        ([(1, 1), (2, 9), (3, 4), (4, 2)], {"route": "bolus"}, "initial_not_falling", "C0"),
        ([(0, 0), (1, 9), (2, 4), (3, 2)], {"route": "bolus"}, "bolus_from_zero", "C0"),
        ([(0, -0.1), (1, 9), (2, 4), (3, 2)], {}, "negative_concentration", "AUCLST"),
        ([(1, ""), (1.5, 9), (2, 4), (3, 2)], {}, "concentration_missing", "CMAX"),
    ],
)  # fmt: skip
def test_cautions_stand_where_they_belong(tmp_path, rows, options, flag, code):
    found = one(tmp_path, rows, dose="1 mg", **options)
    assert flag in found[code]["flags"]
    assert flags(found) <= FLAGS.keys()
    has_slope = not flags(found) & {"rising_tail", "terminal_points_few"}
    assert np.isfinite(found["AUCIFO"]["value"]) == has_slope
    assert np.isfinite(found["AUCLST"]["value"])
    assert (flag in found["TLST"]["flags"]) == (
        flag in ("negative_concentration", "concentration_missing")
    )


def test_a_sound_profile_has_no_caution(tmp_path):
    found = one(tmp_path, [(0, 0), (0.25, 5), *FALLING], dose="1 mg")
    assert not flags(found)


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        ("subject,time", [("a", 1)], "concentration is missing"),
        ("subject,time,concentration,weight", [("a", 1, 2, 3)], "'weight' is unknown"),
        ("subject,time,concentration,conc", [("a", 1, 2, 3)], "both concentration"),
        ("subject,time,concentration", [("", 1, 2)], "line 2 has no subject"),
        ("subject,time,concentration", [("a", "", 2)], "line 2 has no time"),
        ("subject,time,concentration", [("a", 1, "2;3")], "'2;3'"),
        ("subject,time,concentration", [("a", 1, "ND")], "'ND'"),
        ("subject,time,concentration", [("a", "one", 2)], "'one'"),
        ("subject,time,concentration", [], "no sample"),
    ],
)
def test_tables_that_are_wrong_are_refused(tmp_path, header, rows, words):
    with pytest.raises(InputError, match=re.escape(words)):
        nca(table(tmp_path, rows, header), **PLAIN)


@pytest.mark.parametrize(
    "options",
    [
        {"route": "oral"}, {"auc": "log"}, {"below": "ignore"}, {"dose": "-1 mg"},
        {"route": "infusion"}, {"infusion_time": "1 h"}, {"interval": ("4 h", "2 h")},
        {"route": "infusion", "infusion_time": "0 h"}, {"limit": "0 mg/L"},
    ],
)  # fmt: skip
def test_calls_that_are_wrong_are_refused(tmp_path, options):
    with pytest.raises(InputError, match="expected"):
        one(tmp_path, FALLING, **options)


def test_the_limit_may_come_from_each_value_own_noise(tmp_path):
    header = "subject,time,concentration,sd"
    rows = [("a", t, c, 0.1) for t, c in FALLING]
    plain = nca(table(tmp_path, rows, header), **PLAIN)[0]["parameters"]
    found = nca(table(tmp_path, rows, header), **PLAIN, limit_sd=3)[0]["parameters"]
    assert (plain["TLST"]["value"], found["TLST"]["value"]) == (12, 8)
    assert "below_limit" in found["CMAX"]["flags"]
    both = nca(table(tmp_path, rows, header), **PLAIN, limit_sd=3, limit="1 mg/L")
    assert both[0]["parameters"]["TLST"]["value"] == 4
    for broken, words in (([("a", 1, 2, "")], "has no sd"), ([("a", 1, 2, -1)], "negative")):
        with pytest.raises(InputError, match=words):
            nca(table(tmp_path, broken, header), **PLAIN, limit_sd=3)


def test_one_long_profile_among_many_short_ones_costs_no_memory(tmp_path):
    import tracemalloc

    rows = [("long", t, 5.0) for t in range(20_000)] + [(f"s{k}", 1, 2.0) for k in range(3000)]
    path = table(tmp_path, rows)
    tracemalloc.start()
    found = nca(path, **PLAIN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 3001
    assert found[0]["parameters"]["TLST"]["value"] == 19_999
    assert found[5]["subject"] == "s4"
    assert peak < 200e6  # the project's bound; a full grid would take 480 MB an array


def test_a_partial_area_has_its_code(tmp_path):
    found = one(tmp_path, FALLING, interval=("0.5 h", "120 min"), route="bolus")
    assert_allclose(found["AUCINT"]["value"], 3.5 + 5.0)
    assert found["AUCINT"]["unit"] == "h.mg/L"
    assert not found["AUCINT"]["flags"]
    beyond = one(tmp_path, [(1, 4), (2, 2)], interval=("0 h", "4 h"))["AUCINT"]
    assert math.isnan(beyond["value"])
    assert {"interval_beyond_last", "terminal_points_few"} <= set(beyond["flags"])


def test_groups_and_organs_are_profiles_of_their_own(tmp_path):
    rows = [("a", g, o, t, c * k) for k, (g, o) in enumerate(
        [("x", "liver"), ("x", "blood"), ("y", "liver")], 1) for t, c in FALLING]  # fmt: skip
    found = nca(table(tmp_path, rows, "subject,group,organ,time,concentration"), **PLAIN)
    assert [(e["group"], e["organ"]) for e in found] == [
        ("x", "liver"), ("x", "blood"), ("y", "liver"),
    ]  # fmt: skip
    areas = [entry["parameters"]["AUCLST"]["value"] for entry in found]
    assert_allclose(areas, areas[0] * np.array([1, 2, 3]))


def test_subjects_keep_their_names(tmp_path):
    found = nca(table(tmp_path, [("007", 1, 2), ("007", 2, 1), ("7", 1, 2)]), **PLAIN)
    assert [entry["subject"] for entry in found] == ["007", "7"]


def test_the_python_door_is_the_same():
    assert igdd.nca is nca


def test_the_door_prints_text_and_null_for_nan(tmp_path):
    path = table(tmp_path, [("a", 1, 2), ("a", 2, 1)])
    words = [str(path), "--time-unit", "h", "--concentration-unit", "mg/L"]
    assert "AUCLST" in command(*words).stdout
    (found,) = json.loads(command(*words, "--json").stdout)
    assert found["parameters"]["LAMZ"] == {
        "value": None, "unit": "1/h", "flags": ["terminal_points_few"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "words", [["--sparse", "--auc", "linear-log"], ["--plasma", "x"], ["--between", "a", "b"]]
)
def test_options_of_the_other_kind_are_refused(tmp_path, words):
    path = table(tmp_path, [("a", 1, 2), ("a", 2, 1)])
    done = command(str(path), "--time-unit", "h", "--concentration-unit", "mg/L", *words)
    assert isinstance(done.exception, InputError)


def test_every_flag_and_error_of_the_docs_exists():
    cells = re.findall(r"\| flags? (.*) \|$", DOCS.read_text(), re.MULTILINE)
    words = set(re.findall(r"`([a-z_]+)`", " ".join(cells)))
    assert len(words) >= 20
    assert words <= FLAGS.keys()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"subject,time,concentration\n\"a", b"subject,time,concentration\na,1\n",
     b"subject,time,concentration\na,1e400,2\n", b"subject,time,concentration\na,1e29,1e29\n" * 2,
     b"\x00" * 100, b"subject,time,concentration\n" + b"a,1,2\n" * 400_000],
)  # fmt: skip
def test_hostile_tables_raise_only_our_errors(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    for door in (nca, nca_sparse):
        with pytest.raises(IgddError):
            door(path, **PLAIN)


def test_text_shows_who_and_how_much(tmp_path):
    found = nca(table(tmp_path, [("a", t, c) for t, c in FALLING]), **PLAIN)
    assert re.search(r"a\tAUCLST +\d+\.\d+ h\.mg/L", text(found))
