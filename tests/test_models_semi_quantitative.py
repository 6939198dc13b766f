"""Figures of a curve by `igdd fit`: their units, arrival, noise, and what a curve does not show."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import igdd.cli  # noqa: F401  (registers every command)
from igdd import catalog
from igdd.cli_app import app
from igdd.errors import InputError, UnitsError
from igdd.io import nifti
from igdd.kinetics import Protocol, Status
from igdd.stages.fit import compare_models, fit
from igdd.stages.fit_text import as_json, text
from igdd.stages.map import map_image
from igdd.types import Curves, Frames, Grid, Image, Zero

START = np.arange(0.0, 240.0, 10.0)
ARRIVAL = 30.0


def triangle(height, time=START + 5):
    """0 until 30 s, up to `height` at 75 s, down to half of it at 235 s; middles of frames."""
    up = np.clip((time - ARRIVAL) / 45, 0, 1)
    return height * (up - 0.5 * np.maximum(time - 75, 0) / 160)


def curves(values, *, zero="scan_start", unit="mol/mL", noise=np.nan, start=START, stated=""):
    values = np.atleast_2d(values).astype(float)
    count = len(values)
    return Curves(
        values=values,
        covariance=np.tile(noise**2 * np.eye(count), (start.size, 1, 1)),
        volume=np.ones(count),
        volume_sd=np.zeros(count),
        names=tuple(f"region {row}" for row in range(count)),
        kinds=("organ",) * count,
        frames=Frames(start=start, duration=np.full(start.size, 10.0), zero=Zero(kind=zero)),
        quantity="amount_concentration",
        unit=unit,
        analyte="contrast",
        stated=stated,
    )


def of(found, row=0):
    return as_json(found)[row]["parameters"]


def test_figures_of_a_triangle_by_hand():
    found = of(fit("semi_quantitative", curves(triangle(2.0)), arrival="30 s"))
    inside = (START >= 30) & (START < 90)
    assert found["iauc_60"]["value"] == pytest.approx(10 * triangle(2.0)[inside].sum())
    assert found["peak"]["value"] == 2.0
    assert found["time_to_peak"] == {"value": 45.0, "sd": None, "unit": "s"}
    assert found["wash_in"]["value"] == pytest.approx(2.0 / 45)
    assert found["wash_out"]["value"] == pytest.approx(1.0 / 160)


@pytest.mark.parametrize(
    ("unit", "stated", "area", "slope", "factor"),
    [
        ("mol/mL", "mmol/L", "mmol.s/L", "mmol/L/s", 1e6),
        ("mol/mL", "", "mol.s/mL", "mol/mL/s", 1.0),
        ("Bq/mL", "kBq/mL", "kBq.s/mL", "kBq/mL/s", 1e-3),
        ("1/s", "1/s", "(1/s).s", "1/s/s", 1.0),
        ("1", "1", "s", "1/s", 1.0),
        ("HU", "", "HU.s", "HU/s", 1.0),
    ],
)
def test_figures_stand_in_the_unit_of_the_curves(unit, stated, area, slope, factor):
    seen = curves(triangle(2.0), unit=unit, stated=stated)
    found = of(fit("semi_quantitative", seen, arrival="30 s"))
    plain = of(fit("semi_quantitative", curves(triangle(2.0)), arrival="30 s"))
    assert (found["iauc_90"]["unit"], found["wash_in"]["unit"]) == (area, slope)
    for name in ("iauc_90", "peak", "wash_in", "wash_out"):
        assert found[name]["value"] == pytest.approx(factor * plain[name]["value"], rel=1e-12)
    assert found["time_to_peak"]["value"] == 45.0


def test_curves_that_were_not_brought_to_the_units_inside_are_refused():
    with pytest.raises(UnitsError, match="the curves are in mmol/L"):
        fit("semi_quantitative", curves(triangle(2.0), unit="mmol/L"), arrival="30 s")


def test_known_noise_gives_standard_errors():
    found = of(fit("semi_quantitative", curves(triangle(2.0), noise=0.1), arrival="30 s"))
    # six frames of 10 s, and 60 s of a baseline from three frames
    assert found["iauc_60"]["sd"] == pytest.approx(0.1 * np.sqrt(6 * 10**2 + 60**2 / 3))
    assert found["peak"]["sd"] == pytest.approx(0.1)
    assert found["wash_in"]["sd"] == pytest.approx(0.1 * np.sqrt(1 + 1 / 3) / 45)
    assert found["wash_out"]["sd"] == pytest.approx(0.1 * np.sqrt(2) / 160)


def test_standard_errors_cover_the_truth():
    rng = np.random.default_rng(1)
    noisy = triangle(2.0) + 0.05 * rng.normal(size=(2000, START.size))
    made = fit("semi_quantitative", curves(noisy), sd=np.full(START.size, 0.05), arrival="30 s")
    truth = of(fit("semi_quantitative", curves(triangle(2.0)), arrival="30 s"))
    for column, name in enumerate(("iauc_60", "iauc_90", "iauc_120")):
        sd = np.sqrt(made.covariance[:, column, column])
        inside = np.abs(made.values[:, column] - truth[name]["value"]) < 1.96 * sd
        # 2,000 draws: 0.5 %; 3 of these
        assert inside.mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("sd", ["equal", "relative"])
def test_how_frames_compare_says_nothing_of_the_noise(sd):
    found = of(fit("semi_quantitative", curves(triangle(2.0) + 1), sd=sd, arrival="30 s"))
    assert found["iauc_60"]["sd"] is None


def test_a_curve_that_ends_early_lacks_what_it_does_not_show():
    short = START[:13]  # to 130 s: 100 s after arrival
    made = fit("semi_quantitative", curves(triangle(2.0)[:13], start=short), arrival="30 s")
    assert "incomplete" in made.flags[0]
    found = of(made)
    assert found["iauc_90"]["value"] > 0
    assert found["iauc_120"]["value"] is None
    json.dumps(as_json(made), allow_nan=False)


def test_a_few_frames_are_enough_for_what_they_show():
    made = fit("semi_quantitative", curves([0.0, 0, 0, 1, 2], start=START[:5]), arrival="30 s")
    found = of(made)
    assert found["peak"]["value"] == 2.0
    assert found["wash_out"]["value"] is None
    assert found["iauc_60"]["value"] is None
    assert made.flags[0] == ("incomplete",)


def test_times_from_the_administration_need_no_arrival():
    made = fit("semi_quantitative", curves(triangle(2.0), zero="administration"))
    assert made.notes[0]["arrival"] == 0.0
    assert of(made)["time_to_peak"]["value"] == 75.0


def test_the_arrival_is_told_in_s():
    made = fit("semi_quantitative", curves(triangle(2.0)), arrival="30 s")
    assert as_json(made)[0]["notes"]["arrival"] == {"value": 30.0, "unit": "s"}
    assert "arrival 30 s" in text(made)


def test_nobody_guesses_when_the_bolus_arrived():
    with pytest.raises(InputError, match="give the option arrival"):
        fit("semi_quantitative", curves(triangle(2.0)))
    with pytest.raises(InputError, match="on the curve's own clock"):
        fit("semi_quantitative", curves(triangle(2.0)), arrival="10 min")
    with pytest.raises(UnitsError, match="arrival"):
        fit("semi_quantitative", curves(triangle(2.0)), arrival="30")


def test_nothing_can_be_held_where_nothing_is_fitted():
    with pytest.raises(InputError, match="nothing is fitted"):
        fit("semi_quantitative", curves(triangle(2.0)), arrival="30 s", hold={"time_to_peak": 5.0})


def test_a_missing_value_spoils_only_its_own_curve():
    values = np.vstack([triangle(2.0), triangle(1.0)])
    values[0, 7] = np.nan
    made = fit("semi_quantitative", curves(values), arrival="30 s")
    assert made.flags == (("not_fitted",), ())
    assert np.isnan(made.values[0]).all()
    assert of(made, 1)["peak"]["value"] == 1.0


def test_the_broken_line_of_the_figures_is_the_triangle():
    model = catalog.find("models", "semi_quantitative")
    seen = curves(triangle(2.0))
    made = fit("semi_quantitative", seen, arrival="30 s")
    protocol = Protocol(frames=seen.frames, options={"arrival": 30.0})
    np.testing.assert_allclose(model.predict(made.values, protocol)[0], triangle(2.0), atol=1e-12)


def test_there_is_no_criterion_to_choose_it_by():
    made = fit("semi_quantitative", curves(triangle(2.0)), arrival="30 s")
    assert np.isnan(made.aicc).all()
    assert np.isnan(compare_models([made])["aicc"]).all()


def test_a_later_start_leaves_frames_out():
    seen = curves(triangle(2.0))
    cut = replace(
        seen,
        values=seen.values[:, 2:],
        covariance=seen.covariance[2:],
        frames=replace(seen.frames, start=START[2:], duration=np.full(START.size - 2, 10.0)),
    )
    one = fit("semi_quantitative", seen, arrival="30 s", start="20 s")
    other = fit("semi_quantitative", cut, arrival="30 s")
    np.testing.assert_array_equal(one.values, other.values)


HEADERS = {
    "frames": "frame_start\tframe_end\ttumour [mmol/L]",
    "instants": "time [s]\ttumour [mmol/L]",
    "samples": "subject\ttime [s]\tconcentration [mmol/L]\tsd",
}


@pytest.mark.parametrize("form", HEADERS)
def test_the_command_reads_every_form_of_table(tmp_path, form):
    rows = {
        "frames": [f"{t}\t{t + 10}\t{v}" for t, v in zip(START, triangle(2.0), strict=True)],
        "instants": [f"{t + 5}\t{v}" for t, v in zip(START, triangle(2.0), strict=True)],
        "samples": [f"tumour\t{t + 5}\t{v}\t0.1" for t, v in zip(START, triangle(2.0),
                                                                 strict=True)],
    }  # fmt: skip
    path = tmp_path / "dce.tsv"
    path.write_text("\n".join([HEADERS[form], *rows[form]]) + "\n", encoding="utf-8")
    words = ["fit", "semi_quantitative", "--curves", str(path), "--option", "arrival=30 s"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)[0]
    assert found["region"] == "tumour"
    assert found["parameters"]["peak"]["value"] == pytest.approx(2.0)
    assert found["parameters"]["iauc_60"]["unit"] == "mmol.s/L"
    assert (found["parameters"]["peak"]["sd"] is not None) == (form == "samples")
    plot = tmp_path / "page.html"
    assert CliRunner().invoke(app, [*words, "--plot", str(plot)]).exit_code == 0
    assert "mmol" in plot.read_text(encoding="utf-8")


def solver(**words):
    """The model's solver over the frames of this page, on the clock of the scan."""
    frames = Frames(start=START, duration=np.full(START.size, 10.0), zero=Zero(kind="scan_start"))
    protocol = Protocol(frames=frames, options={"arrival": ARRIVAL}, **words)
    return catalog.find("models", "semi_quantitative").prepare(protocol)


