"""Every door of kinetics gives the same numbers for the same files: Python, command line, study."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

import igdd
from igdd import catalog, units
from igdd.cli import app
from igdd.io.bids import write_label_map, write_nifti
from igdd.kinetics import InputCurve, Protocol
from igdd.stages import session
from igdd.stages.fit_text import as_json, described
from igdd.stages.plan import plan
from igdd.study import check_study
from igdd.types import Frames, Grid, Zero
from test_stages_kinetics import DURATION, PLASMA, START, TIME

GRID = Grid(shape=(9, 4, 3), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
REGIONS = ("cerebellum", "cortex", "striatum")
LABELS = np.repeat([1, 2, 3], 36).reshape(GRID.shape).astype(np.uint8)
LAG = 9.0  # s by which the tissue sees the blood later than the sampler's clock says
# The doors do the same arithmetic on the same samples: an image's single precision is read alike,
# and a study brings values to the administration by a factor of 1, rounded.
ALIKE = 1e-9
# A study keeps an image in single precision also in the units inside: mol/mL of mmol/L are rounded
# to 6e-8 of each value, which is a hundred times as much of a residual.
ROUNDED = 1e-5

PET = {
    "Modality": "PT", "Units": "Bq/mL", "TracerRadionuclide": "F18", "TracerName": "ligand",
    "InjectedRadioactivity": 200.0, "InjectedRadioactivityUnits": "MBq", "TimeZero": "11:00:00",
    "InjectionStart": 0, "ScanStart": 0, "FrameTimesStart": START.tolist(),
    "FrameDuration": DURATION.tolist(), "ImageDecayCorrected": True, "ImageDecayCorrectionTime": 0,
    "AttenuationCorrection": "CT",
}  # fmt: skip
PET_STUDY = """
schema = 1
title = "Doors"
[agent]
label = { nuclide = "F-18", on = "label" }
[[subject]]
id = "01"
weight = "70 kg"
[[subject.given]]
activity = "200 MBq"
[[scan]]
subject = "01"
session = "dyn"
modality = "pet"
path = "sub-01_pet.nii.gz"
regions = "sub-01_dseg.nii.gz"
declared = { branching_applied = true }
"""

DCE_START = 4.0 * np.arange(90)
DCE_TIME = np.arange(0.0, 370.0, 2.0)
AIF = np.where(DCE_TIME < 30, 0.0, 5.0 * np.exp(-(DCE_TIME - 30) / 20) + np.exp(-DCE_TIME / 600))
DCE = {"Modality": "MR", "Units": "mmol/L", "FrameTimesStart": DCE_START.tolist(),
       "FrameDuration": [4.0] * DCE_START.size}  # fmt: skip
DCE_STUDY = """
schema = 1
title = "Doors"
[[subject]]
id = "01"
[[scan]]
subject = "01"
session = "dyn"
modality = "contrast"
path = "sub-01_dce.nii.gz"
regions = "sub-01_dseg.nii.gz"
"""


def write_image(place: Path, suffix: str, curves: np.ndarray, sidecar: dict) -> None:
    """An image of three regions whose voxels all hold the region's curve, and the curves of it."""
    image = place / f"sub-01_{suffix}.nii.gz"
    write_nifti(image, curves[LABELS - 1], GRID, sidecar)
    labels = place / "sub-01_dseg.nii.gz"
    write_label_map(labels, LABELS, GRID, dict(enumerate(REGIONS, start=1)))
    done = CliRunner().invoke(
        app, ["tacs", str(image), str(labels), "--out", str(place / "tacs.tsv")]
    )
    assert done.exit_code == 0, done.output


def noisy(curves: np.ndarray, share: float) -> np.ndarray:
    spread = share * curves.max(axis=1, keepdims=True)
    return curves + spread * np.random.default_rng(20260501).normal(size=curves.shape)


