{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

-- The dates of every trailing window, found once for all features. A window never reaches across a hole of the archive.
with dates as (
    select * from {{ ref('chart_dates') }}
),

windows as (
    {{ rows_of(trend_windows(), 'window_weeks') }}
),

-- A window touches two calendar years at most; joining on the year keeps engines from comparing all dates with all.
years_back as (
    {{ rows_of([0, 1], 'n_years') }}
),

held as (
    select
        chart, chart_date, previous_date, cadence_days,
        extract(year from chart_date) as year_no,
        -- Dates between two holes share their first date.
        min(chart_date) over (partition by chart, trend_stretch_no) as held_from
    from dates
)

select
    newest.chart,
    windows.window_weeks,
    past.chart_date as past_date,
    case when past.chart_date > past.held_from then past.previous_date end as before_date,
    newest.held_from <= {{ days_after('newest.chart_date', 'newest.cadence_days - 7 * windows.window_weeks') }}
        as is_whole_window,
    newest.chart_date
from held as newest
cross join windows
cross join years_back
inner join held as past
    on
        newest.chart = past.chart
        and newest.held_from = past.held_from
        and newest.year_no - years_back.n_years = past.year_no
        and newest.chart_date >= past.chart_date
        and {{ days_after('newest.chart_date', '-7 * windows.window_weeks') }} < past.chart_date
where {{ changed_weeks('newest.chart_date') }}
