{{ config(materialized=step()) }}

with labels as (
    select * from {{ ref('track_genres') }}
),

counted as (
    select
        track_id,
        genre,
        min(family) as family,
        count(distinct source) as n_sources,
        max(case when train_ok then 1 else 0 end) = 1 as genre_train_ok
    from labels
    group by track_id, genre
)

select
    track_id,
    genre,
    family,
    genre_train_ok
from counted
qualify
    row_number() over (partition by track_id order by n_sources desc nulls last, genre asc nulls last) = 1
