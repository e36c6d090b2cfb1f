"""The command line: each command reads its arguments, makes one library call and shows the result. Imports are inside the commands,
so that `soundscope --help` answers at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from soundscope import __version__, errors
from soundscope.cli_app import register as register_app
from soundscope.cli_docs import register as register_docs
from soundscope.cli_doctor import TIERS
from soundscope.cli_doctor import register as register_doctor
from soundscope.cli_export import register as register_export
from soundscope.cli_genre import register as register_genre
from soundscope.cli_match import match_app
from soundscope.cli_trends import register as register_trends
from soundscope.errors import BadInput

if TYPE_CHECKING:
    from soundscope.settings import Settings

app = typer.Typer(
    name="soundscope",
    help="What is charting, how the sound of the charts moves, and which tracks fit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(match_app, name="match")
register_trends(app)
register_genre(app)
register_app(app)
register_export(app)
register_doctor(app)
register_docs(app)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Tier = Annotated[
    str | None, typer.Option(help="Sandbox only: what Spotify allows: extended, extended-new, development-old, development.")
]
Kind = Annotated[str, typer.Argument(help="charts, tracks, features, genres, popularity, or all.")]


def _settings() -> Settings:
    from soundscope.settings import load_settings

    return load_settings()


def _become(module: str, arguments: list[str]) -> NoReturn:
    """Go on as another module of the project, in this process: it gets the signals itself."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606


def _use_tier(tier: str | None) -> None:
    if tier is None:
        return
    if tier not in TIERS:
        raise BadInput(f"There is no tier {tier!r}.", next_step=f"say one of {', '.join(TIERS)}.")
    os.environ["SOUNDSCOPE_SANDBOX__TIER"] = tier


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


# --- running ----------------------------------------------------------------------------------------------------------


@app.command()
def run(
    tier: Tier = None,
    retrain: Annotated[bool, typer.Option(help="Train now even if the champion is young.")] = False,
    rebuild: Annotated[bool, typer.Option(help="Build and publish even if nothing is new.")] = False,
    force: Annotated[bool, typer.Option(help="Publish even if a table lost all its rows, or matching fell; recorded.")] = False,
    json: Json = False,
) -> None:
    """Run the whole pipeline once: ingest, build, train if due, score, publish. Seen in the dashboard afterwards (`soundscope up`)."""
    _use_tier(tier)
    flags = {"--retrain": retrain, "--rebuild": rebuild, "--force": force, "--json": json}
    _become("flows.run", [flag for flag, given in flags.items() if given])


@app.command()
def up(
    json: Json = False, app_too: Annotated[bool, typer.Option("--app/--no-app", help="Start the app as well.")] = True
) -> None:
    """Start server, dashboard, schedules and app together; Ctrl-C stops them all."""
    _become("flows.up", [*(["--json"] if json else []), *([] if app_too else ["--no-app"])])


sandbox_app = typer.Typer(help="The emulated providers, over a synthetic world.", invoke_without_command=True)
app.add_typer(sandbox_app, name="sandbox")


@sandbox_app.callback()
def sandbox(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="Where to listen on 127.0.0.1.")] = None,
    tier: Tier = None,
    seed: Annotated[int | None, typer.Option(help="Of the synthetic world.")] = None,
    tracks: Annotated[int | None, typer.Option(help="Size of its catalogue.")] = None,
    time_scale: Annotated[float | None, typer.Option(help="Speeds up windows, quotas and the life of tokens.")] = None,
) -> None:
    """Serve the emulated providers until Ctrl-C, or write the truth about their world."""
    _use_tier(tier)
    said = {"PORT": port, "SEED": seed, "TRACKS": tracks, "TIME_SCALE": time_scale}
    os.environ.update({f"SOUNDSCOPE_SANDBOX__{name}": str(value) for name, value in said.items() if value is not None})
    if context.invoked_subcommand is None:
        from soundscope.sandbox import serve_forever

        s = _settings().sandbox
        serve_forever(
            port=s.port, tier=s.tier, seed=s.seed, tracks=s.tracks, time_scale=s.time_scale,
            on_ready=lambda server: print(f"the sandbox answers at {server.url}; Ctrl-C ends it", flush=True),
        )  # fmt: skip


@sandbox_app.command("truth")
def sandbox_truth(folder: Annotated[Path, typer.Argument(help="Folder to write the CSV files to.")]) -> None:
    """Write what is true in the synthetic world, for tests and benchmarks: links, recordings, features, genres, popularity."""
    from soundscope.sandbox import World, write_truth

    said = _settings().sandbox
    for file in write_truth(World(seed=said.seed, tracks=said.tracks), folder):
        print(file)


