with model_metrics as (
    select * from {{ source('raw', 'model_metrics') }}
)

select
    model_id,
    split,
    metric,
    class,
    value,
    ci_low,
    ci_high
from model_metrics
qualify
    row_number() over (
        partition by model_id, split, metric, class
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
