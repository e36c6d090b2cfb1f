with dates as (
    select * from {{ ref('stg_chart_dates') }}
)

select
    chart,
    chart_date,
    date_no,
    previous_date,
    step_days,
    is_after_hole,
    stretch_no,
    trend_stretch_no,
    cadence_days,
    size,
    n_entries,
    provider,
    fetched_at
from dates
