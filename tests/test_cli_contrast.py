"""`igdd concentration` and `igdd t1`: words of the command line, text, JSON, exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from igdd.cli import app, main
from igdd.io import tac_table
from igdd.io.bids import write_nifti
from test_modalities_mr_dce import GRID, SIDECAR, truth
from test_stages_concentration import table
from test_stages_relaxation import volumes

RUN = CliRunner()


def test_an_image_by_a_t1_map(tmp_path):
    t1, _, signal = truth()
    write_nifti(tmp_path / "dce.nii.gz", signal, GRID, {"Modality": "MR", **SIDECAR})
    write_nifti(tmp_path / "T1.nii.gz", t1, GRID, {"Units": "s"})
    words = ["concentration", "--image", str(tmp_path / "dce.nii.gz"), "--r1", "3.7 L/mmol/s",
             "--t1", str(tmp_path / "T1.nii.gz"), "--baseline", "4"]  # fmt: skip
    said = RUN.invoke(app, [*words, "--out", str(tmp_path / "a")])
    assert said.exit_code == 0, said.output
    assert "TR 5 ms, flip angle 15 degrees, baseline frames 1 to 4" in said.output
    assert "24 of 24 have a concentration in every frame" in said.output
    told = RUN.invoke(app, [*words, "--out", str(tmp_path / "b"), "--tr", "5 ms", "--json"])
    found = json.loads(told.output)
    assert (found["unit"], found["places"], found["converted"]) == ("mmol/L", 24, 24)
    assert found["flags"] == []


def test_curves_by_region(tmp_path):
    amount = table(tmp_path)
    said = RUN.invoke(app, [
        "concentration", "--curves", str(tmp_path / "signal.tsv"), "--tr", "5 ms", "--flip",
        "15 deg", "--r1", "3.7 L/mmol/s", "--t1", "1400 ms", "--t1", "artery=1600 ms",
        "--baseline", "20 s", "--out", str(tmp_path / "out"), "--json",
    ])  # fmt: skip
    assert said.exit_code == 0, said.output
    curves = tac_table.read(tmp_path / "out" / "concentration.tsv")
    np.testing.assert_allclose(1e6 * curves.values, amount, rtol=1e-9, atol=1e-12)


def test_t1_of_several_angles(tmp_path):
    _, files = volumes(tmp_path)
    words = ["t1", *(str(one) for one in files), "--out", str(tmp_path / "out")]
    said = RUN.invoke(app, words)
    assert said.exit_code == 0, said.output
    assert "TR 5 ms, flip angles 3, 6, 12, 25 degrees" in said.output
    assert "24 of 24 voxels have a T1" in said.output


@pytest.mark.parametrize(
    ("t1", "message"),
    [
        (["--t1", "1400"], "t1: '1400' has no unit"),
        (["--t1", "1400 ms", "--t1", "1600 ms"], "--t1 '1600 ms'"),
        (["--t1", "tumour="], "--t1 'tumour='"),
    ],
)
def test_a_wrong_call_ends_with_two_and_says_what_is_wrong(
    tmp_path, capsys, monkeypatch, t1, message
):
    table(tmp_path)
    words = ["concentration", "--curves", str(tmp_path / "signal.tsv"), "--tr", "5 ms", "--flip",
             "15 deg", "--r1", "3.7 L/mmol/s", "--baseline", "4", "--out",
             str(tmp_path / "out"), *t1]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["igdd", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
