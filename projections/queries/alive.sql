-- Whether any process of the service is connected to this database.
select exists (select from pg_stat_activity
               where datname = current_database() and application_name = 'reviewbot serve')
