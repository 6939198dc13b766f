"""The command that sets one uptake in every scale, and scales it and other parameters by weight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, say

Text = Annotated[str | None, typer.Option()]


@app.command()
def scale(
    table: Annotated[
        Path | None, typer.Argument(help="Species, weight, value: fits the exponent.")
    ] = None,
    value: Annotated[str | None, typer.Option(help="'5.5 %ID/g', '1.4 SUV', '2 mL/h'.")] = None,
    sd: Annotated[str | None, typer.Option(help="Of the value, in its unit.")] = None,
    parameter: Annotated[str | None, typer.Option(help="clearance, volume or half_life.")] = None,
    weight: Annotated[str | None, typer.Option(help="Of the body measured: '25 g'.")] = None,
    to_weight: Annotated[str | None, typer.Option(help="Of the other body: '70 kg'.")] = None,
    time: Annotated[str | None, typer.Option(help="When it was measured: '24 h'.")] = None,
    mass: Annotated[str | None, typer.Option(help="Of the region: then %ID too.")] = None,
    dose: Annotated[str | None, typer.Option(help="Of the drug: then ug/g too.")] = None,
    label_on: Annotated[str | None, typer.Option(help="drug, carrier or label.")] = None,
    density: Annotated[str | None, typer.Option(help="Of the tissue; else 1 g/mL.")] = None,
    exponent: Annotated[float | None, typer.Option(help="Of weight; else of docs.")] = None,
    exponent_sd: Annotated[float | None, typer.Option(help="Between substances.")] = None,
    gain: Annotated[float, typer.Option(help="Of the other tumour over this one.")] = 1.0,
    gain_fold: Annotated[float | None, typer.Option(help="Scatter of tumours.")] = None,
    radius: Annotated[str | None, typer.Option(help="By permeability: '50 nm'.")] = None,
    half_life: Text = None,
    to_half_life: Text = None,
    plasma_volume: Text = None,
    to_plasma_volume: Text = None,
    to_time: Text = None,
    as_json: AsJson = False,
) -> None:
    """An uptake in every scale, and in another body. %ID/g, %ID/kg, SUV, ug/g; allometry."""
    from igdd.stages.scale import scale as compute
    from igdd.stages.scale import text

    found = compute(
        table, value=value, sd=sd, parameter=parameter, weight=weight, to_weight=to_weight,
        time=time, mass=mass, dose=dose, label_on=label_on, density=density, exponent=exponent,
        exponent_sd=exponent_sd, gain=gain, gain_fold=gain_fold, radius=radius,
        half_life=half_life, to_half_life=to_half_life, plasma_volume=plasma_volume,
        to_plasma_volume=to_plasma_volume, to_time=to_time,
    )  # fmt: skip
    say(found, text(found), as_json)
