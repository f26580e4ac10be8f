-- The same rules as before, in words that cost SQLite less. For an IN of three values or more it builds a table, anew
-- for each row that a trigger sees and each statement that a CHECK sees; a CASE only compares. For RAISE(ABORT) it
-- copies each page before a statement changes it; RAISE(ROLLBACK) needs no copies: it takes the transaction back.

DROP TRIGGER tasks_terminal_is_final;
DROP TRIGGER task_data_is_written_once;
DROP TRIGGER task_data_of_terminal_is_final;

CREATE TABLE tasks_anew (
    id                   INTEGER NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 9007199254740991),
    app                  TEXT    NOT NULL,
    model                TEXT    NOT NULL,
    status               TEXT    NOT NULL,
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
    -- A task that was asked to stop ends cancelled, and no other does.
    CHECK (CASE status
        WHEN 'running' THEN started_at IS NOT NULL AND node IS NOT NULL AND queued = 0
            AND completed_at IS NULL AND cancelled_at IS NULL AND stopped_by IS NULL
        WHEN 'completed' THEN completed_at IS NOT NULL AND cancelled_at IS NULL AND stopped_by IS NULL
            AND cancel_requested_at IS NULL AND queued = 0
        WHEN 'cancelled' THEN completed_at IS NOT NULL AND cancelled_at IS NOT NULL AND stopped_by IS NOT NULL
            AND cancel_requested_at IS NOT NULL AND queued = 0
        WHEN 'pending' THEN completed_at IS NULL AND cancelled_at IS NULL AND stopped_by IS NULL
        WHEN 'failed' THEN completed_at IS NOT NULL AND cancelled_at IS NULL AND stopped_by IS NULL
            AND cancel_requested_at IS NULL AND queued = 0
        ELSE 0
    END),
    CHECK ((cancel_requested_at IS NULL) = (cancel_cause IS NULL)
        AND (cancel_requested_at IS NULL) = (cancellation_reason IS NULL)),
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

-- A row has a completed_at where its status is terminal, and only there: the rules of the table see to it.
CREATE TRIGGER tasks_terminal_is_final BEFORE UPDATE ON tasks
WHEN OLD.completed_at IS NOT NULL
BEGIN
    SELECT RAISE(ROLLBACK, 'a terminal row never changes');
END;

CREATE TRIGGER task_data_is_written_once BEFORE UPDATE ON task_data
BEGIN
    SELECT RAISE(ROLLBACK, 'a value is written once');
END;

CREATE TRIGGER task_data_of_terminal_is_final BEFORE INSERT ON task_data
WHEN (SELECT completed_at FROM tasks WHERE id = NEW.task_id) IS NOT NULL
BEGIN
    SELECT RAISE(ROLLBACK, 'a terminal row never changes');
END;
