-- The newest verdict on each model.
with model_runs as (
    select * from {{ source('raw', 'model_runs') }}
)

select
    model_id,
    trained_at,
    target,
    algorithm,
    is_champion,
    verdict,
    reason,
    coalesce(decided_by, 'gate') as decided_by,
    release_id,
    n_train,
    n_classes,
    provider_mix,
    artefact_sha256,
    seed,
    fetched_at as judged_at
from model_runs
qualify
    row_number() over (
        partition by model_id
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
