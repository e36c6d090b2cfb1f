{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

with entries as (
    select * from {{ ref('trend_entries') }}
    where {{ changed_weeks('chart_date') }}
),

features as (
    {{ rows_of(trend_features(), 'feature') }}
),

valued as (
    select
        entries.chart, entries.trend_stretch_no, entries.chart_date, entries.chart_points, features.feature,
        {{ value_of(trend_features(), 'entries', 'features.feature') }} as feature_value
    from entries
    cross join features
),

means as (
    select
        chart, trend_stretch_no, chart_date, feature,
        cast(sum(chart_points) as double) as all_points,
        cast(sum(case when feature_value is not null then chart_points else 0 end) as double) as known_points,
        sum(chart_points * feature_value)
        / nullif(sum(case when feature_value is not null then chart_points end), 0) as week_mean
    from valued
    group by chart, trend_stretch_no, chart_date, feature
),

-- Deviations from the mean already known keep their digits; sums of squares would lose them.
deviations as (
    select
        valued.chart, valued.chart_date, valued.feature,
        sum(
            valued.chart_points
            * (valued.feature_value - means.week_mean) * (valued.feature_value - means.week_mean)
        ) as squared_deviations
    from valued
    inner join means
        on
            valued.chart = means.chart
            and valued.chart_date = means.chart_date
            and valued.feature = means.feature
    group by valued.chart, valued.chart_date, valued.feature
)

select
    means.chart,
    means.feature,
    means.trend_stretch_no,
    means.all_points,
    means.known_points,
    means.week_mean,
    deviations.squared_deviations,
    means.chart_date
from means
inner join deviations
    on
        means.chart = deviations.chart
        and means.chart_date = deviations.chart_date
        and means.feature = deviations.feature
