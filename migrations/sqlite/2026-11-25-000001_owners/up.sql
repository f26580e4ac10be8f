-- Rows that nobody has started yet count for their owner too. Over live rows only, like the others.
CREATE INDEX tasks_created ON tasks (id, owner) WHERE status = 'pending' AND queued = 0;
