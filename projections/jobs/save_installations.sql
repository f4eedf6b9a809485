-- Writes what facts decide; the counters are left to the triggers of jobs. $1 JSON array of rows.
insert into installations as i (installation, state, changed_at, paused_until, pause_reason)
select installation, state, changed_at, paused_until, pause_reason
from json_populate_recordset(null::installations, $1::json)
on conflict (installation) do update
set state = excluded.state, changed_at = excluded.changed_at, paused_until = excluded.paused_until,
    pause_reason = excluded.pause_reason
where (i.state, i.changed_at, i.paused_until, i.pause_reason) is distinct from
      (excluded.state, excluded.changed_at, excluded.paused_until, excluded.pause_reason)
