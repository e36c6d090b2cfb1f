"""`soundscope train`, `score`, `models` and `explain`. Imports are inside the commands, as in `cli`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundscope.errors import BadInput

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run
    from soundscope.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the verdict.")]
By = Annotated[str | None, typer.Option(help="Who decides; your user name if left out.")]
Publish = Annotated[bool, typer.Option("--publish/--no-publish", help="Score with it and publish a release at once.")]
ModelId = Annotated[str, typer.Argument(help="Id of the model, as `soundscope models` lists it.")]

TuneMinutes = Annotated[
    float | None, typer.Option("--tune", min=0, metavar="MINUTES", help="Try settings of the candidates first, for so long.")
]
TuneTrials = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Try at most so many settings; the same number and seed choose the same ones."),
]

models_app = typer.Typer(
    help="Trained models: their figures, the verdict on each, and which one is used.", invoke_without_command=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (train, score, explain):
        app.command()(command)
    app.add_typer(models_app, name="models")


def _settings() -> Settings:
    from soundscope.settings import load_settings

    return load_settings()


def _who(by: str | None) -> str:
    import getpass

    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise BadInput("It is not known who decides.", next_step="say so with --by NAME.") from error


def train(tune: TuneMinutes = None, tune_trials: TuneTrials = None, json: Json = False) -> None:
    """Train the candidates on the built tables; the gate decides whether the best of them is used."""
    from soundscope.output import show_json
    from soundscope.pipeline import steps
    from soundscope.pipeline.run import open_run

    asked = {name: value for name, value in (("tune_minutes", tune), ("tune_trials", tune_trials)) if value is not None}
    settings = _settings()
    settings = settings.model_copy(update={"train": settings.train.model_copy(update=asked)})
    with open_run(settings, "train") as begun:
        steps.begin_release(begun)
        outcome = steps.train_step(begun)
        steps.build_step(begun, ("ml",))
        begun.facts["message"] = f"trained: {outcome['verdict']}"
    if json:
        show_json(outcome)
        return
    print(outcome["report"])


def score(json: Json = False) -> None:
    """Score every new or changed track with the champion, explain what charts, and look for drift."""
    from soundscope.output import show_json
    from soundscope.pipeline import steps
    from soundscope.pipeline.run import open_run

    with open_run(_settings(), "score") as begun:
        steps.begin_release(begun)
        scored = steps.score_step(begun)
        steps.build_step(begun, ("ml",))
        begun.facts["message"] = f"scored {scored:,} tracks"
        drifted = begun.facts.get("drift", [])
    if json:
        show_json({"scored": scored, "drift": drifted})
        return
    print(
        f"{scored:,} tracks scored."
        if scored
        else "No track is new or changed, or there is no champion (see `soundscope models`)."
    )
    for point in drifted:
        print(f"{point['level']}: {point['feature']} has drifted (PSI {point['psi']:.2f}, week of {point['as_of']}).")


@models_app.callback()
def models(context: typer.Context, json: Json = False) -> None:
    """Trained models with their figures, the verdict on each and its reason, and which one is used."""
    if context.invoked_subcommand is None:
        from soundscope.output import show_query
        from soundscope.pipeline.queries import MODELS

        show_query(_settings(), MODELS, json)


@models_app.command()
def show(model_id: ModelId, json: Json = False) -> None:
    """One model: every verdict on it with its reason, its figures by split, and what it was trained on."""
    from contextlib import closing

    from soundscope.genre import compare
    from soundscope.output import clean, show_json, show_table
    from soundscope.warehouse.connect import open_release

    settings = _settings()
    with closing(open_release(settings)) as con:
        found = compare.show(con, settings, model_id)
    if json:
        show_json(found)
        return
    run = found["run"]
    champion = ", in use" if run["is_champion"] else ""
    print(clean(f"{model_id}: {run['verdict']} by {run['decided_by']}{champion}"))
    print(clean(f"why: {run['reason']}"))
    card = found["card"]
    for name in (
        "trained_at",
        "release_id",
        "profile",
        "inputs",
        "n_train",
        "providers",
        "licences",
        "left_out",
        "split",
        "seed",
        "versions",
    ):
        if name in card:
            print(clean(f"{name}: {card[name]}"))
    if tuning := card.get("tuning"):
        chosen = ", ".join(f"{name}={value}" for name, value in tuning["chosen"].items()) or "default"
        print(clean(f"tuned: {chosen}, the best of {len(tuning['trials'])} settings tried; ended by {tuning['ended_by']}"))
    print()
    show_table(list(found["figures"][0]), [tuple(row.values()) for row in found["figures"]], False)


@models_app.command("compare")
def compare_models(
    a: Annotated[str, typer.Argument(help="Id of one model.")],
    b: Annotated[str, typer.Argument(help="Id of the other.")],
    json: Json = False,
) -> None:
    """Figures of two models side by side, by split, and the labels they differ in most."""
    from contextlib import closing

    from soundscope.genre import compare
    from soundscope.output import show_json, show_table
    from soundscope.warehouse.connect import open_release

    with closing(open_release(_settings())) as con:
        found = compare.side_by_side(con, a, b)
    if json:
        show_json(found)
        return
    for note in found["notes"]:
        print(note)
    for part in ("figures", "labels"):
        if found[part]:
            print()
            show_table(list(found[part][0]), [tuple(row.values()) for row in found[part]], False)


@models_app.command()
def promote(model_id: ModelId, reason: Reason, by: By = None, publish: Publish = True, json: Json = False) -> None:
    """Use a model whatever the gate said; recorded as a verdict by hand, with who and why."""
    from soundscope.pipeline import verdicts
    from soundscope.pipeline.run import open_run

    who = _who(by)
    with open_run(_settings(), f"models promote {model_id}") as begun:
        before = verdicts.promote(begun, model_id, reason, who)
        scored = _take_up(begun, publish)
        begun.facts["message"] = f"{who} promoted {model_id}"
    _say_promoted(model_id, before, who, reason, scored, json, publish)


@models_app.command("rollback")
def roll_back(reason: Reason = "the newer one is worse", by: By = None, publish: Publish = True, json: Json = False) -> None:
    """Return to the champion before this one; recorded as a verdict by hand."""
    from soundscope.pipeline import verdicts
    from soundscope.pipeline.run import open_run

    who = _who(by)
    with open_run(_settings(), "models rollback") as begun:
        model_id, before = verdicts.rollback(begun, reason, who)
        scored = _take_up(begun, publish)
        begun.facts["message"] = f"{who} returned to {model_id}"
    _say_promoted(model_id, before, who, reason, scored, json, publish)


def _take_up(run: Run, publish: bool) -> int:
    """Score with the new champion and publish, if the tables to score are there."""
    from soundscope.pipeline import steps

    scored = 0
    if publish:
        steps.begin_release(run)
        scored = steps.score_step(run)
    steps.build_step(run, ("ml",))
    if publish:
        steps.publish_step(run)
    return scored


def _say_promoted(model_id: str, before: str | None, who: str, reason: str, scored: int, json: bool, published: bool) -> None:
    from soundscope.output import clean, show_json

    if json:
        facts: dict[str, Any] = {"champion": model_id, "replaced": before, "decided_by": who, "reason": reason}
        show_json(facts | {"scored": scored, "published": published})
        return
    print(clean(f"{model_id} is the champion now" + (f"; {before} is retired." if before else ".")))
    print(f"{scored:,} tracks scored with it, and published." if published else "Next: soundscope score, soundscope publish.")


def explain(
    track: Annotated[str, typer.Argument(help="Its id, its Spotify id or link, or words of its title and artist.")],
    model: Annotated[str | None, typer.Option(help="Id of a model; the one in use, if left out.")] = None,
    json: Json = False,
) -> None:
    """The three likeliest genres of a track, why, and the nearest examples of the first."""
    from contextlib import closing

    from soundscope.genre.tell import in_words, tell
    from soundscope.output import clean, show_json
    from soundscope.warehouse.connect import open_release

    settings = _settings()
    with closing(open_release(settings)) as con:
        told = tell(con, settings, track, model)
    if json:
        show_json(told.as_dict())
        return
    print("\n".join(clean(line) for line in in_words(told).splitlines()))
    if settings.profile == "sandbox":
        print("The catalogue is synthetic: this says nothing about real music.")
