{{ config(materialized='table') }}

-- The same title and artist at two ranks of one week are two recordings. Each is followed from week to week by the
-- rank it reports for the week before; runs that overlap in time get different numbers.
with recursive entries as (
    select * from {{ ref('stg_chart_entries') }}
),

dates as (
    select chart, chart_date, date_no, stretch_no from {{ ref('stg_chart_dates') }}
),

doubled as (
    select chart, title, artist
    from entries
    group by chart, title, artist
    having count(*) > count(distinct chart_date)
),

candidates as (
    select
        entries.chart, entries.title, entries.artist, entries.chart_date, entries.rank,
        entries.reported_last_week, dates.date_no, dates.stretch_no
    from entries
    inner join doubled
        on entries.chart = doubled.chart and entries.title = doubled.title and entries.artist = doubled.artist
    inner join dates on entries.chart = dates.chart and entries.chart_date = dates.chart_date
),

links as (
    select
        later.chart, later.title, later.artist, later.chart_date, later.rank, later.date_no,
        earlier.rank as earlier_rank,
        row_number() over (
            partition by later.chart, later.title, later.artist, later.date_no, earlier.rank
            order by later.rank asc nulls last
        ) as successor_no
    from candidates as later
    left join candidates as earlier
        on
            later.chart = earlier.chart and later.title = earlier.title and later.artist = earlier.artist
            and later.stretch_no = earlier.stretch_no and later.date_no = earlier.date_no + 1
            and later.reported_last_week = earlier.rank
),

chains as (
    {{ chains_of_ranks('links', 'chains') }}
),

spans as (
    select chart, title, artist, first_no, first_rank, max(date_no) as last_no
    from chains
    group by chart, title, artist, first_no, first_rank
),

overlapping as (
    select
        *,
        case
            when first_no <= max(last_no) over (
                partition by chart, title, artist order by first_no asc nulls last, first_rank asc nulls last
                rows between unbounded preceding and 1 preceding
            ) then 0
            else 1
        end as starts_island
    from spans
),

islands as (
    select
        *,
        sum(starts_island) over (
            partition by chart, title, artist order by first_no asc nulls last, first_rank asc nulls last
            rows between unbounded preceding and current row
        ) as island_no
    from overlapping
),

numbered as (
    select
        *,
        row_number() over (
            partition by chart, title, artist, island_no order by first_no asc nulls last, first_rank asc nulls last
        ) as run_no
    from islands
)

select
    chains.chart,
    chains.chart_date,
    chains.rank,
    cast(numbered.run_no as int) as run_no
from chains
inner join numbered
    on
        chains.chart = numbered.chart and chains.title = numbered.title and chains.artist = numbered.artist
        and chains.first_no = numbered.first_no and chains.first_rank = numbered.first_rank
