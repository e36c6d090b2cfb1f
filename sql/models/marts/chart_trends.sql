{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

-- Trailing windows of whole weeks, pooled from the weeks' means and squared deviations. A window never reaches across a
-- hole of the archive. An incremental run reads two years back: the window, and the one it is compared with.
with weeks as (
    select * from {{ ref('chart_week_sound') }}
    where {{ changed_weeks('chart_date', 2 * 52 + 1) }}
),

dates as (
    select * from {{ ref('chart_dates') }}
),

window_tracks as (
    select * from {{ ref('chart_window_tracks') }}
    where {{ changed_weeks('chart_date') }}
),

windows as (
    {{ rows_of(trend_windows(), 'window_weeks') }}
),

held as (
    select
        chart, chart_date, cadence_days,
        {{ days_after('chart_date', -364) }} as year_ago,
        -- Dates between two holes share their first date.
        min(chart_date) over (partition by chart, trend_stretch_no) as held_from
    from dates
),

-- The weeks of every window, found once for all features.
window_weeks as (
    select
        newest.chart, newest.chart_date, windows.window_weeks, past.chart_date as past_date,
        newest.held_from <= {{ days_after('newest.chart_date', 'newest.cadence_days - 7 * windows.window_weeks') }}
            as is_whole_window
    from held as newest
    cross join windows
    inner join held as past
        on
            newest.chart = past.chart
            and newest.held_from = past.held_from
            and newest.chart_date >= past.chart_date
            and {{ days_after('newest.chart_date', '-7 * windows.window_weeks') }} < past.chart_date
    where {{ changed_weeks('newest.chart_date', 53) }}
),

-- Sums of squares are taken around the newest week's mean, near enough to keep their digits.
pooled as (
    select
        newest.chart, newest.chart_date, newest.feature, window_weeks.window_weeks, window_weeks.is_whole_window,
        coalesce(newest.week_mean, 0) as centre,
        sum(past.known_points) as known_points,
        sum(past.all_points) as all_points,
        sum(past.known_points * (past.week_mean - coalesce(newest.week_mean, 0))) as shift_sum,
        sum(
            past.squared_deviations
            + past.known_points
            * (past.week_mean - coalesce(newest.week_mean, 0)) * (past.week_mean - coalesce(newest.week_mean, 0))
        ) as square_sum
    from window_weeks
    inner join weeks as past on window_weeks.chart = past.chart and window_weeks.past_date = past.chart_date
    inner join weeks as newest
        on
            window_weeks.chart = newest.chart
            and window_weeks.chart_date = newest.chart_date
            and past.feature = newest.feature
    group by
        newest.chart, newest.chart_date, newest.feature, window_weeks.window_weeks, window_weeks.is_whole_window,
        newest.week_mean
),

described as (
    select
        *,
        centre + shift_sum / nullif(known_points, 0) as mean,
        sqrt(greatest(
            square_sum / nullif(known_points, 0)
            - (shift_sum / nullif(known_points, 0)) * (shift_sum / nullif(known_points, 0)),
            0
        )) as deviation,
        known_points / nullif(all_points, 0) as coverage
    from pooled
),

-- The week nearest to 52 weeks before; the chart's weekday once moved by two days.
years_before as (
    select later.chart, later.chart_date, earlier.chart_date as year_before
    from held as later
    inner join dates as earlier
        on
            later.chart = earlier.chart
            and abs({{ dbt.datediff('later.year_ago', 'earlier.chart_date', 'day') }}) <= 3
    qualify
        row_number() over (
            partition by later.chart, later.chart_date
            order by
                abs({{ dbt.datediff('later.year_ago', 'earlier.chart_date', 'day') }}) asc nulls last,
                earlier.chart_date asc nulls last
        ) = 1
)

select
    described.chart,
    described.feature,
    described.window_weeks,
    described.mean,
    case when described.known_points > 0 then described.deviation end as std,
    coalesce(window_tracks.n_tracks, 0) as n_tracks,
    described.coverage,
    case when described.is_whole_window and earlier.is_whole_window then described.mean - earlier.mean end
        as change_1y,
    described.is_whole_window,
    described.chart_date
from described
left join window_tracks
    on
        described.chart = window_tracks.chart
        and described.chart_date = window_tracks.chart_date
        and described.feature = window_tracks.feature
        and described.window_weeks = window_tracks.window_weeks
left join years_before on described.chart = years_before.chart and described.chart_date = years_before.chart_date
left join described as earlier
    on
        years_before.chart = earlier.chart
        and years_before.year_before = earlier.chart_date
        and described.feature = earlier.feature
        and described.window_weeks = earlier.window_weeks
where {{ changed_weeks('described.chart_date') }}
