-- Chart points by first credited artist: of the matched track, else the credit as printed.
with entries as (
    select * from {{ ref('chart_entries') }}
),

dates as (
    select * from {{ ref('chart_dates') }}
),

tracks as (
    select track_id, artist from {{ ref('tracks') }}
),

pointed as (
    select
        entries.chart, entries.chart_date,
        coalesce(tracks.artist, entries.artist) as artist,
        dates.size + 1 - entries.rank as chart_points
    from entries
    inner join dates on entries.chart = dates.chart and entries.chart_date = dates.chart_date
    left join tracks on entries.track_id = tracks.track_id
),

summed as (
    select
        chart, chart_date, artist,
        count(*) as n_entries,
        cast(sum(chart_points) as double) as chart_points
    from pointed
    group by chart, chart_date, artist
)

select
    chart,
    chart_date,
    artist,
    chart_points / nullif(sum(chart_points) over (partition by chart, chart_date), 0) as share,
    n_entries
from summed
