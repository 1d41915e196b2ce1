-- Maps the prediction log to evaljob's columns. This is the place to rename (AS), CAST and filter. One SELECT, any dialect.
SELECT
    request_id,         -- the same value as in labels.sql, the first row of a request is the one that counts
    predicted_at,       -- when it was served, in UTC
    model_version,
    prediction,         -- 'malignant' or 'benign', as the labels say it, NULL where the request failed
    score,              -- P(malignant), the chance of the positive class, from 0 to 1
    latency_seconds,
    country,            -- every column named under slices in config.yaml
    device
FROM predictions
WHERE model = 'breast_cancer'
