"""What has to be done from time to time, whatever is new: values past their time are removed."""

from __future__ import annotations

from prefect import flow

from flows.active import active_run, say
from flows.tasks import submit
from soundscope.pipeline.purge import expire


@flow(name="maintenance", flow_run_name="remove what is past its time", log_prints=True)
def maintenance() -> dict[str, int]:
    """Remove values that are older than their provider lets them be kept; what is still wanted is fetched anew by the next ingest.

    Returns:
        Landed files removed per provider.
    """
    with active_run("maintenance") as run:
        removed = submit("expire", "remove expired values", lambda: expire(run)).result()
        words = ", ".join(f"{n:,} files of {provider}" for provider, n in removed.items()) or "nothing is past its time"
        say(f"maintenance: {words}")
        run.facts.setdefault("message", words)
        return removed
