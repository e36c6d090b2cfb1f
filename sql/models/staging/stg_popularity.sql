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
    track_id,
    provider,
    observed_at,
    popularity as observed_value,
    fetched_at
from identified
where track_id is not null
qualify
    row_number() over (
        partition by track_id, provider, observed_at
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
