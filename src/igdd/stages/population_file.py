"""The document of a population: a structural model, typical values, covariates, scatter, error.

    schema = 1
    title = "Phenobarbital in neonates"
    [model]
    name = "pk_one_compartment"      # or pk_two_compartment, pk_three_compartment
    route = "intravenous"            # or first_order, with ka (and lag, F)
    time = "h"                       # units of the event table
    dose = "mg"
    concentration = "mg/L"
    [parameters.CL]
    typical = "0.0047 L/h"
    distribution = "log-normal"      # or normal, logit-normal (F alone)
    covariates = [{ column = "WGT", kind = "power", reference = 1.0, exponent = 1.0 }]
    [omega]                          # variances of the etas; a parameter without one has none
    CL = 0.0293
    covariance = [["CL", "V", 0.01]]
    [residual]                       # standard deviations; known: a column of them
    proportional = 0.115
    additive = "0.1 mg/L"
    [columns]                        # optional: how the table differs from NONMEM's names
    DV = "conc"
    ignore = ["SS"]
    only = { SD = 1 }

Covariates multiply the typical value: power (x / reference)^exponent, linear 1 + slope (x -
reference), exponential exp(slope (x - reference)), category (a factor for each value), below
(a factor for values under a limit). Nothing else is evaluated.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from igdd import units
from igdd.errors import InputError, StudyError, UnitsError
from igdd.io import bounded
from igdd.stages.amounts import quotient
from igdd.stages.nca_units import NUMBER
from igdd.stages.population import Covariate, Population, Typical

LARGEST = 200_000
MODELS = {
    "pk_one_compartment": ("CL", "V"),
    "pk_two_compartment": ("CL", "V1", "Q", "V2"),
    "pk_three_compartment": ("CL", "V1", "Q2", "V2", "Q3", "V3"),
}
ROUTES = ("intravenous", "first_order")
DISTRIBUTIONS = ("log-normal", "normal", "logit-normal")
KINDS = {
    "power": ("reference", "exponent"),
    "linear": ("reference", "slope"),
    "exponential": ("reference", "slope"),
    "category": ("factors",),
    "below": ("limit", "factor"),
}
SECTIONS = ("schema", "title", "reference", "model", "parameters", "omega", "residual", "columns")


def read_population(path: Path | str) -> Population:
    """A population from its TOML file; an unknown key or a missing one is refused."""
    path = Path(path)
    try:
        document = tomllib.loads(bounded.read_text(path, LARGEST))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError(f"{path}: is no TOML ({error}); expected a population file") from error
    try:
        return _population(document)
    except (StudyError, InputError, UnitsError) as error:
        raise type(error)(f"{path}: {error}") from error


def _population(document: Mapping[str, Any]) -> Population:
    _keys(document, "the file", SECTIONS, ("schema", "model", "parameters", "omega", "residual"))
    for section in ("model", "parameters", "omega", "residual"):
        _table(document, section)
    if document["schema"] != 1:
        raise StudyError(f"schema is {document['schema']!r}; expected 1")
    model = _table(document, "model")
    wanted = ("name", "route", "time", "dose", "concentration")
    _keys(model, "[model]", wanted, wanted)
    name, route = _choice(model, "name", MODELS), _choice(model, "route", ROUTES)
    time, dose, concentration = (_text(model, key) for key in wanted[2:])
    units.factor(time, "s")
    amount, space = quotient(concentration)
    if not space:
        raise UnitsError(f"[model]: concentration in {concentration!r}; expected such as mg/L")
    units.factor(dose, amount)
    depot = route == "first_order"
    own = {
        "CL": f"({space})/{time}", "Q": f"({space})/{time}", "V": f"({space})",
        "ka": f"1/{time}", "lag": time, "F": "1",
    }  # fmt: skip
    parameters = _parameters(_table(document, "parameters"), (name, depot), own)
    random, omega = _omega(_table(document, "omega"), parameters)
    residual = _residual(_table(document, "residual"), concentration)
    columns = _table(document, "columns") if "columns" in document else {}
    title = document.get("title", "")
    return Population(
        title=str(title), model=name, depot=depot, time=time, dose=dose,
        concentration=concentration, parameters=parameters, random=random, omega=omega,
        **residual, **_columns(columns),
    )  # fmt: skip


def _keys(
    table: Mapping[str, Any], where: str, known: tuple[str, ...], needed: tuple[str, ...] = ()
) -> None:
    for key in table:
        if key not in known:
            raise StudyError(f"{where}: key {key[:60]!r} is unknown; expected {', '.join(known)}")
    for key in needed:
        if key not in table:
            raise StudyError(f"{where}: {key} is missing; expected {', '.join(needed)}")


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document[name]
    if not isinstance(found, dict):
        raise StudyError(f"{name} is {str(found)[:40]!r}; expected a table [{name}]")
    return found


def _choice(table: Mapping[str, Any], key: str, known: Any) -> str:
    if table[key] not in tuple(known):
        raise StudyError(f"{key} is {str(table[key])[:60]!r}; expected one of {', '.join(known)}")
    return str(table[key])


def _text(table: Mapping[str, Any], key: str) -> str:
    if not isinstance(table[key], str):
        raise StudyError(f"{key} is {str(table[key])[:40]!r}; expected text")
    return str(table[key])


def _number(value: Any, where: str, above: float | None = None) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not np.isfinite(value) or (above is not None and not value > above):
        raise StudyError(
            f"{where} is {str(value)[:40]!r}; expected a number"
            + ("" if above is None else f" above {above:g}")
        )
    return float(value)


def _parameters(
    table: Mapping[str, Any], model: tuple[str, bool], own: Mapping[str, str]
) -> tuple[Typical, ...]:
    name, depot = model
    needed = (*MODELS[name], *(("ka",) if depot else ()))
    known = (*needed, *(("lag", "F") if depot else ()))
    _keys(table, "[parameters]", known, needed)
    found = []
    for parameter in known:
        if parameter not in table:
            value = 1.0 if parameter == "F" else 0.0
            found.append(Typical(name=parameter, value=value, unit=own[parameter], scale=1.0,
                                 distribution="log-normal", covariates=()))  # fmt: skip
            continue
        unit = own.get(parameter) or own[parameter[0]]
        found.append(_typical(parameter, _table(table, parameter), unit))
    return tuple(found)


def _typical(name: str, table: Mapping[str, Any], unit: str) -> Typical:
    where = f"[parameters.{name}]"
    _keys(table, where, ("typical", "distribution", "covariates"), ("typical",))
    text = table["typical"]
    try:
        value = units.read(text, unit)
        written = NUMBER.fullmatch(text) if isinstance(text, str) else None
        shown = units.parse(written["unit"]).ucum if written else "1"
    except UnitsError as error:
        raise UnitsError(f"{where} typical: {error}") from error
    if not value > 0 and not (name == "lag" and value == 0):
        raise StudyError(f"{where} typical is {text!r}; expected a value above zero")
    distribution = str(table.get("distribution", "log-normal"))
    if distribution not in DISTRIBUTIONS:
        raise StudyError(
            f"{where} distribution is {distribution[:40]!r}; expected {', '.join(DISTRIBUTIONS)}"
        )
    if distribution == "logit-normal" and name != "F":
        raise StudyError(f"{where} distribution logit-normal is for F, which lies from 0 to 1")
    if distribution == "logit-normal" and not value < 1:
        raise StudyError(f"{where} typical is {text!r}; expected a share below 1")
    several = table.get("covariates", [])
    if not isinstance(several, list):
        raise StudyError(f"{where} covariates; expected a list of tables")
    return Typical(
        name=name,
        value=value,
        unit=shown,
        scale=units.factor(unit, shown),
        distribution=distribution,
        covariates=tuple(_one_covariate(one, where) for one in several),
    )


def _one_covariate(table: Any, where: str) -> Covariate:
    if not isinstance(table, dict):
        raise StudyError(f"{where} covariates; expected tables with column and kind")
    kind = table.get("kind")
    if kind not in KINDS:
        raise StudyError(f"{where}: kind is {str(kind)[:40]!r}; expected {', '.join(KINDS)}")
    _keys(table, where, ("column", "kind", *KINDS[kind]), ("column", *KINDS[kind]))
    numbers: dict[str, Any] = {}
    for key in KINDS[kind]:
        if key == "factors":
            factors = _table(table, key)
            numbers[key] = {
                str(one): _number(value, f"{where} factors", 0.0) for one, value in factors.items()
            }
        else:
            above = 0.0 if key in ("factor",) or (kind == "power" and key == "reference") else None
            numbers[key] = _number(table[key], f"{where} {key}", above)
    return Covariate(column=_text(table, "column"), kind=str(kind), numbers=numbers)


def _omega(
    table: Mapping[str, Any], parameters: tuple[Typical, ...]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the parameters with an eta, and the covariance of the etas."""
    names = tuple(one.name for one in parameters)
    _keys(table, "[omega]", (*names, "covariance"))
    random = tuple(name for name in names if name in table)
    if not random:
        raise StudyError("[omega] names no parameter; expected the variance of one eta at least")
    omega = np.diag([_number(table[name], f"[omega] {name}", 0.0) for name in random])
    pairs = table.get("covariance", [])
    for entry in pairs if isinstance(pairs, list) else [pairs]:
        if not (isinstance(entry, list) and len(entry) == 3 and {*entry[:2]} <= {*random}
                and entry[0] != entry[1]):  # fmt: skip
            raise StudyError(
                f"[omega] covariance {str(entry)[:60]}; expected [NAME, NAME, number] of two of "
                f"{', '.join(random)}"
            )
        first, second = (random.index(name) for name in entry[:2])
        omega[first, second] = omega[second, first] = _number(entry[2], "[omega] covariance")
    if not np.linalg.eigvalsh(omega).min() > 0:
        raise StudyError("[omega] is not positive definite: a covariance is too large")
    return random, omega


def _residual(table: Mapping[str, Any], concentration: str) -> dict[str, Any]:
    _keys(table, "[residual]", ("additive", "proportional", "known"))
    if not table:
        raise StudyError("[residual] is empty; expected additive, proportional or known")
    additive = 0.0
    if "additive" in table:
        additive = units.read(_text(table, "additive"), concentration)
    proportional = _number(table.get("proportional", 0.0), "[residual] proportional")
    known = _text(table, "known") if "known" in table else ""
    if additive < 0 or proportional < 0 or not (additive > 0 or proportional > 0 or known):
        raise StudyError("[residual]: expected standard deviations above zero")
    return {"additive": additive, "proportional": proportional, "known": known}


def _columns(table: Mapping[str, Any]) -> dict[str, Any]:
    ignored = table.get("ignore", [])
    only = table.get("only", {})
    if not isinstance(ignored, list) or not isinstance(only, dict):
        raise StudyError("[columns]: expected ignore = [names] and only = { COLUMN = value }")
    renamed = {key: _text(table, key) for key in table if key not in ("ignore", "only")}
    return {
        "renamed": renamed,
        "ignored": tuple(str(one) for one in ignored),
        "only": {key: _number(value, f"[columns] only {key}") for key, value in only.items()},
    }
