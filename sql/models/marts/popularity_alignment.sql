{{ config(tags=['alignment']) }}

-- A track that charts may be in a charting and in the current batch of one date; the charting one knew less and is kept. Rows of
-- tracks that are no longer held are left out.
with alignment as (
    select * from {{ source('raw', 'alignment') }}
),

batches as (
    select * from {{ ref('alignment_newest') }}
),

tracks as (
    select track_id from {{ ref('tracks') }}
)

select
    alignment.track_id,
    alignment.chart,
    alignment.as_of,
    alignment.alignment,
    alignment.alignment_in_genre,
    alignment.distance,
    alignment.chart_likelihood,
    alignment.artist_momentum,
    alignment.popularity,
    alignment.popularity_gap,
    alignment.n_reference,
    alignment.confidence,
    alignment.score,
    alignment.coverage,
    alignment.popularity_source,
    alignment.likelihood_reason,
    alignment.is_charting,
    batches.kind = 'current' as is_current
from alignment
inner join batches on alignment.batch_id = batches.batch_id
inner join tracks on alignment.track_id = tracks.track_id
qualify
    row_number() over (
        partition by alignment.track_id, alignment.chart, alignment.as_of
        order by
            batches.kind asc nulls last, alignment.fetched_at desc nulls last, alignment.landing_file desc nulls last,
            alignment.row_no desc nulls last
    ) = 1
