DROP INDEX tasks_of_owner;
