"""dbt on Spark in a process of its own, which tells its parent what came of each model and test. Started by `spark.py` alone.

Spark brings a Java machine into its process that cannot be started anew with other settings, and takes seconds and memory
that the other commands should not pay for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any


def main(words: Sequence[str]) -> int:
    """Run one dbt command.

    Args:
        words: the number of a file descriptor, then dbt's own words. One line of JSON per finished model or test goes to that
            descriptor: id, status, seconds, failures, message; at the end all of them again, with those dbt passed over, then `error`.
    """
    told = os.fdopen(int(words[0]), "w", encoding="utf-8", buffering=1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from dbt.cli.main import dbtRunner

    def tell(unique_id: str, status: Any, seconds: float, failures: int | None, message: str | None) -> None:
        line = {"id": unique_id, "status": str(status), "seconds": seconds, "failures": failures, "message": message}
        told.write(json.dumps(line) + "\n")

    def follow(event: Any) -> None:
        if event.info.name == "NodeFinished":
            result = event.data.run_result
            tell(event.data.node_info.unique_id, result.status, result.execution_time, result.num_failures, result.message)

    outcome = dbtRunner(callbacks=[follow]).invoke(list(words[1:]))
    for result in getattr(outcome.result, "results", None) or []:
        tell(result.node.unique_id, result.status, result.execution_time, result.failures, result.message)
    error = outcome.exception
    told.write(json.dumps({"error": None if error is None else str(error).strip() or type(error).__name__}) + "\n")
    told.close()
    return 0


def _end_with_parent() -> None:
    # The parent holds the other end of standard input for as long as it lives; Java is in the same process group.
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
