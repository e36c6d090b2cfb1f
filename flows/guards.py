"""What the Prefect server keeps in order: one writer at a time, runs whose process died, schedules missed while it was off.

The database's own lock, not Prefect's, decides who writes; the limit here lets runs queue instead of failing on that lock.
Prefect is imported inside the functions, after the environment is set.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flows.alerts import ensure_alerts
from flows.environment import HEARTBEAT_S
from flows.locks import FileLock
from soundscope.errors import Busy
from soundscope.settings import Settings

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

WRITER_LIMIT = "soundscope-writer"
CRASH_AUTOMATION = "soundscope: mark runs without heartbeat as crashed"
# A window shorter than three heartbeats marks live runs as crashed.
SILENCE_S = 3 * HEARTBEAT_S + 5
_SET_UP_DEADLINE_S = 60.0


def set_up(settings: Settings, alone_since: datetime | None) -> None:
    """Limits, automations and alerts of the running server, and the end of runs that have no process. Safe to repeat.

    One process at a time: two that both see that something is missing would both make it, and the server refuses the second.
    The environment must point at the running server (`apply_environment`).

    Args:
        settings: of the installation.
        alone_since: aware UTC, when nobody else used the server; runs that have told nothing since are crashed. None crashes none.

    Raises:
        Busy: another process has been at it for a minute.
    """
    turn = FileLock(settings.paths.private / "server.setup.lock")
    try:
        if not turn.exclusive(_SET_UP_DEADLINE_S):
            raise Busy(
                f"Another process has been setting up the Prefect server for {_SET_UP_DEADLINE_S:.0f} s.",
                next_step=f"look at {settings.paths.logs / 'prefect-server.log'}, end that process, then try again.",
            )
        ensure_limits()
        ensure_alerts(settings)
        if alone_since is not None:
            crash_abandoned_runs(alone_since)
    finally:
        turn.close()


def ensure_limits() -> None:
    """Make the writer's concurrency limit and the crash automation, or bring them up to date. Safe to repeat.

    The environment must point at the running server (`apply_environment`).
    """
    from prefect.client.orchestration import get_client

    wanted = _crash_automation()
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(WRITER_LIMIT, 1)
        found = client.read_automations_by_name(CRASH_AUTOMATION)
        for surplus in found[1:]:
            client.delete_automation(surplus.id)
        if not found:
            client.create_automation(wanted)
        elif _differs(found[0], wanted):
            client.update_automation(found[0].id, wanted)


def crash_abandoned_runs(alone_since: datetime) -> int:
    """Mark runs as crashed that claim to be going on and have told nothing since no process used the server; returns how many.

    Their processes died with the last server, so no heartbeat of theirs is missed by this one.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.states import Crashed

    going_on = FlowRunFilter.model_validate({"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}})
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs(flow_run_filter=going_on) if run.state and run.state.timestamp < alone_since]
        for run in runs:
            state: State[Any] = Crashed(message="Its process ended without a word; found at the next start of SoundScope.")
            client.set_flow_run_state(run.id, state, force=True)
    return len(runs)


def skip_missed_runs() -> int:
    """Of the scheduled runs missed while SoundScope was off, keep the newest of each deployment and cancel the others.

    One run fetches all that is missing, so running each missed day in turn would only spend the request budget.

    Returns:
        how many were cancelled.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.states import Cancelled

    overdue = FlowRunFilter.model_validate(
        {
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "next_scheduled_start_time": {"before_": datetime.now(UTC)},
        }
    )
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs(flow_run_filter=overdue) if run.auto_scheduled and run.deployment_id]
        newest: dict[Any, FlowRun] = {}
        for run in sorted(runs, key=lambda run: run.next_scheduled_start_time or datetime.min.replace(tzinfo=UTC)):
            newest[run.deployment_id] = run
        missed = [run for run in runs if newest[run.deployment_id].id != run.id]
        for run in missed:
            state: State[Any] = Cancelled(
                message="Missed while SoundScope was off; the newest missed run of this schedule covers it."
            )
            client.set_flow_run_state(run.id, state, force=True)
    return len(missed)


def _crash_automation() -> Any:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    ends = {f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Cancelled", "Crashed")}
    return AutomationCore(
        name=CRASH_AUTOMATION,
        description=f"A run that sends no heartbeat for {SILENCE_S} s has lost its process.",
        enabled=True,
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *ends},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENCE_S),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed",
                state=StateType.CRASHED,
                force=False,
                message=f"No heartbeat for {SILENCE_S} s: its process is gone or its machine is asleep.",
            )
        ],
    )


def _differs(found: Any, wanted: Any) -> bool:
    # The server adds ids and defaults of its own, so only what is set here is compared.
    return (
        found.enabled != wanted.enabled
        or found.description != wanted.description
        or getattr(found.trigger, "within", None) != wanted.trigger.within
        or getattr(found.trigger, "expect", None) != wanted.trigger.expect
    )
