{{ config(materialized=by_track()) }}

with seen as (
    select * from {{ ref('stg_popularity_rows') }}
)

select
    track_id,
    provider,
    observed_at,
    popularity as observed_value,
    fetched_at
from seen
qualify
    row_number() over (
        partition by track_id, provider, observed_at
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
