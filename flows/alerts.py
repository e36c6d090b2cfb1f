"""Telling somebody: events of this installation, and the automations that hand them, and failed runs, to the configured webhook.

What is worth telling is decided by `soundscope.pipeline.alerts`. Without `alerts.webhook` the events are still in the dashboard's event feed.
Prefect is imported inside the functions, after the environment is set.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from soundscope.pipeline.alerts import Alert
from soundscope.settings import Settings

EVENT = "soundscope.alert"
BLOCK = "soundscope-alerts"
FAILED = "soundscope: tell of failed and crashed runs"
TOLD = "soundscope: tell of alerts"
# What is told of a run that never said a word more than this is in the dashboard.
_RUN_ENDS = ("Failed", "Crashed", "TimedOut")
_RUN_PAYLOAD = '{"kind": "run", "subject": {{ flow_run.name | tojson }}, "message": {{ (flow_run.name ~ " ended: " ~ (flow_run.state.name or "") ~ " " ~ (flow_run.state.message or "")) | tojson }}}'
_ALERT_PAYLOAD = '{"kind": {{ event.payload["kind"] | tojson }}, "subject": {{ event.payload["subject"] | tojson }}, "message": {{ event.payload["message"] | tojson }}}'


def tell(alerts: Iterable[Alert]) -> list[Alert]:
    """Send an event for each; returns them. The same subject under the same kind is one resource in the dashboard."""
    from prefect.events import emit_event

    told = list(alerts)
    for alert in told:
        resource = {
            "prefect.resource.id": f"soundscope.{alert.kind}.{alert.subject}",
            "prefect.resource.name": alert.subject[:200],
        }
        payload = {"kind": alert.kind, "subject": alert.subject, "message": alert.message}
        emit_event(f"{EVENT}.{alert.kind}", resource, payload=payload)
    return told


def ensure_alerts(settings: Settings) -> None:
    """Make the webhook and its automations, bring them up to date, or remove them if no webhook is configured. Safe to repeat.

    The environment must point at the running server (`apply_environment`).
    """
    from prefect.client.orchestration import get_client

    url = settings.alerts.webhook
    wanted = _automations(_webhook(url.get_secret_value())) if url else []
    with get_client(sync_client=True) as client:
        for name in (FAILED, TOLD):
            for found in client.read_automations_by_name(name):
                client.delete_automation(found.id)
        for automation in wanted:
            client.create_automation(automation)


def _webhook(url: str) -> Any:
    from prefect.blocks.webhook import Webhook

    block = Webhook.model_validate({"method": "POST", "url": url, "headers": {"Content-Type": "application/json"}})
    return block.save(BLOCK, overwrite=True)


def _automations(block_id: Any) -> list[Any]:
    from prefect.events.actions import CallWebhook
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    def automation(name: str, description: str, expect: set[str], payload: str) -> AutomationCore:
        trigger = EventTrigger(expect=expect, posture=Posture.Reactive, threshold=1, within=timedelta(0))
        action = CallWebhook(block_document_id=block_id, payload=payload)
        return AutomationCore(name=name, description=description, enabled=True, trigger=trigger, actions=[action])

    ends = {f"prefect.flow-run.{state}" for state in _RUN_ENDS}
    return [
        automation(FAILED, "A run that failed, or whose process is gone, is told to the webhook.", ends, _RUN_PAYLOAD),
        automation(
            TOLD,
            "Stale charts, spent quotas, refused models, shrunken releases are told to the webhook.",
            {f"{EVENT}.*"},
            _ALERT_PAYLOAD,
        ),
    ]
