-- The live checkpoint of a projection, which nobody moves while we hold it. $1 projection.
select version, position from checkpoint where projection = $1 for update
