-- The last position that was recorded at or before a time, found by halving; 0 before the first event. $1 the time.
with recursive search (low, high) as (
    select 0::bigint, position from log_head
    union all
    select case when event.recorded_at <= $1 then middle else low end,
           case when event.recorded_at <= $1 then high else middle - 1 end
    from (select low, high, (low + high + 1) / 2 as middle from search where low < high) half
    join event on event.position = half.middle
)
select low from search where low = high
