{{ config(description='On the first date after a hole every window holds that week alone.') }}

select trends.*
from {{ ref('chart_trends') }} as trends
inner join {{ ref('chart_dates') }} as dates
    on trends.chart = dates.chart and trends.chart_date = dates.chart_date
inner join {{ ref('chart_week_sound') }} as week
    on
        trends.chart = week.chart
        and trends.chart_date = week.chart_date
        and trends.feature = week.feature
left join {{ ref('chart_dates') }} as earlier
    on
        dates.chart = earlier.chart
        and dates.trend_stretch_no = earlier.trend_stretch_no
        and earlier.date_no = dates.date_no - 1
where
    earlier.chart is null
    and (trends.change_1y is not null or abs(trends.mean - week.week_mean) > 0.000001)
