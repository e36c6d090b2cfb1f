{{ config(severity='warn', description='Rows whose reported_weeks differs from what the held archive gives.') }}

select
    chart,
    chart_date,
    rank,
    title,
    artist,
    run_no,
    reported_weeks,
    weeks_on_chart
from {{ ref('chart_entries') }}
where is_complete_history and reported_weeks <> weeks_on_chart
