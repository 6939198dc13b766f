from __future__ import annotations

import importlib
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import curve_fit

from compartment_curves import MINUTE, bounds_of, dce, frames_of, noisy, pet
from igdd.errors import InputError
from igdd.kernels.judge import residual_runs
from igdd.kernels.levenberg import fit_curves
from igdd.kinetics import InputCurve, Protocol, Status
from igdd.stages.fit import fit
from igdd.types import Curves, Frames, Zero

RNG = np.random.default_rng(3)
COUNT = 40
# Least and largest values of the parameters that are tried, in display units.
RANGES = {
    "one_tissue": {"K1": (0.05, 1), "k2": (0.05, 1), "Vb": (0.02, 0.1)},
    "two_tissue": {
        "K1": (0.1, 1), "k2": (0.1, 0.6), "k3": (0.05, 0.2), "k4": (0.01, 0.06), "Vb": (0.02, 0.1)
    },
    "two_tissue_irreversible": {
        "K1": (0.1, 1), "k2": (0.1, 1), "k3": (0.02, 0.2), "Vb": (0.02, 0.1)
    },
    "srtm": {"R1": (0.7, 1.3), "k2": (0.05, 0.3), "BPND": (0.3, 3)},
    "tofts": {"Ktrans": (0.05, 1), "ve": (0.1, 0.6)},
    "extended_tofts": {"Ktrans": (0.05, 0.5), "ve": (0.1, 0.6), "vp": (0.02, 0.15)},
    "two_compartment_exchange": {
        "Fp": (0.2, 1), "PS": (0.05, 0.3), "ve": (0.1, 0.4), "vp": (0.04, 0.15)
    },
    "two_compartment_uptake": {"Fp": (0.2, 1), "PS": (0.02, 0.2), "vp": (0.04, 0.2)},
}  # fmt: skip
NAMES = list(RANGES)


def model_of(name):
    module = importlib.import_module(f"igdd.models.{name}")
    return module.MODELS[0]


def protocol_of(name, **changes):
    return (dce if model_of(name).family == "contrast" else pet)(**changes)


def truth_of(name, count=COUNT):
    """Parameters (n, p) in SI, spread evenly over their ranges; no delay."""
    columns = []
    for one in model_of(name).parameters:
        low, high = RANGES[name].get(one.name, (0.0, 0.0))
        scale = MINUTE if one.unit.endswith("/min") else 1.0
        columns.append(RNG.uniform(low, high, count) / scale)
    return np.stack(columns, axis=1)


def standard_errors(covariance):
    return np.sqrt(np.einsum("npp->np", covariance))


def free_of(model):
    return np.array([one.name != "delay" for one in model.parameters])


def known_of(model):
    si = [1 / MINUTE if one.unit.endswith("/min") else 1.0 for one in model.parameters]
    return np.array([one.known for one in model.parameters]) * si


def converged(model, protocol, curves, starts, sd=None, free=None):
    """The fit of each curve by itself, on the model and not on its tables."""
    return fit_curves(
        lambda trial: model.predict(trial, protocol),
        curves,
        sd,
        starts,
        bounds_of(model.parameters),
        free=free_of(model) if free is None else free,
        known=known_of(model),
    )


@pytest.fixture(params=NAMES)
def case(request):
    """A model's name, its protocol with the delay held, truth and noisy curves."""
    name = request.param
    protocol = protocol_of(name)
    truth = truth_of(name)
    return name, protocol, truth, noisy(model_of(name).predict(truth, protocol), 0.01)


