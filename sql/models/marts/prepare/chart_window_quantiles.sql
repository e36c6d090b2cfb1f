{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

-- Weighted quantiles of trailing windows from forty bins per feature, straight lines within a bin. Points up to each
-- bin's end are summed along time once; a window is then the difference of two dates.
{% set features, bins = trend_features(), range(40) | map('string') | list %}
with entries as (
    select * from {{ ref('trend_entries') }}
    where {{ changed_weeks('chart_date', 53) }}
),

window_dates as (
    select * from {{ ref('chart_window_dates') }}
    where {{ changed_weeks('chart_date') }}
),

ranges as (
    {{ quantile_ranges() }}
),

-- In bins from the lower end of the range.
valued as (
    select
        entries.chart, entries.trend_stretch_no, entries.chart_date, ranges.feature,
        cast(entries.chart_points as double) as points,
        ({{ value_of(features, 'entries', 'ranges.feature') }} - ranges.low)
        * {{ bins | length }} / (ranges.high - ranges.low) as place
    from entries
    cross join ranges
),

binned as (
    select
        chart, trend_stretch_no, chart_date, feature,
        cast(least(greatest(floor(place), 0), {{ bins[-1] }}) as int) as bin_no,
        sum(points) as points
    from valued
    where place is not null
    group by
        chart, trend_stretch_no, chart_date, feature,
        cast(least(greatest(floor(place), 0), {{ bins[-1] }}) as int)
),

counted as (
    select
        chart, trend_stretch_no, chart_date, feature,
        {{ each(bins, 'sum(case when bin_no <= @ then points else 0 end) as upto_@') }}
    from binned
    group by chart, trend_stretch_no, chart_date, feature
),

along_time as (
    select
        chart, chart_date, feature,
        {{ each(bins, 'sum(upto_@) over stretch as upto_@') }}
    from counted
    window stretch as (
        partition by chart, trend_stretch_no, feature order by chart_date asc nulls last
        rows between unbounded preceding and current row
    )
),

-- Nothing comes before a window that reaches back to the first date held, the one date without a date before it.
starts as (
    select
        chart, chart_date, window_weeks,
        case when count(*) = count(before_date) then min(before_date) end as before_date
    from window_dates
    group by chart, chart_date, window_weeks
),

windowed as (
    select
        starts.chart, starts.chart_date, starts.window_weeks, newest.feature,
        {{ each(bins, 'newest.upto_@ - coalesce(past.upto_@, 0) as upto_@') }}
    from starts
    inner join along_time as newest on starts.chart = newest.chart and starts.chart_date = newest.chart_date
    left join along_time as past
        on
            starts.chart = past.chart
            and starts.before_date = past.chart_date
            and newest.feature = past.feature
)

select
    windowed.chart,
    windowed.window_weeks,
    windowed.feature,
    {% for name, share in trend_quantiles() %}
    ranges.low
    + (ranges.high - ranges.low) / {{ bins | length }} * {{ place_in_bins('windowed', bins, share) }} as {{ name }},
    {% endfor %}
    windowed.chart_date
from windowed
inner join ranges on windowed.feature = ranges.feature
where windowed.upto_{{ bins[-1] }} > 0
