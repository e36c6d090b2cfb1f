with audio_features as (
    select * from {{ source('raw', 'audio_features') }}
),

identified as (
    select
        seen.*,
        {{ track_id('seen.duration_ms') }} as track_id
    from audio_features as seen
    {{ identity_joins() }}
)

select
    track_id, provider, tempo, danceability, energy, valence, loudness, acousticness, instrumentalness, speechiness, liveness,
    key, mode, time_signature, duration_ms, fetched_at, landing_file, row_no
from identified
where track_id is not null
