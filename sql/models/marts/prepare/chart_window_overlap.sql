{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

-- Chart points of one song over a window, squared and summed over songs: what says how many songs a mean rests on (Kish
-- 1965: the square of the sum of weights by the sum of their squares). A song that charts at two dates counts from the
-- later one until the window has moved past the earlier one, so one pass along time gives all windows.
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
        {{ each(features, 'cast(sum(case when @ is not null then chart_points else 0 end) as double) as @') }}
    from entries
    group by chart, trend_stretch_no, chart_date, recording_id
),

pairs as (
    select
        later.chart, later.trend_stretch_no, later.chart_date, earlier.chart_date as earlier_date,
        case when later.chart_date = earlier.chart_date then 1 else 2 end as times,
        {{ each(features, 'sum(later.@ * earlier.@) as @') }}
    from songs as later
    inner join songs as earlier
        on
            later.chart = earlier.chart
            and later.trend_stretch_no = earlier.trend_stretch_no
            and later.recording_id = earlier.recording_id
            and later.chart_date >= earlier.chart_date
            and earlier.chart_date > {{ days_after('later.chart_date', -364) }}
    group by later.chart, later.trend_stretch_no, later.chart_date, earlier.chart_date
),

events as (
    select
        pairs.chart, pairs.trend_stretch_no, windows.window_weeks, pairs.chart_date as event_date,
        {{ each(features, 'pairs.times * pairs.@ as @') }}
    from pairs
    cross join windows
    where pairs.earlier_date > {{ days_after('pairs.chart_date', '-7 * windows.window_weeks') }}
    union all
    select
        pairs.chart, pairs.trend_stretch_no, windows.window_weeks,
        {{ days_after('pairs.earlier_date', '7 * windows.window_weeks') }} as event_date,
        {{ each(features, '-pairs.times * pairs.@ as @') }}
    from pairs
    cross join windows
    where pairs.earlier_date > {{ days_after('pairs.chart_date', '-7 * windows.window_weeks') }}
),

{{ sums_along_time(features) }}

select
    running.chart,
    running.window_weeks,
    feature_names.feature,
    {{ value_of(features, 'running', 'feature_names.feature') }} as squared_points,
    running.event_date as chart_date
from running
inner join dates
    on
        running.chart = dates.chart
        and running.trend_stretch_no = dates.trend_stretch_no
        and running.event_date = dates.chart_date
cross join feature_names
