-- Events that the table shows although the projector has yet to come to them: the claim writes both. $1 the checkpoint.
select e.position, stream, e.version, topic, data, e.installation, delivery, actor, e.correlation, causation, recorded_at
from jobs j
join event e on e.stream = j.job and e.version <= j.version and e.position > $1
where j.position > $1
order by e.position
