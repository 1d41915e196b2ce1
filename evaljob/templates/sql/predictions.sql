-- Maps your prediction log to evaljob's columns: one SELECT in your database's dialect. Rename (AS), CAST and filter here.
-- evaljob reads what is new since its last run: have indexes on request_id and on predicted_at.
SELECT
    request_id,         -- the same value as in labels.sql; of several rows with one id the first counts
    predicted_at,       -- when the prediction was served; without a time zone it is UTC
    model_version,
    prediction,         -- the predicted class or number, as labels.sql writes it; NULL: the request failed
    score               -- optional. binary: P(positive label); multiclass: that of the predicted class; from 0 to 1
    -- , latency_seconds    optional: how long the prediction took
    -- , country, device    the columns named under `slices` in config.yaml
    -- , ingested_at        optional: when the row became visible, where that is later than predicted_at
FROM predictions