def noisy_voxels(count, seed=3):
    """Noisy triangles (n, t) as a map hands them over: a transposed block in single precision."""
    rng = np.random.default_rng(seed)
    made = triangle(1.0) * rng.uniform(0.2, 3, (count, 1))
    made = made + 0.1 * rng.normal(size=made.shape)
    return np.ascontiguousarray(made.T.astype(np.float32)).T


def test_many_voxels_are_solved_as_regions_are():
    voxels, sd = noisy_voxels(300), np.linspace(0.1, 0.2, START.size)
    found = solver()(voxels, sd)
    made = fit("semi_quantitative", curves(voxels), sd=sd, arrival="30 s")
    # sums of 24 frames in another order
    np.testing.assert_allclose(found.parameters, made.values, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.covariance, made.covariance, rtol=1e-11)
    assert [Status(int(bits)).flags for bits in found.status] == list(made.flags)


def test_a_lost_sample_loses_its_voxel_alone():
    voxels = noisy_voxels(200).copy()
    whole = solver()(voxels, None)
    for row, value in ((3, np.nan), (70, np.inf), (199, -np.inf)):
        voxels[row, 11] = value
    found = solver()(voxels, None)
    lost = np.isin(np.arange(200), (3, 70, 199))
    assert np.isnan(found.parameters[lost]).all()
    assert (found.status[lost] == Status.NOT_FITTED).all()
    np.testing.assert_array_equal(found.parameters[~lost], whole.parameters[~lost])
    np.testing.assert_array_equal(found.status[~lost], whole.status[~lost])


