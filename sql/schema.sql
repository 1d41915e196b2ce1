-- The log tables, for whoever has none yet: one row a prediction served, one row a label that became known.
-- Runs as it is on SQLite, PostgreSQL, MariaDB, MySQL and DuckDB. Both logs are append-only: a corrected label is a further row.
--
-- Timestamps are UTC without an offset, to the microsecond. In SQLite write them as '2026-03-01 12:00:00.000000': they compare as text.
-- On MariaDB and MySQL write in sessions with time_zone = '+00:00', or make the columns DATETIME(6), which knows no zone and no year 2038.
-- Ids compare byte for byte. The comments that start with an exclamation mark say so to MySQL and MariaDB, which else take A for a.

CREATE TABLE predictions (
    model           VARCHAR(64) NOT NULL,
    request_id      VARCHAR(64) NOT NULL,       -- the key that the label log answers to
    predicted_at    TIMESTAMP(6) NOT NULL,
    model_version   VARCHAR(64) NOT NULL,
    prediction      VARCHAR(64),                -- the predicted class, NULL: the request failed
    score           DOUBLE PRECISION,           -- binary: P(positive), multiclass: that of the predicted class
    latency_seconds DOUBLE PRECISION,
    country         VARCHAR(8),                 -- columns to slice by: have as many as you like
    device          VARCHAR(16)
) /*!80017 COLLATE utf8mb4_0900_bin */ /*M!100203 COLLATE utf8mb4_nopad_bin */;

CREATE TABLE labels (
    model      VARCHAR(64) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    label      VARCHAR(64),                     -- the true class
    labeled_at TIMESTAMP(6) NOT NULL,           -- when it became known
    revenue    DOUBLE PRECISION                 -- numbers that come with the outcome: have as many as you like
) /*!80017 COLLATE utf8mb4_0900_bin */ /*M!100203 COLLATE utf8mb4_nopad_bin */;

-- A run looks up what is new by time, and what belongs to it by id. Without these it reads the logs whole.
CREATE INDEX predictions_request_id ON predictions (request_id);
CREATE INDEX predictions_predicted_at ON predictions (predicted_at);
CREATE INDEX labels_request_id ON labels (request_id);
CREATE INDEX labels_labeled_at ON labels (labeled_at);
