"""Trained models in the shared store, beside the landed files: what one machine trained, the others score with.

A model is sent before its row is landed, and brought when a machine is to use one that it lacks. Without a shared store nothing happens.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable

from soundscope.ingest.shared import MODELS
from soundscope.ingest.store import StoreLacks
from soundscope.pipeline.run import Run

log = logging.getLogger(__name__)


def send_models(run: Run, model_ids: Iterable[str]) -> None:
    """Copy models to the shared store, each file whole.

    Raises:
        StoreUnreachable: the store did not take them.
    """
    if run.ledger.shared is None:
        return
    for model_id in model_ids:
        folder = run.settings.paths.models / model_id
        for file in sorted(folder.iterdir()) if folder.is_dir() else []:
            run.ledger.shared.store.put(file, f"{MODELS}/{model_id}/{file.name}")


def bring_model(run: Run, model_id: str) -> None:
    """Bring a model that this machine lacks; what the store lacks too stays missing, which its user says.

    Raises:
        StoreUnreachable: the store did not answer.
    """
    folder = run.settings.paths.models / model_id
    if run.ledger.shared is None or folder.exists():
        return
    store = run.ledger.shared.store
    aside = folder.with_name(f".{model_id}.incoming")
    try:
        for name in store.sizes(f"{MODELS}/{model_id}/"):
            # Its hash is in the card and in the warehouse, and is checked whenever it is loaded.
            store.get(name, aside / name.rsplit("/", 1)[1], None)
        if aside.exists():
            aside.rename(folder)
    except StoreLacks as error:
        log.warning("%s", error.message)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remove_models(run: Run, model_ids: Iterable[str]) -> None:
    """Remove models from the shared store.

    Raises:
        StoreUnreachable: the store did not answer.
    """
    if run.ledger.shared is None:
        return
    store = run.ledger.shared.store
    for model_id in model_ids:
        store.remove(sorted(store.sizes(f"{MODELS}/{model_id}/")))
