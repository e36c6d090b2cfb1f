{#
Tables whose rows each stand on rows of the same track alone, brought forward track by track. Tracks are cut into parts by a hash of their id.
`main.parts_read` remembers what each part of a model's inputs held when the model was last built (rows, and hashes of their content); parts
that hold something else now are built again from those parts of the inputs, all others stay. So rows that came, changed or went are one case.

An input without `track_id` (what providers' values may be used for), or its rows without one, belong to every track: if they differ, or the
model's SQL does, all is built. A model keeps the promise where every input that has `track_id` is joined by it to the others.
#}

{# What such a model is on this engine; where whole builds are the only ones, a plain table. #}
{% macro by_track() -%}{{ return(adapter.dispatch('by_track')()) }}{%- endmacro %}
{% macro default__by_track() -%}{{ return('by_track') }}{%- endmacro %}
{% macro spark__by_track() -%}{{ return('table') }}{%- endmacro %}

{# The memory, there before any model needs it. #}
{% macro remember_parts() -%}{{ return(adapter.dispatch('remember_parts')()) }}{%- endmacro %}
{% macro default__remember_parts() -%}
    {% set columns = {
        'model': ['varchar', 'Name of a model that is brought forward track by track.'],
        'input': ['varchar', 'A table or view that it reads; empty for its own SQL.'],
        'part': ['int', 'Part of the tracks; -1 for rows that are of no track.'],
        'n': ['bigint', 'Rows of the part when the model was last built.'],
        'total': ['hugeint', 'Sum of their hashes.'],
        'mixed': ['ubigint', 'Exclusive or of their hashes.'],
    } %}
    create table if not exists main.parts_read (
        {% for name, told in columns.items() %}{{ name }} {{ told[0] }}{{ ', ' if not loop.last }}{% endfor %}
    );
    comment on table main.parts_read is 'What tables of tracks were built from. One row per model, input and part.';
    {% for name, told in columns.items() %}comment on column main.parts_read.{{ name }} is '{{ told[1] }}'; {% endfor %}
{%- endmacro %}
{% macro spark__remember_parts() -%}{%- endmacro %}

{# The part a track is in. #}
{% macro part_of(column) -%}cast(hash({{ column }}) % 16384 as int){%- endmacro %}

{# The model's inputs: relation, and whether its rows are of tracks. #}
{% macro read_by_track() -%}
    {% set found = [] %}
    {% for id in model.depends_on.nodes %}
        {% set node = graph.nodes[id] %}
        {% set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
        {% do found.append({'relation': relation, 'is_of_tracks': 'track_id' in node.columns}) %}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}

{# One row per input and part: how many rows it holds and what they come to; and the model's SQL, as a row of its own. #}
{% macro parts_now(inputs) -%}
    {% for input in inputs %}
        select
            '{{ input.relation.schema }}.{{ input.relation.identifier }}' as input,
            {{ 'case when track_id is null then -1 else ' ~ part_of('track_id') ~ ' end' if input.is_of_tracks else '-1' }} as part,
            count(*) as n, sum(hash(held)) as total, bit_xor(hash(held)) as mixed
        from {{ input.relation }} as held
        group by part
        union all
    {% endfor %}
    select '' as input, -1 as part, 0 as n, cast(0 as hugeint) as total, hash('{{ local_md5(model.compiled_code) }}') as mixed
{%- endmacro %}

{# Numbers of the parts to build again, in a text; none where all is to be built. #}
{% macro parts_to_build(existing, now) -%}
    {% if existing is none or not existing.is_table or model.name not in var('by_track', []) %}{{ return(none) }}{% endif %}
    {% set found = run_query(
        "with remembered as (select input, part, n, total, mixed from main.parts_read where model = '" ~ model.name ~ "'), "
        "differing as ((from " ~ now ~ " except from remembered) union (from remembered except from " ~ now ~ ")), "
        "parts as (select distinct part from differing) "
        "select count(*) as n, coalesce(bool_or(part = -1), false) as is_all, coalesce(string_agg(part, ', '), '') as parts from parts"
    ).rows[0] %}
    {# Above a third of all parts, building all is quicker. #}
    {{ return(none if found[1] or found[0] > 5000 else found[2]) }}
{%- endmacro %}

{# Into how many slices of tracks a whole build is cut, so that memory does not grow with them: so many rows of an input at a time. #}
{% macro slices_of(now) -%}
    {% set rows = env_var('SOUNDSCOPE_SLICE_ROWS', '1500000') %}
    {{ return(run_query(
        'select cast(coalesce(ceil(max(n) / ' ~ rows ~ '), 1) as int) from (select sum(n) as n from ' ~ now ~ ' where part >= 0 group by input)'
    ).rows[0][0] | int) }}
{%- endmacro %}

{# The model's SQL over some of the tracks alone; all where no condition is given. #}
{% macro of_tracks(inputs, condition) -%}
    {% set rows = namespace(sql=compiled_code) %}
    {% for input in inputs if input.is_of_tracks and condition %}
        {% set some = '(from ' ~ input.relation ~ ' where track_id is null or ' ~ condition ~ ')' %}
        {% set rows.sql = rows.sql | replace(input.relation | string, some) %}
    {% endfor %}
    {{ return(rows.sql) }}
{%- endmacro %}

{% materialization by_track, adapter='duckdb' %}
    {% set existing = load_cached_relation(this) %}
    {% set target = this.incorporate(type='table') %}
    {% set inputs = read_by_track() %}
    {% set now = model.name ~ '__parts' %}
    {{ run_hooks(pre_hooks) }}
    {% do run_query('create or replace temp table ' ~ now ~ ' as ' ~ parts_now(inputs)) %}
    {% set parts = parts_to_build(existing, now) %}
    {% do make_room(target) %}
    {% set slices = slices_of(now) if parts is none else 0 %}
    {% set part = part_of('track_id') %}
    {% call statement('main') %}
        {% for slice in range(slices) %}
            {% set rows = of_tracks(inputs, part ~ ' % ' ~ slices ~ ' = ' ~ slice if slices > 1 else none) %}
            {{ 'insert into ' ~ target ~ ' by name' if slice else 'create or replace table ' ~ target ~ ' as' }} ({{ rows }}
            );
        {% endfor %}
        {% if slices %}{{ comments_on(target) }}{% endif %}
        {% if parts %}
            delete from {{ target }} where {{ part }} in ({{ parts }});
            insert into {{ target }} by name ({{ of_tracks(inputs, part ~ ' in (' ~ parts ~ ')') }}
            );
        {% endif %}
        delete from main.parts_read where model = '{{ model.name }}';
        insert into main.parts_read select '{{ model.name }}', * from {{ now }};
        drop table {{ now }};
    {% endcall %}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
