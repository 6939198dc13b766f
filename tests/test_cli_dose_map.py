"""The commands of voxel dosimetry: exit codes, JSON, plots."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import igdd.cli_dose_map  # noqa: F401  (its commands join the application)
from igdd.cli_app import app
from igdd.errors import InputError
from igdd.io import bids
from igdd.types import Grid

RUN = CliRunner()


@pytest.fixture
def case(tmp_path):
    grid = Grid(shape=(9, 9, 9), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    place = np.indices(grid.shape) - 4
    inside = np.sqrt((place**2).sum(axis=0)) <= 3
    bids.write_nifti(
        tmp_path / "decays.nii.gz", np.where(inside, 1e10, 0.0), grid, {"Units": "Bq.s/mL"}
    )
    labels = inside.astype(np.uint8) + (place[0] > 2).astype(np.uint8) * 2 * ~inside
    bids.write_label_map(
        tmp_path / "regions_dseg.nii.gz", labels.astype(np.uint8), grid, {1: "tumour", 2: "<b>"}
    )
    return tmp_path


def call(case: Path, *words: str):
    return RUN.invoke(
        app,
        [
            "dose-map", str(case / "decays.nii.gz"), "--nuclide", "Y-90", "--density",
            "1.04 g/mL", "--out", str(case / "out"), *words,
        ],
    )  # fmt: skip


def test_a_dose_map_from_the_command_line(case):
    mask = str(case / "regions_dseg.nii.gz")
    found = call(case, "--fwhm", "3 mm", "--mask", mask, "--sd", "calibration=5 %", "--json")
    assert found.exit_code == 0, found.output
    facts = json.loads(found.output)
    assert facts["method"]["chosen"] == "kernel"
    assert [region["region"] for region in facts["regions"]] == ["tumour", "<b>"]
    row = facts["regions"][0]["numbers"][0]
    assert row["name"] == "mean"
    assert row["sd"] == pytest.approx(0.05 * row["value"])
    assert (case / "out" / "dose.nii").exists()


def test_the_text_names_the_choice_and_what_the_other_would_give(case):
    found = call(case, "--method", "local", "--mask", str(case / "regions_dseg.nii.gz"))
    assert found.exit_code == 0, found.output
    assert "dose by local (as asked" in found.output
    assert "(kernel: " in found.output


def test_the_histogram_is_a_page_or_a_picture(case):
    mask = str(case / "regions_dseg.nii.gz")
    for name in ("dvh.html", "dvh.png"):
        found = call(case, "--method", "kernel", "--mask", mask, "--plot", str(case / name))
        assert found.exit_code == 0, found.output
    page = (case / "dvh.html").read_text("utf-8")
    assert "Cumulative dose-volume histogram" in page
    assert "Content-Security-Policy" in page
    assert "<b>" not in page.replace("</b>", "")  # a region's name is text, never markup
    assert (case / "dvh.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plot", "dvh.pdf", "--method", "local"), "named .html or .png"),
        (("--plot", "dvh.png", "--method", "local"), "expected a mask"),
        (("--time", "4 h", "--method", "local"), "expected a tail"),
        ((), "how sharp"),
    ],
)
def test_a_wrong_call_is_named(case, words, said):
    found = call(case, *words)
    assert found.exit_code != 0
    assert isinstance(found.exception, InputError)
    assert said in str(found.exception)
    assert not (case / "out").exists() or not list((case / "out").iterdir())


def test_tables_of_voxel_s_values_are_listed(tmp_path):
    rows = "".join(
        f"{i} {j} {k} {1e-1 if i == j == k == 0 else 0:.1E}\n"
        for i in range(2) for j in range(2) for k in range(2)
    )  # fmt: skip
    path = tmp_path / "90Y3mmsoft.txt"
    path.write_text("i j k S [mGy/(MBq.s)]\n" + rows, encoding="utf-8")
    words = ["voxel-s", str(path), "--density", "1.04 g/mL"]
    listed = json.loads(RUN.invoke(app, [*words, "--json"]).output)
    energy = 1e-10 * 1.04 * 0.027 / 1000 / 1.602176634e-13
    assert listed[0]["energy_MeV"] == pytest.approx(energy)
    assert listed[0]["ratio"] == pytest.approx(energy / 0.93311, rel=1e-4)
    assert "90Y3mmsoft.txt" in RUN.invoke(app, words).output


def test_what_a_table_does_not_say_is_said_in_the_call(case):
    rows = "".join(
        f"{i} {j} {k} {1e-1 if i == j == k == 0 else 0:.1E}\n"
        for i in range(2) for j in range(2) for k in range(2)
    )  # fmt: skip
    path = case / "mine.txt"
    path.write_text("i j k S\n" + rows, encoding="utf-8")
    said = [
        "--kernel-unit", "mGy/(MBq.s)", "--kernel-nuclide", "Y-90", "--kernel-side", "2 mm",
        "--kernel-medium", "water",
    ]  # fmt: skip
    words = ["--method", "kernel", "--kernel", str(path)]
    assert "nothing says the nuclide" in str(call(case, *words).exception)
    found = call(case, *words, *said)
    assert found.exit_code == 0, found.output
    listed = RUN.invoke(app, ["voxel-s", str(path), "--density", "1 g/mL", *said, "--json"])
    assert json.loads(listed.output)[0]["side_mm"] == 2.0
