with recordings as (
    select * from {{ source('raw', 'recordings') }}
)

select
    track_id,
    recording_id,
    fetched_at
from recordings
qualify
    row_number() over (
        partition by track_id
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
