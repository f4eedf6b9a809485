-- How far a projection's live tables are. $1 projection.
select position from checkpoint where projection = $1
