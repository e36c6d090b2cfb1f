{{ config(
    materialized='incremental',
    incremental_strategy=weekly_strategy(),
    unique_key='chart_date',
    partition_by=('chart_date' if target.type == 'spark' else none),
    on_schema_change='fail',
) }}

-- Chart entries with what is known of their tracks: sound is timeless, popularity is that of the chart's day.
with entries as (
    select * from {{ ref('chart_entries') }}
    where {{ changed_weeks('chart_date') }}
),

dates as (
    select * from {{ ref('chart_dates') }}
),

track_features as (
    select * from {{ ref('track_features') }}
),

history as (
    select * from {{ ref('popularity_history') }}
),

popularity as (
    select entries.chart, entries.chart_date, entries.rank, history.popularity
    from entries
    inner join history on entries.track_id = history.track_id
    where
        cast(history.valid_from as date) <= entries.chart_date
        and (history.valid_to is null or cast(history.valid_to as date) > entries.chart_date)
    qualify
        row_number() over (
            partition by entries.chart, entries.chart_date, entries.rank
            order by
                case when history.is_native_scale then 0 else 1 end asc, history.valid_from desc nulls last,
                history.provider asc nulls last
        ) = 1
)

select
    entries.chart,
    entries.rank,
    dates.trend_stretch_no,
    track_features.recording_id,
    dates.size + 1 - entries.rank as chart_points,
    {{ each(sound_features(), 'track_features.@') }},
    popularity.popularity,
    cast(track_features.duration_ms as double) as duration_ms,
    entries.chart_date
from entries
inner join dates on entries.chart = dates.chart and entries.chart_date = dates.chart_date
left join track_features on entries.track_id = track_features.track_id
left join popularity
    on
        entries.chart = popularity.chart
        and entries.chart_date = popularity.chart_date
        and entries.rank = popularity.rank
