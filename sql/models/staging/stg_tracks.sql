{{ config(materialized='table') }}

-- A feature provider may be the only one that knows a track; its rows count for the identity, after all others.
with tracks as (
    select * from {{ source('raw', 'tracks') }}
),

audio_features as (
    select * from {{ source('raw', 'audio_features') }}
),

measured as (
    select
        provider, source_id, spotify_id, isrc, title, artist, artists, cast(null as string) as artist_ids,
        cast(null as string) as album, cast(null as date) as release_date, cast(null as string) as release_precision,
        duration_ms, cast(null as boolean) as explicit, cast(null as string) as mood, cast(null as string) as era,
        fetched_at, landing_file, row_no, 2 as source_order
    from audio_features
),

seen as (
    select
        provider, source_id, spotify_id, isrc, title, artist, artists, artist_ids, album, release_date,
        release_precision, duration_ms, explicit, mood, era, fetched_at, landing_file, row_no, 1 as source_order
    from tracks
    union all
    select * from measured
),

identified as (
    select
        seen.*,
        {{ track_id('seen.duration_ms') }} as track_id,
        coalesce(seen.isrc, known.isrc) as known_isrc
    from seen
    {{ identity_joins() }}
),

preferred as (
    select
        *,
        row_number() over (
            partition by track_id, provider
            order by
                source_order asc, fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
        ) as preference
    from identified
    where track_id is not null
)

select
    track_id,
    provider,
    {{ first_known('spotify_id') }} as spotify_id,
    {{ first_known('known_isrc') }} as isrc,
    {{ first_known('source_id') }} as source_id,
    {{ first_known('title') }} as title,
    {{ first_known('artist') }} as artist,
    {{ first_known('artists') }} as artists,
    {{ first_known('artist_ids') }} as artist_ids,
    {{ first_known('album') }} as album,
    {{ first_known('release_date') }} as release_date,
    {{ first_known('release_precision', known_if='release_date') }} as release_precision,
    {{ first_known('duration_ms') }} as duration_ms,
    {{ first_known('explicit') }} as explicit,
    {{ first_known('mood') }} as mood,
    {{ first_known('era') }} as era,
    max(fetched_at) as fetched_at
from preferred
group by track_id, provider