# --- data in ----------------------------------------------------------------------------------------------------------


@app.command()
def ingest(kind: Kind = "all", tier: Tier = None, json: Json = False) -> None:
    """Fetch what is new from the providers and load it into the private warehouse."""
    from soundscope.output import show_json
    from soundscope.pipeline.ingest import KINDS
    from soundscope.pipeline.ingest import ingest as do_ingest
    from soundscope.pipeline.run import open_run

    if kind not in (*KINDS, "all"):
        raise BadInput(f"There is nothing called {kind!r} to ingest.", next_step=f"say one of {', '.join(KINDS)}, all.")
    _use_tier(tier)
    with open_run(_settings(), f"ingest {kind}", providers=True) as begun:
        outcomes = do_ingest(begun, KINDS if kind == "all" else (kind,), _say)
        refused = {f"{provider}/{what}": message for (provider, what), message in begun.session.refused.items()}
        run_id = begun.run_id
    if json:
        show_json({"run_id": run_id, "outcomes": {name: dict(n) for name, n in outcomes.items()}, "refused": refused})


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSON, NDJSON (also .gz, .zst, .zip) or Parquet.")],
    as_: Annotated[str, typer.Option("--as", help="What its rows are: tracks, chart, features or matches.")],
    name: Annotated[str | None, typer.Option(help="Name of the dataset; the file's name if left out.")] = None,
    map_: Annotated[list[str] | None, typer.Option("--map", help="column=field, several times or joined by commas.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of its values.")] = "user-supplied",
    train: Annotated[bool, typer.Option("--train/--no-train", help="May models be trained on it.")] = True,
    chart: Annotated[str | None, typer.Option(help="Name of the chart, where no column says it.")] = None,
    date: Annotated[str | None, typer.Option(help="Date of the chart as YYYY-MM-DD, where no column says it.")] = None,
    encoding: Annotated[str, typer.Option(help="Of its text: utf-8, latin-1, utf-16, or another that Python knows.")] = "utf-8",
    dates: Annotated[
        str | None, typer.Option(help="mdy or dmy, where dates end with the year and the file does not show which it is.")
    ] = None,
    decimal: Annotated[str, typer.Option(help="Mark before a number's decimals: '.' or ','.")] = ".",
    json: Json = False,
) -> None:
    """Bring in a file of your own; the next build has it. The same bytes again do nothing, changed bytes replace the dataset."""
    from soundscope.ingest.imports import ImportRequest, import_file
    from soundscope.ingest.refusals import refusals
    from soundscope.output import show_json
    from soundscope.pipeline import steps
    from soundscope.pipeline.run import open_run

    given = dict(_pair(pair) for said in map_ or () for pair in said.split(","))
    request = ImportRequest(
        file, as_, name or file.name.split(".")[0], given, licence, train, chart, date, encoding, dates, decimal
    )
    with open_run(_settings(), f"import {file.name}") as begun:
        result = import_file(begun.settings, begun.ledger, begun.run_id, request)
        loaded = steps.load_step(begun)
        with begun.writer() as con:
            refused = refusals(con, result.dataset) if result.is_new else []
        begun.facts["message"] = f"{result.dataset}: " + ("imported" if result.is_new else "unchanged")
    if json:
        show_json({"dataset": result.dataset, "is_new": result.is_new, "mapping": dict(result.mapping), "rows": loaded.rows,
                   "quarantined": loaded.quarantined, "refused": refused, "unused_columns": list(result.unused), "dates": result.dates})  # fmt: skip
        return
    if not result.is_new:
        print(f"{result.dataset}: these bytes are imported already; nothing to do.")
        return
    print(
        f"{result.dataset}: "
        + ", ".join(f"{n:,} {table}" for table, n in loaded.rows.items())
        + f"; {loaded.quarantined:,} to quarantine"
    )
    for reason in refused:
        print(
            f"  {reason['n']:,} x {reason['field'] or 'the row'}: {reason['reason']}, as {reason['example']!r}{reason['advice']}"
        )
    print("read as: " + ", ".join(f"{column} = {field}" for field, column in result.mapping.items()))
    if result.dates:
        print(f"dates are read as {result.dates}.")
    if result.unused:
        print("not read: " + ", ".join(result.unused))
    print("Next: soundscope run (or build and publish).")


def _pair(text: str) -> tuple[str, str]:
    column, equals, field = text.rpartition("=")
    if not equals or not column or not field:
        raise BadInput(f"--map {text!r} is not column=field.", next_step='write it as --map "Song Title=title".')
    return column.strip(), field.strip()


