{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

-- Trailing windows of whole weeks, pooled from the weeks' means and squared deviations.
with weeks as (
    select * from {{ ref('chart_week_sound') }}
    where {{ changed_weeks('chart_date', 52) }}
),

window_dates as (
    select * from {{ ref('chart_window_dates') }}
    where {{ changed_weeks('chart_date') }}
),

-- Sums of squares are taken around the newest week's mean, near enough to keep their digits.
pooled as (
    select
        newest.chart, newest.chart_date, newest.feature, window_dates.window_weeks, window_dates.is_whole_window,
        coalesce(newest.week_mean, 0) as centre,
        sum(past.known_points) as known_points,
        sum(past.all_points) as all_points,
        sum(past.known_points * (past.week_mean - coalesce(newest.week_mean, 0))) as shift_sum,
        sum(
            past.squared_deviations
            + past.known_points
            * (past.week_mean - coalesce(newest.week_mean, 0)) * (past.week_mean - coalesce(newest.week_mean, 0))
        ) as square_sum
    from window_dates
    inner join weeks as past on window_dates.chart = past.chart and window_dates.past_date = past.chart_date
    inner join weeks as newest
        on
            window_dates.chart = newest.chart
            and window_dates.chart_date = newest.chart_date
            and past.feature = newest.feature
    group by
        newest.chart, newest.chart_date, newest.feature, window_dates.window_weeks, window_dates.is_whole_window,
        newest.week_mean
)

select
    chart,
    feature,
    window_weeks,
    is_whole_window,
    known_points,
    centre + shift_sum / nullif(known_points, 0) as mean,
    case
        when known_points > 0 then sqrt(greatest(
            square_sum / nullif(known_points, 0)
            - (shift_sum / nullif(known_points, 0)) * (shift_sum / nullif(known_points, 0)),
            0
        ))
    end as std,
    known_points / nullif(all_points, 0) as coverage,
    chart_date
from pooled
