{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

-- Distinct songs of a trailing window, in one pass: a song counts from each of its weeks until its next one, or until
-- the window has moved past it. One more at the first date, one less at the second, summed up along time.
{% set features = trend_features() %}
with entries as (
    select * from {{ ref('trend_entries') }}
    where recording_id is not null and {{ changed_weeks('chart_date', 52) }}
),

dates as (
    select chart, trend_stretch_no, chart_date from {{ ref('chart_dates') }}
    where {{ changed_weeks('chart_date') }}
),

windows as (
    {{ rows_of(trend_windows(), 'window_weeks') }}
),

feature_names as (
    {{ rows_of(features, 'feature') }}
),

songs as (
    select
        chart, trend_stretch_no, chart_date, recording_id,
        {{ each(features, 'max(case when @ is not null then 1 else 0 end) as @') }}
    from entries
    group by chart, trend_stretch_no, chart_date, recording_id
),

stays as (
    select
        *,
        lead(chart_date) over (
            partition by chart, trend_stretch_no, recording_id order by chart_date asc nulls last
        ) as next_date
    from songs
),

events as (
    select
        stays.chart, stays.trend_stretch_no, windows.window_weeks, stays.chart_date as event_date,
        {{ each(features, 'stays.@') }}
    from stays
    cross join windows
    union all
    select
        stays.chart, stays.trend_stretch_no, windows.window_weeks,
        least(
            coalesce(stays.next_date, {{ days_after('stays.chart_date', '7 * windows.window_weeks') }}),
            {{ days_after('stays.chart_date', '7 * windows.window_weeks') }}
        ) as event_date,
        {{ each(features, '-stays.@ as @') }}
    from stays
    cross join windows
),

{{ sums_along_time(features) }}

select
    running.chart,
    running.window_weeks,
    feature_names.feature,
    cast({{ value_of(features, 'running', 'feature_names.feature') }} as bigint) as n_tracks,
    running.event_date as chart_date
from running
inner join dates
    on
        running.chart = dates.chart
        and running.trend_stretch_no = dates.trend_stretch_no
        and running.event_date = dates.chart_date
cross join feature_names
