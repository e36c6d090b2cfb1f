{{ config(severity='warn', description='Weeks whose ranks are not 1..size without a gap.') }}

select
    entries.chart,
    entries.chart_date,
    count(*) as n_entries,
    min(dates.size) as size
from {{ ref('stg_chart_entries') }} as entries
inner join {{ ref('stg_chart_dates') }} as dates
    on entries.chart = dates.chart and entries.chart_date = dates.chart_date
group by entries.chart, entries.chart_date
having count(*) <> min(dates.size) or min(entries.rank) <> 1 or max(entries.rank) <> count(*)
