"""A fit and a map without a study: what the command line reads, prints and refuses."""

from __future__ import annotations

import json
import re
from functools import partial

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import igdd
from igdd.cli import app
from igdd.errors import InputError, StudyError
from igdd.io import tac_table
from igdd.io.bids import write_nifti
from igdd.kernels.population_inputs import parker
from igdd.kinetics import InputCurve, Protocol
from igdd.models import two_tissue
from igdd.stages.fit_text import as_json
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


@pytest.mark.parametrize("lag", [40, -15])
def test_a_sampler_that_lags_by_its_tubing_is_found_out(files, tmp_path, lag):
    table = pd.read_csv(files / "sub-1_blood.tsv", sep="\t")
    table["time"] += lag
    path = tmp_path / "sub-1_blood.tsv"
    table.to_csv(path, sep="\t", index=False)
    path.with_suffix(".json").write_bytes((files / "sub-1_blood.json").read_bytes())
    found = called("fit", "two_tissue", "--curves", files / "tacs.tsv", "--input", path, "--json",
                   "--input-option", f"injection={min(lag, 0)} s")  # fmt: skip
    assert found.exit_code == 0, found.output + str(found.exception)
    (entry,) = json.loads(found.stdout)
    # the parent fraction is 1 throughout, so that only the clock differs
    assert entry["parameters"]["delay"]["value"] == pytest.approx(-lag, abs=1e-3)
    assert entry["parameters"]["VT"]["value"] == pytest.approx(VT, rel=1e-5)


def test_a_held_parameter_stays(files):
    (entry,) = fitted(files, "two_tissue", "--hold", "Vb=0.05")
    assert entry["parameters"]["Vb"]["value"] == 0.05
    assert entry["parameters"]["VT"]["value"] == pytest.approx(VT, rel=1e-6)


def test_the_start_of_a_plot_is_the_users(files):
    (entry,) = fitted(files, "logan", "--start", "40 min", "--hold", "Vb=0.05")
    assert entry["notes"]["t_star"] == {"value": 40.0, "unit": "min"}
    # the slow exponential (0.014/min) has not settled by then: the plot is known to read low
    assert 0.8 * VT < entry["parameters"]["VT"]["value"] < VT


def test_text_is_a_table(files):
    found = called(
        "fit", "one_tissue", "--curves", files / "tacs.tsv", "--input", files / "sub-1_blood.tsv"
    )
    assert found.stdout.splitlines()[0].startswith("region")
    assert "VT (mL/cm3)" in found.stdout
    assert re.search(r"delay_shared \S+ s ", found.stdout)


def test_a_page_shows_curves_and_fits(files, tmp_path):
    fitted(files, "two_tissue", "--plot", tmp_path / "fit.html")
    assert "Two-tissue: curves and fits" in (tmp_path / "fit.html").read_text(encoding="utf-8")


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


def test_a_map_reads_blood_as_a_fit_does(files, tmp_path):
    blood = files / "sub-1_blood.tsv"
    image = str(files / "dyn.nii.gz")
    told = igdd.map("two_tissue", image, str(blood), out=tmp_path / "a")
    again = igdd.map("two_tissue", image, [blood], out=tmp_path / "b")
    fit = igdd.fit("two_tissue", files / "tacs.tsv", blood)
    # a map is made of single precision
    assert told.notes["delay_shared"] == pytest.approx(fit.notes[0]["delay_shared"], abs=1e-3)
    assert told.maps["VT"].read_bytes() == again.maps["VT"].read_bytes()
    for door in (partial(igdd.map, "patlak", image, out=tmp_path / "c"),
                 partial(igdd.fit, "patlak", files / "tacs.tsv")):  # fmt: skip
        with pytest.raises(InputError, match="inputs are a int; expected curves, such as"):
            door(inputs=3)
        with pytest.raises(InputError, match="input 'plasma' is a list; expected an InputCurve"):
            door(inputs={"plasma": [1.0, 2.0]})


def test_a_map_takes_the_liver_s_two_supplies_as_a_fit_does(files, tmp_path):
    found = called("map", "dual_input_extended_tofts", "--image", files / "dyn.nii.gz", "--out",
                   tmp_path / "maps", "--curves", files / "tacs.tsv", "--artery", "cortex",
                   "--portal", "cortex")  # fmt: skip
    assert isinstance(found.exception, InputError)
    assert "makes no maps" in str(found.exception)


def described(files, **facts):
    """The curves' table with more words in its JSON, and the image with the same."""
    for name in ("tacs", "dyn"):
        path = files / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | facts), encoding="utf-8")


@pytest.fixture
def noisy(files, tmp_path):
    """A copy of the files with noise, which makes frames' deviations matter."""
    place = tmp_path / "noisy"
    place.mkdir()
    for path in files.iterdir():
        if path.is_file():
            (place / path.name).write_bytes(path.read_bytes())
    table = pd.read_csv(files / "tacs.tsv", sep="\t")
    table["cortex"] *= 1 + 0.05 * np.random.default_rng(1).standard_normal(len(table))
    # a map is made of single precision
    table["cortex"] = table["cortex"].astype(np.float32).astype(float)
    table.to_csv(place / "tacs.tsv", sep="\t", index=False)
    sidecar = json.loads((files / "dyn.json").read_text())
    write_nifti(place / "dyn.nii.gz", table["cortex"].to_numpy().reshape(1, 1, 1, -1),
                Grid(shape=(1, 1, 1), affine=np.eye(4)), sidecar)  # fmt: skip
    return place


