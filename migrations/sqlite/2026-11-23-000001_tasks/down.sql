DROP TABLE audit;
DROP TABLE nodes;
DROP TABLE id_blocks;
DROP TABLE idempotency_keys;
DROP TABLE signals;
DROP TABLE task_events;
DROP TABLE task_data;
DROP TABLE tasks;
