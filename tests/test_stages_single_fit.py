"""A fit and a map without a study: what the command line reads, prints and refuses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from igdd.cli import app
from igdd.errors import InputError
from igdd.io.bids import write_nifti
from igdd.kinetics import InputCurve, Protocol
from igdd.models import two_tissue
from igdd.stages.single_fit import Seen, named_values
from igdd.types import Frames, Grid, Zero

START = np.concatenate([np.arange(0, 120, 10), np.arange(120, 600, 60), np.arange(600, 5400, 300)])
DURATION = np.append(np.diff(START), 300.0).astype(float)
TIME = np.concatenate([np.arange(0, 180, 3.0), np.arange(180, 5500, 60.0)])
PLASMA = np.where(
    TIME < 30, TIME / 30 * 40.0, 30.0 * np.exp(-(TIME - 30) / 80) + 10 * np.exp(-TIME / 4000)
)
TRUTH = np.array([[0.12 / 60, 0.10 / 60, 0.03 / 60, 0.02 / 60, 0.05, 0.0]])
VT = 1.2 * (1 + 1.5)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Curves and blood of one region in kBq/mL, and the same curve as an image of one voxel."""
    place = tmp_path_factory.mktemp("fit")
    curve = {"time": TIME, "values": PLASMA, "unit": "Bq/mL"}
    frames = Frames(start=START.astype(float), duration=DURATION, zero=Zero(kind="scan_start"))
    protocol = Protocol(
        frames=frames,
        inputs={
            "plasma": InputCurve(compartment="plasma", substance="parent", **curve),
            "blood": InputCurve(compartment="blood", substance="total", **curve),
        },
    )
    tissue = two_tissue.predict(TRUTH, protocol)[0]
    pd.DataFrame({"frame_start": START, "frame_end": START + DURATION, "cortex": tissue}).to_csv(
        place / "tacs.tsv", sep="\t", index=False
    )
    facts = {"frame_start": {"Units": "s"}, "frame_end": {"Units": "s"}}
    described = facts | {"cortex": {"Units": "kBq/mL"}}
    (place / "tacs.json").write_text(json.dumps(described), encoding="utf-8")
    names = {"time": "s", "plasma_radioactivity": "kBq/mL", "whole_blood_radioactivity": "kBq/mL",
             "metabolite_parent_fraction": "unitless"}  # fmt: skip
    columns = (TIME, PLASMA, PLASMA, np.ones(TIME.size))
    pd.DataFrame(dict(zip(names, columns, strict=True))).to_csv(
        place / "sub-1_blood.tsv", sep="\t", index=False
    )
    (place / "sub-1_blood.json").write_text(
        json.dumps({name: {"Units": unit} for name, unit in names.items()}), encoding="utf-8"
    )
    grid = Grid(shape=(1, 1, 1), affine=np.eye(4))
    sidecar = {"Units": "kBq/mL", "FrameTimesStart": START.tolist(),
               "FrameDuration": DURATION.tolist()}  # fmt: skip
    write_nifti(place / "dyn.nii.gz", tissue.reshape(1, 1, 1, -1), grid, sidecar)
    return place