@pytest.fixture(scope="module")
def brain(tmp_path_factory) -> Path:
    """A dynamic scan of three tissues with manual blood, whose sampler's clock is early."""
    place = tmp_path_factory.mktemp("brain")
    curve = {"time": TIME, "values": PLASMA, "unit": "Bq/mL"}
    protocol = Protocol(
        frames=Frames(start=START.astype(float), duration=DURATION, zero=Zero(kind="scan_start")),
        inputs={
            "plasma": InputCurve(compartment="plasma", substance="parent", **curve),
            "blood": InputCurve(compartment="blood", substance="total", **curve),
        },
    )
    rates = [[0.10, 0.20, 0.0, 0.0], [0.12, 0.15, 0.05, 0.04], [0.09, 0.12, 0.09, 0.05]]
    truth = np.array([[*(np.array(row) / 60), 0.05, LAG] for row in rates])
    curves = catalog.find("models", "two_tissue").predict(truth, protocol)
    write_image(place, "pet", noisy(curves, 0.01), PET)
    columns = {"time": "s", "plasma_radioactivity": "Bq/mL", "whole_blood_radioactivity": "Bq/mL",
               "metabolite_parent_fraction": "1"}  # fmt: skip
    table = dict(zip(columns, (TIME, PLASMA, PLASMA, np.ones(TIME.size)), strict=True))
    pd.DataFrame(table).to_csv(place / "sub-01_blood.tsv", sep="\t", index=False)
    said = {name: {"Units": unit} for name, unit in columns.items()}
    (place / "sub-01_blood.json").write_text(json.dumps(said), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def breast(tmp_path_factory) -> Path:
    """A dynamic series of concentrations with a table of the arterial plasma."""
    place = tmp_path_factory.mktemp("breast")
    plasma = InputCurve(
        time=DCE_TIME, values=AIF, unit="mmol/L", compartment="plasma", substance="contrast"
    )
    protocol = Protocol(
        frames=Frames(
            start=DCE_START, duration=np.full(DCE_START.size, 4.0), zero=Zero(kind="scan_start")
        ),
        inputs={"plasma": plasma},
    )
    rates = np.array([[0.05, 0.20, 0.01], [0.15, 0.30, 0.03], [0.25, 0.40, 0.06]])
    model = catalog.find("models", "extended_tofts")
    truth = np.zeros((3, len(model.parameters)))
    truth[:, :3] = rates * [1 / 60, 1.0, 1.0]
    write_image(place, "dce", noisy(model.predict(truth, protocol), 0.01), DCE)
    table = {"time[s]": DCE_TIME, "plasma[mmol/L]": AIF}
    pd.DataFrame(table).to_csv(place / "aif.tsv", sep="\t", index=False)
    return place


Entries = dict[str, dict]


def by_region(entries: list[dict]) -> Entries:
    return {entry["region"]: entry for entry in entries}


def by_command(place: Path, model: str, *words: str) -> Entries:
    called = ["fit", model, "--curves", str(place / "tacs.tsv"), *words, "--json"]
    done = CliRunner().invoke(app, called)
    assert done.exit_code == 0, done.output
    return by_region(json.loads(done.stdout))


def by_study(place: Path, text: str) -> tuple[pd.DataFrame, dict[str, float]]:
    """Rows of the model's parameters in the study's table by their name, and AICc by region."""
    head = DCE_STUDY
    if (place / "sub-01_pet.json").exists():
        tracer = json.loads((place / "sub-01_pet.json").read_text())["TracerRadionuclide"]
        head = PET_STUDY.replace("F-18", tracer)
    (one,) = plan(check_study(tomllib.loads(head + text), place / "study.toml"))
    found = session.measured(one)
    (fit,) = found.fits
    rows = found.measurements
    rows = rows.assign(metric=rows["metric"].str.removeprefix(f"{fit.model}_"))
    return rows, dict(zip(fit.regions, fit.aicc, strict=True))


def known(number: float | None) -> float:
    """A number; NaN for null, which is what JSON has for a number that is not finite."""
    return number if number is not None and np.isfinite(number) else np.nan


def check_number(one: dict, other: dict, alike: float = ALIKE) -> None:
    """Two values with their standard errors: the same, or far apart by none of the errors."""
    factor = units.factor(one["unit"], other["unit"])
    value, sd = (known(one.get(key)) * factor for key in ("value", "sd"))
    found, spread = (known(other.get(key)) for key in ("value", "sd"))
    slack = alike * np.nansum([abs(value), sd])
    assert_allclose(found, value, rtol=0.0, atol=slack)
    assert_allclose(spread, sd, rtol=alike, atol=0.0)


def check_alike(one: Entries, other: Entries) -> None:
    assert set(one) == set(other)
    for region, entry in one.items():
        also = other[region]
        assert set(entry["flags"]) == set(also["flags"])
        assert_allclose(known(entry["aicc"]), known(also["aicc"]), rtol=ALIKE)
        for part in ("parameters", "notes"):
            assert set(entry[part]) == set(also[part])
            for name, number in entry[part].items():
                assert number["unit"] == also[part][name]["unit"]
                check_number(number, also[part][name])


def check_rows(
    entries: Entries, study: tuple[pd.DataFrame, dict[str, float]], alike: float = ALIKE
) -> None:
    """The study's rows say what the entries do; parameters that were held have none."""
    rows, aicc = study
    assert set(aicc) == set(entries)
    for region, entry in entries.items():
        assert_allclose(aicc[region], known(entry["aicc"]), rtol=alike)
        for name, number in entry["parameters"].items():
            row = rows[(rows["region"] == region) & (rows["metric"] == name)]
            if row.empty:
                assert not number["sd"], f"{name} has no row"
                continue
            (found,) = row.to_dict("records")
            check_number(number, found, alike)
            assert set(str(found["flags"]).split(";")) - {""} == set(entry["flags"])


BLOOD = '[[inputs]]\nblood = "sub-01_blood.tsv"\n'


def cases(*models: tuple[str, dict]) -> list:
    return [pytest.param(*case, id="-".join([case[0], *case[1]])) for case in models]


def flags_of(words: dict) -> list[str]:
    """What Python takes as keywords, as the command line spells it."""
    found = []
    for name, value in words.items():
        if name == "hold":
            found += [part for one in value.items() for part in ("--hold", "=".join(one))]
        elif name == "free":
            found += [part for one in value for part in ("--free", one)]
        elif name in ("start", "end", "integration", "sd"):
            found += [f"--{name}", value]
        else:
            found += ["--option", f"{name}={value}"]
    return found


def table_of(model: str, words: dict) -> str:
    """What Python takes as keywords, as the study spells it."""
    lines = ["[[fit]]", f'model = "{model}"']
    for name, value in words.items():
        if name == "hold":
            lines += [f'hold.{parameter} = "{held}"' for parameter, held in value.items()]
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("model", "words"),
    cases(
        ("two_tissue", {}),
        ("two_tissue", {"free": ["delay"]}),
        ("two_tissue_irreversible", {}),
        ("one_tissue", {"hold": {"Vb": "0.05"}}),
        ("logan", {"start": "20 min"}),
        ("patlak", {}),
        ("two_tissue_irreversible", {"sd": "counts"}),
        ("spectral", {}),
    ),
)
def test_a_scan_with_blood_is_fitted_alike(brain, model, words):
    curves, blood = brain / "tacs.tsv", brain / "sub-01_blood.tsv"
    command = by_command(brain, model, "--input", str(blood), *flags_of(words))
    for inputs in (blood, str(blood), [blood], igdd.read_inputs(blood)):
        check_alike(command, by_region(as_json(igdd.fit(model, curves, inputs, **words))))
    check_rows(command, by_study(brain, BLOOD + table_of(model, words)))


