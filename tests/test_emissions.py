"""Emissions against the energies of ICRP-107 derived elsewhere, and the algebra of their chains."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd import decay
from igdd.emissions import CHARGED, KINDS, emissions, known
from igdd.errors import InputError


def test_energies_per_decay_are_those_of_the_reference_table(reference):
    with reference("delivery/nuclides/nuclides_icrp107_derived.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 26
    for row in rows:
        found = emissions(row["nuclide"], daughters="none")
        # the reference is printed with five decimals; emissions.csv keeps five digits
        electrons = float(row["E_electron_beta_MeV_per_nt"])
        assert_allclose(
            found.mean_energy("beta-", "beta+", "electron"), electrons, rtol=1e-4, atol=6e-6
        )
        assert_allclose(found.photon, float(row["E_photon_MeV_per_nt"]), rtol=1e-4, atol=1e-5)
        assert_allclose(
            found.mean_energy("alpha"), float(row["E_alpha_MeV_per_nt"]), rtol=1e-4, atol=0
        )
        positrons = found.per_decay[found.kind == "beta+"].sum()
        assert_allclose(positrons, float(row["positron_yield"]), rtol=1e-3, atol=6e-5)


@pytest.mark.parametrize(
    ("name", "joule_per_gbq"),
    [("Y-90", 49.77), ("Ho-166", 15.53), ("Re-188", 11.03), ("Re-186", 24.97), ("Lu-177", 19.64),
     ("I-131", 30.73), ("P-32", 197.9), ("Cu-64", 1.318)],
)  # fmt: skip
def test_energy_until_nothing_is_left_is_the_known_constant(name, joule_per_gbq):
    # field notes print four digits
    assert_allclose(emissions(name).energy_of_all_decays * 1e9, joule_per_gbq, rtol=4e-4)


@pytest.mark.parametrize("name", known())
def test_every_nuclide_has_finite_emissions_of_known_kinds(name):
    found = emissions(name, daughters="none")
    assert set(found.kind.tolist()) <= set(KINDS)
    assert np.all(found.energy > 0)
    assert np.all(found.per_decay > 0)
    assert found.counted == ((name, 1.0),)
    whole = emissions(name, daughters="equilibrium")
    assert whole.charged >= found.charged
    limit = decay.nuclide(name).half_life
    assert all(decay.nuclide(member).half_life <= limit for member, _ in whole.counted)


def test_branches_add_up_in_equilibrium():
    bismuth = emissions("Bi-212", daughters="equilibrium")
    parts = {member: emissions(member, daughters="none").charged for member in
             ("Bi-212", "Po-212", "Tl-208")}  # fmt: skip
    expected = parts["Bi-212"] + 0.6406 * parts["Po-212"] + 0.3594 * parts["Tl-208"]
    assert_allclose(bismuth.charged, expected, rtol=1e-12)  # rounding
    # a member that is fed by two branches decays as often as both feed it
    assert dict(emissions("Ra-223", daughters="equilibrium").counted)["Po-211"] == pytest.approx(
        0.00276
    )


def test_a_longer_lived_member_is_left_out_and_named():
    found = emissions("At-211", daughters="equilibrium")
    assert dict(found.counted) == {"At-211": 1.0, "Po-211": 0.582}
    assert found.left_out == ("Bi-207",)
    assert emissions("Bi-213", daughters="equilibrium").left_out == ("Pb-209",)


def test_a_chain_nobody_spoke_for_is_an_error_that_says_so():
    for name in ("Ac-225", "Ra-223", "Th-227", "Bi-213", "At-211", "Pb-212", "W-188", "Mo-99"):
        with pytest.raises(InputError, match="daughters: 'equilibrium'"):
            emissions(name)


@pytest.mark.parametrize("name", ["Y-90", "Lu-177", "I-131", "Tc-99m", "Zr-89", "F-18", "Sm-153"])
def test_a_nuclide_without_short_lived_progeny_needs_no_word(name):
    assert_allclose(emissions(name).charged, emissions(name, daughters="none").charged)


def test_supplied_daughters_count_as_often_as_said():
    found = emissions("Th-227", daughters={"Ra-223": 0.25, "219Rn": 0.2})
    alone = [emissions(n, daughters="none").charged for n in ("Th-227", "Ra-223", "Rn-219")]
    assert_allclose(found.charged, alone[0] + 0.25 * alone[1] + 0.2 * alone[2], rtol=1e-12)
    assert "Po-215" in found.left_out


def test_thorium_227_in_bone_without_progeny():
    # 1 MBq in 10 cm3 of cortical bone (1.92 g/cm3) for 80 days: 110 Gy by IDAC-Dose 2.1; a sphere
    # model with another table of energies, so to 2 %
    rate = decay.nuclide("Th-227").rate
    decays = 1e6 * -math.expm1(-rate * 80 * 86400) / rate
    dose = decays * emissions("Th-227", daughters="none").local_dose_constant / 19.2
    assert_allclose(dose, 110.0, rtol=0.02)


def test_bounds_of_a_one_gram_tumour():
    # JNM 44:1293, centre of 1 g: full absorption of electrons bounds it (96.2 Gy by Monte Carlo)
    bounds = {
        name: activity * 1e6 * emissions(name).energy_of_all_decays / 1e-3
        for name, activity in (("In-111", 37.0), ("Lu-177", 4.67), ("Y-90", 2.22))
    }
    assert_allclose(list(bounds.values()), [72.2, 91.7, 110.5], rtol=1e-3)  # printed digits


@pytest.mark.parametrize(
    ("daughters", "message"),
    [("everything", "expected 'equilibrium'"), ({"F-18": 1.0}, "not progeny"),
     ({"Ra-223": -1.0}, "expected a number >= 0"), ({"Ra-223": "1"}, "expected a number >= 0"),
     ({"nonsense": 1.0}, "not in the ICRP-107 table"), (3, "expected 'equilibrium'")],
)  # fmt: skip
def test_wrong_daughters_are_refused(daughters, message):
    with pytest.raises(InputError, match=message):
        emissions("Th-227", daughters=daughters)


def test_stable_and_unlisted_nuclides_are_refused():
    with pytest.raises(InputError, match="not in the table of this package"):
        emissions("U-238" if "U-238" in decay.table() else "H-3")
    with pytest.raises(InputError):
        emissions("Pb-208")


def test_kinds_part_the_energy():
    found = emissions("Ac-225", daughters="equilibrium")
    assert_allclose(sum(found.mean_energy(kind) for kind in CHARGED), found.charged)
    with pytest.raises(InputError, match="kind of emission"):
        found.mean_energy("neutrino")
    energy, number = found.lines("alpha")
    assert np.all(np.diff(energy) <= 0)
    assert_allclose(np.sum(energy * number), found.mean_energy("alpha"))
