"""The nanoparticle PBPK: against its equations as published, solved by another solver."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from igdd.errors import InputError
from igdd.kernels.nanoparticle_pbpk import (
    AS_PUBLISHED,
    BODY,
    FLOW_CONSISTENT,
    INJECTED,
    PHAGOCYTIC,
    PLACE,
    STATES,
    TISSUES,
    UNITS,
    VARIANTS,
    rates,
    simulate,
)
from igdd.stages.pbpk_inputs import mouse


def changed(**tumour):
    """The mouse that ships, its tumour changed."""
    return mouse() | {f"tumour.{name}": value for name, value in tumour.items()}


def published(parameters, time, variant):
    """Amounts by the published equations, in concentrations, tissue by tissue."""
    p = parameters
    weight = p["body_weight"] / 1000
    qc = p["cardiac_output"] * weight**0.75
    tissues = [name for name in TISSUES if name != "lung"]
    q = {name: qc * p[f"{name}.flow_fraction"] for name in tissues if name != "rest"}
    q["rest"] = qc - sum(q.values())
    v = {name: weight * p[f"{name}.volume_fraction"] for name in TISSUES if name != "rest"}
    plasma = weight * p["plasma_fraction"]
    v["rest"] = weight - sum(v.values()) - plasma
    vb = {name: v[name] * p[f"{name}.blood_fraction"] for name in TISSUES}
    vt = {name: v[name] - vb[name] for name in TISSUES}
    pa = {name: p[f"{name}.permeability"] * (qc if name == "lung" else q[name]) for name in TISSUES}
    kbile, kurine = (p[name] * weight**0.75 for name in ("bile", "urine"))

    def slope(now, y):
        a = dict(zip(STATES, y, strict=True))
        d = dict.fromkeys(STATES, 0.0)
        ca, cv = a["arterial"] / (0.2 * plasma), a["venous"] / (0.8 * plasma)
        cb = {name: a[f"{name}_blood"] / vb[name] for name in TISSUES}
        ct = {name: a[f"{name}_tissue"] / vt[name] for name in TISSUES}
        d["arterial"] = qc * (cb["lung"] - ca)
        out = {name: q[name] * cb[name] for name in tissues}
        if variant == FLOW_CONSISTENT:
            out["liver"] = (q["liver"] + q["spleen"]) * cb["liver"]
        d["venous"] = sum(out[name] for name in tissues if name != "spleen") - qc * cv
        for name in TISSUES:
            cross = pa[name] * (cb[name] - ct[name] / p[f"{name}.partition"])
            arrive = qc * cv if name == "lung" else q[name] * ca
            leave = qc * cb["lung"] if name == "lung" else out[name]
            d[f"{name}_blood"] = arrive - leave - cross
            d[f"{name}_tissue"] = cross
            if name in PHAGOCYTIC:
                k50, n = p[f"{name}.uptake_half_time"], p[f"{name}.uptake_exponent"]
                up = p[f"{name}.uptake_maximum"] * (0 if now <= 0 else 1 / (1 + (k50 / now) ** n))
                where = f"{name}_blood" if name == "liver" else f"{name}_tissue"
                net = up * a[where] - p[f"{name}.release"] * a[f"{name}_cells"]
                d[where] -= net
                d[f"{name}_cells"] = net
        d["liver_blood"] += out["spleen"]
        d["bile"], d["urine"] = kbile * ct["liver"], kurine * cb["kidney"]
        d["liver_tissue"] -= d["bile"]
        d["kidney_blood"] -= d["urine"]
        d["tumour_area"] = a["tumour_tissue"] + a["tumour_cells"]
        return [d[name] for name in STATES]

    start = np.zeros(len(STATES))
    start[PLACE["venous"]] = 100.0
    found = solve_ivp(slope, (0, time[-1]), start, "LSODA", time, rtol=1e-9, atol=1e-11)
    return found.y.T


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "tumour",
    [
        {},
        {"uptake_half_time": 1e-5, "uptake_exponent": 0.01, "uptake_maximum": 25.0},
        {"uptake_half_time": 180.0, "uptake_exponent": 10.0, "permeability": 0.8},
        {"volume_fraction": 0.2, "blood_fraction": 0.5, "release": 14.0, "partition": 8.0},
    ],
    ids=["median", "at once", "late", "large"],
)
def test_every_amount_equals_lsoda_on_the_published_equations(tumour, variant):
    """To 1e-6; the corners are those of the 378 studies."""
    times = np.array([0.05, 1.0, 7.0, 24.0, 72.0, 168.0])
    parameters = changed(**tumour)
    ours = simulate(parameters, times, variant)[0]
    oracle = published(parameters, times, variant)
    # below 1e-5 %ID the absolute tolerances rule
    assert_allclose(ours, oracle, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_mass_is_lost_or_made(variant):
    found = simulate(changed(), np.geomspace(0.01, 500, 50), variant)[0]
    # the acceptance bound is 1e-6; the method conserves to rounding over some 1,000 steps
    assert_allclose(found[:, :BODY].sum(axis=1), INJECTED, rtol=1e-9)
    assert (found > -1e-9).all()


def test_only_the_consistent_variant_returns_what_flows_out():
    """Where the same concentration is everywhere in blood, flow alone must change nothing."""
    for variant, consistent in ((FLOW_CONSISTENT, True), (AS_PUBLISHED, False)):
        still = {
            name: 0.0 for name in UNITS if name.rsplit(".", 1)[-1] in
            ("permeability", "release", "uptake_maximum", "bile", "urine")
        }  # fmt: skip
        matrix = rates(mouse() | still, variant).constant[0]
        weight, p = 0.02, mouse()
        volumes = np.zeros(len(STATES))
        shares = {name: p.get(f"{name}.volume_fraction") for name in TISSUES}
        known = [share for share in shares.values() if share is not None]
        shares["rest"] = 1 - sum(known) - p["plasma_fraction"]
        for name in TISSUES:
            volumes[PLACE[f"{name}_blood"]] = shares[name] * p[f"{name}.blood_fraction"] * weight
        volumes[PLACE["arterial"]] = 0.2 * p["plasma_fraction"] * weight
        volumes[PLACE["venous"]] = 0.8 * p["plasma_fraction"] * weight
        drift = np.abs(matrix @ volumes).max() / np.abs(np.diag(matrix) * volumes).max()
        assert (drift < 1e-12) == consistent


def test_many_studies_are_each_as_alone():
    permeability = np.array([1e-4, 3e-3, 0.1])
    together = simulate(changed(permeability=permeability), np.array([1.0, 24.0]))
    for row, one in enumerate(permeability):
        assert_allclose(
            together[row], simulate(changed(permeability=one), np.array([1.0, 24.0]))[0]
        )


def test_without_a_way_in_nothing_reaches_the_tissue():
    found = simulate(changed(permeability=0.0), np.array([24.0]))[0]
    assert found[0, PLACE["tumour_tissue"]] == 0
    assert found[0, PLACE["tumour_cells"]] == 0


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e-30, 1e-12, 1e12, 1e300, np.inf])
def test_every_parameter_however_large_or_small_is_solved_or_refused(value):
    """Nothing in between: no hang, no mass lost, no negative amount, no other error."""
    for name in UNITS:
        try:
            found = simulate(mouse() | {name: value}, np.array([1.0, 168.0]))[0]
        except InputError:
            continue
        assert_allclose(found[:, :BODY].sum(axis=1), INJECTED, rtol=1e-6)
        assert found.min() > -1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"brain.permeability": 1e12}, "particles leave"),
        ({"body_weight": -1.0}, "body_weight = -1"),
        ({"body_weight": np.nan}, "above 0"),
        ({"tumour.volume_fraction": 0.9}, "leave"),
        ({"muscle.flow_fraction": 15.9}, "percent"),
        ({"tumour.blood_fraction": 1.0}, "below 1"),
        ({"tumour.release": -0.1}, "at least 0"),
        ({"tumour.uptake_exponent": 0.0}, "above 0"),
        ({"nose.permeability": 1.0}, "unknown"),
        ({"body_weight": np.ones((2, 2))}, "shape"),
    ],
)
def test_an_impossible_parameter_is_named(change, message):
    with pytest.raises(InputError, match=message):
        simulate(mouse() | change, np.array([1.0]))


def test_a_missing_parameter_and_an_unknown_variant_are_named():
    lacking = mouse()
    del lacking["lung.partition"]
    with pytest.raises(InputError, match=r"lung\.partition is missing"):
        simulate(lacking, np.array([1.0]))
    with pytest.raises(InputError, match="flow_consistent"):
        simulate(mouse(), np.array([1.0]), "published")
