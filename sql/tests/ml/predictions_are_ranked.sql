{{ config(description='Ranks run from 1 without a gap, probabilities fall with them and sum to at most one.') }}

with ranked as (
    select
        *,
        row_number() over (partition by track_id, model_id order by probability desc nulls last, rank asc nulls last)
            as by_probability,
        sum(probability) over (partition by track_id, model_id) as total
    from {{ ref('predictions') }}
)

select *
from ranked
where rank <> by_probability or total > 1.000001
