"""Signal to concentration and back: the algebra, its limits, and the OSIPI curves."""

import csv

import numpy as np
import pytest

from igdd.kernels.concentration import (
    concentration,
    relaxation_rate,
    spoiled_signal,
    variable_flip,
    variable_flip_linear,
)


def table(path):
    with path.open(encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def numbers(text):
    return np.array([float(part) for part in text.split()])


def test_the_inversion_undoes_the_signal():
    rates = np.geomspace(0.05, 500.0, 40)
    before = spoiled_signal(0.7, np.deg2rad(30), 0.005, 5e4)
    signal = spoiled_signal(rates, np.deg2rad(30), 0.005, 5e4)
    # q is within 1e-4 of 1 at the highest rate: four digits of sixteen are lost there.
    np.testing.assert_allclose(
        relaxation_rate(signal, before, 0.7, np.deg2rad(30), 0.005), rates, rtol=1e-10
    )


def test_concentration_is_the_change_of_rate_over_relaxivity():
    before, after = spoiled_signal(np.array([0.7, 0.7 + 4.5 * 2.0]), 0.4, 0.004)
    found, possible = concentration(after[None], before, 0.7, 0.4, 0.004, relaxivity=4.5)
    assert possible.all()
    np.testing.assert_allclose(found, 2.0, rtol=1e-12)


def test_a_signal_that_no_tissue_gives_is_nan_and_told():
    before = float(spoiled_signal(0.7, 0.4, 0.004))
    most = float(np.sin(0.4))  # of R1 without end
    signal = np.array([-0.1, 0.0, most * 1.001, np.nan, before])
    found, possible = concentration(signal, before, 0.7, 0.4, 0.004, relaxivity=4.5)
    assert possible.tolist() == [False, False, False, False, True]
    assert np.isnan(found[:4]).all()
    assert found[4] == pytest.approx(0.0, abs=1e-12)


def test_a_baseline_of_nothing_gives_nothing():
    found, possible = concentration(np.ones(3), np.zeros(3), 1.0, 0.4, 0.004, relaxivity=4.5)
    assert not possible.any()
    assert np.isnan(found).all()


def test_less_signal_than_the_baseline_is_a_negative_concentration():
    before, lower = spoiled_signal(np.array([0.7, 0.6]), 0.4, 0.004)
    found, _ = concentration(lower[None], before, 0.7, 0.4, 0.004, relaxivity=4.5)
    np.testing.assert_allclose(found, -0.1 / 4.5, rtol=1e-9)


@pytest.mark.parametrize("fit", [variable_flip_linear, variable_flip])
def test_variable_flip_angles_recover_noiseless_rates(fit):
    rates = np.geomspace(0.1, 10.0, 30).reshape(5, 6)
    angles = np.deg2rad([2.0, 5.0, 12.0, 20.0])
    signal = spoiled_signal(rates[..., None], angles, 0.005, 1e4)
    found, magnetization = fit(signal, angles, 0.005)
    # At 0.1 /s 1 - E1 is 5e-4: the line's slope has twelve digits of it.
    np.testing.assert_allclose(found, rates, rtol=1e-8)
    np.testing.assert_allclose(magnetization, 1e4, rtol=1e-8)


def test_variable_flip_takes_an_angle_per_voxel():
    rates = np.array([0.5, 1.0, 2.0])
    angles = np.deg2rad([3.0, 10.0, 20.0]) * np.array([0.9, 1.0, 1.1])[:, None]
    signal = spoiled_signal(rates[:, None], angles, 0.005, 1e4)
    np.testing.assert_allclose(variable_flip(signal, angles, 0.005)[0], rates, rtol=1e-9)


def test_least_squares_does_not_fit_worse_than_the_line():
    rng = np.random.default_rng(8)
    angles = np.deg2rad([3.0, 6.0, 9.0, 15.0, 24.0])
    signal = spoiled_signal(np.full((200, 1), 0.9), angles, 0.005, 1e4)
    signal = signal + rng.normal(0, 5.0, signal.shape)
    costs = []
    for fit in (variable_flip_linear, variable_flip):
        rate, magnetization = fit(signal, angles, 0.005)
        model = spoiled_signal(rate[:, None], angles, 0.005, magnetization[:, None])
        costs.append(np.sum((signal - model) ** 2, axis=1))
    assert (costs[1] <= costs[0] * (1 + 1e-9)).all()


def test_signals_without_a_line_are_nan():
    angles = np.deg2rad([3.0, 6.0, 9.0])
    signal = np.array([[0.0, 0.0, 0.0], [1.0, 5.0, 30.0]])
    for fit in (variable_flip_linear, variable_flip):
        assert np.isnan(fit(signal, angles, 0.005)[0]).all()


@pytest.mark.reference
def test_osipi_signal_to_concentration(reference):
    rows = table(reference("mri/osipi_dce_dsc/si_to_conc/SI2Conc_data.csv"))
    assert len(rows) == 5
    for row in rows:
        signal = numbers(row["s"])
        # The set's baseline leaves the first sample out.
        before = signal[1 : int(row["numbaselinepts"])].mean()
        found, possible = concentration(
            signal,
            before,
            1 / float(row["T1base"]),
            np.deg2rad(float(row["FA"])),
            float(row["TR"]),
            relaxivity=float(row["r1"]),
        )
        assert possible.all()
        # The set's own tolerance is 1e-5; the algebra is the same to rounding.
        np.testing.assert_allclose(found, numbers(row["conc"]), rtol=0, atol=1e-11)


@pytest.mark.reference
@pytest.mark.parametrize(("name", "scale"), [("t1_quiba_data", 1000.0), ("t1_brain_data", 1.0)])
@pytest.mark.parametrize("fit", [variable_flip_linear, variable_flip])
def test_osipi_relaxation_rates(reference, name, scale, fit):
    rows = table(reference(f"mri/osipi_dce_dsc/t1_mapping/{name}.csv"))
    found, truth = [], []
    for row in rows:
        angles, repetition = np.deg2rad(numbers(row["FA"])), numbers(row["TR"])[0]
        found.append(float(fit(numbers(row["s"])[None], angles, repetition)[0][0]))
        truth.append(scale * float(row["R1"]))
    # OSIPI's tolerance of R1: 0.05 /s and 5 %.
    np.testing.assert_allclose(found, truth, atol=0.05, rtol=0.05)
