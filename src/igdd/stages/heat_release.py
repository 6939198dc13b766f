"""What a temperature history releases from thermosensitive carriers, and its thermal dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from igdd import units
from igdd.errors import InputError, UnitsError
from igdd.io.temperature_table import read_histories, read_rates
from igdd.kernels.thermal_dose import cem43
from igdd.kernels.thermal_release import RateTable, ReleaseRate, SigmoidRate, released

MINUTE = 60.0
# Words of a sigmoid rate and the units that they are brought to.
SIGMOID = {"k37": "1/s", "kmax": "1/s", "T50": "Cel", "w": "Cel"}


def heat_release(
    history: Path | str, rate: Path | str, *, least: float | None = None
) -> list[dict[str, Any]]:
    """Released share and CEM43 along every region's temperature history, one entry for each.

    history  table with columns time, temperature and, where there are several, region
    rate     table with columns temperature, rate; or "k37=0.001/min, kmax=3/min, T50=41 Cel, w=0.4
             Cel", for k37 + (kmax - k37) / (1 + exp(-(T - T50) / w))
    least    temperature in Celsius below which CEM43 counts nothing; None: everything counts
    """
    law = read_rate(rate)
    found = []
    for one in read_histories(Path(history)):
        try:
            shares = released(one.time, one.temperature, law)
        except InputError as error:
            raise InputError(f"{history}: {error}") from error
        dose = cem43(one.time / MINUTE, one.temperature, least=least)
        found.append(
            {
                "region": one.region,
                "released": {"value": 100 * float(shares[-1]), "unit": "%"},
                "cem43": {"value": float(dose[-1]), "unit": "min"},
                "highest": {"value": float(one.temperature.max()), "unit": "Cel"},
                "course": [
                    {"time_s": float(at), "temperature": float(T), "released": 100 * float(share),
                     "cem43": float(minutes)}
                    for at, T, share, minutes in zip(
                        one.time, one.temperature, shares, dose, strict=True)
                ],
            }
        )  # fmt: skip
    return found


def read_rate(rate: Path | str) -> ReleaseRate:
    """A rate of release in 1/s by temperature: of a table, or of the words of a sigmoid."""
    if not isinstance(rate, str) or "=" not in rate:
        temperature, values = read_rates(Path(rate))
        try:
            return RateTable(temperature=temperature, rate=values)
        except InputError as error:
            raise InputError(f"{rate}: {error}") from error
    given: dict[str, float] = {}
    for word in rate.split(","):
        name, _, value = (part.strip() for part in word.partition("="))
        if name not in SIGMOID or name in given:
            raise InputError(
                f"rate {word.strip()!r}; expected each of {', '.join(SIGMOID)} once, such as "
                "'k37=0.001/min, kmax=3/min, T50=41 Cel, w=0.4 Cel'"
            )
        try:
            given[name] = units.read(value, SIGMOID[name])
        except UnitsError as error:
            raise UnitsError(f"rate, {name}: {error}") from error
    missing = [name for name in SIGMOID if name not in given]
    if missing:
        raise InputError(f"rate {rate!r}: {missing[0]} is missing; expected {', '.join(SIGMOID)}")
    return SigmoidRate(**given)


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """A line for each region."""
    return "\n".join(
        f"{one['region'] or 'history'}: {one['released']['value']:.4g} % released, CEM43 "
        f"{one['cem43']['value']:.4g} min, up to {one['highest']['value']:.4g} Cel"
        for one in found
    )
