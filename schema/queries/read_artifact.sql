-- One artifact. $1 installation, $2 digest.
select body from artifact where installation = $1 and digest = $2
