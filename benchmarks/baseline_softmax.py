"""The notebook's softmax regression as a plain Python loop, against the NumPy one: same losses, how much faster.

Run: python benchmarks/baseline_softmax.py [--data FILE.csv --label COLUMN]   (synthetic 300 x 12 with 6 classes without a file)
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Sequence


def plain_softmax(
    rows: Sequence[Sequence[float]], labels: Sequence[str], learning_rate: float = 0.25, epochs: int = 1800
) -> tuple[list[float], list[list[float]]]:
    """Losses before each step, and weights (d + 1 rows, bias last, K columns), of full-batch descent on standardised columns."""
    n, width = len(rows), len(rows[0])
    means = [sum(row[j] for row in rows) / n for j in range(width)]
    spreads = [math.sqrt(sum((row[j] - means[j]) ** 2 for row in rows) / n) or 1.0 for j in range(width)]
    scaled = [[(row[j] - means[j]) / spreads[j] for j in range(width)] + [1.0] for row in rows]
    classes = sorted(set(labels))
    truth = [classes.index(label) for label in labels]
    weights = [[0.0] * len(classes) for _ in range(width + 1)]
    losses = []
    for _ in range(epochs):
        loss = 0.0
        gradient = [[0.0] * len(classes) for _ in range(width + 1)]
        for row, true in zip(scaled, truth, strict=True):
            logits = [sum(x * w[c] for x, w in zip(row, weights, strict=True)) for c in range(len(classes))]
            top = max(logits)
            powers = [math.exp(z - top) for z in logits]
            total = sum(powers)
            loss -= math.log(powers[true] / total)
            for c, power in enumerate(powers):
                error = power / total - (c == true)
                for j, x in enumerate(row):
                    gradient[j][c] += error * x
        losses.append(loss / n)
        for j, line in enumerate(gradient):
            for c, slope in enumerate(line):
                weights[j][c] -= learning_rate * slope / n
    return losses, weights


def _rows(data: str | None, label: str) -> tuple[list[list[float]], list[str]]:
    import numpy as np
    import pandas as pd

    if data is None:
        rng = np.random.default_rng(7)
        y = rng.integers(0, 6, 300)
        return (rng.normal(size=(300, 12)) + rng.normal(size=(6, 12))[y] * 0.5).tolist(), [f"class {c}" for c in y]
    names = "danceability energy key loudness mode speechiness acousticness instrumentalness liveness valence tempo duration_ms"
    table = pd.read_csv(data, keep_default_na=False).sample(300, random_state=7)
    return table[names.split()].astype(float).to_numpy().tolist(), table[label].astype(str).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a CSV file with audio features; 300 of its rows are taken")
    parser.add_argument("--label", default="playlist_genre", help="its column with the label")
    parser.add_argument("--pairs", type=int, default=3, help="how often both are timed")
    args = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy as np

    from soundscope.genre.softmax import SoftmaxRegression

    rows, labels = _rows(args.data, args.label)
    X, y = np.array(rows), np.array(labels)
    SoftmaxRegression(epochs=50).fit(X, y)
    ratios = []
    for pair in range(args.pairs):
        begin = time.process_time()
        losses, _ = plain_softmax(rows, labels)
        plain = time.process_time() - begin
        quick = []
        for _ in range(3):
            begin = time.process_time()
            model = SoftmaxRegression().fit(X, y)
            quick.append(time.process_time() - begin)
        fast = statistics.median(quick)
        ratios.append(plain / fast)
        worst = max(abs(a - b) for a, b in zip(losses, model.loss_curve_, strict=True))
        print(
            f"pair {pair + 1}: plain {plain:.2f} s, NumPy {fast:.4f} s, {plain / fast:.0f}x, largest loss difference {worst:.1e}"
        )
    print(f"median {statistics.median(ratios):.0f}x; losses {model.reported_losses_}")


if __name__ == "__main__":
    main()
