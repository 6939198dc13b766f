"""Inputs from the image: knots, recovery, scaling, two blood supplies."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import igdd
from igdd.errors import InputError
from igdd.kernels import convolve
from igdd.kinetics import InputCurve, Protocol
from igdd.models import srtm, two_tissue
from igdd.stages import inputs
from igdd.types import Curves, Decay, Frames, Zero
from tissue_curves import MINUTE, bolus, frames, reference

EDGES = np.array([0.0, 10, 20, 30, 60, 120, 300, 600, 1200, 2400])
MIDDLE = (EDGES[1:] + EDGES[:-1]) / 2
BLOOD = np.array([0.0, 40, 100, 70, 40, 25, 18, 14, 10]) * 1000
WALL = np.array([0.0, 5, 20, 22, 20, 18, 15, 12, 9]) * 1000


def curves(unit: str = "Bq/mL", **regions: np.ndarray) -> Curves:
    of = Frames(start=EDGES[:-1], duration=np.diff(EDGES), zero=Zero(kind="administration"))
    return curves_in(of, unit, **(regions or {"aorta": BLOOD, "wall": WALL}))


def curves_in(of: Frames, unit: str = "Bq/mL", **regions: np.ndarray) -> Curves:
    count, times = len(regions), of.start.size
    return Curves(
        values=np.stack([*regions.values()]),
        covariance=np.full((times, count, count), np.nan),
        volume=np.full(count, 1.0),
        volume_sd=np.full(count, np.nan),
        names=tuple(regions),
        kinds=("blood",) * count,
        frames=of,
        quantity="activity_concentration",
        unit=unit,
        analyte="label",
        decay=Decay(nuclide="F-18", half_life=6586.2, corrected_to=0.0),
    )


def manual(tmp_path, scale: float):
    path = tmp_path / "sub-01_recording-manual_blood.tsv"
    samples = [(t, scale * np.interp(t, MIDDLE, BLOOD) / 1000) for t in (90.0, 450.0, 1800.0)]
    rows = [(t, b, 1.1 * b, f) for (t, b), f in zip(samples, (0.9, 0.6, 0.3), strict=True)]
    names = (
        "time",
        "whole_blood_radioactivity",
        "plasma_radioactivity",
        "metabolite_parent_fraction",
    )
    lines = ["\t".join(names), *("\t".join(map(repr, map(float, row))) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    units = dict(zip(names, ("s", "kBq/mL", "kBq/mL", "unitless"), strict=True))
    facts = {name: {"Units": unit} for name, unit in units.items()}
    path.with_suffix(".json").write_text(json.dumps(facts))
    return path


def at_middles(curve: InputCurve) -> np.ndarray:
    return np.interp(MIDDLE, curve.time, curve.values)


def over_frames(curve: InputCurve, frames: Frames) -> np.ndarray:
    """Means over the frames, by the integral of the curve."""
    return convolve.sample(curve.time, curve.values, (frames.start, frames.end, "exact"))[0]


def test_a_reference_begins_with_zero_and_has_the_means_of_its_frames():
    found = inputs.reference_input(curves(), "wall")["reference"]
    assert (found.time[0], found.values[0]) == (0, 0)
    assert (found.time[-1], found.values[-1]) == (2400, WALL[-1])
    assert_allclose(over_frames(found, curves().frames), WALL, rtol=1e-12)
    assert (found.compartment, found.unit, found.flags) == ("tissue", "Bq/mL", ())


def test_by_instants_it_is_straight_between_the_middles():
    instants = dataclasses.replace(
        curves(), frames=dataclasses.replace(curves().frames, sampled=True)
    )
    for curve in (
        inputs.reference_input(curves(), "wall")["reference"].joined(),
        inputs.reference_input(curves(), "wall")["reference"].joined().joined(),
        inputs.reference_input(instants, "wall")["reference"],
        inputs.reference_input(instants, "wall")["reference"].joined(),
    ):
        assert_array_equal(curve.time, [0, *MIDDLE, 2400])
        assert_array_equal(curve.values, [0, *WALL, WALL[-1]])
    found = inputs.image_derived(curves(), "aorta", delay=7.0)["blood"].joined()
    assert_allclose(found.time, np.array([0, *MIDDLE, 2400]) + 7)
    assert_array_equal(found.values, [0, *BLOOD, BLOOD[-1]])


def test_the_means_move_with_the_clock_and_the_order_of_frames_is_their_time():
    seen = curves()
    shifted = dataclasses.replace(seen.frames, start=seen.frames.start + 7)
    late = inputs.image_derived(seen, "aorta", delay=7.0)["blood"]
    assert_allclose(over_frames(late, shifted), BLOOD, rtol=1e-12)
    backwards = dataclasses.replace(
        seen,
        values=seen.values[:, ::-1],
        frames=dataclasses.replace(
            seen.frames, start=seen.frames.start[::-1], duration=seen.frames.duration[::-1]
        ),
    )
    found = inputs.image_derived(backwards, "aorta", plasma_to_blood=1.1)
    for role, scale in (("blood", 1.0), ("plasma", 1.1)):
        assert_allclose(over_frames(found[role], seen.frames), scale * BLOOD, rtol=1e-12)


def test_a_frame_that_the_injection_falls_into_shows_what_came_after_it():
    """The injection at 12 s, in a frame of 10 to 20 s whose blood is two fifths of the peak."""
    found = inputs.image_derived(curves(), "aorta", injection=12.0)["blood"]
    assert_allclose(over_frames(found, curves().frames), BLOOD, rtol=1e-12)
    with pytest.raises(InputError, match="before the injection at 22 s"):
        inputs.image_derived(curves(), "aorta", injection=22.0)


def test_frames_that_overlap_are_refused():
    seen = curves()
    wrong = dataclasses.replace(seen.frames, duration=seen.frames.duration + 8)
    with pytest.raises(InputError, match="ends at 18 s, but the next starts at 10 s; expected"):
        inputs.image_derived(dataclasses.replace(seen, frames=wrong), "aorta")


def test_frames_of_a_moment_are_joined_as_samples_are():
    frames = Frames(start=np.arange(60.0), duration=np.full(60, 1e-3), zero=Zero(kind="scan_start"))
    blood = 1e-6 * np.exp(-frames.start / 20)
    found = inputs.image_derived(curves_in(frames, "mol/mL", artery=blood), "artery")["blood"]
    between = np.arange(59.0) + 0.5
    # The middle of a frame is half a millisecond after its start: 2.5e-5 of the fall.
    assert_allclose(
        np.interp(between, found.time, found.values),
        np.interp(between, frames.start, blood),
        rtol=1e-4,
    )


def test_neither_a_fitted_model_nor_manual_plasma_is_the_images(tmp_path):
    fitted = inputs.image_derived(curves(), "aorta", model="monotone")
    assert fitted["blood"].seen_in is None
    path = tmp_path / "late_blood.tsv"
    path.write_text("time\tplasma_radioactivity\n2500\t9\n3000\t8\n")
    path.with_suffix(".json").write_text(
        json.dumps({"time": {"Units": "s"}, "plasma_radioactivity": {"Units": "kBq/mL"}})
    )
    found = inputs.image_derived(curves(), "aorta", manual=path)
    assert "manual samples alone" in found["plasma"].source
    assert found["plasma"].seen_in is None
    assert found["blood"].seen_in is not None


def test_tissue_that_follows_an_image_derived_input_gives_its_rates_back():
    """Without noise: straight lines between the middles put K1 1 % and k4 2 % too low."""
    of = frames([10.0] * 6 + [20.0] * 3 + [60.0] * 6 + [300.0] * 16)
    plasma = bolus()
    blood = dataclasses.replace(plasma, compartment="blood", substance="total")
    truth = np.array([0.3 / MINUTE, 0.25 / MINUTE, 0.05 / MINUTE, 0.03 / MINUTE, 0.05, 0.0])
    known = Protocol(frames=of, inputs={"plasma": plasma, "blood": blood})
    tissue = two_tissue.predict(truth[None], known)[0]
    image = curves_in(of, tissue=tissue, aorta=known.mean("blood")[0])
    found = igdd.fit(
        "two_tissue",
        image.of([0]),
        inputs.image_derived(image, "aorta", plasma_to_blood=1.0, substance="parent"),
    )
    names = list(found.parameters)
    values = found.values[0, [names.index(name) for name in ("K1", "k2", "k3", "k4", "Vb")]]
    # What the shape of the curve within its frames leaves open.
    assert_allclose(values, truth[:5], rtol=5e-3)
    assert found.flags == ((),)


def test_metabolites_that_grow_within_the_frames_are_taken_off_there(tmp_path):
    """A parent fraction of Hill's form, half gone at 10 min, over frames of 5 min."""
    of = frames([10.0] * 6 + [20.0] * 3 + [60.0] * 6 + [300.0] * 16)
    whole = bolus("blood", "total")
    time = np.arange(0.0, 5700.0, 1.0)
    share = 1 / (1 + time / 600)
    plasma = dataclasses.replace(
        bolus(), time=time, values=np.interp(time, whole.time, whole.values) * share
    )
    truth = np.array([[0.3 / MINUTE, 0.25 / MINUTE, 0.05 / MINUTE, 0.03 / MINUTE, 0.05, 0.0]])
    known = Protocol(frames=of, inputs={"plasma": plasma, "blood": whole})
    seen = curves_in(of, tissue=two_tissue.predict(truth, known)[0], aorta=known.mean("blood")[0])
    seen = dataclasses.replace(seen, values=1000 * seen.values)
    when = np.array([60.0, 300.0, 600.0, 1200.0, 1800.0, 2700.0, 3600.0, 5400.0])
    path = tmp_path / "manual_blood.tsv"
    rows = [f"{t:g}\t{1 / (1 + t / 600):.9f}" for t in when]
    path.write_text("\n".join(["time\tmetabolite_parent_fraction", *rows]) + "\n")
    path.with_suffix(".json").write_text(
        json.dumps({"time": {"Units": "s"}, "metabolite_parent_fraction": {"Units": "unitless"}})
    )
    made = inputs.image_derived(
        seen, "aorta", manual=path, plasma_to_blood=1.0, parent_fraction="hill"
    )
    found = igdd.fit("two_tissue", seen.of([0]), made)
    assert_allclose(found.values[0, :5], truth[0, :5], rtol=5e-3)


