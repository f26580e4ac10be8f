-- A user's tasks, newest first: an index holds the id beside the owner anyway. It is the one index that finished
-- rows are in. An insert pays for it with one entry at the end of its owner's stretch (one more page for each owner
-- in a group of writes, not for each task); an owner never changes, so no later write of a task touches it.
CREATE INDEX tasks_of_owner ON tasks (owner);

-- All that wait, not only those that were started: lists and bulk cancels look for both. A row costs as much as it
-- did in the index that this one replaces; only one that was created and not started has an entry that it had not.
DROP INDEX tasks_queued;
CREATE INDEX tasks_pending ON tasks (id, queued) WHERE status = 'pending';
