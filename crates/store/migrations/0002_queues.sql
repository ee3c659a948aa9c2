-- The queues are short and change all the time: PostgreSQL must clean up behind them sooner than behind other tables, or
-- finding the oldest row walks over all that was removed. SQLite has nothing to clean up.
ALTER TABLE inbox SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000); -- postgres only
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000); -- postgres only
ALTER TABLE timers SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000); -- postgres only