@pytest.mark.parametrize(
    ("zero", "decay_corrected"), [(0, "yes"), (1800, "yes"), (-600, "yes"), (1800, "no")]
)
def test_image_and_blood_may_be_corrected_for_decay_to_different_instants(
    brain, tmp_path, zero, decay_corrected
):
    """The image to `zero`, as its JSON says; the blood to TimeZero, or not at all."""
    rate = np.log(2) / 6586.2
    plain = by_command(
        brain, "two_tissue", "--input", str(brain / "sub-01_blood.tsv"),
        "--input-option", "decay_corrected=yes",
    )  # fmt: skip
    image = nib.load(brain / "sub-01_pet.nii.gz").get_fdata()
    curves = np.array([image[label == LABELS][0] for label in (1, 2, 3)])
    facts = PET | {"ImageDecayCorrectionTime": zero}
    write_image(tmp_path, "pet", curves * np.exp(-rate * zero), facts)
    blood = pd.read_csv(brain / "sub-01_blood.tsv", sep="\t")
    if decay_corrected == "no":
        left = np.exp(-rate * blood["time"])
        for column in ("plasma_radioactivity", "whole_blood_radioactivity"):
            blood[column] *= left
    path = tmp_path / "sub-01_blood.tsv"
    blood.to_csv(path, sep="\t", index=False)
    (tmp_path / "sub-01_blood.json").write_bytes((brain / "sub-01_blood.json").read_bytes())
    said = f"decay_corrected={decay_corrected}"
    command = by_command(tmp_path, "two_tissue", "--input", str(path), "--input-option", said)
    for region, entry in command.items():
        for name, number in entry["parameters"].items():
            # Images are stored in single precision.
            assert number["value"] == pytest.approx(
                plain[region]["parameters"][name]["value"], rel=1e-3, abs=1e-5
            )
    study = BLOOD + f"decay_corrected = {str(decay_corrected == 'yes').lower()}\n"
    rows, _ = by_study(tmp_path, study + table_of("two_tissue", {}))
    for region, entry in command.items():
        row = rows[(rows["region"] == region) & (rows["metric"] == "VT")]
        assert float(row["value"].iloc[0]) == pytest.approx(
            entry["parameters"]["VT"]["value"], rel=1e-6
        )


