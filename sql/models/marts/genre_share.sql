with entries as (
    select * from {{ ref('chart_entries') }}
),

track_features as (
    select track_id, genre from {{ ref('track_features') }}
),

sizes as (
    select chart, chart_date, count(*) as n_all
    from entries
    group by chart, chart_date
),

counted as (
    select
        entries.chart,
        entries.chart_date,
        track_features.genre,
        count(*) as n_entries
    from entries
    inner join track_features on entries.track_id = track_features.track_id
    where track_features.genre is not null
    group by entries.chart, entries.chart_date, track_features.genre
)

select
    counted.chart,
    counted.chart_date,
    counted.genre,
    counted.n_entries
    / nullif(cast(sum(counted.n_entries) over (partition by counted.chart, counted.chart_date) as double), 0) as share,
    counted.n_entries,
    sum(counted.n_entries) over (partition by counted.chart, counted.chart_date)
    / nullif(cast(sizes.n_all as double), 0) as coverage,
    sum(counted.n_entries) over (partition by counted.chart, counted.chart_date) < 0.5 * sizes.n_all as is_low_coverage
from counted
inner join sizes on counted.chart = sizes.chart and counted.chart_date = sizes.chart_date
