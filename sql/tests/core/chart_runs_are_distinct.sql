{{ config(description='A run holds one rank on a date.') }}

select
    chart,
    chart_date,
    title,
    artist,
    run_no,
    count(*) as n_ranks
from {{ ref('chart_entries') }}
group by chart, chart_date, title, artist, run_no
having count(*) > 1
