{# What engines say differently, and nothing else. `default__` is DuckDB's way. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

{# Text after case and spacing only: lower case, runs of white space as one blank, none at the ends. #}
{% macro squeeze(text) -%}{{ return(adapter.dispatch('squeeze')(text)) }}{%- endmacro %}
{% macro default__squeeze(text) -%}
    lower(trim(regexp_replace({{ text }}, '[[:space:]]+', ' ', 'g')))
{%- endmacro %}
{% macro spark__squeeze(text) -%}
    lower(trim(regexp_replace({{ text }}, '[[:space:]\u00a0]+', ' ')))
{%- endmacro %}

{# One row per item of a delimited text; use it alone in a select list. An empty text gives no row. #}
{% macro explode_items(text, delimiter) -%}{{ return(adapter.dispatch('explode_items')(text, delimiter)) }}{%- endmacro %}
{% macro default__explode_items(text, delimiter) -%}
    unnest(string_split({{ text }}, '{{ delimiter }}'))
{%- endmacro %}
{% macro spark__explode_items(text, delimiter) -%}
    explode(split({{ text }}, '{{ delimiter }}'))
{%- endmacro %}

{# Strategy of an incremental model that replaces whole weeks. #}
{% macro weekly_strategy() -%}{{ return(adapter.dispatch('weekly_strategy')()) }}{%- endmacro %}
{% macro default__weekly_strategy() -%}{{ return('delete+insert') }}{%- endmacro %}
{% macro spark__weekly_strategy() -%}{{ return('insert_overwrite') }}{%- endmacro %}

{# A date some whole days later (earlier if negative); `dbt.dateadd` alone gives a timestamp. #}
{% macro days_after(date, days) -%}
    cast({{ dbt.dateadd('day', days, date) }} as date)
{%- endmacro %}
