-- One job. $1 its id.
select * from jobs where job = $1
