{{ config(materialized=by_track()) }}

with observations as (
    select * from {{ ref('stg_popularity') }}
),

percentiles as (
    select * from {{ ref('stg_popularity_percentiles') }}
),

providers as (
    select * from {{ ref('stg_providers') }}
),

compared as (
    select
        *,
        lag(observed_value) over (
            partition by track_id, provider order by observed_at asc nulls last
        ) as earlier_value,
        row_number() over (partition by track_id, provider order by observed_at asc nulls last) as observation_no
    from observations
),

changes as (
    select *
    from compared
    where observation_no = 1 or observed_value is distinct from earlier_value
),

seen_last as (
    select track_id, provider, max(observed_at) as last_observed_at
    from observations
    group by track_id, provider
)

select
    changes.track_id,
    changes.provider,
    case
        when coalesce(providers.is_popularity_share, true) then changes.observed_value
        else percentiles.percentile
    end as popularity,
    changes.observed_at as valid_from,
    lead(changes.observed_at) over (
        partition by changes.track_id, changes.provider order by changes.observed_at asc nulls last
    ) as valid_to,
    changes.observed_value,
    coalesce(providers.is_popularity_share, true) as is_native_scale,
    coalesce(providers.train_ok, false) as train_ok,
    seen_last.last_observed_at
from changes
inner join seen_last on changes.track_id = seen_last.track_id and changes.provider = seen_last.provider
left join providers on changes.provider = providers.provider
left join percentiles
    on
        changes.track_id = percentiles.track_id
        and changes.provider = percentiles.provider
        and changes.observed_at = percentiles.observed_at