def test_tissue_that_follows_a_reference_of_frames_gives_its_binding_back():
    """Without noise: straight lines put BPND 0.3 to 0.8 % too low, with `residual_runs`."""
    of = frames()
    known = Protocol(frames=of, inputs={"reference": reference()})
    truth = np.array([[1.1, 0.15 / MINUTE, 1.5], [0.8, 0.1 / MINUTE, 0.4]])
    first, second = srtm.predict(truth, known)
    image = curves_in(of, first=first, second=second, cerebellum=known.mean("reference")[0])
    found = igdd.fit("srtm", image.of([0, 1]), inputs.reference_input(image, "cerebellum"))
    # What the shape of the reference within its frames leaves open: a tenth of what lines cost.
    assert_allclose(found.values[:, :3], truth, rtol=5e-4)
    assert found.flags == ((), ())


def test_image_blood_is_whole_blood_in_the_images_own_decay_state():
    found = inputs.image_derived(curves(), "aorta")
    assert set(found) == {"blood"}
    assert_array_equal(at_middles(found["blood"]), BLOOD)
    assert_allclose(over_frames(found["blood"], curves().frames), BLOOD, rtol=1e-12)
    assert found["blood"].flags == ()


def test_recovery_and_spill_in_are_undone():
    coefficient = 0.8
    seen = coefficient * BLOOD + (1 - coefficient) * WALL
    found = inputs.image_derived(
        curves(aorta=seen, wall=WALL), "aorta", recovery=coefficient, background="wall"
    )
    assert_allclose(over_frames(found["blood"], curves().frames), BLOOD, rtol=1e-12)
    plain = inputs.image_derived(curves(aorta=0.8 * BLOOD), "aorta", recovery=0.8)
    assert_allclose(at_middles(plain["blood"]), BLOOD, rtol=1e-12)


