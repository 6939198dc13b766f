"""Kinetics in the report: what is shown of fits, from Results alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from igdd.io.stored import StoredSession, load, store
from igdd.report import kinetics, write_report
from igdd.report.overview import overview
from igdd.results import FittedCurves, Panel
from report_studies import HOSTILE, results, row

TIME = np.array([30.0, 90.0, 300.0, 900.0, 1800.0, 3000.0])


def fitted(regions=("cortex", "cerebellum"), **changes) -> FittedCurves:
    clean = np.stack([np.exp(-TIME / 2000) * 5e3 * (n + 1) for n in range(len(regions))])
    random = np.random.default_rng(5)
    plain = {
        "subject": "01",
        "session": "base",
        "model": "two_tissue",
        "regions": tuple(regions),
        "parameters": ("K1", "VT"),
        "time": TIME,
        "values": clean * (1 + 0.02 * random.standard_normal(clean.shape)),
        "predicted": clean,
        "input_time": np.array([0.0, 60.0, 3600.0]),
        "input_values": np.array([0.0, 9e4, 1e3]),
        "aicc": np.full(len(regions), 12.5),
        "unit": "Bq/mL",
        "quantity": "activity_concentration",
        "notes": tuple({"t_star": 1200.0} for _ in regions),
    }
    return FittedCurves(**(plain | changes))


def study(regions=("cortex", "cerebellum"), **changes):
    rows = [
        row(session="base", region=region, metric=f"two_tissue_{name}", unit=unit, value=value)
        for region in regions
        for name, unit, value in (("K1", "mL/cm3/min", 0.35), ("VT", "mL/cm3", 3.1))
    ]
    return results(rows, fits=(fitted(regions, **changes),))


def test_each_model_has_curves_residuals_and_a_table():
    found = kinetics.blocks(overview(study()))
    assert [block.title for block in found] == [
        "Two-tissue: curves and fits, activity concentration (kBq/mL)",
        "Two-tissue: residuals",
        "Two-tissue: parameters",
    ]


def test_the_table_says_value_interval_and_the_chosen_start():
    table = kinetics.blocks(overview(study()))[2]
    assert table.columns == (
        "region", "VT (mL/cm3)", "K1 (mL/cm3/min)", "AICc", "chosen", "flags",
    )  # fmt: skip
    assert table.rows[0][1] == "3.1 (2.9 to 3.3)"
    assert table.rows[0][4] == "t*\u00a020.0\u00a0min"


def test_each_note_of_what_was_chosen_stays_on_one_line():
    notes = ({"k2prime": 0.09 / 60, "t_star": 1200.0},) * 2
    table = kinetics.blocks(overview(study(notes=notes)))[2]
    assert table.rows[0][4] == "k2prime\u00a00.0900\u00a01/min; t*\u00a020.0\u00a0min"


def test_a_wide_table_is_two_and_what_every_line_carries_is_said_once():
    names = ("K1", "k2", "k3", "k4", "Vb", "VT", "VND", "VS", "BPND")
    rows = [
        row(session="base", region=region, metric=f"two_tissue_{name}", unit="1", value=1.0,
            flags="psf_unknown" + ";at_bound" * (region == "cortex"))
        for region in ("cortex", "cerebellum")
        for name in names
    ]  # fmt: skip
    made = results(rows, fits=(fitted(parameters=names, notes=()),))
    first, second = kinetics.blocks(overview(made))[2:]
    assert first.columns == ("region", "VT", "BPND", "K1", "k2", "flags")
    assert second.columns == ("region", "k3", "k4", "Vb", "VND", "VS", "AICc")
    assert [line[-1] for line in first.rows] == ["at_bound", "–"]
    assert first.note.endswith("Every line: psf_unknown.")
    assert len(second.right) == len(second.columns) == len(second.rows[0])


def test_a_table_that_names_visits_has_room_for_fewer_parameters():
    names = ("K1", "k2", "k3", "k4", "Vb", "VT", "VND", "VS", "BPND")
    rows = [
        row(subject=subject, session="base", metric=f"two_tissue_{name}", unit="1", value=1.0,
            region="cortex")
        for subject in ("01", "02")
        for name in names
    ]  # fmt: skip
    fits = [fitted(("cortex",), subject=subject, parameters=names) for subject in ("01", "02")]
    found = kinetics.blocks(overview(results(rows, fits=tuple(fits))))[2:]
    assert [len(one.columns) for one in found] == [7, 6, 8]
    assert found[0].columns == ("subject", "session", "region", "VT", "BPND", "K1", "flags")


def test_figures_of_the_curves_themselves_have_no_residuals():
    exact = fitted()
    made = study(predicted=exact.values)
    titles = [block.title for block in kinetics.blocks(overview(made))]
    assert titles == [
        "Two-tissue: curves and fits, activity concentration (kBq/mL)",
        "Two-tissue: parameters",
    ]


def test_plots_that_do_not_fill_their_last_row_have_an_axis_each():
    shared = kinetics.blocks(overview(study(regions=("a", "b", "c"))))[0].spec
    own = kinetics.blocks(overview(study(regions=("a", "b", "c", "d"))))[0].spec
    assert "axis" not in shared["resolve"]
    assert own["resolve"]["axis"] == {"x": "independent"}


def test_the_table_names_each_visit_where_there_are_several():
    rows = [
        row(session=session, region="cortex", metric="two_tissue_VT", unit="mL/cm3", value=3.1)
        for session in ("base", "drug")
    ]
    fits = tuple(fitted(("cortex",), session=session) for session in ("base", "drug"))
    table = kinetics.blocks(overview(results(rows, fits=fits)))[2]
    assert table.columns[:3] == ("subject", "session", "region")
    assert {line[1] for line in table.rows} == {"base", "drug"}


def test_contrast_agents_are_in_mmol_per_litre_on_axes_and_in_tables():
    clean = np.exp(-TIME / 2000)[None] * 2e-7
    fit = fitted(
        ("tumour",), model="extended_tofts", values=clean, predicted=clean, unit="mol/mL",
        quantity="amount_concentration", input_values=np.array([0.0, 1e-6, 1e-7]),
        parameters=("Ktrans", "baseline"), session="24h",
    )  # fmt: skip
    rows = [
        row(region="tumour", metric="extended_tofts_Ktrans", unit="1/min", value=0.2),
        row(region="tumour", metric="extended_tofts_baseline", unit="mol/mL", value=3e-7, sd=1e-8),
    ]
    chart, table = kinetics.blocks(overview(results(rows, fits=(fit,))))
    assert chart.title == "Extended Tofts: curves and fits, amount concentration (mmol/L)"
    shown = [one["measured"] for one in chart.spec["data"]["values"] if one["measured"]]
    assert shown[0] == pytest.approx(clean[0, 0] * 1e6, rel=1e-5)  # six digits are kept
    assert table.columns[2] == "baseline (mmol/L)"
    assert table.rows[0][2] == "0.30 (0.28 to 0.32)"


def test_frames_outside_the_fit_have_no_line_and_no_residual():
    predicted = fitted().predicted.copy()
    predicted[:, :2] = np.nan
    charts = kinetics.blocks(overview(study(predicted=predicted)))
    values = charts[1].spec["data"]["values"]
    assert len(values) == 2 * (TIME.size - 2)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_values(name, tmp_path):
    html, _ = write_report(study(regions=(name, "b")), tmp_path)
    text = html.read_text(encoding="utf-8")
    assert "<script>alert(1)</script>" not in text
    assert "<img src=x" not in text


def test_a_stored_fit_comes_back_as_it_was(tmp_path):
    made = study()
    kept = StoredSession(
        measurements=made.measurements,
        panels=(),
        methods=(),
        kinds={},
        inputs={},
        fits=made.fits,
    )
    store(tmp_path / "one", "key", kept)
    back = load(tmp_path / "one").fits[0]
    for name, value in vars(made.fits[0]).items():
        np.testing.assert_array_equal(getattr(back, name), value)


def test_a_stored_map_comes_back_with_its_flagged_voxels(tmp_path):
    flagged = np.random.default_rng(3).random((7, 13)) > 0.5
    one = Panel(
        subject="01", session="base", kind="map", title="t", pixels=np.ones((7, 13)),
        spacing=(2.0, 3.0), quantity="patlak Ki", unit="1", flagged=flagged,
        outlines={"cortex": ~flagged}, kinds={"cortex": "organ"},
    )  # fmt: skip
    made = study()
    kept = StoredSession(
        measurements=made.measurements, panels=(one, replace(one, flagged=None)), methods=(),
        kinds={}, inputs={},
    )  # fmt: skip
    store(tmp_path / "one", "key", kept)
    back, plain = load(tmp_path / "one").panels
    np.testing.assert_array_equal(back.flagged, flagged)
    np.testing.assert_array_equal(back.outlines["cortex"], ~flagged)
    assert (back.spacing, back.kinds) == ((2.0, 3.0), {"cortex": "organ"})
    assert plain.flagged is None


def test_each_parametric_map_is_a_row_of_pictures(tmp_path):
    maps = tuple(
        Panel(
            subject="01",
            session="base",
            kind="map",
            title="transverse slice through cortex",
            pixels=np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30),
            spacing=(2.0, 2.0),
            quantity=f"patlak {name}",
            unit=unit,
        )
        for name, unit in (("Ki", "mL/cm3/min"), ("V", "mL/cm3"))
    )
    made = study()
    page = write_report(
        results([], measurements=made.measurements, panels=maps, fits=made.fits), tmp_path
    )[0].read_text(encoding="utf-8")
    assert "Parametric map: Patlak Ki" in page
    assert "Parametric map: Patlak V" in page


def test_charts_carry_plain_json():
    for block in kinetics.blocks(overview(study()))[:2]:
        json.dumps(block.spec, allow_nan=False)


def lassen_of(rows):
    """The Lassen plot of a study that compares these rows."""
    from igdd.comparisons.occupancy import occupancy

    made = results(rows)
    found = occupancy(made.measurements, on="logan_VT", sessions=("base", "drug"), kinds={})
    asked = {"method": "occupancy", "on": "logan_VT", "sessions": ["base", "drug"]}
    return kinetics.lassen(
        overview(results(rows, findings=found, study={"schema": 1, "compare": [asked]}))
    )


def test_a_lassen_plot_shows_every_subject_with_its_line():
    volumes = {"cortex": 3.5, "thalamus": 5.0, "striatum": 6.5}
    rows = [
        row(subject=subject, session=session, region=region, metric="logan_VT", unit="mL/cm3",
            value=1.5 + (VT - 1.5) * left)
        for subject in ("1", "2")
        for session, left in (("base", 1.0), ("drug", 0.4))
        for region, VT in volumes.items()
    ]  # fmt: skip
    chart = lassen_of(rows)
    line = chart.spec["layer"][0]["data"]["values"]
    # from VND, where nothing is displaced, to the largest VT: 0.6 of its specific part
    assert [line[0]["across"], line[0]["up"]] == pytest.approx([1.5, 0.0])
    assert line[1]["up"] == pytest.approx(0.6 * 5.0)


def test_a_lassen_plot_leaves_out_what_the_occupancy_left_out():
    volumes = {"cortex": 3.5, "thalamus": 5.0, "striatum": 6.5, "tumour": 874.0}
    rows = [
        row(subject="1", session=session, region=region, metric="logan_VT", unit="mL/cm3",
            value=1.5 + (VT - 1.5) * left, flags="poorly_identified" if VT > 100 else "")
        for session, left in (("base", 1.0), ("drug", 0.4))
        for region, VT in volumes.items()
    ]  # fmt: skip
    chart = lassen_of(rows)
    points = chart.spec["layer"][1]["data"]["values"]
    assert {one["region"] for one in points} == {"cortex", "thalamus", "striatum"}


def test_without_an_occupancy_there_is_no_lassen_plot():
    assert kinetics.lassen(overview(study())) is None
