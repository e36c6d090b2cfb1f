{{ config(description='No previous rank on the first date after a hole of the archive.') }}

select entries.*
from {{ ref('chart_entries') }} as entries
inner join {{ ref('chart_dates') }} as dates
    on entries.chart = dates.chart and entries.chart_date = dates.chart_date
where
    (dates.is_after_hole or dates.previous_date is null)
    and (entries.previous_rank is not null or entries.weeks_on_chart > 1)
