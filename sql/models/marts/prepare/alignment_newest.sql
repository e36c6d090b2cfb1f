{{ config(materialized=step(), tags=['alignment']) }}

-- The batches that count: the newest landing of each chart, kind and date, and of the current ones only the newest of a chart.
with batches as (
    select * from {{ source('raw', 'alignment_batches') }}
),

landed_last as (
    select *
    from batches
    qualify
        row_number() over (
            partition by chart, kind, as_of
            order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
        ) = 1
),

numbered as (
    select
        *,
        row_number() over (
            partition by chart, kind
            order by scored_at desc nulls last, fetched_at desc nulls last, as_of desc nulls last
        ) as newest_no
    from landed_last
)

select
    batch_id,
    chart,
    kind,
    as_of,
    input_hash,
    n_rows,
    scored_at
from numbered
where n_rows > 0 and (kind = 'charting' or newest_no = 1)
