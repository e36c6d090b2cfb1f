with popularity as (
    select * from {{ source('raw', 'popularity') }}
),

identified as (
    select
        seen.*,
        {{ track_id() }} as track_id
    from popularity as seen
    {{ identity_joins() }}
)

select
    track_id, provider, observed_at, popularity, fetched_at, landing_file, row_no
from identified
where track_id is not null
