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
    lower(trim(regexp_replace({{ text }}, '[ \\t\\n\\x0B\\f\\r]+', ' ')))
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

{# Where an engine keeps no tables of its own, the raw layer is read from the folder that `soundscope export --raw` wrote, and
   tables of earlier builds that SOUNDSCOPE_SPARK_TABLES names (schema.table, joined by commas) from where they were written. #}
{% macro register_raw() -%}{{ return(adapter.dispatch('register_raw')()) }}{%- endmacro %}
{% macro default__register_raw() -%}{%- endmacro %}
{% macro spark__register_raw() -%}
    {% if execute %}
        {% do run_query('create schema if not exists raw') %}
        {% for source in graph.sources.values() %}
            {% set folder = env_var('SOUNDSCOPE_RAW') ~ '/' ~ source.name %}
            {% do run_query('create or replace view raw.' ~ source.name ~ ' as select * from parquet.`' ~ folder ~ '`') %}
        {% endfor %}
        {% set tables = env_var('SOUNDSCOPE_SPARK_TABLES', '').split(',') | select | list %}
        {% for name in tables %}
            {% set schema, table = name.split('.') %}
            {% set folder = env_var('SOUNDSCOPE_SPARK_HOME') ~ '/warehouse/' ~ schema ~ '.db/' ~ table %}
            {% set columns = [] %}
            {% set weeks = namespace(by='') %}
            {% for row in run_query('describe query select * from parquet.`' ~ folder ~ '`') %}
                {# A date that is text is the name of a folder: partitions are told apart by it. #}
                {% if row[0] == 'chart_date' and row[1] == 'string' %}{% set weeks.by = 'partitioned by (chart_date)' %}{% endif %}
                {% do columns.append(adapter.quote(row[0]) ~ ' ' ~ ('date' if row[0] == 'chart_date' else row[1])) %}
            {% endfor %}
            {% do run_query('create schema if not exists ' ~ schema) %}
            {% do run_query(
                'create table ' ~ name ~ ' (' ~ columns | join(', ') ~ ') using parquet ' ~ weeks.by ~ " location '" ~ folder ~ "'"
            ) %}
            {# dbt listed what there is before this ran. #}
            {% do adapter.cache_added(api.Relation.create(schema=schema, identifier=table, type='table')) %}
        {% endfor %}
    {% endif %}
{%- endmacro %}

{# The begin (first_no, first_rank) of each row's chain: a row goes on from the row before it (date_no - 1, earlier_rank) if it is its
   first successor, else it begins one. By recursion under the name `chains`; Spark computes everything anew in each round
   of one, so there each song's rows are folded in the order of dates. #}
{% macro chains_of_ranks(links, chains) -%}{{ return(adapter.dispatch('chains_of_ranks')(links, chains)) }}{%- endmacro %}
{% macro default__chains_of_ranks(links, chains) -%}
    select chart, title, artist, chart_date, rank, date_no, date_no as first_no, rank as first_rank
    from {{ links }}
    where earlier_rank is null or successor_no > 1
    union all
    select
        later.chart, later.title, later.artist, later.chart_date, later.rank, later.date_no,
        {{ chains }}.first_no, {{ chains }}.first_rank
    from {{ chains }}
    inner join {{ links }} as later
        on
            {{ chains }}.chart = later.chart and {{ chains }}.title = later.title and {{ chains }}.artist = later.artist
            and {{ chains }}.date_no + 1 = later.date_no and {{ chains }}.rank = later.earlier_rank
            and later.successor_no = 1
{%- endmacro %}
{% macro spark__chains_of_ranks(links, chains) -%}
    {% set type = 'array<struct<date_no: bigint, rank: int, chart_date: date, first_no: bigint, first_rank: int>>' %}
    {% set before = 'filter(done, p -> p.date_no = x.date_no - 1 and p.rank = x.earlier_rank and x.successor_no = 1)' %}
    select chart, title, artist, inline(folded)
    from (
        select
            chart, title, artist,
            aggregate(
                sort_array(collect_list(struct(date_no, rank, chart_date, earlier_rank, successor_no))),
                cast(array() as {{ type }}),
                (done, x) -> concat(done, array(named_struct(
                    'date_no', x.date_no, 'rank', x.rank, 'chart_date', x.chart_date,
                    'first_no', coalesce(get({{ before }}, 0).first_no, x.date_no),
                    'first_rank', coalesce(get({{ before }}, 0).first_rank, x.rank)
                )))
            ) as folded
        from {{ links }}
        group by chart, title, artist
    )
{%- endmacro %}

{# Steps on the way that are cheap to look at: views where the engine reads them in place, tables where each reader would
   compute the whole chain of them again. #}
{% macro step() -%}{{ return(adapter.dispatch('step')()) }}{%- endmacro %}
{% macro default__step() -%}{{ return('view') }}{%- endmacro %}
{% macro spark__step() -%}{{ return('table') }}{%- endmacro %}

{# Seeds on Spark: its adapter puts texts between quotes as they are, so one with an apostrophe would end early. #}
{% macro spark__load_csv_rows(model, agate_table) %}
    {% set types = model['config'].get('column_types', {}) %}
    {% set rows %}
        {% for row in agate_table.rows %}
            (
            {%- for name in agate_table.column_names -%}
                {% set type = types.get(name, adapter.convert_type(agate_table, loop.index0)) %}
                {% set value = row[loop.index0] %}
                {% if value is none %}cast(null as {{ type }})
                {%- else %}cast('{{ value | string | replace("\\", "\\\\") | replace("'", "\\'") }}' as {{ type }}){% endif %}
                {{- ', ' if not loop.last }}
            {%- endfor -%}
            ){{ ',' if not loop.last }}
        {% endfor %}
    {% endset %}
    {% set sql = 'insert into ' ~ this.render() ~ ' values ' ~ rows %}
    {% do adapter.add_query(sql, abridge_sql_log=True) %}
    {{ return(sql) }}
{% endmacro %}
