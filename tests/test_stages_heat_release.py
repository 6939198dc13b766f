"""A temperature history in, released share and thermal dose out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import igdd.cli
import igdd.cli_release  # noqa: F401
from igdd.cli_app import app
from igdd.errors import IgddError, InputError, UnitsError
from igdd.stages.heat_release import heat_release, read_rate

SIGMOID = "k37=0.001/min, kmax=3/min, T50=41 Cel, w=0.4 Cel"


def write(folder, text, name="history.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_hour_at_a_steady_temperature(tmp_path):
    history = write(tmp_path, "time [min],temperature [C]\n0,42\n60,42\n")
    rates = write(tmp_path, "temperature [°C],rate [%/min]\n37,0.1\n42,2\n45,90\n", "rates.csv")
    (found,) = heat_release(history, rates)
    assert found["cem43"]["value"] == pytest.approx(15)
    assert found["released"]["value"] == pytest.approx(100 * (1 - np.exp(-0.02 * 60)))
    assert found["course"][0] == {"time_s": 0, "temperature": 42, "released": 0, "cem43": 0}


def test_regions_have_histories_of_their_own_in_any_order_of_rows(tmp_path):
    rows = "time [s],temperature [Cel],region\n600,43,rim\n0,37,core\n0,43,rim\n600,37,core\n"
    rim, core = heat_release(write(tmp_path, rows), SIGMOID)
    assert (rim["region"], core["region"]) == ("rim", "core")
    assert rim["cem43"]["value"] == pytest.approx(10)
    assert rim["released"]["value"] > 99 > 2 > core["released"]["value"]


def test_a_sigmoid_is_read_with_its_units():
    rate = read_rate("k37=0.06/min, kmax=1/s, T50=41 Cel, w=500e-3 Cel")
    assert rate.at(np.array(41.0)) == pytest.approx((1 + 0.001) / 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,temperature [C]\n0,37\n1,38\n", "nothing says in which unit time is"),
        ("time [s],temperature\n0,37\n1,38\n", "nothing says in which unit temperature is"),
        ("time [s],temperature [K]\n0,310\n1,311\n", "'K' is not understood"),
        ("time [s],temperature [mL]\n0,37\n1,38\n", "does not convert to Cel"),
        ("time [s],temperature [C]\n0,310\n1,311\n", "310 degrees Celsius"),
        ("time [s],temperature [C]\n0,37\n0,38\n", "time 0 s stands there twice"),
        ("time [s],temperature [C]\n0,37\n", "one sample"),
        ("time [s],temperature [C]\n0,37\n1,\n", "line 3 has no temperature"),
        ("time [s],temperature [C],power\n0,37,1\n1,38,2\n", "'power' is unknown"),
        ("time [s]\n0\n", "column temperature is missing"),
        ("time [s],time [h],temperature [C]\n0,0,37\n", "are both time"),
        ("time [s],temperature [C]\n", "holds no sample"),
    ],
)
def test_a_history_out_of_order_is_refused(tmp_path, text, message):
    with pytest.raises((InputError, UnitsError), match=message):
        heat_release(write(tmp_path, text), SIGMOID)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("k37=0.001/min", "kmax is missing"),
        ("k37=1/min, k37=2/min", "each of k37, kmax, T50, w once"),
        ("k38=1/min", "each of k37"),
        ("k37=0.001, kmax=3/min, T50=41 Cel, w=0.4 Cel", "has no unit"),
        ("k37=5/min, kmax=3/min, T50=41 Cel, w=0.4 Cel", "0 <= k37 <= kmax"),
        ("absent.csv", "absent.csv"),
    ],
)
def test_a_rate_that_is_not_one_is_refused(tmp_path, rate, message):
    history = write(tmp_path, "time [min],temperature [C]\n0,42\n60,42\n")
    with pytest.raises(IgddError, match=message):
        heat_release(history, rate)


def test_a_history_hotter_than_the_table_is_refused_with_its_file(tmp_path):
    history = write(tmp_path, "time [min],temperature [C]\n0,42\n60,46\n")
    rates = write(tmp_path, "temperature [C],rate [1/min]\n37,0.1\n45,2\n", "rates.csv")
    with pytest.raises(InputError, match=r"history\.csv: temperature 46 C is outside"):
        heat_release(history, rates)


def test_the_command_gives_text_and_json_and_refuses_half_a_call(tmp_path):
    history = write(tmp_path, "time [min],temperature [C]\n0,43\n60,43\n")
    words = ["release", "--temperature", str(history), "--rate", SIGMOID]
    assert "CEM43 60 min" in CliRunner().invoke(app, words).output
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert found[0]["cem43"] == {"value": 60.0, "unit": "min"}
    half = CliRunner().invoke(app, words[:3])
    assert isinstance(half.exception, InputError)
