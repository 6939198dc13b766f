"""A described tumour and its temperature in, drug by place and time out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import igdd.cli
import igdd.cli_release  # noqa: F401
from igdd.cli_app import app
from igdd.errors import IgddError, InputError
from igdd.stages.thermosensitive import thermosensitive

DOCUMENT = Path(__file__).parents[1] / "docs" / "release.md"
DESCRIPTION = re.findall(r"^```ini\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.M | re.S)[0]
HISTORY = (
    "time [min],temperature [C],region\n"
    + "".join(
        f"{t},{T},hot\n" for t, T in ((0, 37), (5, 37), (7, 42), (37, 42), (40, 37), (120, 37))
    )
    + "".join(f"{t},37,cool\n" for t in (0, 60, 120))
)


def write(folder, description=DESCRIPTION, history=HISTORY):
    paths = folder / "tumour.toml", folder / "history.csv"
    for path, text in zip(paths, (description, history), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_the_description_of_the_documentation_runs_and_heat_brings_drug(tmp_path):
    hot, cool = thermosensitive(*write(tmp_path))
    assert (hot["region"], cool["region"]) == ("hot", "cool")
    assert hot["mass_error"] < 1e-6
    assert hot["cells_last"]["value"] > 2 * cool["cells_last"]["value"]
    assert hot["interstitium_highest"]["value"] >= hot["course"][-1]["interstitium"]


def test_units_may_be_any_that_convert(tmp_path):
    one = thermosensitive(*write(tmp_path))
    changed = (
        DESCRIPTION.replace('"50 mg"', '"0.05 g"')
        .replace('"3 L"', '"3000 cm3"')
        .replace('"4 mL/min"', '"0.24 L/h"')
        .replace('"0.22 ug/mL"', '"220 ng/mL"')
    )
    other = thermosensitive(*write(tmp_path, changed))
    assert other[0]["tumour_last"]["value"] == pytest.approx(
        one[0]["tumour_last"]["value"], rel=1e-6
    )


def test_the_rate_may_be_a_table_beside_the_description(tmp_path):
    (tmp_path / "rates.csv").write_text("temperature [C],rate [1/min]\n36,0.001\n40,0.1\n43,3\n")
    changed = re.sub(r"rate = .*", 'rate = "rates.csv"', DESCRIPTION)
    assert thermosensitive(*write(tmp_path, changed))[0]["mass_error"] < 1e-6


def test_without_uptake_the_cells_stay_empty(tmp_path):
    plain = "\n".join(
        line for line in DESCRIPTION.splitlines() if line.split(" ")[0] not in ("Vmax", "Ke", "Ki")
    )
    hot, _ = thermosensitive(*write(tmp_path, plain))
    assert hot["cells_last"]["value"] == 0
    assert np.isfinite(hot["interstitium_auc"]["value"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('dose = "50 mg"', "", "dose is missing"),
        ('dose = "50 mg"', "dose = 50", "text with a unit such as mg"),
        ('dose = "50 mg"', 'dose = "50 mL"', "dose: .* does not convert"),
        ('dose = "50 mg"', 'dose = "0 mg"', "dose 0 over 1800"),
        ("vessels = 0.05", 'vessels = "5"', "a plain number"),
        ("cells = 0.6", "cells = 0.7", "sum to 1.05"),
        ('Ke = "0.22 ug/mL"', "", "expected Vmax, Ke and Ki together"),
        ("cells = 0.6", "cells = 0.6\nflux = 3", "'flux' is unknown"),
        ("cells = 0.6", "cells = = 0.6", "is not valid TOML"),
        ('rate = "k37', 'rate = "k38', "each of k37"),
    ],
)
def test_a_description_out_of_order_is_refused(tmp_path, old, new, message):
    with pytest.raises(IgddError, match=message):
        thermosensitive(*write(tmp_path, DESCRIPTION.replace(old, new)))


def test_the_command_follows_the_tumour_and_refuses_two_rates(tmp_path):
    description, history = write(tmp_path)
    words = ["release", "--temperature", str(history), "--tumour", str(description)]
    assert "in its cells" in CliRunner().invoke(app, words).output
    assert len(json.loads(CliRunner().invoke(app, [*words, "--json"]).output)) == 2
    twice = CliRunner().invoke(app, [*words, "--rate", "rates.csv"])
    assert isinstance(twice.exception, InputError)
    assert isinstance(CliRunner().invoke(app, ["release"]).exception, InputError)