def test_a_scan_with_a_reference_region_is_fitted_alike(brain):
    words = {"integration": "instant"}
    command = by_command(brain, "srtm", "--reference", "cerebellum", *flags_of(words))
    curves = igdd.read_curves(brain / "tacs.tsv")
    rows = [curves.names.index(name) for name in command]
    reference = igdd.reference_input(curves, "cerebellum")
    check_alike(command, by_region(as_json(igdd.fit("srtm", curves.of(rows), reference, **words))))
    text = '[[inputs]]\nreference = "cerebellum"\n' + table_of("srtm", words)
    check_rows(command, by_study(brain, text))


@pytest.mark.parametrize("more", [{"plasma_to_blood": 1.1}, {"haematocrit": 0.4}])
def test_a_region_that_serves_as_input_is_on_the_clock_of_the_frames(brain, more):
    """Blood samples beside it scale it and are not its clock: no door seeks a delay."""
    substance = "carrier" if "haematocrit" in more else "parent"
    more = more | {"substance": substance}
    command = by_command(
        brain, "two_tissue_irreversible", "--artery", "cerebellum",
        *(part for name, value in more.items() for part in ("--input-option", f"{name}={value}")),
        *(["--hold", "Vb=0"] if substance == "parent" else []),
    )  # fmt: skip
    assert {name for entry in command.values() for name in entry["notes"]} == set()
    curves = igdd.read_curves(brain / "tacs.tsv")
    rows = [curves.names.index(name) for name in command]
    inputs = igdd.image_derived(curves, "cerebellum", **more)
    hold = {"Vb": "0"} if substance == "parent" else {}
    found = igdd.fit("two_tissue_irreversible", curves.of(rows), inputs, hold=hold)
    check_alike(command, by_region(as_json(found)))
    text = '[[inputs]]\nregion = "cerebellum"\n'
    text += "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())
    text += table_of("two_tissue_irreversible", {"hold": hold})
    check_rows(command, by_study(brain, text))


def test_a_region_with_manual_samples_beside_it_is_fitted_alike(brain):
    blood = brain / "sub-01_blood.tsv"
    command = by_command(
        brain, "one_tissue", "--artery", "cerebellum", "--input-option", f"manual={blood}",
        "--input-option", "blood_scaling=yes",
    )  # fmt: skip
    curves = igdd.read_curves(brain / "tacs.tsv")
    rows = [curves.names.index(name) for name in command]
    inputs = igdd.image_derived(curves, "cerebellum", manual=blood, blood_scaling=True)
    check_alike(command, by_region(as_json(igdd.fit("one_tissue", curves.of(rows), inputs))))
    text = '[[inputs]]\nregion = "cerebellum"\nblood = "sub-01_blood.tsv"\nblood_scaling = true\n'
    check_rows(command, by_study(brain, text + table_of("one_tissue", {})))


@pytest.mark.parametrize("model", ["mono_exponential", "bi_exponential"])
def test_clearance_without_an_input_is_fitted_alike(brain, model):
    words = {"start": "5 min"}
    command = by_command(brain, model, *flags_of(words))
    found = igdd.fit(model, brain / "tacs.tsv", **words)
    check_alike(command, by_region(as_json(found)))
    check_rows(command, by_study(brain, table_of(model, words)))


