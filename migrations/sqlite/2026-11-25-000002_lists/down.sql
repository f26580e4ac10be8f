DROP INDEX tasks_pending;
CREATE INDEX tasks_queued ON tasks (id) WHERE status = 'pending' AND queued = 1;
DROP INDEX tasks_of_owner;
