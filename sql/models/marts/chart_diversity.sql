-- How far the songs of a window lie apart, and over how many genres and artists a date spreads. Spread is measured in units of
-- all earlier weeks of the chart, so no later week has a say.
with windows as (
    select * from {{ ref('chart_window_sound') }}
    where feature not in ('popularity', 'duration_ms')
),

weeks as (
    select * from {{ ref('chart_week_sound') }}
    where feature not in ('popularity', 'duration_ms')
),

genres as (
    select * from {{ ref('genre_share') }}
),

artists as (
    select * from {{ ref('artist_share') }}
),

-- Sums of squares around a fixed point near the values keep their digits.
moments as (
    select
        chart, chart_date, feature, known_points, coalesce(week_mean, 0) as week_mean,
        coalesce(squared_deviations, 0) as squared_deviations
    from weeks
),

history as (
    select
        chart, chart_date, feature,
        sum(known_points) over along_time as points,
        sum(known_points * week_mean) over along_time as points_mean,
        sum(squared_deviations + known_points * week_mean * week_mean) over along_time as points_square
    from moments
    window along_time as (
        partition by chart, feature order by chart_date asc nulls last
        rows between unbounded preceding and current row
    )
),

scales as (
    select
        chart, chart_date, feature,
        points_square / nullif(points, 0)
        - (points_mean / nullif(points, 0)) * (points_mean / nullif(points, 0)) as variance
    from history
),

spreads as (
    select
        windows.chart, windows.chart_date, windows.window_weeks,
        sqrt(avg(windows.std * windows.std / nullif(scales.variance, 0))) as sound_spread,
        min(windows.coverage) as coverage
    from windows
    inner join scales
        on
            windows.chart = scales.chart
            and windows.chart_date = scales.chart_date
            and windows.feature = scales.feature
    where scales.variance > 0.000000001
    group by windows.chart, windows.chart_date, windows.window_weeks
),

genre_counts as (
    select chart, chart_date, exp(-sum(share * ln(share))) as effective_genres
    from genres
    where share > 0
    group by chart, chart_date
),

artist_counts as (
    select chart, chart_date, 1 / nullif(sum(share * share), 0) as effective_artists
    from artists
    group by chart, chart_date
)

select
    spreads.chart,
    spreads.chart_date,
    spreads.window_weeks,
    spreads.sound_spread,
    spreads.coverage,
    genre_counts.effective_genres,
    artist_counts.effective_artists
from spreads
left join genre_counts on spreads.chart = genre_counts.chart and spreads.chart_date = genre_counts.chart_date
left join artist_counts on spreads.chart = artist_counts.chart and spreads.chart_date = artist_counts.chart_date
