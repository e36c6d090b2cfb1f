-- A scoring is taken whole: ranks of two scorings never mix. Tracks that are no longer held have no predictions.
with predictions as (
    select * from {{ source('raw', 'predictions') }}
),

tracks as (
    select track_id from {{ ref('tracks') }}
),

newest as (
    select
        *,
        max(probability) over (partition by track_id, model_id, scored_at) as likeliest
    from predictions
    qualify
        scored_at = max(scored_at) over (partition by track_id, model_id)
        and row_number() over (
            partition by track_id, model_id, rank, scored_at
            order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
        ) = 1
)

select
    newest.track_id,
    newest.model_id,
    newest.genre,
    newest.probability,
    newest.rank,
    coalesce(newest.is_unsure, newest.likeliest < 0.5) as is_unsure,
    newest.release_id,
    newest.scored_at,
    newest.input_hash
from newest
inner join tracks on newest.track_id = tracks.track_id
