{{ config(materialized='table') }}

-- A published week is taken whole from one landed file: rows of two versions never mix.
with entries as (
    select * from {{ source('raw', 'chart_entries') }}
),

settings as (
    select * from {{ ref('stg_chart_settings') }}
),

versions as (
    select
        chart, chart_date, provider, landing_file,
        max(fetched_at) as fetched_at,
        min(rank) as top_rank
    from entries
    group by chart, chart_date, provider, landing_file
),

chosen as (
    select
        versions.*,
        settings.is_album
    from versions
    inner join settings on versions.chart = settings.chart
    qualify
        row_number() over (
            partition by versions.chart, versions.chart_date
            order by
                case when versions.provider = settings.preferred_provider then 0 else 1 end asc,
                versions.fetched_at desc nulls last, versions.landing_file desc nulls last,
                versions.provider asc nulls last
        ) = 1
),

version_rows as (
    select
        entries.*,
        chosen.is_album,
        -- A file may hold the week twice, or in pages: what came since its top rank last came is one answer.
        max(case when entries.rank = chosen.top_rank then entries.fetched_at end) over (
            partition by entries.chart, entries.chart_date
        ) as answered_from
    from entries
    inner join chosen
        on
            entries.chart = chosen.chart
            and entries.chart_date = chosen.chart_date
            and entries.provider = chosen.provider
            and entries.landing_file is not distinct from chosen.landing_file
)

select
    chart, chart_date, rank, title, artist, reported_last_week, reported_peak, reported_weeks,
    spotify_id, source_id, is_album, provider, fetched_at, landing_file
from version_rows
where answered_from is null or fetched_at >= answered_from
qualify
    row_number() over (
        partition by chart, chart_date, rank
        order by fetched_at desc nulls last, row_no desc nulls last
    ) = 1
