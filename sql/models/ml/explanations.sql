-- The newest explanation of a track by a model, as long as it is of the prediction that holds.
with explanations as (
    select * from {{ source('raw', 'explanations') }}
),

predictions as (
    select * from {{ ref('predictions') }}
    where rank = 1
),

newest as (
    select *
    from explanations
    qualify
        explained_at = max(explained_at) over (partition by track_id, model_id)
        and row_number() over (
            partition by track_id, model_id, feature, explained_at
            order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
        ) = 1
)

select
    newest.track_id,
    newest.model_id,
    newest.genre,
    newest.feature,
    newest.value,
    newest.contribution,
    newest.explained_at
from newest
inner join predictions
    on
        newest.track_id = predictions.track_id
        and newest.model_id = predictions.model_id
        and newest.input_hash = predictions.input_hash
