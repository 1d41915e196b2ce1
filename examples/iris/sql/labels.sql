-- The service's label log.
SELECT
    request_id,
    label,
    labeled_at,
    revenue
FROM labels
WHERE model = 'iris'
