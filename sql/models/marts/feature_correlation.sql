-- The whole matrix, both halves and the diagonal, so that any pair is found in either order.
with track_features as (
    select * from {{ ref('track_features') }}
),

pairs as (
    {% for x in numeric_features() -%}
    {% set outer = loop -%}
    {% for y in numeric_features() -%}
    select
        '{{ x }}' as feature_x,
        '{{ y }}' as feature_y,
        corr({{ x }}, {{ y }}) as r,
        count(case when {{ x }} is not null and {{ y }} is not null then 1 end) as n
    from track_features
    {{ 'union all' if not (outer.last and loop.last) }}
    {% endfor %}
    {%- endfor %}
)

select
    feature_x,
    feature_y,
    -- A constant column has no correlation; engines say NaN.
    case when not isnan(r) then r end as r,
    n
from pairs
