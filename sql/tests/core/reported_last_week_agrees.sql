{{ config(severity='warn', description='Rows whose reported_last_week differs from what the held archive gives.') }}

select
    chart,
    chart_date,
    rank,
    title,
    artist,
    run_no,
    reported_last_week,
    previous_rank
from {{ ref('chart_entries') }}
where is_complete_history and reported_last_week <> previous_rank
