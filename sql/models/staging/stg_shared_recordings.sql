-- Matching says of tracks that they share a recording; a track of which it says nothing is the only one of its own.
with identity as (
    select * from {{ ref('track_identity') }}
),

recordings as (
    select * from {{ ref('stg_recordings') }}
),

named as (
    select distinct recording_id as group_id from recordings
),

grouped as (
    select
        identity.track_id,
        identity.release_date,
        coalesce(recordings.recording_id, named.group_id) as group_id
    from identity
    left join recordings on identity.track_id = recordings.track_id
    left join named on identity.track_id = named.group_id
)

-- A representative that was purged hands over to the smallest id of its group.
select
    track_id,
    coalesce(
        max(case when track_id = group_id then track_id end) over (partition by group_id),
        min(track_id) over (partition by group_id)
    ) as recording_id,
    min(release_date) over (partition by group_id) as first_release_date
from grouped
where group_id is not null