def called(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def fitted(files, model, *words):
    found = called(
        "fit", model, "--curves", files / "tacs.tsv", "--input", files / "sub-1_blood.tsv",
        *words, "--json",
    )  # fmt: skip
    assert found.exit_code == 0, found.output + str(found.exception)
    return json.loads(found.stdout)


def test_json_has_region_parameters_flags_and_aicc(files):
    (entry,) = fitted(files, "two_tissue")
    assert entry["region"] == "cortex"
    assert set(entry["parameters"]["VT"]) == {"value", "sd", "unit"}
    assert entry["parameters"]["VT"]["unit"] == "mL/cm3"
    # the table keeps all digits of a noiseless curve
    assert entry["parameters"]["VT"]["value"] == pytest.approx(VT, rel=1e-6)
    assert entry["parameters"]["K1"]["value"] == pytest.approx(0.12, rel=1e-6)
    assert "aicc" in entry
    assert isinstance(entry["flags"], list)


def test_a_held_parameter_stays(files):
    (entry,) = fitted(files, "two_tissue", "--hold", "Vb=0.05")
    assert entry["parameters"]["Vb"]["value"] == 0.05
    assert entry["parameters"]["VT"]["value"] == pytest.approx(VT, rel=1e-6)


def test_the_start_of_a_plot_is_the_users(files):
    (entry,) = fitted(files, "logan", "--start", "40 min", "--hold", "Vb=0.05")
    assert entry["notes"]["t_star"] == pytest.approx(2400, abs=300)
    # the slow exponential (0.014/min) has not settled by then: the plot is known to read low
    assert 0.8 * VT < entry["parameters"]["VT"]["value"] < VT


def test_text_is_a_table(files):
    found = called(
        "fit", "one_tissue", "--curves", files / "tacs.tsv", "--input", files / "sub-1_blood.tsv"
    )
    assert found.stdout.splitlines()[0].startswith("region")
    assert "VT (mL/cm3)" in found.stdout


def test_a_page_shows_curves_and_fits(files, tmp_path):
    fitted(files, "two_tissue", "--plot", tmp_path / "fit.html")
    assert "Two tissue: curves and fits" in (tmp_path / "fit.html").read_text(encoding="utf-8")


def test_the_map_of_one_voxel_is_the_fit_of_its_region(files, tmp_path):
    import nibabel as nib

    found = called(
        "map", "two_tissue", "--image", files / "dyn.nii.gz",
        "--input", files / "sub-1_blood.tsv", "--out", tmp_path / "maps", "--json",
    )  # fmt: skip
    assert found.exit_code == 0, found.output + str(found.exception)
    told = json.loads(found.stdout)
    (entry,) = fitted(files, "two_tissue")
    for name in ("K1", "VT"):
        voxel = float(np.asarray(nib.load(told["maps"][name]).dataobj).ravel()[0])
        # images and maps are float32
        assert voxel == pytest.approx(entry["parameters"][name]["value"], rel=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--hold", "Vb"), "expected NAME=VALUE"),
        (("--hold", "Vp=0.1"), "no parameter 'Vp'"),
        (("--free", "k5"), "no parameter 'k5'"),
        (("--start", "20"), "20"),
        (("--option", "colour=red"), "no option 'colour'"),
        (("--integration", "simpson"), "simpson"),
        (("--input-option", "haematocrit=2"), "haematocrit"),
        (("--reference", "pons"), "pons"),
        (("--population", "parker"), "both name the input"),
        (("--sd", "guess"), "guess"),
        (("--end", "-5 min"), "no frame"),
    ],
)
def test_wrong_words_are_named(files, words, said):
    with pytest.raises(Exception, match=said):
        CliRunner().invoke(
            app,
            [
                "fit", "two_tissue", "--curves", str(files / "tacs.tsv"),
                "--input", str(files / "sub-1_blood.tsv"), *words,
            ],
            catch_exceptions=False,
        )  # fmt: skip


def test_an_unknown_model_suggests_the_nearest(files):
    with pytest.raises(Exception, match="two_tissue"):
        CliRunner().invoke(
            app, ["fit", "two_tisue", "--curves", str(files / "tacs.tsv")], catch_exceptions=False
        )


def test_an_input_that_a_model_needs_is_asked_for(files):
    with pytest.raises(Exception, match="needs the input 'plasma'"):
        CliRunner().invoke(
            app, ["fit", "patlak", "--curves", str(files / "tacs.tsv")], catch_exceptions=False
        )


def test_names_and_values_are_told_apart():
    assert named_values(["a=1", "b = 2 s"], "--hold") == {"a": "1", "b": "2 s"}
    with pytest.raises(InputError, match="NAME=VALUE"):
        named_values(["=1"], "--hold")


def test_two_inputs_at_once_are_refused(tmp_path):
    with pytest.raises(InputError, match="both name the input"):
        Seen(tables=(tmp_path / "a_blood.tsv",), artery="aorta")