@pytest.mark.parametrize("words", [{}, {"free": ["delay"]}, {"integration": "instant"}])
def test_a_contrast_series_is_fitted_alike(breast, words):
    command = by_command(breast, "extended_tofts", "--input", str(breast / "aif.tsv"),
                         *flags_of(words))  # fmt: skip
    for inputs in (breast / "aif.tsv", igdd.read_inputs(breast / "aif.tsv")):
        found = igdd.fit("extended_tofts", breast / "tacs.tsv", inputs, **words)
        check_alike(command, by_region(as_json(found)))
    text = '[[inputs]]\nblood = "aif.tsv"\nzero = "scan_start"\n'
    check_rows(command, by_study(breast, text + table_of("extended_tofts", words)), ROUNDED)


def test_a_population_s_input_is_fitted_alike(breast):
    options = {"haematocrit": 0.42, "delay": "20 s", "dose": "0.1 mmol/kg"}
    command = by_command(
        breast, "tofts", "--population", "parker",
        *(part for name, value in options.items()
          for part in ("--input-option", f"{name}={value}")),
    )  # fmt: skip
    curves = igdd.read_curves(breast / "tacs.tsv")
    inputs = igdd.population_input(
        "parker", curves.frames.end.max(), haematocrit=0.42, delay=20.0, dose=1e-7
    )
    check_alike(command, by_region(as_json(igdd.fit("tofts", curves, inputs))))
    text = '[[inputs]]\npopulation = "parker"\n'
    text += "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
    check_rows(command, by_study(breast, text + table_of("tofts", {})), ROUNDED)


def test_figures_of_a_curve_are_alike(breast):
    words = {"arrival": "30 s"}
    command = by_command(breast, "semi_quantitative", *flags_of(words))
    found = igdd.fit("semi_quantitative", breast / "tacs.tsv", **words)
    check_alike(command, by_region(as_json(found)))
    check_rows(command, by_study(breast, table_of("semi_quantitative", words)), ROUNDED)


def test_the_nuclide_of_the_curves_is_that_of_the_blood(brain, tmp_path):
    """Blood that lies apart from its scan: the curves' JSON says what it decays by."""
    (tmp_path / "blood").mkdir()
    for suffix in ("tsv", "json"):
        name = f"sub-01_blood.{suffix}"
        (tmp_path / "blood" / name).write_bytes((brain / name).read_bytes())
    blood = tmp_path / "blood" / "sub-01_blood.tsv"
    command = by_command(brain, "patlak", "--input", str(blood))
    assert all("decay_state_assumed" not in entry["flags"] for entry in command.values())
    for inputs in (blood, igdd.read_inputs(blood, half_life=igdd.nuclide("F-18").half_life)):
        check_alike(command, by_region(as_json(igdd.fit("patlak", brain / "tacs.tsv", inputs))))


@pytest.mark.parametrize(
    ("model", "words"),
    cases(
        ("two_tissue_irreversible", {}),
        ("logan", {"start": "20 min"}),
        ("one_tissue", {"hold": {"Vb": "0.05"}, "sd": "counts"}),
    ),
)
def test_a_scan_with_blood_is_mapped_alike(brain, tmp_path, model, words):
    image, blood = brain / "sub-01_pet.nii.gz", brain / "sub-01_blood.tsv"
    called = ["map", model, "--image", image, "--input", blood, *flags_of(words), "--out",
              tmp_path / "command", "--json"]  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in called])
    assert done.exit_code == 0, done.output
    command = json.loads(done.stdout)
    for name, inputs in (("path", blood), ("read", igdd.read_inputs(blood))):
        made = igdd.map(model, image, inputs, out=tmp_path / name, **words)
        check_maps(command, described(made))
    study = PET_STUDY + BLOOD + table_of(model, words).replace("fit", "map")
    (one,) = plan(check_study(tomllib.loads(study), brain / "study.toml"))
    session.measured(one, tmp_path / "study")
    for name, path in command["maps"].items():
        mine = tmp_path / "study" / "maps" / model / Path(path).name
        # the study's image has been through one more multiplication in single precision
        assert_allclose(nib.load(mine).get_fdata(), nib.load(path).get_fdata(), rtol=1e-5), name


