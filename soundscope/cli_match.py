"""`soundscope match …`: how matching stands, what wants an eye, why, and a person's decisions. Imports are inside the commands, as in `cli`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundscope.errors import BadInput

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run
    from soundscope.settings import Settings

match_app = typer.Typer(
    help="Which track a chart entry means: how many are matched, why, and your own decisions.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Title = Annotated[str, typer.Argument(help="Title as charted; case and accents do not matter.")]
Artist = Annotated[str, typer.Argument(help="Credit as charted.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the decision.")]
By = Annotated[str | None, typer.Option(help="Who decides; your user name if left out.")]
RunNo = Annotated[int | None, typer.Option("--run", min=1, help="Which of several simultaneous runs of this name.")]
Limit = Annotated[int, typer.Option(min=1, help="How many.")]
_NEXT = "Next: soundscope run (or build and publish)."


def _settings() -> Settings:
    from soundscope.settings import load_settings

    return load_settings()


@contextmanager
def _run(command: str) -> Iterator[Run]:
    from soundscope.pipeline.run import open_run

    with open_run(_settings(), f"match {command}") as begun:
        yield begun


def _who(by: str | None) -> str:
    import getpass

    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise BadInput("It is not known who decides.", next_step="say so with --by NAME.") from error


@match_app.command()
def status(limit: Limit = 10, json: Json = False) -> None:
    """How many chart keys are matched: in all, by decade, by chart, by method; and the unmatched, most chart weeks lost first."""
    from soundscope.output import show_json, show_table
    from soundscope.pipeline.match_review import match_status

    found = match_status(_settings(), limit)
    if json:
        lost = [{"breakdown": "lost", "value": f"{row['title']} by {row['artist']}", **row} for row in found.lost]
        show_json([*found.rates, *lost])
        return
    rows = [tuple(row.values()) for row in found.rates]
    show_table(list(found.rates[0]) if found.rates else ["breakdown"], rows, False)
    if found.lost:
        print("\nWithout a track, most chart weeks first (soundscope match review shows the candidates):")
        columns = ["weeks_lost", "title", "artist", "run_no", "status", "first_date", "last_date"]
        show_table(columns, [tuple(row[name] for name in columns) for row in found.lost], False)


@match_app.command()
def review(limit: Limit = 20, json: Json = False) -> None:
    """What wants a person's eye, most chart weeks lost first, with the candidates and the evidence for and against them."""
    from soundscope.output import clean, show_json
    from soundscope.pipeline.match_review import review as find_review

    rows = find_review(_settings(), limit)
    if json:
        show_json(rows)
        return
    for row in rows:
        run = f", run {row['run_no']}" if row["run_no"] != 1 else ""
        print(
            clean(
                f"{row['weeks_lost']:,} weeks  {row['title']} by {row['artist']}{run}  "
                f"[{row['status']}, {row['first_date']} to {row['last_date']}, best rank {row['best_rank']}]"
            )
        )
        for candidate in row["candidates"]:
            print(clean(f"    {_candidate(candidate)}"))
        if not row["candidates"]:
            print("    no candidate")
    print(
        "Decide with: soundscope match set TITLE ARTIST TRACK_ID (or --absent) --reason WHY"
        if rows
        else "Nothing waits: every chart key has a track or a decision."
    )


def _candidate(row: dict[str, Any]) -> str:
    length = f", {int(row['duration_ms']) // 60_000}:{int(row['duration_ms']) // 1000 % 60:02d}" if row["duration_ms"] else ""
    evidence = "; ".join(f"{name} {row[f'{name}_evidence']}" for name in ("title", "artist", "version"))
    return f"{row['score']:.2f} {row['track_title']} by {row['track_artists']}{length} [{row['track_id']}]: {evidence}; {row['date_evidence']}"


@match_app.command()
def explain(title: Title, artist: Artist, json: Json = False) -> None:
    """Why a chart entry has the track it has: every candidate, the evidence, and how the link changed."""
    from soundscope.output import clean, show_json
    from soundscope.pipeline.match_review import as_sentence, explain_key, plain_rows

    found, history = explain_key(_settings(), title, artist)
    if json:
        show_json({"links": plain_rows(found.links), "candidates": plain_rows(found.candidates), "history": history})
        return
    for line in found.words.splitlines():
        print(clean(line))
    if len(history) > 1:
        print("How the link changed:")
        for row in history:
            print(clean(f" {as_sentence(row)}"))


@match_app.command("set")
def set_(
    title: Title,
    artist: Artist,
    track_id: Annotated[str | None, typer.Argument(help="Id of the track; a Spotify id, URI or address will do.")] = None,
    absent: Annotated[bool, typer.Option("--absent", help="The song is not in the catalogue.")] = False,
    reason: Reason = "",
    by: By = None,
    run_no: RunNo = None,
    json: Json = False,
) -> None:
    """Decide which track a chart entry means. It wins over everything, also after every rebuild, until you take it back."""
    from soundscope.output import clean, show_json
    from soundscope.pipeline.match_decisions import set_decision

    if (track_id is None) != absent:
        raise BadInput("Say one of the two: a track id, or --absent.", next_step="soundscope match set TITLE ARTIST TRACK_ID")
    with _run("set") as begun:
        row = set_decision(begun, title, artist, track_id, reason=reason, by=_who(by), run_no=run_no)
        begun.facts["message"] = f"decided on {row['title']} by {row['artist']}"
    if json:
        show_json(row)
        return
    print(
        clean(f"Decided by {row['decided_by']}: {row['title']} by {row['artist']} -> {row['track_id'] or 'not in the catalogue'}")
    )
    print(_NEXT)


@match_app.command()
def unset(title: Title, artist: Artist, reason: Reason = "", by: By = None, run_no: RunNo = None, json: Json = False) -> None:
    """Take a decision back: the matcher's own answer counts again."""
    from soundscope.output import clean, show_json
    from soundscope.pipeline.match_decisions import unset_decision

    with _run("unset") as begun:
        row = unset_decision(begun, title, artist, reason=reason, by=_who(by), run_no=run_no)
        begun.facts["message"] = f"took back the decision on {row['title']} by {row['artist']}"
    if json:
        show_json(row)
        return
    print(clean(f"Taken back by {row['decided_by']}: {row['title']} by {row['artist']}"))
    print(_NEXT)


@match_app.command()
def export(file: Annotated[Path, typer.Argument(help="CSV file to write.")], json: Json = False) -> None:
    """Write all decisions in force to a small CSV file that anyone can read and edit."""
    from soundscope.output import show_json
    from soundscope.pipeline.match_decisions import export_decisions

    with _run("export") as begun:
        n = export_decisions(begun, file)
        begun.facts["message"] = f"{n:,} decisions written"
    if json:
        show_json({"file": str(file), "decisions": n})
        return
    print(f"{n:,} decisions written to {file}.")


@match_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV file as written by `match export`.")],
    allow_unknown: Annotated[bool, typer.Option(help="Take decisions on names or tracks that are not held, too.")] = False,
    json: Json = False,
) -> None:
    """Take over the decisions of a file; what it does not name stays as it is."""
    from dataclasses import asdict

    from soundscope.output import show_json
    from soundscope.pipeline.match_decisions import import_decisions

    with _run("import") as begun:
        result = import_decisions(begun, file, allow_unknown=allow_unknown)
        begun.facts["message"] = f"{result.changed:,} of {result.read:,} decisions were new"
    if json:
        show_json(asdict(result))
        return
    print(f"{result.read:,} decisions read, {result.changed:,} of them new or changed; {result.unknown:,} name what is not held.")
    if result.changed:
        print(_NEXT)
