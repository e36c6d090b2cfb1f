{{ config(materialized=by_track()) }}

with seen as (
    select * from {{ ref('stg_feature_rows') }}
)

select
    track_id,
    provider,
    nullif(tempo, 0) as tempo,
    danceability,
    energy,
    valence,
    loudness,
    acousticness,
    instrumentalness,
    speechiness,
    liveness,
    nullif(key, -1) as key,
    mode,
    nullif(time_signature, 0) as time_signature,
    duration_ms,
    fetched_at
from seen
qualify
    row_number() over (
        partition by track_id, provider
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
