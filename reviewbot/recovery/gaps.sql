-- The times whose deliveries nobody can compare any more, the oldest first. $1 rows.
select (data ->> 'since')::timestamptz as since, (data ->> 'until')::timestamptz as until
from event
where topic = 'IntakeGap'
order by position
limit $1