def test_frames_weigh_by_counts_where_the_nuclide_is_known(noisy, tmp_path):
    hold = ("--hold", "Vb=0.05")
    refused = called("fit", "one_tissue", "--curves", noisy / "tacs.tsv", "--input",
                     noisy / "sub-1_blood.tsv", "--sd", "counts")  # fmt: skip
    assert "give the nuclide (--nuclide F-18)" in str(refused.exception)
    (given,) = fitted(noisy, "one_tissue", *hold, "--sd", "counts", "--nuclide", "C-11")
    described(noisy, TracerRadionuclide="C11", ImageDecayCorrected=True, ImageDecayCorrectionTime=0)
    (stated,) = fitted(noisy, "one_tissue", *hold, "--sd", "counts")
    assert stated == given
    assert fitted(noisy, "one_tissue", *hold)[0]["parameters"] != given["parameters"]
    table = pd.read_csv(noisy / "tacs.tsv", sep="\t")
    middle = (table.frame_start + table.frame_end) / 2
    length = table.frame_end - table.frame_start
    mean = np.maximum(table.cortex, 0.01 * table.cortex.max())
    counted = np.sqrt(mean * np.exp(np.log(2) / 1221.84 * middle) / length)
    pd.DataFrame({"sd": counted}).to_csv(tmp_path / "sd.tsv", sep="\t", index=False)
    (listed,) = fitted(noisy, "one_tissue", *hold, "--sd", tmp_path / "sd.tsv")
    # decay within a frame is all but linear
    K1 = stated["parameters"]["K1"]["value"]
    assert listed["parameters"]["K1"]["value"] == pytest.approx(K1, rel=1e-3)
    told = called("map", "one_tissue", "--image", noisy / "dyn.nii.gz", "--input",
                  noisy / "sub-1_blood.tsv", "--out", tmp_path / "maps", *hold, "--sd", "counts",
                  "--json")  # fmt: skip
    assert told.exit_code == 0, told.output + str(told.exception)
    image = nib.load(json.loads(told.stdout)["maps"]["K1"])
    assert float(np.asarray(image.dataobj).ravel()[0]) == pytest.approx(K1, rel=1e-4)
    wrong = called("fit", "one_tissue", "--curves", noisy / "tacs.tsv", "--input",
                   noisy / "sub-1_blood.tsv", "--sd", "counts", "--nuclide", "F-18")  # fmt: skip
    assert "TracerRadionuclide is 'C11', but --nuclide says 'F-18'" in str(wrong.exception)


def test_values_that_still_decay_are_refused(noisy, tmp_path):
    described(noisy, TracerRadionuclide="C11", ImageDecayCorrected=False)
    words = ("--input", noisy / "sub-1_blood.tsv")
    image = ("--image", noisy / "dyn.nii.gz", "--out", tmp_path / "maps")
    for found in (
        called("fit", "two_tissue", "--curves", noisy / "tacs.tsv", *words),
        called("map", "two_tissue", *image, *words),
    ):
        assert isinstance(found.exception, InputError)
        assert "not corrected for decay" in str(found.exception)
    plain = called("fit", "mono_exponential", "--curves", noisy / "tacs.tsv", "--start", "20 min")
    assert plain.exit_code == 0


def test_a_map_has_one_deviation_for_each_frame(noisy, tmp_path):
    found = called("map", "one_tissue", "--image", noisy / "dyn.nii.gz", "--input",
                   noisy / "sub-1_blood.tsv", "--out", tmp_path / "m", "--sd", "root")  # fmt: skip
    assert "expected 'counts', 'equal' or numbers" in str(found.exception)


