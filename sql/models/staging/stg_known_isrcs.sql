{{ config(materialized='table') }}

with tracks as (
    select * from {{ source('raw', 'tracks') }}
),

audio_features as (
    select * from {{ source('raw', 'audio_features') }}
),

seen as (
    select isrc, spotify_id from tracks
    union all
    select isrc, spotify_id from audio_features
)

select
    isrc,
    min(spotify_id) as spotify_id
from seen
where isrc is not null and spotify_id is not null
group by isrc
