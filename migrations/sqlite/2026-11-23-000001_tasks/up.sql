-- Instants are microseconds since 1970-01-01T00:00:00Z. Names of columns are those of the task's JSON.

CREATE TABLE tasks (
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

-- Over live rows only: a finished task costs no index anything, however many there are.
CREATE INDEX tasks_running ON tasks (id) WHERE status = 'running';
CREATE INDEX tasks_queued ON tasks (id) WHERE status = 'pending' AND queued = 1;

CREATE TRIGGER tasks_terminal_is_final BEFORE UPDATE ON tasks
WHEN OLD.status IN ('completed', 'failed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a terminal row never changes');
END;

-- The large values, each written once. No row stands for the input {} and for no final value.
CREATE TABLE task_data (
    task_id INTEGER NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('input', 'final_value')),
    data    TEXT    NOT NULL,
    PRIMARY KEY (task_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER task_data_is_written_once BEFORE UPDATE ON task_data
BEGIN
    SELECT RAISE(ABORT, 'a value is written once');
END;

-- The final value is written before the row becomes terminal, in the same transaction.
CREATE TRIGGER task_data_of_terminal_is_final BEFORE INSERT ON task_data
WHEN (SELECT status FROM tasks WHERE id = NEW.task_id) IN ('completed', 'failed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'a terminal row never changes');
END;

CREATE TABLE task_events (
    task_id INTEGER NOT NULL,
    seq     INTEGER NOT NULL CHECK (seq >= 1),
    at      INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    data    TEXT    NOT NULL,
    PRIMARY KEY (task_id, seq)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a later signal has a larger number, also after earlier ones were taken.
CREATE TABLE signals (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    task_id INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    data    TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

CREATE INDEX signals_of_task ON signals (task_id, id);

-- The first answer to a key, for whoever repeats the request. No answer yet: it is under way.
CREATE TABLE idempotency_keys (
    owner      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    task_id    INTEGER,
    status     INTEGER,
    body       TEXT,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- One row: the first id that nobody has.
CREATE TABLE id_blocks (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    next_id INTEGER NOT NULL CHECK (next_id BETWEEN 1 AND 9007199254740992)
) STRICT;

INSERT INTO id_blocks (id, next_id) VALUES (1, 1);

-- One row for each start of a process.
CREATE TABLE nodes (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    version    TEXT    NOT NULL,
    process    INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    id        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    principal TEXT,
    action    TEXT    NOT NULL,
    app       TEXT,
    model     TEXT,
    task_id   INTEGER,
    address   TEXT,
    result    TEXT    NOT NULL
) STRICT;
