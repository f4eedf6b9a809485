-- Jobs that wait for their ending to be written: superseded or cancelled before a worker had them, or whose
-- installation is gone. $1 rows.
(select j.*, null::text as installation_state from jobs j where state = 'ending' order by job limit $1)
union all
(select j.*, i.state from installations i join jobs j using (installation)
 where i.state = 'deleted' and i.queued > 0 and j.state = 'queued' limit $1)
