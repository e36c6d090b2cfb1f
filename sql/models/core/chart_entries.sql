with entries as (
    select * from {{ ref('stg_chart_entries') }}
),

runs as (
    select * from {{ ref('stg_chart_runs') }}
),

dates as (
    select * from {{ ref('stg_chart_dates') }}
),

matches as (
    select * from {{ ref('track_matches') }}
    where status in ('matched', 'overridden')
),

numbered as (
    select
        entries.*,
        -- Albums are matched to no track. A condition on one side of the join below would make it compare all pairs.
        case when not coalesce(entries.is_album, false) then entries.title end as matched_title,
        coalesce(runs.run_no, 1) as run_no,
        dates.date_no,
        dates.stretch_no
    from entries
    inner join dates on entries.chart = dates.chart and entries.chart_date = dates.chart_date
    left join runs
        on entries.chart = runs.chart and entries.chart_date = runs.chart_date and entries.rank = runs.rank
),

-- Every figure starts anew after a hole of the archive.
positioned as (
    select
        *,
        lag(rank) over (
            partition by chart, stretch_no, title, artist, run_no order by date_no asc nulls last
        ) as last_rank,
        lag(date_no) over (
            partition by chart, stretch_no, title, artist, run_no order by date_no asc nulls last
        ) as last_date_no,
        min(rank) over (
            partition by chart, stretch_no, title, artist, run_no order by date_no asc nulls last
            rows between unbounded preceding and current row
        ) as peak_rank,
        cast(row_number() over (
            partition by chart, stretch_no, title, artist, run_no order by date_no asc nulls last
        ) as bigint) as weeks_on_chart,
        first_value(reported_weeks) over (
            partition by chart, stretch_no, title, artist, run_no order by date_no asc nulls last
            rows between unbounded preceding and current row
        ) as first_reported_weeks,
        min(date_no) over (partition by chart, stretch_no, title, artist, run_no) as first_date_no
    from numbered
)

select
    positioned.chart,
    positioned.chart_date,
    positioned.rank,
    positioned.title,
    positioned.artist,
    positioned.run_no,
    case when positioned.last_date_no = positioned.date_no - 1 then positioned.last_rank end as previous_rank,
    positioned.peak_rank,
    positioned.weeks_on_chart,
    -- Before the first held date nothing is known unless the source says that a run began there.
    positioned.stretch_no = 0
    and case
        when positioned.first_reported_weeks is null then positioned.first_date_no > 1
        else positioned.first_reported_weeks = 1
    end as is_complete_history,
    positioned.reported_last_week,
    positioned.reported_peak,
    positioned.reported_weeks,
    matches.track_id,
    matches.method as match_method,
    matches.score as match_score,
    positioned.provider,
    positioned.fetched_at
from positioned
left join matches
    on
        positioned.matched_title = matches.title
        and positioned.artist = matches.artist
        and positioned.run_no = matches.run_no
