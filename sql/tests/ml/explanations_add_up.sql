{{ config(description='The contributions of a track add up to the probability that is explained.') }}

with told as (
    select
        track_id,
        model_id,
        min(genre) as genre,
        sum(contribution) as total
    from {{ ref('explanations') }}
    group by track_id, model_id
),

predictions as (
    select * from {{ ref('predictions') }}
    where rank = 1
)

select
    told.track_id,
    told.model_id,
    told.total,
    predictions.probability
from told
inner join predictions on told.track_id = predictions.track_id and told.model_id = predictions.model_id
where abs(told.total - predictions.probability) > 0.000001 or told.genre <> predictions.genre
