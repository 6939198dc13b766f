"""The commands delivery, uptake-model and scale: thin doors to their stages."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import igdd.cli_delivery
import igdd.cli_scale
from igdd.cli_app import app
from igdd.errors import InputError


def run(*words: str) -> dict:
    result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_delivery_prints_json_and_a_page(tmp_path):
    found = run(
        "delivery", "--value", "1.3 %", "--carrier", "liposome", "--size", "100 nm",
        "--tumour-weight", "0.3 g", "--plot", str(tmp_path / "d.html"),
    )  # fmt: skip
    assert found["sd"] is None
    assert 0 < found["adjusted"]["percentile"] < 100
    assert (tmp_path / "d.html").stat().st_size > 10_000


def test_uptake_model_prints_json():
    found = run(
        "uptake-model", "--radius", "50 nm", "--half-life", "1 h", "--half-life", "10 h",
        "--share", "0.3", "--share", "0.7", "--plasma-volume", "1 mL", "--time", "24 h",
    )  # fmt: skip
    assert found["uptake"]["trapped"]["time_of_maximum_h"] is None  # infinite: it only rises


def test_scale_prints_json_and_text():
    words = ("scale", "--value", "5.5 %ID/g", "--weight", "25 g", "--to-weight", "70 kg")
    assert run(*words)["prediction"]["by_exposure"]["suvbw"]["unit"] == "g/mL"
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert "SUV" in result.stdout


def test_a_human_formulation_is_refused():
    with pytest.raises(InputError, match="mice only"):
        CliRunner().invoke(
            app, ["delivery", "--value", "1 %", "--species", "human"], catch_exceptions=False
        )


def test_both_modules_register_their_commands():
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert {"delivery", "uptake-model", "scale"} <= names
    assert igdd.cli_delivery.app is igdd.cli_scale.app is app