@pytest.mark.parametrize("spread", [None, "frames", "curves"])
def test_the_map_is_the_converged_fit(case, spread):
    name, protocol, truth, curves = case
    sd = {
        None: None,
        "frames": np.linspace(1.0, 3.0, curves.shape[1]),
        "curves": RNG.uniform(1.0, 3.0, curves.shape),
    }[spread]
    model = model_of(name)
    found = model.prepare(protocol)(curves, sd)
    free = free_of(model)
    near = np.where(np.isfinite(found.parameters), found.parameters, truth)
    fit = converged(model, protocol, curves, np.stack([near, truth], 1), sd)
    clear = found.status == 0
    assert clear.mean() > 0.6
    # Of Vb, to which 0 is a value like any other, by the error up to which it is known.
    size = np.maximum(np.abs(fit.parameters), known_of(model))[clear]
    size[size == 0] = 1.0
    away = (found.parameters - fit.parameters)[clear] / size
    assert_allclose(away, 0, atol=2e-6)
    # The covariance is of the same curvature, from the table.
    assert_allclose(
        standard_errors(found.covariance[clear])[:, free],
        standard_errors(fit.covariance[clear])[:, free],
        rtol=1e-4,
    )
    runs = np.where(residual_runs(curves, fit.predicted), Status.RESIDUAL_RUNS, 0)
    assert_allclose(found.status, fit.status | runs)


def test_the_unit_of_the_curves_does_not_matter(case):
    name, protocol, _, curves = case
    from dataclasses import replace

    scaled = {
        role: replace(curve, values=curve.values * 1e-9) for role, curve in protocol.inputs.items()
    }
    model = model_of(name)
    before = model.prepare(protocol)(curves, None)
    after = model.prepare(replace(protocol, inputs=scaled))(curves * 1e-9, None)
    assert_allclose(after.parameters, before.parameters, rtol=1e-6, atol=1e-12)
    assert_allclose(after.status, before.status)


def test_bad_curves_are_said_to_be_bad_and_harm_no_other(case):
    name, protocol, _, curves = case
    solver = model_of(name).prepare(protocol)
    good = solver(curves, None)
    worse = curves.copy()
    worse[3, 5], worse[7] = np.nan, 0.0
    found = solver(worse, None)
    rest = np.setdiff1d(np.arange(COUNT), [3, 7])
    assert (found.status[[3, 7]] == Status.NOT_FITTED).all()
    assert np.isnan(found.parameters[[3, 7]]).all()
    assert np.isnan(found.covariance[[3, 7]]).all()
    np.testing.assert_array_equal(found.parameters[rest], good.parameters[rest])


def test_one_curve_alone_has_the_numbers_that_it_has_among_many(case):
    name, protocol, _, curves = case
    many = model_of(name).prepare(protocol)(curves, None)
    alone = model_of(name).prepare(protocol)(curves[4:5], None)
    assert_allclose(alone.parameters[0], many.parameters[4], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["tofts", "extended_tofts", "two_compartment_uptake",
                                  "two_compartment_exchange"])  # fmt: skip
@pytest.mark.parametrize("delay", [-3.0, 8.0, 25.0])
def test_the_delay_of_few_curves_of_a_long_series_needs_no_tables(name, delay):
    # Tables over delays, rates and 1,300 frames are a gigabyte, and a minute's work.
    frames = frames_of(np.full(1300, 0.2))
    given = protocol_of(name, frames=frames, held={})
    truth = truth_of(name, 3)
    truth[:, -1] = delay
    curves = model_of(name).predict(truth, given)
    solver = model_of(name).prepare(given)
    found = solver(curves, None)
    assert "raw" not in vars(solver)
    assert_allclose(found.parameters, truth, rtol=1e-4)
    assert (found.status == 0).all()


def test_the_delay_found_without_tables_is_that_of_the_tables():
    name = "extended_tofts"
    given = protocol_of(name, frames=frames_of(np.full(120, 2.0)), held={})
    truth = truth_of(name, 40)
    truth[:, -1] = RNG.uniform(-2, 9, 40)
    curves = noisy(model_of(name).predict(truth, given), 0.02)
    many = model_of(name).prepare(given)(curves, None)
    few = model_of(name).prepare(given)(curves[:8], None)
    # Tables beside a delay are good to 1e-6 of the curve; its noise is 2e-2.
    apart = (few.parameters - many.parameters[:8]) / standard_errors(few.covariance)
    assert np.abs(apart).max() < 0.02


def test_single_precision_and_frame_major_curves_are_taken_as_they_are(case):
    name, protocol, _, curves = case
    solver = model_of(name).prepare(protocol)
    single = np.asfortranarray(curves, dtype=np.float32)
    expected = solver(np.array(single, dtype=float), None)
    np.testing.assert_array_equal(solver(single, None).parameters, expected.parameters)


