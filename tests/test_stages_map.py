from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from compartment_curves import dce, pet
from graphical_curves import frames_of, input_of, one_tissue, protocol_of
from igdd import catalog
from igdd.errors import FitError, InputError, StudyError, UnitsError
from igdd.io import bids, nifti
from igdd.kinetics import Protocol, Status
from igdd.models import patlak
from igdd.stages.fit import fit
from igdd.stages.fit_text import described, map_text
from igdd.stages.map import map_image
from igdd.stages.protocol import si_factor
from igdd.types import Curves, Frames, Grid, Image, Zero

SHAPE = (7, 6, 5)
GRID = Grid(shape=SHAPE, affine=np.diag([2.0, 2.0, 3.0, 1.0]))
FRAMES = frames_of()
INPUTS = {"plasma": input_of()}
START = "15 min"
SINGLE = 3e-6  # maps are stored in single precision, and so are the samples they come from


def curves_of(seed: int = 0, count: int = GRID.size) -> np.ndarray:
    """Noisy Patlak curves (n, t) in single precision."""
    rng = np.random.default_rng(seed)
    truth = np.stack(
        [rng.uniform(1e-5, 1e-3, count), rng.uniform(0.1, 0.8, count), np.zeros(count)], axis=1
    )
    clean = patlak.predict(truth, protocol_of())
    return (clean * (1 + 0.02 * rng.standard_normal(clean.shape))).astype(np.float32)


def volumes(curves: np.ndarray) -> np.ndarray:
    """Curves (n, t), voxels in the file's order, as an image (i, j, k, t)."""
    return curves.T.reshape(curves.shape[1], *SHAPE[::-1]).T


