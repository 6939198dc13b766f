"""The command line: one thin door. Each command reads its words, calls one function, prints.

Exit 0: done; 1: the work failed (or two results differ); 2: the call or the input is wrong.
Every heavy import stands inside its command, so that `igdd --help` stays fast.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from igdd import (
    cli_contrast,
    cli_delivery,
    cli_delivery_models,
    cli_dose,
    cli_dose_map,
    cli_individual,
    cli_jobs,
    cli_label,
    cli_occupancy,
    cli_release,
    cli_scale,
)
from igdd.cli_app import AsJson, app, count, hear_compiler, progress_bar, say
from igdd.errors import FitError, IgddError, InputError, MissingExtra

Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results.")]
Data = Annotated[
    list[Path] | None, typer.Option("--data", help="A further folder the study may read from.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default all cores.")]
Open = Annotated[bool, typer.Option("--open", help="Open the report in the browser.")]

# Importing these adds their commands to the application.
JOBS = (
    cli_jobs,
    cli_contrast,
    cli_occupancy,
    cli_dose,
    cli_dose_map,
    cli_individual,
    cli_release,
    cli_label,
    cli_delivery,
    cli_delivery_models,
    cli_scale,
)
__all__ = ["JOBS", "app", "main"]

INTERRUPTED = 130  # how typer ends after Ctrl-C


def _print_version(wanted: bool) -> None:
    if wanted:
        from igdd import __version__

        typer.echo(f"igdd {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Image-guided drug delivery: from the scanner's files to the answer, with an uncertainty on
    every number. Research use; not a medical device."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to fill.")] = Path("igdd-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another trial.")] = 1,
    workers: Workers = None,
    open_report: Open = False,
    as_json: AsJson = False,
) -> None:
    """Simulate the virtual trial and run it. Says where the report is."""
    from igdd.line import run as run_study
    from igdd.simulate.trial import write_trial

    if (out / "study.toml").exists():
        raise InputError(f"{out} already holds a study; nothing is overwritten; give another --out")
    with progress_bar(as_json) as progress:
        study = write_trial(out, seed=seed, progress=progress, workers=workers or _cores())
        results = run_study(study, out, workers=workers, progress=progress)
    _print_run(results, out, as_json, open_report)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="study.toml, or its folder.")],
    out: Out = None,
    data: Data = None,
    workers: Workers = None,
    open_report: Open = False,
    as_json: AsJson = False,
) -> None:
    """Run a study: tables, report, provenance. A run that was stopped goes on."""
    from igdd.line import run as run_study

    with progress_bar(as_json) as progress:
        results = run_study(study, out, data=tuple(data or ()), workers=workers, progress=progress)
    folder = out or (study if study.is_dir() else study.parent) / "results"
    _print_run(results, folder, as_json, open_report)


@app.command()
def check(
    study: Annotated[Path, typer.Argument(help="study.toml, or its folder.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Check a study without computing it. Keys, units, names, and that every file is there."""
    from igdd.stages.plan import plan
    from igdd.stages.signal_facts import check_units
    from igdd.study import load_study

    loaded = load_study(study, tuple(data or ()))
    plans = plan(loaded)
    for one in plans:
        for scan in (one.scan, *one.others):
            check_units(scan)
    facts = {
        "title": loaded.document.title,
        "subjects": len(loaded.document.subject),
        "sessions": len(plans),
        "excluded": [entry.model_dump() for entry in loaded.document.exclude],
    }
    say(
        facts,
        f"{loaded.path}: {count(facts['subjects'], 'subject')}, "
        f"{count(facts['sessions'], 'session')}; every file is there",
        as_json,
    )


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A file or a folder.")],
    as_json: AsJson = False,
) -> None:
    """What is there, and what is wrong with it. Series, tracer, frames, units, timing, SUV rule."""
    from igdd.stages.inspect import inspect as look
    from igdd.stages.inspect import text

    with progress_bar(as_json) as progress:
        found = look(path, progress)
    say(found, text(found), as_json)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the files.")],
    as_json: AsJson = False,
) -> None:
    """Draft a study from what is on disk. Facts that nobody knows are marked # REQUIRED."""
    from igdd.stages.draft import draft

    with progress_bar(as_json) as progress:
        path, required = draft(folder, progress)
    say(
        {"study": str(path), "required": required},
        f"{path}: drafted; {count(required, 'fact')} marked # REQUIRED",
        as_json,
    )


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="A folder of results.")],
    open_report: Open = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of a finished run again."""
    from igdd.line import rewrite

    html = rewrite(results)
    say({"report": str(html)}, f"report: {html}", as_json)
    if open_report:
        typer.launch(str(html))


@app.command()
def diff(
    left: Annotated[Path, typer.Argument(help="A folder of results.")],
    right: Annotated[Path, typer.Argument(help="Another.")],
    tolerance: Annotated[float, typer.Option(min=0, help="Relative difference to pass.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Compare two results row by row. Exit 1 when they differ."""
    from igdd.stages.difference import difference

    table = difference(left, right, rtol=tolerance)
    text = table.to_string(index=False) if len(table) else "no difference"
    say(json.loads(table.to_json(orient="records")), text, as_json)
    raise typer.Exit(1 if len(table) else 0)


