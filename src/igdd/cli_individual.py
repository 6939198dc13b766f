"""The command `igdd individual`: patients between a population and their samples; the next dose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from igdd.cli_app import AsJson, app, progress_bar, say


@app.command()
def individual(
    events: Annotated[
        Path, typer.Argument(help="NONMEM's columns ID TIME AMT RATE ADDL II EVID CMT DV MDV.")
    ],
    population: Annotated[
        Path, typer.Option("--population", help="TOML: model, typical values, omega, residual.")
    ],
    target: Annotated[
        str | None, typer.Option("--target", help="For the next dose: 'AUC 400..600 mg.h/L'.")
    ] = None,
    loss: Annotated[str, typer.Option(help="outside, squared_log or absolute_log.")] = "outside",
    interval: Annotated[
        str | None, typer.Option("--interval", help="Between doses at steady state, such as '12 h'")
    ] = None,
    infusion: Annotated[
        str | None, typer.Option("--infusion-time", help="Of the next dose, such as '0.5 h'.")
    ] = None,
    doses: Annotated[
        tuple[str, str] | None, typer.Option("--doses", help="Least and largest dose.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws from the posterior.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Individual parameters from few samples and a population. With a target, the next dose."""
    from igdd.stages.individual import individual as estimated
    from igdd.stages.individual import text

    with progress_bar(as_json) as progress:
        found = estimated(
            events, population, target=target, loss=loss, interval=interval, infusion=infusion,
            doses=doses, seed=seed, progress=lambda done, total: progress("subjects", done, total),
        )  # fmt: skip
    say(found, text(found), as_json)