def facts(**changes) -> dict:
    found = {
        "Units": "Bq/mL",
        "TimeZero": "10:00:00",
        "InjectionStart": 0,
        "FrameTimesStart": FRAMES.start,
        "FrameDuration": FRAMES.duration,
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


def image_file(folder, curves=None, name="sub-01_pet.nii", **changes):
    curves = curves_of() if curves is None else curves
    path = folder / name
    bids.write_nifti(path, volumes(curves), GRID, facts(**changes))
    return path


def values(path) -> np.ndarray:
    """A map's voxels in the file's order."""
    return nifti.read_image(path).values[..., 0].ravel(order="F")


def region_fit(curves: np.ndarray, model="patlak", inputs=INPUTS, **settings):
    count, frames = curves.shape
    return fit(
        model,
        Curves(
            values=curves.astype(float),
            covariance=np.full((frames, count, count), np.nan),
            volume=np.ones(count),
            volume_sd=np.zeros(count),
            names=tuple(f"voxel {number}" for number in range(count)),
            kinds=("organ",) * count,
            frames=FRAMES,
            quantity="activity_concentration",
            unit="Bq/mL",
            analyte="label",
        ),
        inputs,
        **settings,
    )


@pytest.mark.parametrize("model", ["patlak", "logan", "ma1"])
def test_a_voxel_gives_what_a_region_of_it_gives(tmp_path, model):
    curves = curves_of()
    found = map_image(
        model, image_file(tmp_path, curves), INPUTS, out=tmp_path / "out", start=START, chunk=64
    )
    region = region_fit(curves, model, start=START)
    for column, name in enumerate(region.parameters[:2]):
        factor = 60.0 if name == "Ki" else 1 / 60 if name == "b" else 1.0
        assert_allclose(values(found.maps[name]), region.values[:, column] * factor, rtol=SINGLE)
        sd = np.sqrt(region.covariance[:, column, column]) * factor
        assert_allclose(values(found.sd[name]), sd, rtol=SINGLE)
    flags = values(found.flags).astype(int)
    expected = [sum(bit for bit in Status if bit.flags[0] in one) for one in region.flags]
    assert np.array_equal(flags, expected)
    assert found.fitted == found.voxels == GRID.size
    assert found.notes["t_star"] == 900.0


@pytest.mark.parametrize("sd", [None, 1.0 + 0.5 * np.cos(np.arange(FRAMES.start.size))])
@pytest.mark.parametrize(
    ("model", "free"),
    [("one_tissue", []), ("two_tissue", []), ("two_tissue_irreversible", ["delay"]), ("srtm", [])],
)
def test_a_voxel_that_its_model_does_not_follow_is_flagged_as_a_region_is(
    tmp_path, model, free, sd
):
    inputs = {"plasma": input_of(), "blood": input_of(compartment="blood", scale=1.1)}
    inputs = {"reference": input_of(compartment="tissue")} if model == "srtm" else inputs
    declared = catalog.find("models", model)
    truth = [one.start[0] * si_factor(one.unit) for one in declared.parameters]
    clean = declared.predict(np.array([truth]), Protocol(frames=FRAMES, inputs=inputs))
    curves = np.repeat(clean, GRID.size, axis=0)
    curves *= 1 + 0.02 * np.random.default_rng(0).standard_normal(curves.shape)
    # A wave that no model has, in every other voxel.
    curves[::2] *= 1 + 0.05 * np.sin(np.linspace(0, 12, FRAMES.start.size))
    curves = curves.astype(np.float32)
    found = map_image(
        model, image_file(tmp_path, curves), inputs, out=tmp_path / "out", sd=sd, free=free
    )
    region = region_fit(curves, model, inputs=inputs, sd=sd, free=free)
    flags = (values(found.flags).astype(int) & Status.RESIDUAL_RUNS) > 0
    expected = np.array(["residual_runs" in one for one in region.flags])
    assert 0.1 * GRID.size < expected.sum() < 0.55 * GRID.size
    # Where a residual is as small as what the tables leave of the fit, its sign may turn.
    assert np.mean(flags != expected) <= 0.01


def test_at_a_bound_a_voxel_and_a_region_lack_the_same_errors(tmp_path):
    """Tissue without trapping, at noise that drives k3, and Ki with it, to 0 in half of them."""
    inputs = {"plasma": input_of(), "blood": input_of(compartment="blood", scale=1.1)}
    declared = catalog.find("models", "two_tissue_irreversible")
    truth = np.array([[0.3 / 60, 0.3 / 60, 0.0, 0.05, 0.0]])
    clean = declared.predict(truth, Protocol(frames=FRAMES, inputs=inputs))
    noise = np.random.default_rng(0).standard_normal((GRID.size, FRAMES.start.size))
    curves = (clean * (1 + 0.02 * noise)).astype(np.float32)
    found = map_image(declared.name, image_file(tmp_path, curves), inputs, out=tmp_path / "out")
    region = region_fit(curves, declared.name, inputs=inputs)
    for name in ("K1", "k3", "Ki", "VND"):
        column = region.parameters.index(name)
        lacking = np.isnan(region.covariance[:, column, column])
        assert lacking.any() == (name in ("k3", "Ki"))
        assert np.array_equal(np.isnan(values(found.sd[name])), lacking)


def test_a_map_of_ma2_whose_frames_no_rule_chooses_is_made(tmp_path):
    curves = curves_of(count=GRID.size)
    found = map_image("ma2", image_file(tmp_path, curves), INPUTS, out=tmp_path / "out")
    region = region_fit(curves, "ma2")
    column = region.parameters.index("K1")
    # Two integrals nearly alike: what single precision of the samples leaves of the rate.
    assert_allclose(values(found.maps["K1"]), region.values[:, column] * 60, rtol=1e-4)
    assert "t_star" not in found.notes


def test_derived_parameters_and_their_errors_follow_the_solver(tmp_path):
    declared = catalog.find("models", "one_tissue")
    rng = np.random.default_rng(3)
    K1, k2 = rng.uniform(0.1, 0.6, GRID.size) / 60, rng.uniform(0.05, 0.4, GRID.size) / 60
    curves = one_tissue(protocol_of(), K1 / k2, k2)
    curves *= 1 + 0.02 * rng.standard_normal(curves.shape)
    path = image_file(tmp_path, curves.astype(np.float32))
    found = map_image("one_tissue", path, INPUTS, out=tmp_path / "out", hold={"Vb": 0.0})
    protocol = Protocol(
        frames=FRAMES,
        inputs={**INPUTS, "blood": input_of(compartment="blood", scale=0.0)},
        held={"Vb": 0.0, "delay": 0.0},
    )
    solved = declared.prepare(protocol)(curves.astype(np.float32), None)
    K1, k2 = solved.parameters.T[:2]
    assert set(found.maps) == {"K1", "k2", "VT"}
    assert_allclose(values(found.maps["K1"]), K1 * 60, rtol=1e-5)  # chunks in another order
    assert_allclose(values(found.maps["VT"]), K1 / k2, rtol=1e-5)
    slopes = np.stack([1 / k2, -K1 / k2**2], axis=1)
    variance = np.einsum("na,nab,nb->n", slopes, solved.covariance[:, :2, :2], slopes)
    assert_allclose(values(found.sd["VT"]), np.sqrt(variance), rtol=1e-4)
    region = region_fit(curves.astype(np.float32), "one_tissue", hold={"Vb": 0.0})
    assert_allclose(values(found.maps["K1"]), region.values[:, 0] * 60, rtol=1e-4)


def test_files_say_what_they_are(tmp_path):
    found = map_image(
        "patlak", image_file(tmp_path), INPUTS, out=tmp_path / "out", start=START, hold={"Vb": 0.0}
    )
    account = json.loads(found.account.read_text())
    assert account["Model"] == "patlak"
    assert account["Parameters"]["Ki"]["Units"] == "mL/cm3/min" == found.units["Ki"]
    assert account["Options"]["start"] == 900.0
    assert account["Held"] == {"Vb": 0.0}
    assert account["Inputs"]["plasma"]["Compartment"] == "plasma"
    assert set(account["Sources"]) == {"sub-01_pet.nii", "sub-01_pet.json"}
    assert len(account["Sources"]["sub-01_pet.nii"]) == 64
    bits = json.loads((tmp_path / "out" / "flags.json").read_text())["Bits"]
    assert {bit: one["Name"] for bit, one in bits.items()} == {
        str(bit.value): bit.flags[0] for bit in Status
    }
    assert json.loads((tmp_path / "out" / "Ki_sd.json").read_text())["Units"] == "mL/cm3/min"
    assert nifti.read_image(found.maps["Ki"]).grid.equals(GRID)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == sorted(
        ["Ki.nii", "Ki.json", "Ki_sd.nii", "Ki_sd.json", "V.nii", "V.json", "V_sd.nii",
         "V_sd.json", "flags.nii", "flags.json", "map.json"]
    )  # fmt: skip


@pytest.mark.parametrize("way", ["gzip", "doubles", "integers", "big endian", "array", "rows"])
def test_however_the_image_is_stored_the_numbers_are_the_same(tmp_path, way):
    import nibabel

    curves = np.rint(curves_of()) if way == "integers" else curves_of()
    plain = image_file(tmp_path, curves)
    expected = map_image("patlak", plain, INPUTS, out=tmp_path / "plain", start=START)
    shown = volumes(curves)
    path, given = tmp_path / "again_pet.nii", {}
    if way == "gzip":
        path = path.with_suffix(".nii.gz")
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif way in ("array", "rows"):
        path = Image(
            values=np.ascontiguousarray(shown) if way == "rows" else shown,
            grid=GRID, quantity="activity_concentration", unit="Bq/mL", analyte="label",
            frames=FRAMES,
        )  # fmt: skip
    else:
        kind = {"doubles": "<f8", "integers": "<i4", "big endian": ">f4"}[way]
        header = nibabel.Nifti1Header(endianness=kind[0])
        header.set_data_dtype(np.dtype(kind))
        one = nibabel.Nifti1Image(shown.astype(kind), GRID.affine, header)
        one.header.set_slope_inter(1, 0)
        one.header["xyzt_units"] = 10
        nibabel.save(one, path)
    if not isinstance(path, Image):
        shutil.copy(tmp_path / "sub-01_pet.json", tmp_path / "again_pet.json")
    found = map_image("patlak", path, INPUTS, out=tmp_path / "out", start=START, chunk=50, **given)
    for name in ("Ki", "V"):
        assert_allclose(values(found.maps[name]), values(expected.maps[name]), rtol=1e-7)
    assert np.array_equal(values(found.flags), values(expected.flags))
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize(("chunk", "workers"), [(1, 2), (17, 3), (64, 1), (100000, 2)])
def test_pieces_and_threads_change_nothing(tmp_path, chunk, workers):
    path = image_file(tmp_path)
    told = []
    found = map_image(
        "patlak", path, INPUTS, out=tmp_path / "out", start=START, chunk=chunk, workers=workers,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    expected = map_image("patlak", path, INPUTS, out=tmp_path / "whole", start=START)
    for one in ("Ki.nii", "Ki_sd.nii", "flags.nii"):
        assert (tmp_path / "out" / one).read_bytes() == (tmp_path / "whole" / one).read_bytes()
    total = -(-GRID.size // chunk)
    assert told == [(number, total) for number in range(1, total + 1)]
    assert found.counts == expected.counts


def test_a_mask_leaves_the_rest_unknown_and_unflagged(tmp_path):
    path = image_file(tmp_path)
    everywhere = map_image("patlak", path, INPUTS, out=tmp_path / "all", start=START)
    weights = np.random.default_rng(1).uniform(0, 1, SHAPE).astype(np.float32)
    weights[:, :, 2] = 0.0
    bids.write_nifti(tmp_path / "mask.nii.gz", weights, GRID)
    inside = (weights >= 0.5).ravel(order="F")
    found = map_image(
        "patlak", path, INPUTS, mask=tmp_path / "mask.nii.gz", out=tmp_path / "out", start=START,
        chunk=33,
    )  # fmt: skip
    Ki = values(found.maps["Ki"])
    assert np.isnan(Ki[~inside]).all()
    assert np.array_equal(Ki[inside], values(everywhere.maps["Ki"])[inside])
    assert not values(found.flags)[~inside].any()
    assert found.voxels == inside.sum()
    by_array = map_image("patlak", path, INPUTS, mask=weights, out=tmp_path / "array", start=START)
    assert np.array_equal(values(by_array.maps["Ki"]), Ki, equal_nan=True)


def test_bad_voxels_are_flagged_and_nothing_else_changes(tmp_path):
    curves = curves_of()
    good = map_image(
        "patlak", image_file(tmp_path, curves), INPUTS, out=tmp_path / "good", start=START
    )
    curves[3] = 0.0
    curves[50, 41] = np.nan
    curves[120, 40] = np.inf
    bad = np.isin(np.arange(GRID.size), [3, 50, 120])
    found = map_image(
        "patlak", image_file(tmp_path, curves, "bad_pet.nii"), INPUTS, out=tmp_path / "out",
        start=START, chunk=40,
    )  # fmt: skip
    assert np.isnan(values(found.maps["Ki"])[bad]).all()
    assert np.isnan(values(found.sd["Ki"])[bad]).all()
    assert (values(found.flags)[bad] == Status.NOT_FITTED).all()
    assert np.array_equal(values(found.maps["Ki"])[~bad], values(good.maps["Ki"])[~bad])
    assert np.array_equal(values(found.flags)[~bad], values(good.flags)[~bad])
    assert found.counts["not_fitted"] == 3
    assert found.fitted == GRID.size - 3


@pytest.mark.parametrize(("model", "parameter"), [("patlak", "Ki"), ("logan", "VT"), ("ma1", "VT")])
def test_a_value_missing_before_the_line_counts_as_in_a_region(tmp_path, model, parameter):
    curves = curves_of()
    curves[50, 5], curves[51, -2], curves[60, 5] = np.nan, np.nan, np.inf
    found = map_image(model, image_file(tmp_path, curves), INPUTS, out=tmp_path / "o", start=START)
    region = region_fit(curves[49:53], model, start=START)
    # Patlak's axes need the tissue in the line's own frames only; the others integrate it.
    assert np.isnan(values(found.maps[parameter])[50]) == (model != "patlak")
    assert np.isnan(values(found.maps[parameter])[51])
    factor = np.array([1.0]) if model != "patlak" else np.array([60.0])
    assert_allclose(values(found.maps[parameter])[49:53], region.values[:, 0] * factor, rtol=SINGLE)
    missing = ["not_fitted" in flags for flags in region.flags]
    assert ((values(found.flags)[49:53].astype(int) & Status.NOT_FITTED) > 0).tolist() == missing


@pytest.mark.parametrize("model", ["patlak_dce", "semi_quantitative", "patlak", "tofts"])
def test_a_region_of_zeros_is_not_fitted_as_a_voxel_is(model):
    curves = np.vstack([np.zeros(FRAMES.start.size), curves_of(count=2)])
    options = {"arrival": 0.0} if model == "semi_quantitative" else {}
    found = region_fit(curves, model, **options)
    assert np.isnan(found.values[0]).all()
    assert np.isnan(np.einsum("jj->j", found.covariance[0])).all()
    assert "not_fitted" in found.flags[0]
    assert "not_fitted" not in found.flags[1]


def test_what_the_input_leaves_open_is_told_with_the_map(tmp_path):
    short = {"plasma": input_of(float(FRAMES.end[-1]) - 60)}
    found = map_image("patlak", image_file(tmp_path), short, out=tmp_path / "out", start=START)
    assert "input_extended" in map_text(found)
    assert described(found)["input_flags"] == ["input_extended"]
    whole = map_image("patlak", image_file(tmp_path), INPUTS, out=tmp_path / "out", start=START)
    assert "input" not in map_text(whole).replace(str(tmp_path), "")
    assert described(whole)["input_flags"] == []


def test_a_shared_delay_at_its_bound_is_told_of_every_voxel_as_of_every_region(tmp_path):
    """Tissue that sees the blood 75 s later than any delay may say, in a map as in a fit."""
    protocol, model = pet(), catalog.find("models", "one_tissue")
    inputs = {
        role: replace(one, time=one.time - 75.0, own_clock=True)
        for role, one in protocol.inputs.items()
    }
    truth = np.array([[0.1 / 60, 0.1 / 60, 0.05, 0.0], [0.3 / 60, 0.2 / 60, 0.03, 0.0]])
    curves = model.predict(truth, protocol)
    image = Image(
        values=curves.reshape(2, 1, 1, -1), grid=Grid(shape=(2, 1, 1), affine=np.eye(4)),
        quantity="activity_concentration", unit="Bq/mL", analyte="label", frames=protocol.frames,
    )  # fmt: skip
    found = map_image("one_tissue", image, inputs, out=tmp_path / "maps")
    assert found.notes["delay_shared"] == 60.0
    assert found.counts["at_bound"] == 2


def test_a_contrast_voxel_above_zero_before_its_input_is_flagged_as_a_region_is(tmp_path):
    protocol, model = dce(), catalog.find("models", "tofts")
    plasma = protocol.input("plasma")
    time, later = np.append(0.0, plasma.time + 60.0), np.append(0.0, plasma.values)
    inputs = {"plasma": replace(plasma, time=time, values=later)}
    truth = np.array([[0.2 / 60, 0.3, 0.0], [0.2 / 60, 0.3, 0.0]])
    curves = model.predict(truth, replace(protocol, inputs=inputs))
    curves[1] += 0.5 * curves[1].max()
    image = Image(
        values=curves.reshape(2, 1, 1, -1), grid=Grid(shape=(2, 1, 1), affine=np.eye(4)),
        quantity="amount_concentration", unit=plasma.unit, analyte="contrast",
        frames=protocol.frames,
    )  # fmt: skip
    found = map_image("tofts", image, inputs, out=tmp_path / "maps")
    early = values(found.flags).astype(int) & Status.ENHANCED_BEFORE_INPUT
    assert early.tolist() == [0, Status.ENHANCED_BEFORE_INPUT]
    account = json.loads(found.account.read_text())
    assert account["Voxels"]["Flagged"]["enhanced_before_input"] == 1


def test_without_a_start_the_mean_curve_decides_for_all(tmp_path):
    curves = curves_of() + (2e4 * np.exp(-FRAMES.middle / 150)).astype(np.float32)
    path = image_file(tmp_path, curves)
    found = map_image("patlak", path, INPUTS, out=tmp_path / "out")
    mean = region_fit(curves.astype(float).mean(axis=0)[None])
    assert found.notes["t_star"] == mean.notes[0]["t_star"]
    fixed = map_image("patlak", path, INPUTS, out=tmp_path / "b", start=found.notes["t_star"])
    assert np.array_equal(values(found.maps["Ki"]), values(fixed.maps["Ki"]))
    later = map_image("patlak", path, INPUTS, out=tmp_path / "c", start="30 min")
    assert later.notes["t_star_by_rule"] == found.notes["t_star"]


def test_deviations_of_frames_weight_the_line(tmp_path):
    curves = curves_of()
    sd = np.linspace(1.0, 3.0, FRAMES.start.size)
    found = map_image(
        "patlak", image_file(tmp_path, curves), INPUTS, out=tmp_path / "out", start=START, sd=sd
    )
    region = region_fit(curves, start=START, sd=sd)
    assert_allclose(values(found.maps["Ki"]), region.values[:, 0] * 60, rtol=SINGLE)


def test_units_of_image_and_input_meet(tmp_path):
    path = image_file(tmp_path, curves_of() / 1000, Units="kBq/mL")
    found = map_image("patlak", path, INPUTS, out=tmp_path / "out", start=START)
    plain = image_file(tmp_path, name="plain_pet.nii")
    expected = map_image("patlak", plain, INPUTS, out=tmp_path / "plain", start=START)
    assert_allclose(values(found.maps["Ki"]), values(expected.maps["Ki"]), rtol=1e-4)
    other = image_file(tmp_path, name="other_pet.nii", Units="mol/mL")
    with pytest.raises(UnitsError, match="is in Bq/mL, the tissue's curves in mol/mL"):
        map_image("patlak", other, INPUTS, out=tmp_path / "other", start=START)


def test_a_sidecar_is_needed_or_its_facts(tmp_path):
    path = image_file(tmp_path)
    expected = map_image("patlak", path, INPUTS, out=tmp_path / "out", start=START)
    (tmp_path / "sub-01_pet.json").unlink()
    with pytest.raises(InputError, match="FrameTimesStart is missing from its sidecar"):
        map_image("patlak", path, INPUTS, out=tmp_path / "none", start=START)
    with pytest.raises(InputError, match="Units is missing from its sidecar"):
        map_image("patlak", path, INPUTS, out=tmp_path / "none", start=START, frames=FRAMES)
    found = map_image(
        "patlak", path, INPUTS, out=tmp_path / "told", start=START, frames=FRAMES, unit="Bq/mL"
    )
    assert np.array_equal(values(found.maps["Ki"]), values(expected.maps["Ki"]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"FrameDuration": [-1.0, *FRAMES.duration[1:]]}, "frame 1 lasts -1"),
        ({"FrameTimesStart": FRAMES.start[::-1]}, "expected frames in order"),
        ({"FrameTimesStart": FRAMES.start[:-1]}, "expected one for each frame"),
        ({"FrameTimesStart": FRAMES.start / 60, "FrameDuration": FRAMES.duration / 60}, "in min"),
        ({"FrameTimesStart": FRAMES.start / 60}, "starts seem to be in min"),
        ({"FrameDuration": FRAMES.duration / 60}, "durations seem to be in min"),
        ({"FrameDuration": FRAMES.duration * 1000}, "durations seem to be in ms"),
        ({"FrameDuration": [FRAMES.duration[0] + 20, *FRAMES.duration[1:]]}, "not overlap"),
        ({"FrameDuration": None}, "FrameDuration is missing"),
    ],
)
def test_frames_that_cannot_be_are_refused(tmp_path, changes, words):
    path = image_file(tmp_path, **changes)
    with pytest.raises(InputError, match=words):
        map_image("patlak", path, INPUTS, out=tmp_path / "out")
    assert not list(tmp_path.glob("out/*.nii"))


def test_an_input_in_minutes_or_too_short_is_refused(tmp_path):
    path = image_file(tmp_path)
    for until, words in ((1200.0, "ends at 1200 s"), (100.0, "are its times in min")):
        with pytest.raises(InputError, match=words):
            map_image("patlak", path, {"plasma": input_of(until)}, out=tmp_path / "out")
    with pytest.raises(InputError, match="needs the input 'plasma'"):
        map_image("patlak", path, {}, out=tmp_path / "out")
    with pytest.raises(InputError, match="needs the input 'blood'"):
        map_image("patlak", path, INPUTS, out=tmp_path / "out", hold={"Vb": 0.05})


def test_an_input_that_ends_within_the_last_frame_is_noted(tmp_path):
    short = {"plasma": input_of(float(FRAMES.end[-1]) - 60)}
    found = map_image("patlak", image_file(tmp_path), short, out=tmp_path / "out", start=START)
    assert found.input_flags == ("input_extended",)
    assert json.loads(found.account.read_text())["InputFlags"] == ["input_extended"]


def test_masks_that_do_not_fit_are_refused(tmp_path):
    path = image_file(tmp_path)
    elsewhere = Grid(shape=SHAPE, affine=GRID.affine + _shift(1000.0))
    bids.write_nifti(tmp_path / "elsewhere.nii", np.ones(SHAPE, np.float32), elsewhere)
    bids.write_nifti(tmp_path / "empty.nii", np.zeros(SHAPE, np.float32), GRID)
    cases = (
        (tmp_path / "elsewhere.nii", "no voxel"),
        (np.ones((2, 2, 2)), "mask has shape"),
        (tmp_path / "empty.nii", "no voxel"),
        (path, "expected a mask of one"),
    )
    for mask, words in cases:
        with pytest.raises(InputError, match=words):
            map_image("patlak", path, INPUTS, mask=mask, out=tmp_path / "out", start=START)
    assert not list(tmp_path.glob("out/*"))


def test_a_mask_on_another_grid_is_brought_over_as_regions_are(tmp_path):
    path, mask = image_file(tmp_path), np.zeros(SHAPE, np.float32)
    mask[1:4, 2:6, 1:4] = 1
    turned = GRID.affine @ np.array(
        [[-1, 0, 0, SHAPE[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]
    )
    bids.write_nifti(tmp_path / "own.nii", mask, GRID)
    bids.write_nifti(tmp_path / "turned.nii", mask[::-1], Grid(shape=SHAPE, affine=turned))
    fine = GRID.affine @ np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] -= (GRID.affine @ [0.25, 0.25, 0.25, 0])[:3]  # the same corner
    twice = np.kron(mask, np.ones((2, 2, 2), np.float32))
    bids.write_nifti(tmp_path / "fine.nii", twice, Grid(shape=twice.shape, affine=fine))
    found = [
        values(map_image("patlak", path, INPUTS, mask=tmp_path / f"{name}.nii",
                         out=tmp_path / name, start=START).maps["Ki"])
        for name in ("own", "turned", "fine")
    ]  # fmt: skip
    assert np.isfinite(found[0]).sum() == mask.sum()
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_a_parameter_without_end_is_no_value(tmp_path):
    endless = replace(
        patlak.MODELS[0], derived=(replace(patlak.MODELS[0].parameters[0], name="ratio"),),
        derive=lambda fitted: np.where(np.arange(len(fitted))[:, None] % 2, np.inf, fitted[:, :1]),
    )  # fmt: skip
    found = map_image(endless, image_file(tmp_path), INPUTS, out=tmp_path / "out", start=START)
    ratio = values(found.maps["ratio"])
    assert np.isfinite(ratio).any()
    assert np.isnan(ratio).any()
    assert not np.isinf(ratio).any()


def _shift(by: float) -> np.ndarray:
    moved = np.zeros((4, 4))
    moved[0, 3] = by
    return moved


def test_one_frame_and_other_models_are_refused(tmp_path):
    still = tmp_path / "still_pet.nii"
    bids.write_nifti(still, volumes(curves_of()[:, :1]), GRID, facts(
        FrameTimesStart=[0.0], FrameDuration=[60.0]
    ))  # fmt: skip
    with pytest.raises(InputError, match="has one frame"):
        map_image("patlak", still, INPUTS, out=tmp_path / "out")
    path = image_file(tmp_path)
    with pytest.raises(InputError, match="lie between start and end"):
        map_image("patlak", path, INPUTS, out=tmp_path / "out", start="95 min")
    with pytest.raises(StudyError, match="no_such"):
        map_image("no_such", path, INPUTS, out=tmp_path / "out")
    with pytest.raises(StudyError, match="has no option 'speed'"):
        map_image("patlak", path, INPUTS, out=tmp_path / "out", speed=1.0)
    with pytest.raises(InputError, match="chunk is 0"):
        map_image("patlak", path, INPUTS, out=tmp_path / "out", start=START, chunk=0)
    closed = [one for one in catalog.declarations("models").values() if not one.voxelwise]
    if closed:
        with pytest.raises(InputError, match=r"makes no maps; expected one of .*patlak"):
            map_image(closed[0], path, INPUTS, out=tmp_path / "out")


def test_an_image_of_noise_has_no_start_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    noise = (1e3 * rng.standard_normal((GRID.size, FRAMES.start.size))).astype(np.float32)
    with pytest.raises(FitError, match="nowhere straight"):
        map_image("patlak", image_file(tmp_path, noise), INPUTS, out=tmp_path / "out")


def test_cut_or_swollen_files_leave_nothing_behind(tmp_path):
    path = image_file(tmp_path)
    content = path.read_bytes()
    for name, changed in (("cut", content[:-100]), ("long", content + b"\0" * 8)):
        for packed in (False, True):
            place = tmp_path / f"{name}_pet.nii{'.gz' if packed else ''}"
            place.write_bytes(gzip.compress(changed) if packed else changed)
            shutil.copy(tmp_path / "sub-01_pet.json", tmp_path / f"{name}_pet.json")
            with pytest.raises(InputError, match=r"cut short|header is wrong"):
                map_image("patlak", place, INPUTS, out=tmp_path / "out", start=START)
    assert not list(tmp_path.glob("out/*"))
    assert not list(tmp_path.glob("out/.*"))


def test_a_solver_that_fails_midway_leaves_nothing_behind(tmp_path):
    calls = []

    def failing(protocol):
        whole = patlak.prepare(protocol)

        def solve(curves, sd):
            calls.append(len(curves))
            if len(calls) > 4:
                raise FitError("no more")
            return whole(curves, sd)

        return solve

    broken = replace(patlak.MODELS[0], prepare=failing)
    with pytest.raises(FitError, match="no more"):
        map_image(broken, image_file(tmp_path), INPUTS, out=tmp_path / "out", start=START, chunk=20)
    assert not list((tmp_path / "out").iterdir())


def test_logan_maps_of_one_tissue_are_its_volume(tmp_path):
    rng = np.random.default_rng(2)
    VT, k2 = rng.uniform(0.5, 6, GRID.size), rng.uniform(0.05, 0.4, GRID.size) / 60
    curves = one_tissue(protocol_of(), VT, k2).astype(np.float32)
    found = map_image(
        "logan", image_file(tmp_path, curves), INPUTS, out=tmp_path / "out", start="20 min"
    )
    assert_allclose(values(found.maps["VT"]), VT, rtol=3e-4)  # tissue level within each frame
    assert found.units["VT"] == "mL/cm3"


def test_frames_before_the_injection_need_their_zero(tmp_path):
    moved = image_file(
        tmp_path, name="moved_pet.nii", FrameTimesStart=FRAMES.start - 30.0, InjectionStart=None
    )
    with pytest.raises(InputError, match="before the scan's start"):
        map_image("patlak", moved, INPUTS, out=tmp_path / "out")
    early = Frames(
        start=FRAMES.start - 30.0, duration=FRAMES.duration, zero=Zero(kind="scan_start")
    )
    with pytest.raises(InputError, match="before the scan's start"):
        map_image("patlak", image_file(tmp_path), INPUTS, out=tmp_path / "out", frames=early)


def test_voxels_of_unlike_tissues_share_the_delay_of_each_not_of_their_mean(tmp_path):
    protocol, model = pet(), catalog.find("models", "one_tissue")
    rng, count = np.random.default_rng(3), 400
    K1 = np.exp(rng.uniform(np.log(0.05), np.log(0.8), count)) / 60
    k2 = np.exp(rng.uniform(np.log(0.02), np.log(0.4), count)) / 60
    truth = np.stack([K1, k2, rng.uniform(0.02, 0.08, count), np.full(count, 5.0)], axis=1)
    clean, duration = model.predict(truth, protocol), protocol.frames.duration
    noise = 0.01 * clean.mean() * np.sqrt(duration[-1] / duration)
    curves = clean + noise * rng.normal(size=clean.shape)
    air = noise * rng.normal(size=(600, duration.size))
    image = Image(
        values=np.concatenate([curves, air]).T.reshape(-1, 10, 10, 10).T,
        grid=Grid(shape=(10, 10, 10), affine=np.eye(4)), quantity="activity_concentration",
        unit="Bq/mL", analyte="label", frames=protocol.frames,
    )  # fmt: skip
    found = map_image(
        "one_tissue", image, protocol.inputs, out=tmp_path / "maps", shared=("delay",)
    )
    # The mean curve of all says 8.2 s.
    assert found.notes["delay_shared"] == pytest.approx(5.0, abs=1.5)
