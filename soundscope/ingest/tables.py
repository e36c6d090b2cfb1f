"""The ledger's tables: what was planned, fetched, deferred, spent, checked and published. Definitions only; see `ledger.py`.

Comments become the comments of the `ops.*` tables in every release. Instants are naive UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()
_BIG = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, comment: str, **options: object) -> Column:
    return Column(name, Text, comment=comment, **options)  # type: ignore[arg-type]


def _instant(name: str, comment: str) -> Column:
    return Column(name, DateTime, comment=comment)


runs = Table(
    "runs",
    metadata,
    Column("run_id", String(64), primary_key=True, comment="Id of the run."),
    _text("command", "What was run: run, ingest charts, import, build, ..."),
    _text("profile", "sandbox or live."),
    _text("status", "running, completed, failed or crashed."),
    _instant("started_at", "When it started (UTC)."),
    _instant("ended_at", "When it ended (UTC); NULL while it runs."),
    _text("message", "What came of it, in words."),
    _text("release_id", "The release it published, if any."),
    _text("host", "Machine it ran on."),
    Column("pid", Integer, comment="Process it ran in."),
    comment="Every run of a command that changes something; one row per run.",
)

units = Table(
    "units",
    metadata,
    Column("provider", String(64), primary_key=True, comment="Who is asked."),
    Column(
        "kind",
        String(64),
        primary_key=True,
        comment="What is asked for: week, search, tracks, audio_features, ...",
    ),
    Column("key", String(600), primary_key=True, comment="Of what: a chart date, a track id, a title and artist."),
    _text("status", "planned, done, absent, forbidden, deferred or failed."),
    Column("priority", Float, comment="Smaller is asked first."),
    _text("payload", "What is needed to ask, as JSON."),
    Column("attempts", Integer, comment="How often it was asked."),
    _instant("planned_at", "When it was first planned (UTC)."),
    _instant("updated_at", "When its status last changed (UTC)."),
    _instant("retry_at", "Not before this instant (UTC) is it asked again."),
    _instant("fresh_until", "Until then (UTC) the answer held is fresh enough; NULL means for ever."),
    _text("etag", "Entity tag of the answer held."),
    Column("http_status", Integer, comment="Status of the last answer."),
    _text("message", "What the provider said, where it refused or failed."),
    Column("run_id", String(64), comment="The run that last touched it."),
    _text("landing_file", "Where the answer is."),
    Index("units_by_status", "provider", "kind", "status"),
    comment="What is to be fetched and how far it got; one row per provider, kind and key.",
)

fetch_attempts = Table(
    "fetch_attempts",
    metadata,
    Column("attempt_id", _BIG, primary_key=True, autoincrement=True, comment="Number of the attempt."),
    Column("run_id", String(64), comment="The run that made it."),
    Column("provider", String(64), comment="Who was asked."),
    Column("kind", String(64), comment="What was asked for."),
    Column("key", String(600), comment="Of what."),
    _text("outcome", "ok, absent, forbidden, rate_limited, quota or error."),
    Column("http_status", Integer, comment="Status of the answer; NULL where none came."),
    _instant("attempted_at", "When (UTC)."),
    _instant("retry_at", "Not before this instant (UTC) is it asked again."),
    _text("message", "What the provider said."),
    comment="What came of asking; one row per key and attempt.",
)

requests = Table(
    "requests",
    metadata,
    Column("request_id", _BIG, primary_key=True, autoincrement=True, comment="Number of the request."),
    Column("provider", String(64), comment="Who was asked."),
    Column("account", String(64), comment="Hash of the account whose budget is spent; never the account itself."),
    Column("run_id", String(64), comment="The run that sent it."),
    Column("kind", String(64), comment="What was asked for."),
    Column("sent_at", Float, comment="When it was sent, then when its answer was there, in seconds since 1970 (UTC)."),
    Column("http_status", Integer, comment="Status of the answer; 0 where none came, NULL while it is under way."),
    Index("requests_by_time", "provider", "account", "sent_at"),
    comment="Every call made, reserved before it is sent; one row per call.",
)

holds = Table(
    "holds",
    metadata,
    Column("provider", String(64), primary_key=True, comment="Who said stop."),
    Column("account", String(64), primary_key=True, comment="Hash of the account it was said to."),
    Column("until", Float, comment="No call before this instant, in seconds since 1970 (UTC)."),
    _text("reason", "Why: quota or rate limit."),
    comment="Providers that told us to wait; one row per provider and account.",
)

landing_files = Table(
    "landing_files",
    metadata,
    Column("landing_file", String(400), primary_key=True, comment="Path below warehouse/landing."),
    Column("provider", String(64), comment="Who gave it."),
    Column("kind", String(64), comment="What it holds."),
    Column("run_id", String(64), comment="The run that landed it."),
    Column("records", Integer, comment="Answers in it."),
    Column("bytes", _BIG, comment="Size on disk."),
    Column("sha256", String(64), comment="Hash of the file as landed."),
    _instant("landed_at", "When (UTC)."),
    _text("store", "The shared store that has a copy; NULL where none has."),
    _instant("rewritten_at", "When a purge last took rows out of it (UTC)."),
    comment="Immutable files of raw answers; one row per file.",
)

removed_files = Table(
    "removed_files",
    metadata,
    Column("landing_file", String(400), primary_key=True, comment="Path below warehouse/landing."),
    _instant("removed_at", "When (UTC)."),
    _text("store", "The shared store that may still have it; NULL once it has not."),
    comment="Landed files that were removed on purpose; other machines that share the store remove theirs. One row per file.",
)

claims = Table(
    "claims",
    metadata,
    Column("provider", String(64), primary_key=True, comment="Who is asked."),
    Column("kind", String(64), primary_key=True, comment="For what."),
    Column("key", String(600), primary_key=True, comment="Of what."),
    Column("run_id", String(64), comment="The run that asks."),
    _instant("until", "From this instant (UTC) on another run may ask."),
    comment="What is being asked for right now, so that no two runs ask for the same; one row per provider, kind and key.",
)

capabilities = Table(
    "capabilities",
    metadata,
    Column("provider", String(64), primary_key=True, comment="Who was asked."),
    Column("account", String(64), primary_key=True, comment="Hash of the account."),
    Column("capability", String(64), primary_key=True, comment="What was tried."),
    Column("is_allowed", Boolean, comment="May this account do it."),
    _text("reason", "What the provider answered, in words."),
    _text("instead", "What SoundScope does instead."),
    _instant("checked_at", "When it was tried (UTC)."),
    comment="What each provider allows these credentials; one row per provider, account and capability.",
)

releases = Table(
    "releases",
    metadata,
    Column("release_id", String(64), primary_key=True, comment="Id of the release."),
    Column("run_id", String(64), comment="The run that published it."),
    _instant("published_at", "When (UTC)."),
    Column("schema_version", Integer, comment="Version of the published tables."),
    Column("fingerprint", String(64), comment="Hash of everything it was built from, scores left out."),
    Column("is_forced", Boolean, comment="Published although a check held it back."),
    Column("bytes", _BIG, comment="Size of the file."),
    _text("message", "What is in it, in words."),
    comment="Published releases; one row per release.",
)

check_results = Table(
    "check_results",
    metadata,
    Column("check_id", _BIG, primary_key=True, autoincrement=True, comment="Number of the result."),
    Column("run_id", String(64), comment="The run that checked."),
    Column("release_id", String(64), comment="The candidate release that was checked."),
    _text("check", "Name of the check."),
    _text("table_name", "The table it is about."),
    _text("status", "pass, warn, fail, or overridden: it failed and a person let it through."),
    Column("failures", _BIG, comment="Rows that do not pass."),
    _text("message", "What that means, in words."),
    _instant("checked_at", "When (UTC)."),
    comment="Results of checks on the candidate release; one row per run and check.",
)
