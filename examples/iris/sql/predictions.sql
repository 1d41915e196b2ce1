-- The service's prediction log. ingested_at tells evaljob of rows that waited in the spool while the database was down.
SELECT
    request_id,
    predicted_at,
    model_version,
    prediction,         -- NULL where the request failed
    score,              -- of the predicted species
    latency_seconds,
    country,
    device,
    ingested_at
FROM predictions
WHERE model = 'iris'
