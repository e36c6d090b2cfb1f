with drift as (
    select * from {{ source('raw', 'drift') }}
)

select
    model_id,
    feature,
    as_of,
    psi,
    level,
    n,
    n_effective,
    n_weeks,
    noise,
    is_held_back,
    measured_at
from drift
qualify
    row_number() over (
        partition by model_id, feature, as_of
        order by measured_at desc nulls last, fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
