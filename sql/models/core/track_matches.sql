with chart_keys as (
    select * from {{ ref('chart_keys') }}
),

links as (
    select * from {{ ref('stg_track_links') }}
),

tracks as (
    select track_id from {{ ref('tracks') }}
),

linked as (
    select
        chart_keys.title,
        chart_keys.artist,
        chart_keys.run_no,
        tracks.track_id,
        coalesce(links.status, 'unmatched') as linked_status,
        -- The track may have been purged, or found its Spotify id, since the link was made.
        links.track_id is not null and tracks.track_id is null as is_stale,
        coalesce(links.is_other_version, false) as is_other_version,
        links.method,
        links.score,
        links.runner_up_track_id,
        links.runner_up_score,
        links.decided_by,
        links.decided_at,
        links.reason
    from chart_keys
    left join links
        on
            chart_keys.title = links.title
            and chart_keys.artist = links.artist
            and chart_keys.run_no = links.run_no
    left join tracks on links.track_id = tracks.track_id
)

select
    title,
    artist,
    run_no,
    track_id,
    case when is_stale then 'review' else linked_status end as status,
    is_other_version,
    method,
    score,
    runner_up_track_id,
    runner_up_score,
    decided_by,
    decided_at,
    case when is_stale then 'the linked track is no longer held' else reason end as reason
from linked
