{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

{% set key = ['chart', 'chart_date', 'feature', 'window_weeks'] %}
-- A window with what it is compared with: the same window one and five years before, where that is held whole. All
-- windows are kept in `prepare`, so an incremental run finds the earlier ones there.
with windows as (
    select * from {{ ref('chart_window_sound') }}
),

songs as (
    select * from {{ ref('chart_window_tracks') }}
),

shared as (
    select * from {{ ref('chart_window_overlap') }}
),

quantiles as (
    select * from {{ ref('chart_window_quantiles') }}
    where {{ changed_weeks('chart_date') }}
),

dates as (
    select * from {{ ref('chart_dates') }}
),

-- Dates so many weeks before, at most three days off; the chart's weekday once moved by two.
nearby_dates as (
    {{ dates_before('dates', {'1y': 364, '5y': 1827}) }}
),

earlier_dates as (
    select span, chart, chart_date, earlier_date
    from nearby_dates
    qualify row_number() over (partition by span, chart, chart_date order by preference asc nulls last) = 1
),

-- The variance of a mean of so many songs, as if they were drawn at random.
described as (
    select
        windows.*,
        coalesce(songs.n_tracks, 0) as n_tracks,
        windows.known_points * windows.known_points / nullif(shared.squared_points, 0) as n_effective,
        windows.std * windows.std / nullif(
            greatest(windows.known_points * windows.known_points / nullif(shared.squared_points, 0) - 1, 1), 0
        ) as mean_variance,
        windows.coverage < 0.5 or coalesce(songs.n_tracks, 0) < 20 as is_low_coverage
    from windows
    left join songs on {{ same('windows', 'songs', key) }}
    left join shared on {{ same('windows', 'shared', key) }}
),

compared as (
    select
        earlier_dates.span, later.chart, later.chart_date, later.feature, later.window_weeks,
        later.mean - earlier.mean as change,
        not later.is_low_coverage
        and not earlier.is_low_coverage
        -- Two standard errors of the difference.
        and abs(later.mean - earlier.mean) > 2 * sqrt(later.mean_variance + earlier.mean_variance) as is_beyond_noise
    from earlier_dates
    inner join described as later
        on earlier_dates.chart = later.chart and earlier_dates.chart_date = later.chart_date
    inner join described as earlier
        on
            earlier_dates.chart = earlier.chart
            and earlier_dates.earlier_date = earlier.chart_date
            and later.feature = earlier.feature
            and later.window_weeks = earlier.window_weeks
    where later.is_whole_window and earlier.is_whole_window
),

changes as (
    select
        chart, chart_date, feature, window_weeks,
        max(case when span = '1y' then change end) as change_1y,
        max(case when span = '5y' then change end) as change_5y,
        max(case when span = '1y' then case when is_beyond_noise then 1 else 0 end end) = 1
            as is_change_1y_beyond_noise,
        max(case when span = '5y' then case when is_beyond_noise then 1 else 0 end end) = 1
            as is_change_5y_beyond_noise
    from compared
    where change is not null
    group by chart, chart_date, feature, window_weeks
)

select
    described.chart,
    described.feature,
    described.window_weeks,
    described.mean,
    described.std,
    quantiles.q10,
    quantiles.q25,
    quantiles.median,
    quantiles.q75,
    quantiles.q90,
    described.n_tracks,
    described.n_effective,
    described.coverage,
    described.is_low_coverage,
    changes.change_1y,
    changes.is_change_1y_beyond_noise,
    changes.change_5y,
    changes.is_change_5y_beyond_noise,
    described.is_whole_window,
    described.chart_date
from described
left join quantiles on {{ same('described', 'quantiles', key) }}
left join changes on {{ same('described', 'changes', key) }}
where {{ changed_weeks('described.chart_date') }}
