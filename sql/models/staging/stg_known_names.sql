{{ config(materialized='table') }}

with tracks as (
    select * from {{ source('raw', 'tracks') }}
),

nameless as (
    select
        provider,
        {{ squeeze('title') }} as title_key,
        {{ squeeze('artist') }} as artist_key,
        {{ name_id('title', 'artist', 'duration_ms', 'cast(null as string)') }} as track_id,
        row_number() over (
            partition by provider, {{ squeeze('title') }}, {{ squeeze('artist') }}
            order by duration_ms asc nulls last, row_no asc nulls last
        ) as preference
    from tracks
    where spotify_id is null and isrc is null and source_id is null
)

select
    provider,
    title_key,
    artist_key,
    track_id
from nameless
where preference = 1
