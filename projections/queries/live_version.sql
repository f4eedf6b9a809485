-- Of which version a projection's live tables are. $1 projection.
select version from checkpoint where projection = $1