@app.command(name="list")
def list_declared(
    kind: Annotated[
        str, typer.Argument(help="readers, modalities, models, metrics, comparisons, flags, schema")
    ] = "metrics",
    as_json: AsJson = False,
) -> None:
    """List what can be read, measured, compared. `schema` is the study's JSON Schema."""
    from igdd import catalog
    from igdd.declare import summary
    from igdd.flags import FLAGS

    if kind == "schema":
        from igdd.document import json_schema

        typer.echo(json.dumps(json_schema(), indent=1, sort_keys=True))
        return
    found = (
        dict(FLAGS)
        if kind == "flags"
        else {name: summary(one) for name, one in catalog.declarations(kind).items()}
    )
    width = max((len(name) for name in found), default=0)
    say(found, "\n".join(f"{name:{width}}  {text}" for name, text in found.items()), as_json)


@app.command()
def conformance(as_json: AsJson = False) -> None:
    """Every public reference against our value. Exit 1 when one fails."""
    import os

    from igdd.conformance import checks, table

    place = os.environ.get("IGDD_REFERENCE")
    rows = table(checks(Path(place) if place else None))
    lines = [
        f"{row['status']:11}  {row['name']}: "
        + (
            f"{row['value']:.10g} (expected {row['expected']:.10g} within {row['tolerance']:.2g}; "
            f"{row['source']})"
            if row["value"] is not None
            else f"{row['note']} ({row['source']})"
        )
        for row in rows
    ]
    say(rows, "\n".join(lines), as_json)
    raise typer.Exit(1 if any(row["status"] == "fail" for row in rows) else 0)


def _cores() -> int:
    import os

    return os.cpu_count() or 1


def _print_run(results: Any, folder: Path, as_json: bool, open_report: bool) -> None:
    from igdd.line import summary
    from igdd.report.answers import answers
    from igdd.report.overview import overview

    html = folder / "report.html"
    headline = [answer.text for answer in answers(overview(results))]
    facts = {**summary(results), "headline": headline, "report": str(html)}
    warnings = [f"warning: {text}" for text in facts["warnings"]]
    text = "\n".join([*facts["headline"], *warnings, "", f"report: {html}"])
    say(facts, text, as_json)
    if open_report:
        typer.launch(str(html))


# The commands of a study stand first in the help, then the jobs by topic.
_TOPICS = [__name__, *(job.__name__ for job in JOBS)]
app.registered_commands.sort(key=lambda one: _TOPICS.index(getattr(one.callback, "__module__", "")))


def main() -> None:
    """Run the command line; igdd's own errors become one message and an exit code."""
    if sys.stderr.isatty():
        hear_compiler()
    try:
        app()
    except (FitError, MissingExtra) as error:
        typer.echo(f"igdd: {error}", err=True)
        sys.exit(1)
    except IgddError as error:
        typer.echo(f"igdd: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk, a folder taken away: nothing that the input says
        typer.echo(f"igdd: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        sys.exit(1)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        typer.echo("igdd: stopped; a run goes on where it was with the same command", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
