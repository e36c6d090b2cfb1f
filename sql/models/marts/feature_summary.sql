with feature_values as (
    select * from {{ ref('feature_values') }}
)

select
    feature,
    count(feature_value) as n,
    count(*) - count(feature_value) as missing,
    avg(feature_value) as mean,
    median(feature_value) as median,
    min(feature_value) as min,
    max(feature_value) as max,
    stddev_pop(feature_value) as std
from feature_values
group by feature
