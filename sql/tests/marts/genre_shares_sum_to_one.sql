{{ config(description='Shares of a published chart sum to one.') }}

select
    chart,
    chart_date,
    sum(share) as total
from {{ ref('genre_share') }}
group by chart, chart_date
having abs(sum(share) - 1) > 0.000001