@pytest.mark.parametrize("integration", ["exact", "instant"])
def test_a_frame_of_infinite_sd_does_not_count(integration):
    spiked = np.vstack([triangle(2.0), triangle(1.0)])
    spiked[:, 12] = 50.0
    sd = np.full((2, START.size), 0.1)
    sd[0, 12] = np.inf
    found = solver(integration=integration)(spiked, sd)
    left = np.delete(np.arange(START.size), 12)
    frames = Frames(start=START[left], duration=np.full(left.size, 10.0),
                    zero=Zero(kind="scan_start"))  # fmt: skip
    protocol = Protocol(frames=frames, options={"arrival": ARRIVAL}, integration=integration)
    without = catalog.find("models", "semi_quantitative").prepare(protocol)(
        spiked[:1, left], sd[:1, left]
    )
    np.testing.assert_array_equal(found.parameters[0], without.parameters[0])
    np.testing.assert_array_equal(found.covariance[0], without.covariance[0])
    assert found.parameters[0, 3] == 2.0
    assert found.parameters[1, 3] == 50.0
    # a frame holds the mean of its length: an area over one that is left out is not known
    assert np.isnan(found.parameters[0, 2]) == (integration == "exact")
    assert np.isnan(found.predicted[0, 12])


def mapped(folder, voxels, unit="mmol/L", **words):
    """Maps of voxels (n, t) in a row, in the first t frames of this page."""
    start = START[: voxels.shape[1]]
    made = Image(
        values=voxels[:, None, None, :],
        grid=Grid(shape=(len(voxels), 1, 1), affine=np.eye(4)),
        quantity="amount_concentration",
        unit=unit,
        analyte="contrast",
        frames=Frames(
            start=start, duration=np.full(start.size, 10.0), zero=Zero(kind="scan_start")
        ),
    )
    return map_image("semi_quantitative", made, None, out=folder, arrival="30 s", **words)


