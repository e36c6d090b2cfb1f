{{ config(materialized=by_track()) }}

with seen as (
    select * from {{ ref('stg_track_rows') }}
),

preferred as (
    select
        *,
        row_number() over (
            partition by track_id, provider
            order by
                source_order asc, fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
        ) as preference
    from seen
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
