{{ config(materialized='table') }}

with entries as (
    select * from {{ ref('stg_chart_entries') }}
),

settings as (
    select * from {{ ref('stg_chart_settings') }}
),

dates as (
    select
        chart, chart_date,
        count(*) as n_entries,
        max(rank) as lowest_rank,
        min(provider) as provider,
        max(fetched_at) as fetched_at,
        lag(chart_date) over (partition by chart order by chart_date asc nulls last) as previous_date
    from entries
    group by chart, chart_date
),

steps as (
    select
        dates.*,
        settings.cadence_days,
        greatest(coalesce(settings.size, dates.lowest_rank), dates.lowest_rank) as size,
        {{ dbt.datediff('dates.previous_date', 'dates.chart_date', 'day') }}
            as step_days,
        settings.max_step_days,
        settings.trend_step_days
    from dates
    inner join settings on dates.chart = settings.chart
)

select
    chart,
    chart_date,
    cast(row_number() over (partition by chart order by chart_date asc nulls last) as bigint) as date_no,
    previous_date,
    cast(step_days as bigint) as step_days,
    coalesce(step_days > max_step_days, false) as is_after_hole,
    -- Dates between two holes of the archive share a number; nothing is carried from one to the next.
    cast(sum(case when step_days > max_step_days then 1 else 0 end) over (
        partition by chart order by chart_date asc nulls last
        rows between unbounded preceding and current row
    ) as bigint) as stretch_no,
    cast(sum(case when step_days > trend_step_days then 1 else 0 end) over (
        partition by chart order by chart_date asc nulls last
        rows between unbounded preceding and current row
    ) as bigint) as trend_stretch_no,
    cadence_days,
    size,
    n_entries,
    provider,
    fetched_at
from steps