def check_maps(one: dict, other: dict) -> None:
    for key in ("units", "voxels", "fitted", "counts", "input_flags", "notes"):
        assert one[key] == other[key]
    for kind in ("maps", "sd"):
        for name, path in one[kind].items():
            assert Path(path).read_bytes() == Path(other[kind][name]).read_bytes()


def injected_late(brain: Path, place: Path) -> Path:
    """The scan as it were of carbon-11, begun 40 s before the injection, with metabolites."""
    for name in ("sub-01_pet.nii.gz", "sub-01_dseg.nii.gz", "sub-01_dseg.tsv"):
        (place / name).write_bytes((brain / name).read_bytes())
    start = [0.0, *(START[1:] + 40.0).tolist()]
    facts = {"InjectionStart": 40, "TracerRadionuclide": "C11", "FrameTimesStart": start,
             "FrameDuration": np.append(np.diff(start), 300.0).tolist()}  # fmt: skip
    (place / "sub-01_pet.json").write_text(json.dumps(PET | facts), encoding="utf-8")
    table = pd.read_csv(brain / "sub-01_blood.tsv", sep="\t")
    table["metabolite_parent_fraction"] = np.exp(-table["time"] / 2000)
    table["time"] += 40.0
    table.iloc[1:].to_csv(place / "sub-01_blood.tsv", sep="\t", index=False)
    (place / "sub-01_blood.json").write_bytes((brain / "sub-01_blood.json").read_bytes())
    sampled = ["tacs", place / "sub-01_pet.nii.gz", place / "sub-01_dseg.nii.gz", "--out",
               place / "tacs.tsv"]  # fmt: skip
    assert CliRunner().invoke(app, [str(one) for one in sampled]).exit_code == 0
    return place


@pytest.mark.parametrize("model", ["two_tissue", "patlak"])
def test_a_scan_begun_before_the_injection_is_fitted_alike(brain, tmp_path, model):
    place = injected_late(brain, tmp_path)
    blood = place / "sub-01_blood.tsv"
    command = by_command(place, model, "--input", str(blood))
    for inputs in (blood, igdd.read_inputs(blood)):
        check_alike(command, by_region(as_json(igdd.fit(model, place / "tacs.tsv", inputs))))
    rows, aicc = by_study(place, BLOOD + table_of(model, {}))
    # A study's values are those at the injection: all are smaller alike, and so AICc differs.
    check_rows(command, (rows, {name: known(command[name]["aicc"]) for name in aicc}), ROUNDED)


def test_blood_that_counts_from_the_injection_is_corrected_to_it(brain, tmp_path):
    """The same numbers on a clock of 40 s later stand for 40 s of carbon-11 more."""
    place = injected_late(brain, tmp_path)
    scanner, _ = by_study(place, BLOOD + table_of("patlak", {}))
    table = pd.read_csv(place / "sub-01_blood.tsv", sep="\t")
    table.assign(time=table["time"] - 40.0).to_csv(
        place / "sub-01_blood.tsv", sep="\t", index=False
    )
    said = BLOOD + 'zero = "administration"\n' + table_of("patlak", {})
    injection, _ = by_study(place, said)
    less = 2 ** (-40 / igdd.nuclide("C-11").half_life)
    for one, other in zip(scanner["value"], injection["value"], strict=True):
        assert other == pytest.approx(one * less, rel=1e-6)


def test_a_region_and_manual_samples_of_a_scan_begun_early_are_fitted_alike(brain, tmp_path):
    place = injected_late(brain, tmp_path)
    blood = place / "sub-01_blood.tsv"
    command = by_command(
        place, "one_tissue", "--artery", "cerebellum", "--input-option", f"manual={blood}",
        "--input-option", "blood_scaling=yes",
    )  # fmt: skip
    text = '[[inputs]]\nregion = "cerebellum"\nblood = "sub-01_blood.tsv"\nblood_scaling = true\n'
    rows, aicc = by_study(place, text + table_of("one_tissue", {}))
    check_rows(command, (rows, {name: known(command[name]["aicc"]) for name in aicc}), ROUNDED)