def test_manual_samples_scale_it_and_give_plasma_and_metabolites(tmp_path):
    path = manual(tmp_path, scale=1.25)
    found = inputs.image_derived(curves(), "aorta", manual=path, blood_scaling=True)
    assert_allclose(at_middles(found["blood"]), 1.25 * BLOOD)
    assert "scaled by 1.250" in found["blood"].source
    plasma = found["plasma"]
    assert plasma.substance == "parent"
    share = np.interp(MIDDLE, [0, 90, 450, 1800], [1, 0.9, 0.6, 0.3])
    expected = 1.1 * 1.25 * BLOOD * share
    assert_allclose(np.interp(MIDDLE, plasma.time, plasma.values), expected, rtol=1e-12)


def test_without_scaling_manual_samples_leave_the_image_alone_and_tell_the_difference(tmp_path):
    found = inputs.image_derived(curves(), "aorta", manual=manual(tmp_path, scale=1.25))
    assert_array_equal(at_middles(found["blood"]), BLOOD)
    assert "blood_recordings_differ" in found["blood"].flags


def test_a_given_ratio_and_substance_make_plasma_of_the_image():
    found = inputs.image_derived(curves(), "aorta", plasma_to_blood=1.1, substance="total")
    assert_allclose(found["plasma"].values, 1.1 * found["blood"].values)
    assert found["plasma"].flags == ()


def test_a_stealth_carrier_in_the_aorta_gives_plasma_by_haematocrit():
    found = inputs.image_derived(curves(), "aorta", substance="carrier", haematocrit=0.4)
    assert_allclose(found["plasma"].values, found["blood"].values / 0.6)


