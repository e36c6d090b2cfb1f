"""What has to be done from time to time, whatever is new: values past their time are removed, and what grew is made small again."""

from __future__ import annotations

from prefect import flow

from flows.active import active_run, named, say
from flows.tasks import submit
from soundscope.pipeline.purge import expire
from soundscope.pipeline.thinning import thin_landing
from soundscope.pipeline.upkeep import compact_writer, trim_ledger


@flow(name="maintenance", flow_run_name=lambda: named("remove what is past its time"), log_prints=True)
def maintenance() -> dict[str, int]:
    """Remove values that are older than their provider lets them be kept; what is still wanted is fetched anew by the next ingest.

    Then results of SoundScope itself that newer ones replaced long ago leave landing, old notes leave the ledger, and the private file is
    copied into a smaller one if much of it is free.

    Returns:
        Landed files removed per provider.
    """
    with active_run("maintenance") as run:
        removed = submit("expire", "remove expired values", lambda: expire(run)).result()
        words = ", ".join(f"{n:,} files of {provider}" for provider, n in removed.items()) or "nothing is past its time"
        say(f"maintenance: {words}")
        files, size = submit("thin", "remove results that were replaced", lambda: thin_landing(run)).result()
        say(
            f"landing: {files:,} files of results that were replaced, {size / 1e6:.1f} MB"
            if files
            else "landing: nothing is surplus"
        )
        trimmed = submit("trim", "remove old notes of the ledger", lambda: trim_ledger(run)).result()
        say("ledger: " + (", ".join(f"{n:,} rows of {table}" for table, n in trimmed.items()) or "nothing is old"))
        sizes = submit("compact", "give back unused space", lambda: compact_writer(run)).result()
        say(
            f"private file: {sizes[0] / 1e6:.0f} MB became {sizes[1] / 1e6:.0f} MB" if sizes else "private file: little is unused"
        )
        run.facts.setdefault("message", words)
        return removed
