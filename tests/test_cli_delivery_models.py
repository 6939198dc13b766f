"""The commands `pbpk`, `five-state` and `interstitium`, and the pages they write."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import igdd.cli_delivery_models
from igdd.cli_app import app

TUMOUR = """
radius = "2 mm"
interstitial_osmotic_pressure = "15 mmHg"
times = "1 h, 24 h"
threshold = 0.05
[drug]
diffusion = "1e-7 cm2/s"
permeability = "1e-7 cm/s"
reflection = 0.5
surface = "washed"
[plasma]
half_life = "20 h"
"""
AMOUNTS = """time [h],blood [%],lung [%],liver [%],urine [%]
1,80,5,10,3
4,60,8,20,8
24,20,9,35,30
96,3,5,30,55
168,1,3,20,70
"""


def command(*words):
    assert igdd.cli_delivery_models  # importing it adds its commands
    return CliRunner().invoke(app, [str(word) for word in words])


def test_pbpk_prints_json_and_a_page(tmp_path):
    seen = tmp_path / "seen.csv"
    seen.write_text("study,time [h],percent_id [%]\nmine,4,0.6\nmine,24,1.0\n")
    page = tmp_path / "pbpk.html"
    done = command("pbpk", "--times", "4 h, 24 h", "--observed", seen, "--elasticity", "--json",
                   "--plot", page)  # fmt: skip
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["variant"]["name"] == "flow_consistent"
    assert facts["agreement"]["points"] == 2
    assert facts["mass_error"] < 1e-6
    html = page.read_text("utf-8")
    assert "Which step limits delivery" in html
    assert "flow_consistent" in html


def test_pbpk_fit_through_the_door(tmp_path):
    seen = tmp_path / "seen.csv"
    seen.write_text("study,time [h],percent_id [%]\nmine,24,1.0\n")
    page = tmp_path / "fit.html"
    done = command("pbpk", "--times", "24 h", "--observed", seen, "--fit", "--variant",
                   "as_published", "--plot", page)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "poorly_identified" in done.stdout
    assert "as_published" in done.stdout
    assert "poorly_identified" in page.read_text("utf-8")


def test_five_state_prints_and_writes_a_page(tmp_path):
    table, page = tmp_path / "amounts.csv", tmp_path / "five.html"
    table.write_text(AMOUNTS)
    done = command("five-state", table, "--dose", "100 %", "--administration", "blood",
                   "--target", "lung", "--off-target", "liver", "--excreted", "urine",
                   "--hold", "kin=0.4 1/h", "--hold", "kout=0.06 1/h", "--plot", page)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "inside the target cells" in done.stdout
    assert "95 % by profile" in page.read_text("utf-8")


def test_interstitium_prints_json_and_a_page(tmp_path):
    place, page = tmp_path / "tumour.toml", tmp_path / "tumour.html"
    place.write_text(TUMOUR)
    done = command("interstitium", place, "--json", "--plot", page)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["surface"] == "washed"
    assert 0 < facts["penetration"][1]["coverage"] <= 1
    assert "How deep, and how evenly" in page.read_text("utf-8")


@pytest.mark.parametrize("words", [["pbpk", "--help"], ["five-state", "--help"],
                                   ["interstitium", "--help"]])  # fmt: skip
def test_help(words):
    assert command(*words).exit_code == 0
