"""`soundscope doctor`: what providers allow, what is wrong with the set-up, and its repair. Imports are inside the command, as in `cli`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

TIERS = ("extended", "extended-new", "development-old", "development")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("doctor")(doctor)


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    tier: Annotated[str | None, typer.Option(help=f"Sandbox only: what Spotify allows: {', '.join(TIERS)}.")] = None,
    fresh: Annotated[bool, typer.Option(help="Ask again although the answers of the last day are known.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what is safe to repair; says what it did. Nothing with data is deleted.")
    ] = False,
) -> None:
    """Ask each provider what it allows with these credentials, and look for trouble in the set-up. Ends with 1 if there is trouble.

    States: ok; refused and off (a provider does not allow it, or is not asked: what is done instead is said); leftover (harmless, of something
    that ended without a word: the next run clears it); trouble (somebody has to do something); fixed (by --fix).
    """
    from soundscope.errors import BadInput, DiskFull
    from soundscope.output import show_table
    from soundscope.pipeline.doctor import Finding, examine
    from soundscope.pipeline.repairs import repair
    from soundscope.pipeline.run import open_run
    from soundscope.pipeline.setup_checks import look_over
    from soundscope.settings import load_settings

    if tier is not None and tier not in TIERS:
        raise BadInput(f"There is no tier {tier!r}.", next_step=f"say one of {', '.join(TIERS)}.")
    if tier is not None:
        os.environ["SOUNDSCOPE_SANDBOX__TIER"] = tier
    settings = load_settings()
    setup = [*(repair(settings) if fix else ()), *look_over(settings)]
    if any(found.subject == "ledger" and found.state == "trouble" for found in setup):
        words = "not asked, because what they allow is kept in the ledger, and that is in trouble"
        findings = [Finding("providers", "capabilities", "off", words, "see below"), *setup]
    else:
        try:
            with open_run(settings, "doctor", providers=True, lock=False) as begun:
                findings = examine(begun, fresh=fresh, setup=setup)
        except DiskFull as error:
            findings = [Finding("providers", "capabilities", "off", error.message, error.next_step), *setup]
    show_table(["subject", "what", "state", "detail", "instead"], [tuple(vars(found).values()) for found in findings], json)
    if any(found.state == "trouble" for found in findings):
        raise typer.Exit(1)
