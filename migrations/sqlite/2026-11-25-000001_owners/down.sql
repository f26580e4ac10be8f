DROP INDEX tasks_created;
