"""The pipeline under Prefect: thin flows and tasks around library calls, the server they report to, and `run` and `up`."""
