-- The jobs of an installation that have not ended. $1 installation.
select job from jobs where state = 'queued' and installation = $1
union all
select job from jobs where state = 'running' and installation = $1
union all
select job from jobs where state = 'ending' and installation = $1
