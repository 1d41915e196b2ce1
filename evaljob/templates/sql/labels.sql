-- Maps your label log to evaljob's columns: one SELECT in your database's dialect. Rename (AS), CAST and filter here.
-- evaljob reads what is new since its last run: have indexes on request_id and on labeled_at.
SELECT
    request_id,         -- the same value as in predictions.sql
    label,              -- the true class or number; of several rows with one id the latest counts
    labeled_at          -- when the label became known; without a time zone it is UTC
    -- , revenue            the columns named under `values` in config.yaml
    -- , ingested_at        optional: when the row became visible, where that is later than labeled_at
FROM labels
