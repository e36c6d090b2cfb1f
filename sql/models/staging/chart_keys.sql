{{ config(materialized='table') }}

-- Charts of albums name no track.
with entries as (
    select * from {{ ref('stg_chart_entries') }}
    where not is_album
),

runs as (
    select * from {{ ref('stg_chart_runs') }}
),

dates as (
    select * from {{ ref('stg_chart_dates') }}
),

newest as (
    select chart, max(chart_date) as newest_chart_date
    from dates
    group by chart
),

numbered as (
    select
        entries.chart, entries.chart_date, entries.rank, entries.title, entries.artist, entries.spotify_id,
        coalesce(runs.run_no, 1) as run_no,
        dates.size + 1 - entries.rank as chart_points,
        newest.newest_chart_date
    from entries
    inner join dates on entries.chart = dates.chart and entries.chart_date = dates.chart_date
    inner join newest on entries.chart = newest.chart
    left join runs
        on entries.chart = runs.chart and entries.chart_date = runs.chart_date and entries.rank = runs.rank
),

carried_ids as (
    select title, artist, run_no, spotify_id
    from numbered
    where spotify_id is not null
    qualify
        row_number() over (
            partition by title, artist, run_no
            order by chart_date desc nulls last, chart asc nulls last, rank asc nulls last
        ) = 1
),

keys as (
    select
        title, artist, run_no,
        min(chart_date) as first_date,
        max(chart_date) as last_date,
        count(*) as n_weeks,
        min(rank) as best_rank,
        cast(sum(chart_points) as bigint) as chart_points,
        max(newest_chart_date) as newest_chart_date
    from numbered
    group by title, artist, run_no
)

select
    keys.title,
    keys.artist,
    keys.run_no,
    keys.first_date,
    keys.last_date,
    keys.n_weeks,
    keys.best_rank,
    keys.chart_points,
    carried_ids.spotify_id,
    keys.newest_chart_date
from keys
left join carried_ids
    on
        keys.title = carried_ids.title
        and keys.artist = carried_ids.artist
        and keys.run_no = carried_ids.run_no
