with feature_values as (
    select * from {{ ref('feature_values') }}
)

select
    era,
    feature,
    avg(feature_value) as mean,
    stddev_pop(feature_value) as std,
    count(feature_value) as n
from feature_values
where era is not null
group by era, feature