def test_beds_with_frames_of_their_own_are_fitted_in_one_run(noisy, tmp_path):
    table = pd.read_csv(noisy / "tacs.tsv", sep="\t")
    beds = []
    for name, rows in (("head", slice(0, None, 2)), ("legs", slice(1, None, 2))):
        beds.append(tmp_path / f"{name}_tacs.tsv")
        bed = table[rows].rename(columns={"cortex": name})
        bed.to_csv(beds[-1], sep="\t", index=False)
    words = ("--input", noisy / "sub-1_blood.tsv", "--unit", "kBq/mL", "--json")
    alone = [json.loads(called("fit", "two_tissue", "--curves", bed, *words).stdout)[0]
             for bed in beds]  # fmt: skip
    together = called("fit", "two_tissue", "--curves", beds[0], "--curves", beds[1], *words)
    assert json.loads(together.stdout) == alone
    assert [one["region"] for one in alone] == ["head", "legs"]
    curves = [tac_table.read(bed, unit="kBq/mL") for bed in beds]
    found = igdd.fit("two_tissue", curves, noisy / "sub-1_blood.tsv")
    assert as_json(found) == alone
    sizes = [one.frames.start.size for one in curves]
    assert found.predicted.shape == (2, sum(sizes))
    assert np.isfinite(found.predicted[0, : sizes[0]]).all()
    assert np.isnan(found.predicted[0, sizes[0] :]).all()
    twice = called("fit", "two_tissue", "--curves", beds[0], "--curves", beds[0], *words)
    assert "region 'head' stands in two sets of curves" in str(twice.exception)
    reference = called("fit", "srtm", "--curves", beds[0], "--curves", beds[1], "--reference",
                       "legs", "--unit", "kBq/mL", "--json")  # fmt: skip
    assert [one["region"] for one in json.loads(reference.stdout)] == ["head"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--hold", "Vb"), "expected NAME=VALUE"),
        (("--hold", "Vp=0.1"), "no parameter 'Vp'"),
        (("--free", "k5"), "no parameter 'k5'"),
        (("--start", "20"), "20"),
        (("--option", "colour=red"), "no option 'colour'; expected none at all"),
        (("--option", "start=40 min"), "no option 'start'; expected none at all; --start says it"),
        (("--option", "sd=counts"), "--sd says it"),
        (("--option", "model=logan"), "no option 'model'"),
        (("--option", "shared=K1"), "no option 'shared'"),
        (("--option", "workers=1"), "no option 'workers'"),
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


def test_an_option_of_every_plot_is_a_flag(files, tmp_path):
    found = called("map", "logan", "--image", files / "dyn.nii.gz", "--out", tmp_path / "maps",
                   "--input", files / "sub-1_blood.tsv", "--option", "start=40 min")  # fmt: skip
    assert isinstance(found.exception, StudyError)
    assert "expected gap, replicates; --start says it" in str(found.exception)


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


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("extended_tofts", ("--population", "parker"), "there is blood; give the haematocrit"),
        ("patlak", ("--artery", "aorta"), "there is blood; give plasma_to_blood"),
        ("two_tissue", ("--artery", "aorta"), "there is blood; give plasma_to_blood"),
    ],
)
def test_an_input_that_what_there_is_could_give_names_the_mend(files, tmp_path, model, words, said):
    table = pd.read_csv(files / "tacs.tsv", sep="\t").assign(aorta=lambda one: one.cortex)
    table.to_csv(tmp_path / "tacs.tsv", sep="\t", index=False)
    found = called("fit", model, "--curves", tmp_path / "tacs.tsv", "--unit", "kBq/mL", *words)
    assert isinstance(found.exception, InputError)
    assert said in str(found.exception)


def test_names_and_values_are_told_apart():
    assert named_values(["a=1", "b = 2 s"], "--hold") == {"a": "1", "b": "2 s"}
    with pytest.raises(InputError, match="NAME=VALUE"):
        named_values(["=1"], "--hold")


def test_two_inputs_at_once_are_refused(tmp_path):
    with pytest.raises(InputError, match="both name the input"):
        Seen(tables=(tmp_path / "a_blood.tsv",), artery="aorta")


def test_a_population_begins_when_it_is_said_to_with_the_dose_that_is_said(tmp_path):
    """A scan whose bolus arrives 30 s after its start, of twice the dose that is published."""
    time = np.arange(0.0, 240.0, 2.0)
    plasma = 2 * parker(time - 30) / (1 - 0.42) * 1e6
    rows = pd.DataFrame({"time[s]": time, "vessel[mM]": 0.3 * plasma, "half[mM]": 0.15 * plasma})
    rows.to_csv(tmp_path / "dce.tsv", sep="\t", index=False)
    words = ["fit", "patlak_dce", "--curves", tmp_path / "dce.tsv", "--population", "parker",
             "--input-option", "haematocrit=0.42", "--input-option"]  # fmt: skip
    found = called(*words, "delay=30 s", "--input-option", "dose=0.2 mmol/kg", "--json")
    vp = [one["parameters"]["vp"]["value"] for one in json.loads(found.stdout)]
    # The published curve is joined by straight lines between its knots.
    np.testing.assert_allclose(vp, [0.3, 0.15], rtol=2e-3)
    refused = called(*words, "dispersion=5 s")
    assert isinstance(refused.exception, InputError)
    assert "dispersion" in str(refused.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--population", "parker"), "'bogus' says nothing of population 'parker'.*dose"),
        (("--artery", "cortex", "--portal", "cortex"), "'bogus' says nothing of the regions"),
        (("--artery", "cortex"), "'bogus' says nothing of region 'cortex'"),
        (("--input", "sub-1_blood.tsv"), "'bogus' says nothing of measured blood"),
        (("--reference", "cortex"), "bogus is of an input that is not named"),
        ((), "bogus is of an input that is not named"),
    ],
)
def test_an_option_that_an_input_cannot_use_is_refused(files, words, said):
    given = [str(files / word) if word.endswith(".tsv") else word for word in words]
    found = called("fit", "extended_tofts", "--curves", files / "tacs.tsv", *given,
                   "--input-option", "bogus=1")  # fmt: skip
    assert isinstance(found.exception, InputError)
    assert re.search(said, str(found.exception))
