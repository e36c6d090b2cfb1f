-- The whole matrix, both halves and the diagonal, so that any pair is found in either order; each pair is computed once. One pass
-- over the tracks gives one wide row, which is then read pair by pair.
{% set columns, r_values, n_values = [], [], [] %}
{% set names = numeric_features() %}
{% for x in names %}
{% for y in names %}
{% set name = x ~ '_' ~ y if names.index(x) <= names.index(y) else y ~ '_' ~ x %}
{% do r_values.append("when '" ~ x ~ '_' ~ y ~ "' then wide.r_" ~ name) %}
{% do n_values.append("when '" ~ x ~ '_' ~ y ~ "' then wide.n_" ~ name) %}
{% if name == x ~ '_' ~ y %}
{% do columns.append('corr(' ~ x ~ ', ' ~ y ~ ') as r_' ~ name) %}
{% do columns.append('count(case when ' ~ x ~ ' is not null then ' ~ y ~ ' end) as n_' ~ name) %}
{% endif %}
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
