with entries as (
    select * from {{ ref('chart_entries') }}
),

track_features as (
    select track_id, genre from {{ ref('track_features') }}
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
    chart,
    chart_date,
    genre,
    n_entries / nullif(cast(sum(n_entries) over (partition by chart, chart_date) as double), 0) as share,
    n_entries
from counted
