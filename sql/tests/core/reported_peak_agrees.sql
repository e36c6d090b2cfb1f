{{ config(severity='warn', description='Rows whose reported_peak differs from what the held archive gives.') }}

select
    chart,
    chart_date,
    rank,
    title,
    artist,
    run_no,
    reported_peak,
    peak_rank
from {{ ref('chart_entries') }}
where is_complete_history and reported_peak <> peak_rank