def test_noise_alone_stays_inside_the_bounds(case):
    name, protocol, _, curves = case
    model = model_of(name)
    noise = RNG.standard_normal(curves.shape) * np.abs(curves).max()
    found = model.prepare(protocol)(noise, None)
    low, high = bounds_of(model.parameters).T
    fitted = found.parameters[(found.status & Status.NOT_FITTED) == 0]
    with np.errstate(invalid="ignore"):
        assert not ((fitted < low * (1 + 1e-9) - 1e-12) | (fitted > high * (1 + 1e-9))).any()
    assert (found.status[:, None] & (Status.AT_BOUND | Status.POORLY_IDENTIFIED)).any(
        1
    ).mean() > 0.9


def test_frames_of_infinite_spread_do_not_count(case):
    name, protocol, truth, _ = case
    curves = model_of(name).predict(truth, protocol)
    sd = np.ones(curves.shape[1])
    sd[[4, 20]] = np.inf
    curves[:, 4], curves[:, 20] = np.nan, 1e6
    found = model_of(name).prepare(protocol)(curves, sd)
    assert_allclose(found.parameters, truth, rtol=1e-6, atol=1e-9)


def test_standard_errors_are_those_of_repeated_noise():
    model, protocol = model_of("two_tissue_irreversible"), protocol_of("two_tissue_irreversible")
    one = np.array([[0.4 / MINUTE, 0.3 / MINUTE, 0.08 / MINUTE, 0.05, 0.0]])
    curves = noisy(np.repeat(model.predict(one, protocol), 4000, axis=0), 0.01)
    found = model.prepare(protocol)(curves, None)
    spread = found.parameters.std(axis=0)[:4]
    said = np.median(standard_errors(found.covariance), axis=0)[:4]
    # Of 4000 repetitions a standard deviation is known to 1.1 %; 4 of these.
    assert_allclose(said, spread, rtol=0.045)


def test_a_rate_that_is_held_makes_the_solution_a_start_only():
    protocol = protocol_of("two_tissue", held={"delay": 0.0, "k4": 0.02 / MINUTE})
    model, truth = model_of("two_tissue"), truth_of("two_tissue")
    found = model.prepare(protocol)(model.predict(truth, protocol), None)
    assert found.notes["start_only"] == 1
    assert_allclose(found.parameters[:, 3], 0.02 / MINUTE)
    assert not found.covariance[:, 3].any()


def test_blood_is_held_at_any_volume_also_beside_a_free_delay():
    model, truth = model_of("one_tissue"), truth_of("one_tissue")
    truth[:, 2], truth[:, 3] = 0.07, np.linspace(-6, 14, COUNT)
    curves = model.predict(truth, pet())
    found = model.prepare(pet(held={"Vb": 0.07}))(curves, None)
    assert_allclose(found.parameters[:, 2], 0.07)
    # The knots of the input limit the table of delays.
    assert_allclose(found.parameters[:, :2], truth[:, :2], rtol=1e-4)
    assert_allclose(found.parameters[:, 3], truth[:, 3], atol=2e-3)


@pytest.mark.parametrize("integration", ["exact", "instant", "trapezium"])
def test_each_way_of_integrating_is_its_own_inverse(integration):
    for name in ("one_tissue", "extended_tofts"):
        protocol, truth = protocol_of(name, integration=integration), truth_of(name)
        found = model_of(name).prepare(protocol)(model_of(name).predict(truth, protocol), None)
        assert_allclose(found.parameters, truth, rtol=1e-6, atol=1e-9)


def test_curves_of_other_frames_are_refused():
    with pytest.raises(InputError, match="the protocol has 46"):
        model_of("one_tissue").prepare(pet())(np.ones((2, 7)), None)


