"""Genre: labels and splits, classifiers, honest evaluation, the gate between them, scores and their explanation.

A library on pandas frames and DuckDB connections. It writes model files and nothing else: rows for the warehouse are returned to the
caller, who lands them. It knows nothing of providers, HTTP, dbt or the flows.
"""