def test_the_liver_has_two_supplies():
    agent = curves("mol/mL", aorta=BLOOD, portal_vein=WALL)
    found = inputs.dual_input(agent, "aorta", "portal_vein", haematocrit=0.4)
    assert set(found) == {"plasma", "portal"}
    assert_allclose(at_middles(found["portal"]), WALL / 0.6)
    assert {one.compartment for one in found.values()} == {"plasma"}
    halved = dataclasses.replace(agent, values=agent.values * [[0.5], [1.0]])
    restored = inputs.dual_input(halved, "aorta", "portal_vein", haematocrit=0.4, recovery=0.5)
    for role, curve in restored.items():
        np.testing.assert_allclose(curve.values, found[role].values, rtol=1e-15)
    assert "recovery 0.5" in restored["plasma"].source
    with pytest.raises(InputError, match="'delay' says nothing of the regions 'aorta' and"):
        inputs.dual_input(agent, "aorta", "portal_vein", delay=3.0)
    plain = inputs.dual_input(agent, "aorta", "portal_vein")
    assert_allclose(at_middles(plain["plasma"]), BLOOD)
    assert all("input_taken_as_plasma" in one.flags for one in plain.values())
    assert not any("input_taken_as_plasma" in one.flags for one in found.values())


@pytest.mark.parametrize("unit", ["mol/mL", "1/s", "HU", "1"])
def test_a_vessel_of_any_contrast_imaging_is_an_input(unit):
    """Of concentration, of relaxation rate, of attenuation, of intensity."""
    seen = dataclasses.replace(curves(unit), analyte="contrast", decay=None)
    found = inputs.image_derived(seen, "aorta", haematocrit=0.4)["plasma"]
    assert (found.unit, found.substance) == (unit, "contrast")
    assert_allclose(at_middles(found), BLOOD / 0.6)


def test_a_scan_that_begins_after_the_bolus_is_flagged():
    late = inputs.reference_input(curves(aorta=np.sort(BLOOD)[::-1]), "aorta")["reference"]
    assert late.flags == ("input_peak_missed",)


def test_frames_days_apart_make_an_input():
    edges = np.array([0.0, 1800.0, 86400.0, 88200.0, 259200.0, 261000.0])
    frames = Frames(
        start=edges[::2], duration=edges[1::2] - edges[::2], zero=Zero(kind="administration")
    )
    one = curves(blood=BLOOD)
    days = dataclasses.replace(
        one, values=BLOOD[None, 2:5], frames=frames, covariance=np.full((3, 1, 1), np.nan)
    )
    found = inputs.image_derived(days, "blood", substance="carrier", haematocrit=0.4)["plasma"]
    assert_allclose(over_frames(found, frames), BLOOD[2:5] / 0.6)
    between = (found.time > 1800) & (found.time < 86400)
    assert not between.any()


@pytest.mark.parametrize(
    ("change", "given", "says"),
    [
        ({}, {"region": "heart"}, "aorta, wall"),
        ({}, {"recovery": 0.0}, "above 0"),
        ({}, {"background": "wall"}, "expected a recovery"),
        ({}, {"blood_scaling": True}, "manual whole-blood samples"),
        ({}, {"dispersion": 2.6}, "'dispersion' says nothing of region 'aorta'"),
        ({}, {"decay_corrected": True}, "'decay_corrected' says nothing"),
        ({}, {"bogus": 1}, "'bogus' says nothing of region 'aorta'.*recovery"),
        ({"unit": "SUV"}, {}, "curves are in"),
        (
            {"decay": Decay(nuclide="F-18", half_life=6586.2, corrected_to=None)},
            {},
            "not corrected for decay",
        ),
    ],
)
def test_what_the_image_cannot_give_is_refused(change, given, says):
    image = dataclasses.replace(curves(), **change)
    with pytest.raises(InputError, match=says):
        inputs.image_derived(image, **{"region": "aorta", **given})


def test_a_frame_without_a_value_is_refused():
    values = BLOOD.copy()
    values[3] = np.nan
    with pytest.raises(InputError, match="frame 4"):
        inputs.image_derived(curves(aorta=values), "aorta")


@pytest.mark.parametrize(("said", "answer"), [
    ("Aorta", r"did you mean aorta\?"), ("aort", r"did you mean aorta\?"),
    ("spleen", "expected one of aorta, wall"),
])  # fmt: skip
def test_a_region_that_is_not_there_is_answered_with_the_nearest(said, answer):
    with pytest.raises(InputError, match=rf"region '{said}' is not there; {answer}"):
        inputs.reference_input(curves(), said)
