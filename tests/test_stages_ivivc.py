"""Release in vitro against absorption in vivo, from tables."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import igdd.cli
import igdd.cli_release  # noqa: F401
from igdd.cli_app import app
from igdd.errors import IgddError, InputError
from igdd.flags import FLAGS
from igdd.stages.ivivc import ivivc

VITRO = np.array([0.0, 0.5, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24])
VIVO = np.concatenate([np.arange(0, 12, 0.25), np.arange(12, 73, 1.0)])
RATES = {"slow": 0.15, "medium": 0.3, "fast": 0.6}
# In vivo everything runs 1.5 times slower than in vitro.
SLOWER = 1.5
# Amplitudes and rates of the response to a bolus, per h.
ONE = ((0.2, 0.13),)
TWO = ((0.15, 0.9), (0.05, 0.06))


def concentration(time, ka, response):
    return sum(A * ka / (ka - k) * (np.exp(-k * time) - np.exp(-ka * time)) for A, k in response)


def tables(folder, response=ONE, doses=None, change=lambda name, values: values):
    vitro = ["formulation,time [h],released [%]"]
    vivo = ["subject,group,time [min],concentration [mg/L]"]
    for name, ka in RATES.items():
        vitro += [f"{name},{t},{100 * (1 - np.exp(-ka * t)):.12g}" for t in VITRO]
        values = change(name, concentration(VIVO, ka / SLOWER, response))
        dose = 1.0 if doses is None else doses[name]
        vivo += [
            f"{subject},{name},{60 * t},{max(dose * share * c, 0):.12g}"
            for subject, share in (("a", 0.8), ("b", 1.2))
            for t, c in zip(VIVO, values, strict=True)
        ]
    paths = folder / "vitro.csv", folder / "vivo.csv"
    for path, lines in zip(paths, (vitro, vivo), strict=True):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def test_levy_s_line_says_how_much_slower_it_is_in_vivo(tmp_path):
    found = ivivc(*tables(tmp_path), "k=0.13/h")
    assert found["method"] == "wagner-nelson"
    # the tables are in h and in min: the line is in the plasma table's min
    assert found["time_unit"] == "min"
    # straight lines between samples in vitro 1 to 4 h apart: up to 2 % of a time
    assert found["levy"]["slope"] == pytest.approx(SLOWER, rel=0.02)
    assert abs(found["levy"]["intercept"]) < 0.02 * 24 * 60
    assert found["levy"]["r2"] > 0.999


def test_concentrations_are_predicted_from_release(tmp_path):
    found = ivivc(*tables(tmp_path), "k=0.13/h")
    assert found["predictive"]
    assert found["mean_absolute_error"]["Cmax"] < 3
    assert found["mean_absolute_error"]["AUC"] < 3
    row = found["formulations"][0]
    observed, predicted = (
        np.array([point[name] for point in row["absorbed"]])
        for name in ("concentration", "predicted")
    )
    np.testing.assert_allclose(predicted, observed, atol=0.05 * observed.max())


def test_two_compartments_by_loo_riegelman_and_by_deconvolution_agree(tmp_path):
    paths = tables(tmp_path, TWO)
    total = 0.2
    k21 = (0.15 * 0.06 + 0.05 * 0.9) / total
    k10 = 0.9 * 0.06 / k21
    k12 = 0.96 - k21 - k10
    loo = ivivc(*paths, f"k10={k10:.9g}/h, k12={k12:.9g}/h, k21={k21:.9g}/h")
    apart = ivivc(*paths, "A1=0.15, k1=0.9/h, A2=0.05, k2=0.06/h")
    assert (loo["method"], apart["method"]) == ("loo-riegelman", "deconvolution")
    for found in (loo, apart):
        assert found["levy"]["slope"] == pytest.approx(SLOWER, rel=0.03)
        assert found["predictive"]
    assert loo["level_a"]["slope"] == pytest.approx(apart["level_a"]["slope"], rel=0.02)


def test_doses_differ_between_formulations(tmp_path):
    doses = {"slow": 40.0, "medium": 20.0, "fast": 10.0}
    paths = tables(tmp_path, doses=doses)
    assert ivivc(*paths, "k=0.13/h", dose=doses)["predictive"]
    assert not ivivc(*paths, "k=0.13/h")["predictive"]


def test_a_formulation_that_is_absorbed_by_half_is_not_predicted(tmp_path):
    paths = tables(tmp_path, change=lambda name, c: c * (0.5 if name == "slow" else 1.0))
    found = ivivc(*paths, "k=0.13/h")
    assert not found["predictive"]
    slow = next(row for row in found["formulations"] if row["formulation"] == "slow")
    assert slow["errors"]["AUC"] < -15


def test_absorption_that_goes_on_is_flagged(tmp_path):
    paths = tables(tmp_path)
    rows = paths[1].read_text().splitlines()
    short = [row for row in rows[1:] if float(row.split(",")[2]) <= 240]
    paths[1].write_text(
        "\n".join([rows[0], *[row for row in short if int(float(row.split(",")[2])) % 60 == 0]])
    )
    found = ivivc(*paths, "k=0.13/h")
    assert found["formulations"][0]["flags"] == ["absorption_unfinished"]
    assert "absorption_unfinished" in FLAGS


@pytest.mark.parametrize(
    ("disposition", "message"),
    [
        ("k", "words such as k=0.12/h"),
        ("k=0.1/h, k=0.2/h", "each once"),
        ("k=0.1", "has no unit"),
        ("k=0.1 mg", "does not convert"),
        ("k10=0.1/h, k12=0.2/h", "expected k, or k10"),
        ("A1=0.1, k2=0.1/h", "expected k, or k10"),
        ("k=-0.1/h", "k10 -"),
    ],
)
def test_a_disposition_that_is_none_is_refused(tmp_path, disposition, message):
    with pytest.raises(IgddError, match=message):
        ivivc(*tables(tmp_path), disposition)


def test_tables_without_a_common_formulation_are_refused(tmp_path):
    vitro, vivo = tables(tmp_path)
    vitro.write_text("formulation,time [h],released [%]\nother,1,10\nother,2,30\n")
    with pytest.raises(InputError, match="none of its groups is a formulation of vitro"):
        ivivc(vitro, vivo, "k=0.1/h")


def test_too_few_times_and_a_missing_dose_are_refused(tmp_path):
    vitro, vivo = tables(tmp_path)
    with pytest.raises(InputError, match="'medium' has no dose above 0"):
        ivivc(vitro, vivo, "k=0.1/h", dose={"slow": 1.0})
    vivo.write_text("subject,group,time [h],concentration [mg/L]\na,slow,1,2\na,slow,2,3\n")
    with pytest.raises(InputError, match="'slow' has 2 times"):
        ivivc(vitro, vivo, "k=0.1/h")


def test_the_command_prints_and_gives_json(tmp_path):
    vitro, vivo = tables(tmp_path)
    words = ["ivivc", str(vitro), str(vivo), "--disposition", "k=0.13/h", "--dose", "slow=1",
             "--dose", "medium=1", "--dose", "fast=1"]  # fmt: skip
    assert "within 10 % on average" in CliRunner().invoke(app, words).output
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert {row["formulation"] for row in found["formulations"]} == set(RATES)
