-- The whole matrix, both halves and the diagonal, so that any pair is found in either order. One pass over the tracks
-- gives one wide row, which is then read pair by pair.
{% set columns, pairs = [], [] %}
{% for x in numeric_features() %}
{% for y in numeric_features() %}
{% set name = x ~ '_' ~ y %}
{% do columns.append('corr(' ~ x ~ ', ' ~ y ~ ') as r_' ~ name) %}
{% do columns.append('count(case when ' ~ x ~ ' is not null then ' ~ y ~ ' end) as n_' ~ name) %}
{% set names = "'" ~ x ~ "' as feature_x, '" ~ y ~ "' as feature_y" %}
{% do pairs.append('select ' ~ names ~ ', r_' ~ name ~ ' as r, n_' ~ name ~ ' as n from wide') %}
{% endfor %}
{% endfor %}
with track_features as (
    select * from {{ ref('track_features') }}
),

wide as (
    select {{ columns | join(', ') }}
    from track_features
),

pairs as (
    {{ pairs | join(' union all ') }}
)

select
    feature_x,
    feature_y,
    -- A constant column has no correlation; engines say NaN.
    case when not isnan(r) then r end as r,
    n
from pairs
