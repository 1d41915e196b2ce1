-- Maps the label log to evaljob's columns.
SELECT
    request_id,
    label,              -- 'malignant' or 'benign', the latest row of a request is the truth
    labeled_at,         -- when it became known, in UTC
    revenue             -- every column named under values in config.yaml
FROM labels
WHERE model = 'breast_cancer'