def image_of(path):
    return nifti.read_image(path).values.ravel()


def test_maps_are_those_of_regions_of_one_voxel(tmp_path):
    voxels, sd = noisy_voxels(50).copy(), np.full(START.size, 0.1)
    voxels[7, 4] = np.nan
    found = mapped(tmp_path, voxels, sd=sd)
    made = fit("semi_quantitative", curves(voxels), sd=sd, arrival="30 s")
    for column, name in enumerate(made.parameters):
        # maps are stored in single precision
        np.testing.assert_allclose(image_of(found.maps[name]), made.values[:, column], rtol=1e-6)
        deviations = np.sqrt(made.covariance[:, column, column])
        np.testing.assert_allclose(image_of(found.sd[name]), deviations, rtol=1e-6)
    flags = image_of(found.flags).astype(int)
    assert [Status(bits).flags for bits in flags] == list(made.flags)
    assert found.fitted == 49


@pytest.mark.parametrize(("unit", "area", "slope"), [
    ("mmol/L", "mmol.s/L", "mmol/L/s"),
    ("1/s", "(1/s).s", "1/s/s"),
    ("1", "s", "1/s"),
])  # fmt: skip
def test_maps_stand_in_the_unit_of_the_image(tmp_path, unit, area, slope):
    found = mapped(tmp_path, triangle(np.array([[2.0]])), unit)
    assert (found.units["iauc_60"], found.units["wash_in"]) == (area, slope)
    assert (found.units["peak"], found.units["time_to_peak"]) == (unit, "s")
    assert image_of(found.maps["peak"])[0] == 2.0
    assert image_of(found.maps["time_to_peak"])[0] == 45.0
    account = json.loads(found.maps["iauc_60"].with_suffix(".json").read_text(encoding="utf-8"))
    assert account["Units"] == area
    whole = json.loads(found.account.read_text(encoding="utf-8"))
    assert whole["Parameters"]["wash_in"]["Units"] == slope


def test_maps_of_a_short_scan_show_what_it_holds(tmp_path):
    found = mapped(tmp_path, np.array([[0.0, 0, 0, 1, 2]]))
    assert image_of(found.maps["peak"])[0] == 2.0
    assert np.isnan(image_of(found.maps["iauc_60"])[0])
    assert found.counts == {"incomplete": 1}


def test_a_table_in_hounsfield_units_keeps_their_name(tmp_path):
    path = tmp_path / "enhancement.tsv"
    rows = [f"{time}\t{level}" for time, level in zip(range(0, 50, 2), range(25), strict=True)]
    path.write_text("\n".join(["time[s]\ttumour[HU]", *rows]))
    found = of(fit("semi_quantitative", path, arrival="2 s"))
    assert (found["peak"]["unit"], found["wash_in"]["unit"]) == ("HU", "HU/s")
