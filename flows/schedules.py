"""Serve the deployments of `prefect.yaml` from this machine: `python -m flows.schedules FILE READY [ALONE_SINCE]`.

Started by `flows/up.py`, which sets the environment; flows are imported by their entrypoints, and each run is a process
of its own.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from flows.environment import HEARTBEAT_S
from flows.guards import set_up, skip_missed_runs
from flows.locks import FileLock
from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import load_settings

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

OURS = "soundscope"
# Every flow writes to the same warehouse: a second one would only wait for the lock, so it waits to be started.
RUNS_AT_ONCE = 1
_KNOWN = {
    "name",
    "entrypoint",
    "description",
    "tags",
    "parameters",
    "concurrency_limit",
    "schedules",
    "work_pool",
    "enforce_parameter_schema",
}


def read_deployments(file: Path) -> list[dict[str, Any]]:
    """The deployments that a `prefect.yaml` describes, in its order.

    Raises:
        BadInput: the file is missing, is not YAML, or a deployment is incomplete, has unknown keys, or names a
            flow that is not there.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"{file} cannot be read: {error}.", next_step="restore it from the project.") from error
    entries = found.get("deployments") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{file} lists no deployments.", next_step="add at least one under `deployments:`.")
    for entry in entries:
        name = entry.get("name", "(no name)") if isinstance(entry, dict) else entry
        if not isinstance(entry, dict) or not {"name", "entrypoint"} <= set(entry):
            raise BadInput(f"{file}: deployment {name} needs a name and an entrypoint.", next_step="add what is missing.")
        if unknown := sorted(set(entry) - _KNOWN):
            raise BadInput(
                f"{file}: deployment {name} has unknown keys: {', '.join(unknown)}.", next_step="correct or remove them."
            )
        path, _, flow = str(entry["entrypoint"]).partition(":")
        if flow not in _functions(file.parent / path):
            raise BadInput(
                f"{file}: deployment {name} names the flow {flow} of {path}, which does not exist.",
                next_step="correct its entrypoint.",
            )
    return entries


def _functions(source: Path) -> set[str]:
    """The functions defined in a file, which is not imported: that would take seconds, and is done once, by the runner."""
    if not source.is_file():
        return set()
    return {node.name for node in ast.parse(source.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def runner_deployment(entry: dict[str, Any]) -> RunnerDeployment:
    """A deployment that a runner on this machine can serve, from one entry of `prefect.yaml`."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron

    limit = entry.get("concurrency_limit")
    schedules = [
        Cron(
            item["cron"],
            timezone=item.get("timezone", "UTC"),
            active=item.get("active", True),
            slug=item.get("slug"),
            parameters=item.get("parameters", {}),
        )
        for item in entry.get("schedules", [])
    ]
    return RunnerDeployment.from_entrypoint(
        entry["entrypoint"],
        name=entry["name"],
        description=entry.get("description"),
        tags=[*dict.fromkeys([OURS, *entry.get("tags", [])])],
        parameters=entry.get("parameters", {}),
        schedules=schedules,
        concurrency_limit=ConcurrencyLimitConfig(**limit) if isinstance(limit, dict) else limit,
        enforce_parameter_schema=entry.get("enforce_parameter_schema", True),
    )


async def serve(file: Path, ready: Path) -> None:
    """Register every deployment, forget those no longer in the file, write `ready` (JSON), then run what is due until SIGTERM.

    Runs that are going on at SIGTERM are cancelled, their processes ended.
    """
    from prefect.runner import Runner

    # Schedules stay active at a stop: a run missed meanwhile is made up for at the next start.
    runner = Runner(name=OURS, pause_on_shutdown=False, limit=RUNS_AT_ONCE, heartbeat_seconds=HEARTBEAT_S)
    entries = read_deployments(file)
    served = [await runner.aadd_deployment(runner_deployment(entry)) for entry in entries]
    await _forget_others(set(served))
    working = asyncio.create_task(runner.start())
    while not runner.started and not working.done():
        await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    # After the start, because the runner sets a handler of its own that leaves from within the signal.
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    summary = {str(entry["name"]): [item["cron"] for item in entry.get("schedules", [])] for entry in entries}
    ready.write_text(json.dumps(summary), encoding="utf-8")
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
    if stopping.is_set() and not working.done():
        await runner.astop()
    await working


async def _forget_others(served: set[Any]) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter

    ours = DeploymentFilter.model_validate({"tags": {"all_": [OURS]}})
    async with get_client() as client:
        for deployment in await client.read_deployments(deployment_filter=ours):
            if deployment.id not in served:
                await client.delete_deployment(deployment.id)


def main(arguments: list[str]) -> int:
    """Serve; returns the exit status."""
    file, ready = Path(arguments[0]).resolve(), Path(arguments[1])
    alone_since = datetime.fromisoformat(arguments[2]) if len(arguments) > 2 else None
    os.chdir(file.parent)
    try:
        read_deployments(file)
        settings = load_settings()
        # A user of the server in its own right: if `up` is killed, the server stays until the runs are cancelled.
        users = FileLock(settings.paths.private / "server.users")
        users.shared(10)
        set_up(settings, alone_since)
        skip_missed_runs()
        asyncio.run(serve(file, ready))
    except SoundScopeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
