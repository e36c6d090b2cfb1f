"""A training run in text, short enough to be read whatever the number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from soundscope.genre.gate import Verdict

if TYPE_CHECKING:
    from soundscope.genre.record import Run, Trained

_SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy", "log_loss", "calibration_error", "any_label_accuracy")
# Names told one by one of a reason to leave rows out; dirty labels may be hundreds.
_LISTED = 8


def training(run: Run, trained: Sequence[Trained], challenger: Trained, verdict: Verdict, note: str) -> str:
    """What was trained on, what tuning chose, the figures of each model, and the verdict."""
    data = run.data
    lines = [f"Trained because {run.why}."] if run.why else []
    lines += [
        f"Target {data.target}: {len(data):,} trainable tracks, {len(data.classes)} classes, "
        f"{len(trained[0].frozen):,} of them frozen for measuring.",
        "Providers: " + ", ".join(f"{name} {n:,}" for name, n in data.providers.items()) + ".",
    ]
    if data.left_out:
        lines.append(f"Left out: {left_out_in_words(data.left_out)}.")
    if trained[0].tuning:
        lines += trained[0].tuning.told()
    for one in trained:
        figures = one.evaluations["recording"]
        shown = ", ".join(f"{name} {figures.value(name):.3f}" for name in _SHOWN)
        lines.append(f"{one.model_id} ({one.inputs}): {shown}.")
        for split, found in one.evaluations.items():
            if split != "recording":
                lines.append(f"  {split}: accuracy {found.value('accuracy'):.3f}, log_loss {found.value('log_loss'):.3f}.")
    lines.append(note)
    lines.append(f"{challenger.model_id}: {'promoted' if verdict.promoted else 'refused'}, {verdict.reason}.")
    if run.settings.profile == "sandbox":
        lines.append("The catalogue is synthetic: these figures say nothing about real music.")
    return "\n".join(lines)


def left_out_in_words(left_out: dict[str, int]) -> str:
    """What was left out, by reason; of a reason with many providers or labels the largest by name, the others by number.

    Args:
        left_out: {'<reason>: <provider or label>': tracks}, as in `TrainingSet`.
    """
    by_reason: dict[str, list[tuple[str, int]]] = {}
    for key, n in left_out.items():
        reason, _, what = key.partition(": ")
        by_reason.setdefault(reason, []).append((what, n))
    parts = []
    for reason, several in by_reason.items():
        shown = several if len(several) <= _LISTED else sorted(several, key=lambda one: -one[1])[:_LISTED]
        parts += [f"{reason}: {what} {n:,}" for what, n in shown]
        if len(shown) < len(several):
            rest = sum(n for _, n in several) - sum(n for _, n in shown)
            parts.append(f"{reason}: {len(several) - len(shown):,} more with {rest:,} tracks")
    return "; ".join(parts)
