with confusion as (
    select * from {{ source('raw', 'confusion') }}
)

select
    model_id,
    split,
    true_genre,
    predicted_genre,
    n
from confusion
qualify
    row_number() over (
        partition by model_id, split, true_genre, predicted_genre
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