def test_as_many_parameters_as_frames_leave_no_variance():
    protocol = pet(frames=type(pet().frames)(
        start=np.array([0.0, 60.0, 600.0]), duration=np.array([60.0, 300.0, 600.0]),
        zero=pet().frames.zero,
    ))  # fmt: skip
    model = model_of("one_tissue")
    truth = truth_of("one_tissue")[:2]
    found = model.prepare(protocol)(model.predict(truth, protocol), None)
    assert_allclose(found.parameters, truth, rtol=1e-5)
    assert np.isnan(found.covariance[:, 0, 0]).all()
    assert (found.status & Status.POORLY_IDENTIFIED).all()


def test_maps_are_hundreds_of_times_faster_than_a_fit_for_each_voxel():
    name = "two_tissue_irreversible"
    model, protocol, truth = model_of(name), protocol_of(name), truth_of(name, 2000)
    curves = noisy(model.predict(truth, protocol), 0.01)
    solver = model.prepare(protocol)
    solver(curves[:10], None)
    begin = time.process_time()
    solver(curves, None)
    ours = (time.process_time() - begin) / len(curves)

    def forward(_, K1, k2, k3, Vb):
        return model.predict(np.array([[K1, k2, k3, Vb, 0.0]]), protocol)[0]

    begin = time.process_time()
    for curve in curves[:4]:
        start = [0.2 / MINUTE, 0.2 / MINUTE, 0.1 / MINUTE, 0.05]
        scale = np.abs(start)
        curve_fit(forward, None, curve, start, bounds=(0, [0.2, 0.5, 0.2, 1]), x_scale=scale)
    theirs = (time.process_time() - begin) / 4
    # Some 1000 times; the factor 10 is for a machine that does much else.
    assert theirs > 100 * ours


def sampled(interval, integration):
    """Contrast in an artery and in tissue, both known every so many seconds."""
    start = np.arange(int(240 / interval)) * interval
    frames = Frames(
        start=start, duration=np.full(start.size, interval), zero=Zero(kind="scan_start")
    )
    since = np.maximum(frames.middle - 20, 0)
    values = 1.2 * since**2 * np.exp(-since / 4) / 4 + np.exp(-since / 400) * (since > 0)
    artery = InputCurve(
        time=frames.middle, values=values, compartment="plasma", substance="contrast", unit="mmol/L"
    )
    return Protocol(frames=frames, inputs={"plasma": artery}, integration=integration)


@pytest.mark.parametrize(
    ("interval", "integration"), [(3.7, "instant"), (7.31, "instant"), (3.7, "exact")]
)
def test_a_delay_in_every_voxel_is_that_of_its_own_region_whatever_the_sampling(
    interval, integration
):
    """Curves bend where a sample of the artery meets one of the tissue: many minima lie there."""
    protocol, model, count = sampled(interval, integration), model_of("extended_tofts"), 60
    truth = truth_of("extended_tofts", count)
    truth[:, 3] = RNG.uniform(0, 6, count)
    curves = model.predict(truth, protocol)
    curves += 0.05 * curves.max(axis=1, keepdims=True) * RNG.normal(size=curves.shape)
    found = model.prepare(protocol)(curves, None)
    region = fit(
        "extended_tofts",
        Curves(
            values=curves, covariance=np.full((curves.shape[1], count, count), np.nan),
            volume=np.ones(count), volume_sd=np.zeros(count), names=tuple(map(str, range(count))),
            kinds=("organ",) * count, frames=protocol.frames, quantity="concentration",
            unit="mmol/L", analyte="label",
        ),
        protocol.inputs, free=("delay",), integration=integration,
    )  # fmt: skip
    clear = found.status == 0
    assert clear.mean() > 0.7
    spread = standard_errors(found.covariance)
    spread[spread == 0] = np.nan  # on a bend there is none
    away = (found.parameters - region.values[:, :4]) / spread
    # The table is good to 1e-6 of a curve, or 2e-5 of its noise, which one direction magnifies.
    assert np.nanmax(np.abs(away[clear])) < 2e-3


