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
)

select
    track_id, provider, source_id, spotify_id, known_isrc, title, artist, artists, artist_ids, album, release_date,
    release_precision, duration_ms, explicit, mood, era, fetched_at, landing_file, row_no, source_order
from identified
where track_id is not null