@app.command()
def replay(json: Json = False) -> None:
    """Rebuild the raw tables from landing alone, without one call to a provider."""
    from soundscope.ingest.load import replay as do_replay
    from soundscope.output import show_json
    from soundscope.pipeline.run import open_run

    with open_run(_settings(), "replay") as begun:
        with begun.writer() as con:
            result = do_replay(con, begun.settings.paths.landing, lambda done, total: _say(f"{done:,} of {total:,} files"))
        begun.facts["message"] = f"{result.files:,} files replayed"
    if json:
        show_json({"files": result.files, "rows": result.rows, "quarantined": result.quarantined, "damaged": result.damaged})
        return
    print(f"{result.files:,} landing files: " + ", ".join(f"{n:,} {table}" for table, n in result.rows.items()))
    for name, reason in result.damaged.items():
        print(f"damaged: {name}: {reason}")


@app.command()
def backfill(
    source: Annotated[str, typer.Argument(help="The provider, as billboard_hot_100, deezer or reccobeats.")],
    since: Annotated[str | None, typer.Option("--from", help="First day as YYYY-MM-DD; from the beginning, if left out.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last day as YYYY-MM-DD; up to now, if left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it costs and stop.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Ask about held chart weeks too, to notice restatements.")] = False,
    tier: Tier = None,
    json: Json = False,
) -> None:
    """Fetch all that a provider can give for a stretch of time. It may be stopped at any moment; run it again and it goes on."""
    from soundscope.output import show_json, show_table
    from soundscope.pipeline.backfill import as_rows, plan_backfill
    from soundscope.pipeline.backfill import backfill as do_backfill
    from soundscope.pipeline.run import open_run
    from soundscope.pipeline.steps import probe_step

    _use_tier(tier)
    with open_run(_settings(), f"backfill {source}", providers=True) as begun:
        probe_step(begun)
        planned = plan_backfill(begun, source, since, until, again=again)
        rows = as_rows(planned)
        if not json:
            columns = ["provider", "kind", "units", "held", "calls", "days", "hours"]
            show_table(columns, [tuple(row.values()) for row in rows], False)
        outcomes, retry_at = ({}, None) if dry_run else do_backfill(begun, planned, _say)
        begun.facts["message"] = f"{source}: {sum(outcomes.values()):,} units asked for"
    if json:
        show_json({"plan": rows, "outcomes": outcomes, "continues_at": retry_at})
    elif retry_at:
        print(f"Stopped by the budget; the same command goes on from {retry_at:%Y-%m-%d %H:%M} UTC.")
    elif not dry_run:
        print(f"Done: {dict(outcomes) or 'all of it was held already'}. Next: soundscope run.")


@app.command()
def purge(provider: Annotated[str, typer.Option(help="Its name, or import:<dataset>.")], json: Json = False) -> None:
    """Remove everything that came from a provider: landed files, raw rows, what was derived. Shows counts before and after."""
    from dataclasses import asdict

    from soundscope.output import show_json, show_table
    from soundscope.pipeline.purge import purge as do_purge
    from soundscope.pipeline.run import open_run

    with open_run(_settings(), f"purge {provider}", wait_s=0.0) as begun:
        result = do_purge(begun, provider)
        begun.facts["message"] = f"purged {provider}"
    if json:
        show_json(asdict(result))
        return
    show_table(["what", "before", "after"], [(name, n, result.after.get(name, 0)) for name, n in result.before.items()], False)
    print(f"Next: {result.next_step}.")


# --- tables, models, releases -----------------------------------------------------------------------------------------


@app.command()
def build(
    full: Annotated[bool, typer.Option(help="Rebuild tables that are otherwise brought forward week by week.")] = False,
    align: Annotated[bool, typer.Option(help="Align tracks with the charts too, where something changed.")] = True,
    target: Annotated[
        str, typer.Option(help="The engine of the SQL models: duckdb, or spark (Java 17 and the extra spark).")
    ] = "duckdb",
) -> None:
    """Build all tables from the raw ones, with matching, alignment and every check, in the private warehouse; `publish` shows them."""
    from soundscope.pipeline import steps
    from soundscope.pipeline.align import ALIGN_MODELS, align_step
    from soundscope.pipeline.run import open_run
    from soundscope.warehouse.build import building_on

    with building_on(target), open_run(_settings(), "build") as begun:
        models = steps.build_all(
            begun, lambda result: _say(f"{result.name}: {result.status}, {result.rows or 0:,} rows"), full=full
        )
        if align and align_step(begun, _say):
            steps.build_step(begun, ALIGN_MODELS)
        begun.facts["message"] = f"built {models} tables"
    print(f"Built {models} tables. Next: soundscope train, soundscope score, soundscope publish.")


