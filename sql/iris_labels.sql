-- The iris model's labels.
SELECT
    request_id,
    label,              -- the true species
    labeled_at
FROM labels
WHERE model = 'iris'
