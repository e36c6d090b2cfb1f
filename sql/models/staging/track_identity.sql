{{ config(materialized=by_track()) }}

with tracks as (
    select * from {{ ref('stg_tracks') }}
),

providers as (
    select * from {{ ref('stg_providers') }}
),

popularity as (
    select * from {{ ref('stg_popularity') }}
),

-- The provider whose id a track carries knows best how it is called.
preferred as (
    select
        tracks.*,
        row_number() over (
            partition by tracks.track_id
            order by
                case when tracks.track_id like tracks.provider || ':%' then 0 else 1 end asc,
                providers.feature_priority asc nulls last, tracks.fetched_at desc nulls last, tracks.provider asc
        ) as preference
    from tracks
    left join providers on tracks.provider = providers.provider
),

newest_popularity as (
    select popularity.track_id, popularity.observed_value
    from popularity
    inner join providers on popularity.provider = providers.provider
    where providers.is_popularity_share
    qualify
        row_number() over (
            partition by popularity.track_id
            order by popularity.observed_at desc nulls last, popularity.provider asc
        ) = 1
),

merged as (
    select
        track_id,
        {{ first_known('isrc') }} as isrc,
        {{ first_known('title') }} as title,
        {{ first_known('artist') }} as artist,
        {{ first_known('artists') }} as artists,
        {{ first_known('album') }} as album,
        {{ first_known('release_date') }} as release_date,
        {{ first_known('release_precision', known_if='release_date') }} as release_precision,
        {{ first_known('duration_ms') }} as duration_ms,
        {{ first_known('explicit') }} as explicit,
        {{ first_known('mood') }} as mood,
        {{ first_known('era') }} as era,
        count(*) as n_sources
    from preferred
    group by track_id
)

select
    merged.track_id,
    -- A row that only knew its ISRC was given the Spotify id by it.
    case when merged.track_id like 'spotify:%' then substring(merged.track_id, 9, 22) end as spotify_id,
    merged.isrc,
    merged.title,
    merged.artist,
    coalesce(merged.artists, merged.artist) as artists,
    merged.album,
    merged.release_date,
    merged.release_precision,
    merged.duration_ms,
    newest_popularity.observed_value as popularity,
    merged.explicit,
    merged.mood,
    merged.era,
    merged.n_sources
from merged
left join newest_popularity on merged.track_id = newest_popularity.track_id
