{{ config(materialized='table') }}

-- A provider may give a track's ISRC or Spotify id in one answer and leave it out of the next.
with tracks as (
    select * from {{ source('raw', 'tracks') }}
),

audio_features as (
    select * from {{ source('raw', 'audio_features') }}
),

seen as (
    select provider, source_id, spotify_id, isrc, fetched_at, landing_file, row_no from tracks
    union all
    select provider, source_id, spotify_id, isrc, fetched_at, landing_file, row_no from audio_features
),

preferred as (
    select
        *,
        row_number() over (
            partition by provider, source_id
            order by
                fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last,
                spotify_id asc nulls last, isrc asc nulls last
        ) as preference
    from seen
    where source_id is not null and (spotify_id is not null or isrc is not null)
)

select
    provider,
    source_id,
    {{ first_known('spotify_id') }} as spotify_id,
    {{ first_known('isrc') }} as isrc
from preferred
group by provider, source_id
