with identity as (
    select * from {{ ref('track_identity') }}
),

recordings as (
    select * from {{ ref('stg_recordings') }}
),

grouped as (
    select
        identity.*,
        coalesce(recordings.recording_id, identity.track_id) as group_id
    from identity
    left join recordings on identity.track_id = recordings.track_id
),

-- A representative that was purged hands over to the smallest id of its group.
represented as (
    select
        *,
        coalesce(
            max(case when track_id = group_id then track_id end) over (partition by group_id),
            min(track_id) over (partition by group_id)
        ) as recording_id
    from grouped
),

released as (
    select
        *,
        min(release_date) over (partition by recording_id) as first_release_date
    from represented
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
