{# One failure per row whose value is not NULL and not in the list. #}
{% test one_of(model, column, values) %}
    select *
    from {{ model }}
    where {{ column }} is not null and {{ column }} not in ('{{ values | join("', '") }}')
{% endtest %}
