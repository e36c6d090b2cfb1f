-- What changes from one date to the next, and how old the music is. Positions are those recomputed as of their date.
with entries as (
    select * from {{ ref('chart_entries') }}
),

dates as (
    select * from {{ ref('chart_dates') }}
),

tracks as (
    select * from {{ ref('tracks') }}
),

-- A date says when at the latest: a release known by its year alone is dated its last day.
released as (
    select
        track_id,
        case release_precision
            when 'year' then {{ days_after(dbt.dateadd('year', 1, dbt.date_trunc('year', 'first_release_date')), -1) }}
            when
                'month'
                then {{ days_after(dbt.dateadd('month', 1, dbt.date_trunc('month', 'first_release_date')), -1) }}
            else first_release_date
        end as known_release_date
    from tracks
    where first_release_date is not null
),

aged as (
    select
        entries.*,
        dates.date_no > 1 and not dates.is_after_hole as has_previous_date,
        dates.size,
        -- A release after the chart is a later edition: how old the song was is not known.
        case
            when released.known_release_date <= entries.chart_date
                then {{ dbt.datediff('released.known_release_date', 'entries.chart_date', 'day') }}
        end as age_days
    from entries
    inner join dates on entries.chart = dates.chart and entries.chart_date = dates.chart_date
    left join released on entries.track_id = released.track_id
)

select
    chart,
    chart_date,
    count(*) as n_entries,
    case when has_previous_date then count(case when weeks_on_chart = 1 then 1 end) end as n_new,
    case when has_previous_date then count(case when weeks_on_chart > 1 and previous_rank is null then 1 end) end
        as n_returning,
    case
        when has_previous_date
            then count(case when weeks_on_chart = 1 then 1 end) / nullif(cast(count(*) as double), 0)
    end as share_new,
    avg(cast(abs(rank - previous_rank) as double)) as mean_rank_change,
    avg(cast(weeks_on_chart as double)) as mean_weeks_on_chart,
    median(cast(weeks_on_chart as double)) as median_weeks_on_chart,
    median(age_days / cast(7 as double)) as median_age_weeks,
    avg(case when age_days is not null then cast(case when age_days > 728 then 1 else 0 end as double) end) as share_older_than_2y,
    count(age_days) / nullif(cast(count(*) as double), 0) as age_coverage
from aged
group by chart, chart_date, has_previous_date
