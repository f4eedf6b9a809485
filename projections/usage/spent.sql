-- What an installation has spent since the day, the week and the month began (UTC), and when they end; with the answers
-- that the projection has not taken in yet. $1 installation.
select span.name, span.until,
       (select coalesce(sum(cost_usd), 0) from model_calls where installation = $1 and asked_at >= span.since)
       + (select coalesce(sum((data ->> 'cost_usd')::numeric), 0)
          from event
          where position > (select position from checkpoint where projection = 'usage')
            and topic = 'AnswerReceived' and installation = $1 and recorded_at >= span.since) as usd
from (
    select name, start at time zone 'UTC' as since, (start + ('1 ' || name)::interval) at time zone 'UTC' as until
    from unnest(array['day', 'week', 'month']) name
    cross join lateral (select date_trunc(name, now() at time zone 'UTC') as start)
) span
