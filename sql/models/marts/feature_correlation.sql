-- The whole matrix, both halves and the diagonal, so that any pair is found in either order. One pass over the tracks
-- gives one wide row, which is then read pair by pair.
{% set columns, r_values, n_values = [], [], [] %}
{% for x in numeric_features() %}
{% for y in numeric_features() %}
{% set name = x ~ '_' ~ y %}
{% do r_values.append("when '" ~ name ~ "' then wide.r_" ~ name) %}
{% do n_values.append("when '" ~ name ~ "' then wide.n_" ~ name) %}
{% do columns.append('corr(' ~ x ~ ', ' ~ y ~ ') as r_' ~ name) %}
{% do columns.append('count(case when ' ~ x ~ ' is not null then ' ~ y ~ ' end) as n_' ~ name) %}
{% endfor %}
{% endfor %}
with track_features as (
    select * from {{ ref('track_features') }}
),

features_x as (
    {{ rows_of(numeric_features(), 'feature_x') }}
),

features_y as (
    {{ rows_of(numeric_features(), 'feature_y') }}
),

wide as (
    select {{ columns | join(', ') }}
    from track_features
),

pairs as (
    select
        features_x.feature_x, features_y.feature_y,
        features_x.feature_x || '_' || features_y.feature_y as pair
    from features_x
    cross join features_y
),

told as (
    select
        pairs.feature_x, pairs.feature_y,
        case pairs.pair {{ r_values | join(' ') }} end as r,
        case pairs.pair {{ n_values | join(' ') }} end as n
    from wide
    cross join pairs
)

select
    feature_x,
    feature_y,
    -- A constant column has no correlation; engines say NaN.
    case when not isnan(r) then r end as r,
    n
from told
