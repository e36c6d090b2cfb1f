{{ config(materialized=step()) }}

-- What a track's popularity is now: a 0..100 scale before a percentile, then the newest observation.
with history as (
    select * from {{ ref('popularity_history') }}
)

select
    track_id,
    provider as popularity_provider,
    popularity,
    train_ok as popularity_train_ok
from history
where valid_to is null
qualify
    row_number() over (
        partition by track_id
        order by
            case when is_native_scale then 0 else 1 end asc, last_observed_at desc nulls last,
            provider asc nulls last
    ) = 1
