"""How much frames count by a table: standard deviations, or weights of squared residuals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.io import tac_table
from igdd.kinetics import Fit, InputCurve
from igdd.stages.fit import fit
from igdd.stages.frame_noise import read_spread

TIME = np.linspace(0.0, 3600.0, 61)
PLASMA = InputCurve(
    time=TIME, values=1000 * TIME * np.exp(-TIME / 300), compartment="plasma", substance="parent",
    unit="Bq/mL",
)  # fmt: skip
HEADER = ("frame_start", "frame_end", "cortex[Bq/mL]")


def table(folder: Path, name: str, weigh: np.ndarray, spoiled: int = 0) -> Path:
    """An irreversible tissue in 12 frames of 300 s, the first `spoiled` far off, and `name`."""
    start = np.arange(12) * 300.0
    values = np.interp(start + 150, TIME, np.cumsum(PLASMA.values)) * 0.05
    values[:spoiled] *= 3
    path = folder / "sub-01_tacs.tsv"
    rows = ["\t".join((*HEADER, name))]
    for row in zip(start, start + 300, values, weigh, strict=True):
        rows.append("\t".join(f"{number:.12g}" for number in row))
    path.write_text("\n".join(rows) + "\n")
    return path


def ki(made: Fit) -> float:
    return float(made.values[0, made.parameters.index("Ki")])


@pytest.mark.parametrize("name", ["weights", "Weights", "weight", "sd", "SD"])
def test_a_column_that_weighs_frames_is_no_region_and_tells_that_it_was_not_used(tmp_path, name):
    curves = tac_table.read(table(tmp_path, name, np.ones(12)))
    assert curves.names == ("cortex",)
    assert curves.flags == (("noise_unknown", "weights_not_used"),)
    made = fit("patlak", curves, {"plasma": PLASMA}, start="10 min")
    assert "weights_not_used" in made.flags[0]


@pytest.mark.parametrize("sd", ["equal", "root", np.ones(12)])
def test_whoever_says_how_frames_weigh_gets_no_caution(tmp_path, sd):
    curves = tac_table.read(table(tmp_path, "weights", np.ones(12)))
    made = fit("patlak", curves, {"plasma": PLASMA}, start="10 min", sd=sd)
    assert "weights_not_used" not in made.flags[0]


def test_weights_are_those_of_squared_residuals(tmp_path):
    weights = np.linspace(1, 9, 12)
    given = read_spread(str(table(tmp_path, "weights", weights)))
    assert_allclose(given / given[-1], np.sqrt(9 / weights))
    again = read_spread(str(table(tmp_path, "sd", 1 / np.sqrt(weights))))
    path = table(tmp_path, "weights", weights, spoiled=4)
    first = fit("patlak", path, {"plasma": PLASMA}, start="5 min", sd=given)
    assert_allclose(ki(first), ki(fit("patlak", path, {"plasma": PLASMA}, start="5 min", sd=again)))
    assert ki(first) != pytest.approx(ki(fit("patlak", path, {"plasma": PLASMA}, start="5 min")))


def test_a_frame_of_weight_zero_is_not_used(tmp_path):
    weights = np.where(np.arange(12) < 4, 0.0, 1.0)
    spoiled = table(tmp_path, "weights", weights, spoiled=4)
    sd = read_spread(str(spoiled))
    assert np.isinf(sd[:4]).all()
    words = {"inputs": {"plasma": PLASMA}, "start": "5 min"}
    found = ki(fit("patlak", spoiled, sd=sd, **words))
    # A running integral of the tissue is in no Patlak plot: spoiled frames leave nothing behind.
    whole = ki(fit("patlak", table(tmp_path, "weights", weights), sd=sd, **words))
    assert_allclose(found, whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "weigh", "message"),
    [
        ("weights", np.zeros(12), "weights run from 0 to 0"),
        ("weights", np.linspace(-1, 1, 12), "weights run from -1"),
        ("weights", np.full(12, np.nan), "weights run from nan"),
        ("note", np.ones(12), "no column sd and none of weights"),
    ],
)
def test_weights_that_say_nothing_are_refused(tmp_path, name, weigh, message):
    with pytest.raises(InputError, match=message):
        read_spread(str(table(tmp_path, name, weigh)))


def test_a_table_with_both_is_refused(tmp_path):
    path = tmp_path / "both.tsv"
    path.write_text("sd\tweights\n1\t1\n")
    with pytest.raises(InputError, match="'sd' and 'weights'; expected one"):
        read_spread(str(path))