@app.command()
def publish(
    force: Annotated[bool, typer.Option(help="Publish even if a table lost all its rows, or matching fell; recorded.")] = False,
) -> None:
    """Check what was built and make it the release that everyone reads."""
    from soundscope.pipeline import steps
    from soundscope.pipeline.run import open_run

    with open_run(_settings(), "publish") as begun:
        release = steps.publish_step(begun, force=force)
        begun.facts["message"] = f"published {release.release_id}"
        is_old = steps.news_step(begun).is_new
    print(f"Published {release.release_id}: {sum(release.rows.values()):,} rows in {len(release.rows)} tables.")
    if is_old:
        print("What was loaded or changed since the last build is not in it. Next: soundscope build, soundscope publish.")


@app.command()
def releases(json: Json = False) -> None:
    """Releases that are kept, newest first; the current one is marked."""
    from soundscope.output import show_json, show_table
    from soundscope.warehouse.releases import list_releases

    kept = list_releases(_settings())
    if json:
        show_json([release.as_dict() for release in kept])
        return
    columns = ["release_id", "created_at", "current", "profile", "schema_version", "rows", "MB"]
    rows = [
        (r.release_id, f"{r.created_at:%Y-%m-%d %H:%M:%S}", "*" if r.is_current else "", r.profile, r.schema_version,
         sum(r.rows.values()), round(r.size / 1e6, 1))
        for r in kept
    ]  # fmt: skip
    show_table(columns, rows, False)


@app.command()
def rollback(
    release_id: Annotated[str | None, typer.Argument(help="The release to return to; the one before, if left out.")] = None,
) -> None:
    """Return to an earlier release; the next run publishes over it."""
    from soundscope.warehouse.releases import rollback as do_rollback

    release = do_rollback(_settings(), release_id, wait_s=5.0)
    print(f"The current release is {release.release_id} again, of {release.created_at:%Y-%m-%d %H:%M} UTC.")


@app.command()
def runs(json: Json = False, last: Annotated[int, typer.Option(help="How many.")] = 20) -> None:
    """What ran lately and how it ended, straight from the ledger."""
    from soundscope.ingest import tables as t
    from soundscope.ingest.ledger import Ledger
    from soundscope.output import show_table
    from soundscope.pipeline.ops import ledger_table

    ledger = Ledger.open(_settings())
    ledger.close_dead_runs()
    frame = ledger_table(ledger, t.runs).frame.sort_values("started_at", ascending=False).head(last)
    columns = ["run_id", "command", "status", "started_at", "ended_at", "message"]
    show_table(
        columns,
        [
            tuple(None if value is None or value != value else value for value in row)
            for row in frame[columns].itertuples(index=False)
        ],
        json,
    )
    ledger.close()


# --- reading ----------------------------------------------------------------------------------------------------------


@app.command()
def sql(statement: Annotated[str, typer.Argument(help="SQL for the current release.")], json: Json = False) -> None:
    """Ask the current release with SQL; read-only."""
    from soundscope.output import show_query

    show_query(_settings(), statement, json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def shell(context: typer.Context) -> None:
    """DuckDB's own shell on the current release; further arguments go to it."""
    from soundscope.warehouse.shell import shell as become_shell

    become_shell(_settings(), context.args)


@app.command()
def describe(
    table: Annotated[str, typer.Argument(help="As marts.track_features, or track_features.")], json: Json = False
) -> None:
    """What a table holds: every column with its type and meaning."""
    from soundscope.output import show_table
    from soundscope.warehouse.shell import describe as rows_of

    rows = rows_of(_settings(), table)
    if not json:
        print(f"{rows[0][0]}: {rows[0][3]}\n")
        rows = rows[1:]
    show_table(["table", "column", "type", "comment"], rows, json)


@app.command()
def profile(json: Json = False) -> None:
    """An overview of the published tracks: the ten features, categories, means by genre and era, correlations."""
    from contextlib import closing

    from soundscope.output import show_json, show_rich
    from soundscope.profile import profile as make_profile
    from soundscope.profile import render
    from soundscope.warehouse.connect import open_release

    with closing(open_release(_settings())) as con:
        overview = make_profile(con)
    if json:
        show_json(overview.as_dict())
        return
    show_rich(render(overview))


@app.command()
def version() -> None:
    """The version of SoundScope."""
    print(__version__)


def main() -> None:
    """Run the command line; errors a person can act on end it with one clear message and status 1 or 2."""
    try:
        app()
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        known = errors.known(error)
        if known is None:
            raise
        print(f"soundscope: {known}", file=sys.stderr)
        sys.exit(known.exit_status)
    except KeyboardInterrupt:
        print("soundscope: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
