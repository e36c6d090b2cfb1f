{{ config(materialized=by_track()) }}

with identity as (
    select * from {{ ref('track_identity') }}
),

recordings as (
    select * from {{ ref('stg_shared_recordings') }}
),

released as (
    select
        identity.*,
        coalesce(recordings.recording_id, identity.track_id) as recording_id,
        coalesce(recordings.first_release_date, identity.release_date) as first_release_date
    from identity
    left join recordings on identity.track_id = recordings.track_id
)

select
    track_id,
    spotify_id,
    isrc,
    title,
    artist,
    artists,
    album,
    release_date,
    release_precision,
    coalesce(era, {{ decade('first_release_date') }}) as era,
    duration_ms,
    explicit,
    recording_id,
    first_release_date,
    mood as imported_mood,
    n_sources
from released
