"""The dose of half occupancy from a table: exact without noise, units as stated, refusals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import igdd
import igdd.cli  # registers every command
from igdd.cli_app import app
from igdd.errors import IgddError, InputError, UnitsError
from igdd.flags import FLAGS
from igdd.report.dose_occupancy import content
from igdd.stages.dose_occupancy import dose_occupancy, text

DOSES = np.array([1.0, 2.0, 5.0, 10.0, 25.0, 60.0])


def percent(Emax, ED50, doses=DOSES):
    return 100 * Emax * doses / (ED50 + doses)


def table(folder, header, *columns):
    path = folder / "occupancy.tsv"
    lines = ["\t".join(header), *("\t".join(map(str, row)) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def of(found, name, fit=0):
    return found["fits"][fit]["parameters"][name]


def test_a_table_gives_the_emax_model_back(tmp_path):
    path = table(tmp_path, ("subject", "dose [mg]", "occupancy [%]"), range(6), DOSES,
                 percent(0.9, 7.0))  # fmt: skip
    found = dose_occupancy(path)
    assert of(found, "Emax")["value"] == pytest.approx(90.0, rel=1e-6)
    assert of(found, "ED50")["value"] == pytest.approx(7.0, rel=1e-6)
    assert of(found, "ED50")["unit"] == "mg"
    assert of(found, "Hill")["held"]
    assert found["fits"][0]["flags"] == []
    observed = found["fits"][0]["observed"]
    assert observed[2]["subject"] == "2"
    assert observed[2]["predicted"] == pytest.approx(observed[2]["occupancy"], rel=1e-6)
    json.dumps(found, allow_nan=False)


def test_columns_in_memory_are_the_same_as_a_table(tmp_path):
    rng = np.random.default_rng(1)
    values = percent(0.9, 7.0) + rng.normal(scale=3.0, size=DOSES.size)
    path = table(tmp_path, ("dose [mg]", "occupancy [%]"), DOSES, values)
    one = igdd.dose_occupancy(path)
    other = igdd.dose_occupancy({"dose [mg]": DOSES, "occupancy [%]": values})
    assert one["fits"] == other["fits"]


def test_a_concentration_has_an_ec50_and_a_fraction_is_read():
    found = dose_occupancy(
        {"concentration": DOSES, "occupancy": percent(1.0, 4.0) / 100},
        unit="ng/mL", occupancy_unit="fraction", Emax=100,
    )  # fmt: skip
    assert of(found, "EC50")["value"] == pytest.approx(4.0, rel=1e-6)
    assert of(found, "EC50")["unit"] == "ng/mL"
    assert of(found, "Emax") == {
        "value": 100.0, "sd": 0.0, "low": 100.0, "high": 100.0, "unit": "%", "held": True,
    }  # fmt: skip
    assert "EC50" in text(found)
    assert "100 %, held" in text(found)


def test_an_exponent_is_found_where_it_is_free():
    values = 100 * DOSES**2 / (49 + DOSES**2)
    found = dose_occupancy({"dose [mg]": DOSES, "occupancy [%]": values}, Hill=None)
    assert of(found, "Hill")["value"] == pytest.approx(2.0, rel=1e-6)
    assert of(found, "ED50")["value"] == pytest.approx(7.0, rel=1e-6)


def test_the_point_that_is_best_known_counts_most():
    values = percent(1.0, 5.0)
    values[0] += 15.0
    sure = dose_occupancy(
        {"dose [mg]": DOSES, "occupancy [%]": values, "sd": [40.0, 1, 1, 1, 1, 1]}
    )
    plain = dose_occupancy({"dose [mg]": DOSES, "occupancy [%]": values})
    assert abs(of(sure, "ED50")["value"] - 5) < 0.1 * abs(of(plain, "ED50")["value"] - 5)


def test_intervals_of_few_subjects_cover_the_truth():
    rng = np.random.default_rng(3)
    doses, draws = np.repeat([1.0, 4.0, 16.0, 64.0], 2), 300
    inside = np.zeros(2)
    for _ in range(draws):
        values = percent(0.95, 6.0, doses) + rng.normal(scale=6.0, size=doses.size)
        found = dose_occupancy({"dose [mg]": doses, "occupancy [%]": values})
        inside += [
            of(found, "ED50")["low"] < 6.0 < of(found, "ED50")["high"],
            of(found, "Emax")["low"] < 95.0 < of(found, "Emax")["high"],
        ]
    # 300 draws leave a coverage uncertain by 1.3 %; 3 of these.
    np.testing.assert_allclose(inside / draws, 0.95, atol=0.038)


def test_each_region_has_a_relation_of_its_own_and_a_poor_one_spoils_no_other():
    columns = {
        "region": ["a"] * 6 + ["b"] * 6 + ["c"] * 2,
        "dose [mg]": np.concatenate([DOSES, DOSES, DOSES[:2]]),
        "occupancy [%]": np.concatenate([percent(1, 3.0), percent(1, 9.0), [10.0, 20.0]]),
    }
    found = dose_occupancy(columns)
    assert [one["region"] for one in found["fits"]] == ["a", "b", "c"]
    assert of(found, "ED50", 0)["value"] == pytest.approx(3.0, rel=1e-6)
    assert of(found, "ED50", 1)["value"] == pytest.approx(9.0, rel=1e-6)
    assert of(found, "ED50", 2)["value"] is None
    assert found["fits"][2]["flags"] == ["not_fitted"]
    json.dumps(found, allow_nan=False)
    shown = content(found)
    assert shown.sections[0].blocks[1].rows[2][1] == "–"
    assert "c: " in text(found)


def test_what_is_doubtful_is_flagged():
    linear = dose_occupancy({"dose [mg]": DOSES, "occupancy [%]": DOSES / 2})
    assert "at_bound" in linear["fits"][0]["flags"]
    small = dose_occupancy({"dose [mg]": DOSES, "occupancy [%]": percent(1, 5) / 100})
    assert "fractions_suspected" in small["fits"][0]["flags"]
    assert {flag for one in (linear, small) for flag in one["fits"][0]["flags"]} <= set(FLAGS)


GOOD = ("dose [mg]", "occupancy [%]")


@pytest.mark.parametrize(
    ("header", "cells", "error", "said"),
    [
        (("dose", "occupancy [%]"), (1, 20), UnitsError, "in which unit dose is"),
        (("dose [mg]", "occupancy"), (1, 20), UnitsError, "in which unit occupancy is"),
        (("dose [mg]", "occupancy [mg]"), (1, 20), UnitsError, "expected '%' or '1'"),
        (("occupancy [%]", "subject"), (1, 20), InputError, "expected one column dose"),
        (("dose [mg]", "concentration [ng/mL]", "occupancy [%]"), (1, 2, 3), InputError,
         "expected one column dose"),
        (("dose [mg]", "subject"), (1, 20), InputError, "column occupancy is missing"),
        ((*GOOD, "weight"), (1, 20, 3), InputError, "'weight' is unknown"),
        (GOOD, (-1, 20), InputError, "line 2: dose -1 is below 0"),
        (GOOD, ("n/a", 20), InputError, "line 2 has no dose"),
        (GOOD, (1, "n/a"), InputError, "line 2 has no occupancy"),
        (GOOD, (1, -782), InputError, "an occupancy of -782 %"),
        (("dose [mg]", "occupancy [1]"), (1, 20), InputError, "is the unit another one"),
        (GOOD, ("x", 20), InputError, "holds 'x'"),
        ((*GOOD, "sd"), (1, 20, 0), InputError, "sd is not above 0"),
        ((*GOOD, "sd"), (1, 20, "n/a"), InputError, "sd is not above 0"),
    ],
)  # fmt: skip
def test_a_table_that_says_too_little_is_refused(tmp_path, header, cells, error, said):
    second = [2 if isinstance(cell, int | float) else cell for cell in cells]
    path = table(tmp_path, header, *([one, two] for one, two in zip(cells, second, strict=True)))
    with pytest.raises(error, match=said):
        dose_occupancy(path)


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"dose [mg]": [1.0, 2], "occupancy [%]": [20.0, 30]}, {}, "more doses than parameters"),
        ({"dose [mg]": [0.0, 0], "occupancy [%]": [1.0, 2]}, {}, "expected doses above 0"),
        ({"dose [mg]": [1.0], "occupancy [%]": [1.0, 2]}, {}, "different lengths"),
        ({"dose [mg]": ["x", "y"], "occupancy [%]": [1.0, 2]}, {}, "expected numbers"),
        ({"dose [mg]": [], "occupancy [%]": []}, {}, "holds no occupancy"),
        ({"dose [mg]": DOSES, "occupancy [%]": 0 * DOSES}, {}, "all are 0"),
        ({"dose [mg]": DOSES, "occupancy [%]": DOSES}, {"Emax": 0.0}, "Emax is held at 0"),
        ({"dose [mg]": DOSES, "occupancy [%]": DOSES}, {"Hill": -1.0}, "Hill is held at -1"),
    ],
)
def test_columns_that_say_too_little_are_refused(columns, options, said):
    with pytest.raises(InputError, match=said):
        dose_occupancy(columns, **options)


def test_what_is_no_table_is_refused():
    frame = pd.DataFrame({"dose [mg]": DOSES, "occupancy [%]": DOSES})
    with pytest.raises(InputError, match="are a DataFrame; expected the path of a table"):
        dose_occupancy(frame)


def test_the_command_prints_json_and_a_page(tmp_path):
    path = table(tmp_path, ("subject", *GOOD), range(6), DOSES, percent(0.9, 7.0))
    page = tmp_path / "page.html"
    runner = CliRunner()
    done = runner.invoke(app, ["occupancy", str(path), "--json", "--plot", str(page)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fits"][0]["parameters"]["ED50"]["unit"] == "mg"
    assert "Occupancy over dose" in page.read_text(encoding="utf-8")
    held = runner.invoke(app, ["occupancy", str(path), "--emax", "100", "--hill", "free"])
    assert "100 %, held" in held.stdout
    wrong = runner.invoke(app, ["occupancy", str(path), "--hill", "two"])
    assert isinstance(wrong.exception, IgddError)
    assert "expected a number, or free" in str(wrong.exception)
