{{ config(description='Within a stretch, every chart of a run counts one more week and never a worse peak.') }}

with runs as (
    select
        entries.*,
        row_number() over (
            partition by entries.chart, dates.stretch_no, entries.title, entries.artist, entries.run_no
            order by entries.chart_date asc nulls last
        ) as counted_weeks,
        lag(entries.peak_rank) over (
            partition by entries.chart, dates.stretch_no, entries.title, entries.artist, entries.run_no
            order by entries.chart_date asc nulls last
        ) as peak_before
    from {{ ref('chart_entries') }} as entries
    inner join {{ ref('chart_dates') }} as dates
        on entries.chart = dates.chart and entries.chart_date = dates.chart_date
)

select *
from runs
where weeks_on_chart <> counted_weeks or peak_rank > rank or peak_rank > peak_before
