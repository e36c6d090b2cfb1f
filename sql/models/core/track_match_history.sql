-- Every word on a key is an event; after each of them the person's newest word is in force unless taken back, else the
-- matcher's newest. Same precedence as `stg_track_links`.
with events as (
    select
        *,
        coalesce(decided_by not like 'soundscope%', false) as is_by_person,
        row_number() over (
            partition by title, artist, run_no
            order by
                fetched_at asc nulls first, decided_at asc nulls first, landing_file asc nulls first,
                row_no asc nulls first
        ) as event_no
    from {{ source('raw', 'track_links') }}
),

newest_words as (
    select
        title, artist, run_no, event_no, fetched_at,
        max(case when is_by_person then event_no end) over (
            partition by title, artist, run_no order by event_no asc nulls last
            rows between unbounded preceding and current row
        ) as person_event_no,
        max(case when not is_by_person then event_no end) over (
            partition by title, artist, run_no order by event_no asc nulls last
            rows between unbounded preceding and current row
        ) as matcher_event_no
    from events
    -- Several words at one instant: only the last can have been in force.
    qualify row_number() over (partition by title, artist, run_no, fetched_at order by event_no desc nulls last) = 1
),

with_person as (
    select
        newest_words.*,
        case
            when events.status in ('overridden', 'review') then newest_words.person_event_no
            else newest_words.matcher_event_no
        end as event_no_in_force
    from newest_words
    left join events
        on
            newest_words.title = events.title
            and newest_words.artist = events.artist
            and newest_words.run_no = events.run_no
            and newest_words.person_event_no = events.event_no
),

in_force as (
    select
        with_person.title, with_person.artist, with_person.run_no, with_person.event_no,
        with_person.fetched_at as valid_from,
        events.track_id,
        coalesce(events.status, 'unmatched') as status,
        events.method, events.score, events.decided_by, events.reason
    from with_person
    left join events
        on
            with_person.title = events.title
            and with_person.artist = events.artist
            and with_person.run_no = events.run_no
            and with_person.event_no_in_force = events.event_no
),

compared as (
    select
        *,
        row_number() over (partition by title, artist, run_no order by event_no asc nulls last) as place,
        lag(track_id) over (partition by title, artist, run_no order by event_no asc nulls last) as last_track_id,
        lag(status) over (partition by title, artist, run_no order by event_no asc nulls last) as last_status,
        lag(method) over (partition by title, artist, run_no order by event_no asc nulls last) as last_method,
        lag(score) over (partition by title, artist, run_no order by event_no asc nulls last) as last_score,
        lag(decided_by) over (partition by title, artist, run_no order by event_no asc nulls last) as last_decided_by,
        lag(reason) over (partition by title, artist, run_no order by event_no asc nulls last) as last_reason
    from in_force
),

changes as (
    select *
    from compared
    where
        place = 1
        or track_id is distinct from last_track_id
        or status is distinct from last_status
        or method is distinct from last_method
        or score is distinct from last_score
        or decided_by is distinct from last_decided_by
        or reason is distinct from last_reason
)

select
    title,
    artist,
    run_no,
    track_id,
    status,
    method,
    score,
    decided_by,
    reason,
    valid_from,
    lead(valid_from) over (partition by title, artist, run_no order by event_no asc nulls last) as valid_to
from changes
