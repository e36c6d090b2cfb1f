"""The steps of a run, each one library call: ingest, load, build, match, train, score, publish.

The command line and the flows both call these; nothing here knows Prefect, and nothing below knows this package.
"""
