-- A person's newest word wins over the matcher's, also where the track it names is gone (`review`); any other status of
-- theirs takes their word back.
with links as (
    select
        *,
        coalesce(decided_by not like 'soundscope%', false) as is_by_person
    from {{ source('raw', 'track_links') }}
),

newest as (
    select *
    from links
    qualify
        row_number() over (
            partition by title, artist, run_no, is_by_person
            order by
                fetched_at desc nulls last, decided_at desc nulls last, landing_file desc nulls last,
                row_no desc nulls last
        ) = 1
)

select
    title, artist, run_no, track_id, status, coalesce(is_other_version, false) as is_other_version, method, score,
    runner_up_track_id, runner_up_score, decided_by, decided_at, reason, fetched_at
from newest
where not is_by_person or status in ('overridden', 'review')
qualify
    row_number() over (
        partition by title, artist, run_no
        order by case when is_by_person then 0 else 1 end asc
    ) = 1
