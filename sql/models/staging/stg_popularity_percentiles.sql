-- Ranks of other providers become a percentile among what that provider had said up to the day: a later observation
-- leaves no trace. Values are compared in bins one per cent wide; half of its own bin counts as below a value.
with observations as (
    select * from {{ ref('stg_popularity') }}
),

providers as (
    select * from {{ ref('stg_providers') }}
),

binned as (
    select
        observations.track_id,
        observations.provider,
        observations.observed_at,
        cast(observations.observed_at as date) as observed_date,
        cast(floor(100 * ln(1 + greatest(observations.observed_value, 0))) as int) as bin
    from observations
    inner join providers on observations.provider = providers.provider
    where not providers.is_popularity_share
),

days as (
    select distinct provider, observed_date from binned
),

bins as (
    select distinct provider, bin from binned
),

counted as (
    select provider, observed_date, bin, count(*) as n
    from binned
    group by provider, observed_date, bin
),

grid as (
    select
        days.provider, days.observed_date, bins.bin,
        sum(coalesce(counted.n, 0)) over (
            partition by days.provider, bins.bin order by days.observed_date asc nulls last
            rows between unbounded preceding and current row
        ) as n_in_bin
    from days
    inner join bins on days.provider = bins.provider
    left join counted
        on
            days.provider = counted.provider
            and days.observed_date = counted.observed_date
            and bins.bin = counted.bin
),

shares as (
    select
        provider, observed_date, bin, n_in_bin,
        sum(n_in_bin) over (
            partition by provider, observed_date order by bin asc nulls last
            rows between unbounded preceding and current row
        ) as n_up_to,
        sum(n_in_bin) over (partition by provider, observed_date) as n_all
    from grid
)

select
    binned.track_id,
    binned.provider,
    binned.observed_at,
    cast(100 as double) * (shares.n_up_to - shares.n_in_bin / cast(2 as double)) / nullif(shares.n_all, 0) as percentile
from binned
inner join shares
    on
        binned.provider = shares.provider
        and binned.observed_date = shares.observed_date
        and binned.bin = shares.bin
