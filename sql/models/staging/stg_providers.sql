with providers as (
    select * from {{ source('raw', 'providers') }}
)

select
    provider,
    licence,
    coalesce(train_ok, false) as train_ok,
    feature_priority,
    -- Unset means the usual scale; anything else is turned into a percentile.
    coalesce(popularity_scale, '0..100') = '0..100' as is_popularity_share,
    ttl_days
from providers
