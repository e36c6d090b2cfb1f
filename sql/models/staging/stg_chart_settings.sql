-- The longest pattern that fits a chart's name says how often it is published.
with entries as (
    select distinct chart from {{ source('raw', 'chart_entries') }}
),

patterns as (
    select * from {{ ref('charts') }}
)

select
    entries.chart,
    patterns.cadence_days,
    patterns.max_step_days,
    patterns.trend_step_days,
    patterns.size,
    patterns.preferred_provider,
    patterns.is_album
from entries
inner join patterns on entries.chart like patterns.chart_pattern
qualify
    row_number() over (
        partition by entries.chart
        order by length(patterns.chart_pattern) desc nulls last, patterns.chart_pattern asc nulls last
    ) = 1
