"""Commands about delivery: a formulation against the prior, uptake by size, scaling of species."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, say

Carrier = Annotated[str | None, typer.Option(help="Such as liposome, gold or organic.")]
Size = Annotated[str | None, typer.Option(help="Hydrodynamic diameter, such as '100 nm'.")]


@app.command()
def delivery(
    table: Annotated[
        Path | None, typer.Argument(help="A tumour's course: time, percent_id, optional sd.")
    ] = None,
    value: Annotated[str | None, typer.Option(help="Instead of a table, such as '1.3 %'.")] = None,
    metric: Annotated[
        str,
        typer.Option(
            help="time_averaged_percent_id, percent_id_24h, percent_id_168h, percent_id_at, "
            "max_percent_id, max_percent_id_per_g or auc_percent_id."
        ),
    ] = "time_averaged_percent_id",
    sd: Annotated[str | None, typer.Option(help="Of the value, in its unit.")] = None,
    at: Annotated[str | None, typer.Option(help="With percent_id_at, such as '48 h'.")] = None,
    until: Annotated[str | None, typer.Option(help="End of the value's window.")] = None,
    time_unit: Annotated[str | None, typer.Option(help="Where the table does not say.")] = None,
    carrier: Carrier = None,
    size: Size = None,
    targeting: Annotated[str | None, typer.Option(help="active or passive.")] = None,
    tumour_model: Annotated[
        str | None, typer.Option(help="Such as 'orthotopic xenograft', or one of the two.")
    ] = None,
    cancer: Annotated[str | None, typer.Option(help="Such as breast.")] = None,
    tumour_weight: Annotated[str | None, typer.Option(help="Such as '0.3 g'.")] = None,
    species: Annotated[str | None, typer.Option(help="mouse; the prior has no other.")] = None,
    tissue: Annotated[str, typer.Option(help="tumour; the prior has no other.")] = "tumour",
    plot: Annotated[Path | None, typer.Option("--plot", help="HTML page or PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Place a formulation among 378 published courses in mouse tumours. A percentile, adjusted."""
    from igdd.stages.delivery import delivery as place
    from igdd.stages.delivery import text

    found = place(
        table, value=value, metric=metric, sd=sd, at=at, until=until, time_unit=time_unit,
        carrier=carrier, size=size, targeting=targeting, tumour_model=tumour_model, cancer=cancer,
        tumour_weight=tumour_weight, species=species, tissue=tissue,
    )  # fmt: skip
    if plot is not None:
        from igdd.report.delivery import write

        write(found, plot)
    say(found.facts, text(found), as_json)


@app.command("uptake-model")
def uptake_model(
    time: Annotated[str, typer.Option(help="After the dose, such as '72 h'.")],
    half_life: Annotated[list[str], typer.Option(help="Of plasma; once for each exponential.")],
    plasma_volume: Annotated[str, typer.Option(help="Such as '3 L'.")],
    share: Annotated[
        list[float] | None, typer.Option(help="Of the dose, for each half-life.")
    ] = None,
    radius: Annotated[str | None, typer.Option(help="Hydrodynamic, such as '50 nm'.")] = None,
    mass: Annotated[str | None, typer.Option(help="Of a protein instead: '150 kDa'.")] = None,
    trap: Annotated[str | None, typer.Option(help="Rate such as '0.05 1/h', or all.")] = None,
    release: Annotated[str | None, typer.Option(help="Rate at which it is let go.")] = None,
    antigen_over_kd: Annotated[float, typer.Option(help="Of a target; 0 for none.")] = 0.0,
    internalisation: Annotated[str | None, typer.Option(help="Rate of what is bound.")] = None,
    permeability: Annotated[str | None, typer.Option(help="Instead of the model's.")] = None,
    void: Annotated[float | None, typer.Option(help="Instead of the model's.")] = None,
    capillary_radius: Annotated[str | None, typer.Option(help="Else 8 um.")] = None,
    krogh_radius: Annotated[str | None, typer.Option(help="Else 75 um.")] = None,
    density: Annotated[str | None, typer.Option(help="Of the tumour; else 1 g/mL.")] = None,
    observed: Annotated[str | None, typer.Option(help="Such as '18.3 %ID/kg'.")] = None,
    sd: Annotated[str | None, typer.Option(help="Of the observed, in its unit.")] = None,
    as_json: AsJson = False,
) -> None:
    """Uptake of a tumour by the agent's size. Reversible, trapped, gain, what decides it."""
    from igdd.stages.uptake_model import text
    from igdd.stages.uptake_model import uptake_model as predict

    found = predict(
        time=time, half_life=half_life, plasma_volume=plasma_volume, share=share or (),
        radius=radius, mass=mass, trap=trap, release=release, antigen_over_kd=antigen_over_kd,
        internalisation=internalisation, permeability=permeability, void=void,
        capillary_radius=capillary_radius, krogh_radius=krogh_radius, density=density,
        observed=observed, sd=sd,
    )  # fmt: skip
    say(found, text(found), as_json)
