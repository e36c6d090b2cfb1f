{{ config(severity='warn', description='Targets with more than one champion.') }}

select
    target,
    count(*) as n_champions
from {{ ref('model_runs') }}
where is_champion
group by target
having count(*) > 1
