-- The iris model's predictions.
SELECT
    request_id,
    predicted_at,
    model_version,
    prediction,         -- 'setosa', 'versicolor' or 'virginica', NULL where the request failed
    score,              -- of the predicted species, from 0 to 1
    latency_seconds,
    country,
    device
FROM predictions
WHERE model = 'iris'