def test_the_level_floor_of_a_valley_is_an_end():
    """Vessels that empty within a sample are as good as a later bolus: a valley without an end."""
    protocol, model, count = sampled(10.0, "instant"), model_of("two_compartment_exchange"), 300
    random = np.random.default_rng(4)
    truth = np.exp(random.uniform(np.log([0.2 / MINUTE, 0.03 / MINUTE, 0.1, 0.03]),
                                  np.log([1 / MINUTE, 0.3 / MINUTE, 0.4, 0.12]),
                                  (count, 4)))  # fmt: skip
    truth = np.column_stack([truth, random.uniform(0, 8, count)])
    curves = noisy(model.predict(truth, protocol), 0.03)
    found = model.prepare(protocol)(curves, None)
    every = np.ones(5, dtype=bool)
    again = converged(model, protocol, curves, found.parameters[:, None], free=every)
    squares = [np.sum((curves - model.predict(one.parameters, protocol)) ** 2, axis=1)
               for one in (found, again)]  # fmt: skip
    ended = (found.status & Status.NOT_CONVERGED) == 0
    assert ended.mean() > 0.98  # 0.94 where the floor is no end
    # Over the noise's variance: less than a hundredth of a standard error away.
    excess = (squares[0] - squares[1]) / squares[1] * (curves.shape[1] - 5)
    level = ended & ((found.status & Status.POORLY_IDENTIFIED) != 0)
    assert level.sum() > 10
    assert np.quantile(excess[level], 0.95) < 1e-4


def test_a_delay_beyond_the_bounds_is_at_them():
    """The table goes on to its next node."""
    protocol, model = sampled(3.7, "exact"), model_of("extended_tofts")
    truth = np.repeat([[0.2 / MINUTE, 0.3, 0.08, 0.0]], 3, axis=0)
    truth[:, 3] = -24.0, -20.1, 61.0
    low, high = model.parameters[3].bounds
    found = model.prepare(protocol)(model.predict(truth, protocol), None)
    assert_allclose(found.parameters[:, 3], [low, low, high])
    assert (found.status & Status.AT_BOUND).all()


@pytest.mark.parametrize("name", ["one_tissue", "two_tissue_irreversible", "extended_tofts"])
def test_errors_beside_a_bound_are_those_of_the_region(name):
    protocol, truth, model = protocol_of(name), truth_of(name, 60), model_of(name)
    blood = [one.name in ("Vb", "vp") for one in model.parameters].index(True)
    truth[:, blood] = 0.0
    curves = noisy(model.predict(truth, protocol), 0.03)
    found = model.prepare(protocol)(curves, None)
    again = converged(model, protocol, curves, found.parameters[:, None])
    at_bound = found.parameters[:, blood] == 0
    assert 10 < at_bound.sum() < 50
    assert not found.covariance[at_bound, blood].any()
    # As for voxels within the bounds: the table's curvature.
    assert_allclose(found.covariance[at_bound], again.covariance[at_bound], rtol=1e-4)


def test_intervals_beside_a_bound_hold_the_truth():
    """Blood that ends at 0 because of noise is as unknown as blood that does not."""
    protocol, model = pet(), model_of("one_tissue")
    truth = np.repeat([[0.1 / MINUTE, 0.05 / MINUTE, 0.03, 0.0]], 2000, axis=0)
    clean, duration = model.predict(truth, protocol), protocol.frames.duration
    sd = 0.03 * clean.max() * np.sqrt(duration[-1] / duration)
    curves = clean + sd * np.random.default_rng(1).normal(size=clean.shape)
    found = model.prepare(protocol)(curves, sd)
    sure = (found.status & Status.POORLY_IDENTIFIED) == 0
    at_bound = (found.parameters[:, 2] == 0) & sure
    assert at_bound.sum() > 150
    K1, k2 = found.parameters[:, 0], found.parameters[:, 1]
    change = np.stack([1 / k2, -K1 / k2**2], axis=1)
    spread = np.sqrt(np.einsum("ni,nij,nj->n", change, found.covariance[:, :2, :2], change))
    away = np.abs(K1 / k2 - 2.0) / spread
    # Student's t for 95 % and 42 degrees of freedom. As if Vb were known to be 0: 43 and 88 %.
    assert (away[at_bound] < 2.02).mean() > 0.9
    assert 0.93 < (away[sure] < 2.02).mean() < 0.98
