-- A user's tasks, newest first: an index holds the id beside the owner anyway. It is the one index that finished
-- rows are in. An insert pays for it with one entry at the end of its owner's stretch (one more page for each owner
-- in a group of writes, not for each task); an owner never changes, so no later write of a task touches it.
CREATE INDEX tasks_of_owner ON tasks (owner);
