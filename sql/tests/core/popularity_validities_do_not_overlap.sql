{{ config(description='Validities of a track and provider follow each other, and one is open.') }}

with history as (
    select
        *,
        lead(valid_from) over (partition by track_id, provider order by valid_from asc nulls last) as next_from
    from {{ ref('popularity_history') }}
)

select *
from history
where valid_to is distinct from next_from or valid_to <= valid_from
