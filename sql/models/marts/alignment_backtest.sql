{{ config(tags=['alignment']) }}

-- The newest test of each chart.
with backtest as (
    select * from {{ source('raw', 'alignment_backtest') }}
)

select
    chart,
    quarter,
    segment,
    score,
    is_rival,
    auc,
    ci_low,
    ci_high,
    lift_10,
    n,
    n_positive,
    margin,
    margin_low,
    margin_high,
    tested_at
from backtest
qualify
    tested_at = max(tested_at) over (partition by chart)
    and row_number() over (
        partition by chart, quarter, segment, score, tested_at
        order by fetched_at desc nulls last, landing_file desc nulls last, row_no desc nulls last
    ) = 1
