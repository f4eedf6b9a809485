-- The checkpoint of a build, in the schema of the build: the first of the search path. It has the columns of the live
-- ones, so that a projector works there as well, and says whether the tables are ready for use.
create table checkpoint (like checkpoint including all, finished boolean not null default false)
