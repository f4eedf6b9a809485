-- What went wrong with the intake so far, by kind.
select topic, count(*) as times, max(recorded_at) as newest
from event
where topic in ('DeliveryLost', 'DeliveryMissed', 'DeliveryParked', 'IntakeGap')
group by topic
