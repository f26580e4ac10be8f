DROP TRIGGER tasks_terminal_is_final;
DROP TRIGGER task_data_is_written_once;
DROP TRIGGER task_data_of_terminal_is_final;

CREATE TABLE tasks_anew (
    id                   INTEGER NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 9007199254740991),
    app                  TEXT    NOT NULL,
    model                TEXT    NOT NULL,
    status               TEXT    NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    owner                TEXT    NOT NULL,
    timeout_seconds      REAL    CHECK (timeout_seconds > 0),
    idle_timeout_seconds REAL    CHECK (idle_timeout_seconds > 0),
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    started_at           INTEGER,
    completed_at         INTEGER,
    error_type           TEXT,
    error_message        TEXT,
    cancel_requested_at  INTEGER,
    cancelled_at         INTEGER,
    cancellation_reason  TEXT,
    cancel_cause         TEXT,
    cancelled_by         TEXT,
    stopped_by           TEXT,
    cleanup              TEXT,
    attempt              INTEGER NOT NULL CHECK (attempt >= 1),
    node                 TEXT,
    epoch                INTEGER NOT NULL CHECK (epoch >= 0),
    queued               INTEGER NOT NULL CHECK (queued IN (0, 1)),
    CHECK (queued = 0 OR status = 'pending'),
    CHECK (status <> 'running' OR (started_at IS NOT NULL AND node IS NOT NULL)),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CHECK ((status = 'cancelled') = (stopped_by IS NOT NULL)),
    -- A task that was asked to stop ends cancelled, and no other does.
    CHECK (completed_at IS NULL OR (status = 'cancelled') = (cancel_requested_at IS NOT NULL)),
    CHECK ((cancel_requested_at IS NULL) = (cancel_cause IS NULL)),
    CHECK ((cancel_requested_at IS NULL) = (cancellation_reason IS NULL)),
    CHECK ((error_type IS NULL) = (error_message IS NULL))
) STRICT;

INSERT INTO tasks_anew (
    id, app, model, status, owner, timeout_seconds, idle_timeout_seconds, created_at, updated_at, started_at,
    completed_at, error_type, error_message, cancel_requested_at, cancelled_at, cancellation_reason,
    cancel_cause, cancelled_by, stopped_by, cleanup, attempt, node, epoch, queued
)
SELECT
    id, app, model, status, owner, timeout_seconds, idle_timeout_seconds, created_at, updated_at, started_at,
    completed_at, error_type, error_message, cancel_requested_at, cancelled_at, cancellation_reason,
    cancel_cause, cancelled_by, stopped_by, cleanup, attempt, node, epoch, queued
FROM tasks ORDER BY id;

DROP TABLE tasks;
ALTER TABLE tasks_anew RENAME TO tasks;

CREATE INDEX tasks_running ON tasks (id) WHERE status = 'running';
CREATE INDEX tasks_queued ON tasks (id) WHERE status = 'pending' AND queued = 1;
CREATE INDEX tasks_created ON tasks (id, owner) WHERE status = 'pending' AND queued = 0;
CREATE INDEX tasks_of_owner ON tasks (owner);

CREATE TRIGGER tasks_terminal_is_final BEFORE UPDATE ON tasks
WHEN OLD.status IN ('completed', 'failed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a terminal row never changes');
END;

CREATE TRIGGER task_data_is_written_once BEFORE UPDATE ON task_data
BEGIN
    SELECT RAISE(ABORT, 'a value is written once');
END;

CREATE TRIGGER task_data_of_terminal_is_final BEFORE INSERT ON task_data
WHEN (SELECT status FROM tasks WHERE id = NEW.task_id) IN ('completed', 'failed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a terminal row never changes');
END;
