-- What went wrong with the intake: gaps, and deliveries of a kind that were lost, missed or not understood. $1 events,
-- $2 rows.
select position, stream, version, topic, data, installation, delivery, actor, correlation, causation, recorded_at
from event
where topic in ('DeliveryLost', 'DeliveryMissed', 'DeliveryParked', 'IntakeGap')
  and (topic = 'IntakeGap' or data ->> 'event' = any ($1::text[]))
order by position desc
limit $2
