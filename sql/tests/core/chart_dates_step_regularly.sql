{{ config(severity='warn', description='Steps between held dates that are not the chart\'s cadence.') }}

select *
from {{ ref('chart_dates') }}
where step_days <> cadence_days
