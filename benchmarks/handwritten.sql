-- What an expert would write by hand for DuckDB, and for these logs alone, to get the cells of benchmarks.evaluations:
-- the logs are known to hold no NULL and no impossible number, and few enough countries and devices to count them by
-- pairs first. {predictions}, {labels} are tables or files, {bin} is the ladder of score bins.

CREATE OR REPLACE TEMP MACRO segment_predicted(t) AS
CASE WHEN t < TIMESTAMP '{end}' - INTERVAL 30 DAY THEN 0
     WHEN t < TIMESTAMP '{end}' - INTERVAL 8 DAY THEN 1
     WHEN t < TIMESTAMP '{end}' - INTERVAL 1 DAY THEN 2
     ELSE 3 END;

CREATE OR REPLACE TEMP MACRO segment_labeled(t) AS
CASE WHEN t IS NULL OR t < TIMESTAMP '{end}' - INTERVAL 7 DAY THEN 0
     WHEN t < TIMESTAMP '{end}' - INTERVAL 1 DAY THEN 1
     WHEN t < TIMESTAMP '{end}' - INTERVAL 1 HOUR THEN 2
     ELSE 3 END;

-- Ids with more than one row in a log, or with labels alone; hashes, for they are narrower.
CREATE OR REPLACE TEMP TABLE uneven AS
SELECT id
FROM (
    SELECT hash(request_id) AS id, 1 AS served FROM {predictions} WHERE predicted_at < TIMESTAMP '{end}'
    UNION ALL
    SELECT hash(request_id), NULL FROM {labels} WHERE labeled_at < TIMESTAMP '{end}'
)
GROUP BY id
HAVING count(served) != 1 OR count(*) > 2;

CREATE OR REPLACE TEMP TABLE uneven_predictions AS
SELECT p.* FROM {predictions} p SEMI JOIN uneven ON uneven.id = hash(p.request_id)
WHERE p.predicted_at < TIMESTAMP '{end}';

CREATE OR REPLACE TEMP TABLE uneven_labels AS
SELECT l.request_id, l.label, l.labeled_at FROM {labels} l SEMI JOIN uneven ON uneven.id = hash(l.request_id)
WHERE l.labeled_at < TIMESTAMP '{end}';

-- Those resolved: the first prediction, the latest label, and how many rows there are beside them.
CREATE OR REPLACE TEMP TABLE resolved AS
WITH first AS (
    SELECT *, count(*) OVER (PARTITION BY request_id) AS copies
    FROM uneven_predictions
    QUALIFY row_number() OVER (
        PARTITION BY request_id
        ORDER BY predicted_at, prediction, score, model_version, latency_seconds, country, device
    ) = 1
),
latest AS (
    SELECT *, count(*) OVER (PARTITION BY request_id) AS copies
    FROM uneven_labels
    QUALIFY row_number() OVER (PARTITION BY request_id ORDER BY labeled_at DESC, label DESC) = 1
)
SELECT f.predicted_at, f.model_version, f.prediction, f.score, f.latency_seconds, f.country, f.device,
       l.label, l.labeled_at, f.copies - 1 AS duplicates, greatest(coalesce(l.copies, 1) - 1, 0) AS corrections
FROM first f LEFT JOIN latest l USING (request_id);

CREATE OR REPLACE TEMP TABLE grouped AS
WITH requests AS (
    SELECT p.predicted_at, p.model_version, p.prediction, p.score, p.latency_seconds, p.country, p.device,
           l.label, l.labeled_at
    FROM {predictions} p
    LEFT JOIN (SELECT request_id, label, labeled_at FROM {labels} WHERE labeled_at < TIMESTAMP '{end}') l
    ON p.request_id = l.request_id
    WHERE p.predicted_at < TIMESTAMP '{end}' AND hash(p.request_id) NOT IN (SELECT id FROM uneven)
    UNION ALL
    SELECT * EXCLUDE (duplicates, corrections) FROM resolved
),
placed AS (
    SELECT *,
           segment_predicted(predicted_at) AS on_predicted,
           segment_labeled(labeled_at) AS on_labeled,
           CAST(floor(score * 1e9 + 0.5) AS BIGINT) AS points,
           epoch_us(labeled_at) - epoch_us(predicted_at) AS lag_us,
           CAST(floor(latency_seconds * 1e6 + 0.5) AS BIGINT) AS latency_us,
           epoch_us(predicted_at) // 60000000 AS minute
    FROM requests
),
measured AS (
    SELECT on_predicted * 4 + on_labeled AS place, on_predicted, model_version, country, device, label, prediction,
           {bin} AS bin,
           CASE WHEN lag_us > 0 THEN CAST(floor(ln(lag_us) / {gamma}) AS INTEGER)
                WHEN lag_us <= 0 THEN -1 END AS lag,
           CASE WHEN latency_us > 0 THEN CAST(floor(ln(latency_us) / {gamma}) AS INTEGER) ELSE -1 END AS latency,
           CASE on_predicted WHEN 1 THEN (minute // 256) * 8192 + 16
                             WHEN 2 THEN (minute // 128) * 4096 + 14
                             WHEN 3 THEN (minute // 16) * 512 + 8 END
               + CASE WHEN label IS NULL THEN 0 ELSE 1 END AS age,
           points,
           (points * points + 500000000) // 1000000000 AS squared,
           CAST(floor(-ln(clipped / 1e9) * 1e9 + 0.5) AS BIGINT) AS log_score,
           CAST(floor(-ln((1000000000 - clipped) / 1e9) * 1e9 + 0.5) AS BIGINT) AS log_rest
    FROM (SELECT *, greatest(least(points, 999999000), 1000) AS clipped FROM placed)
    WHERE on_predicted != 0 OR on_labeled != 0
)
SELECT CASE 0 WHEN GROUPING(bin) THEN 0 WHEN GROUPING(lag) THEN 1 WHEN GROUPING(latency) THEN 2 ELSE 4 END AS kind,
       coalesce(place, on_predicted * 4) AS place, model_version, country, device, label, prediction,
       coalesce(bin, lag, latency, age) AS bucket, count(*) AS n, sum(points) AS points, sum(squared) AS squared, sum(log_score) AS log_score,
       sum(log_rest) AS log_rest
FROM measured
GROUP BY GROUPING SETS (
    (place, model_version, country, device, label, prediction, bin),
    (place, model_version, country, device, lag),
    (place, model_version, country, device, latency),
    (on_predicted, model_version, age)
);

-- The counts by country, and by device. Ages are counted once.
SELECT kind, GROUPING(country) AS "group", place // 4 AS on_predicted, place % 4 AS on_labeled, model_version,
       country AS slice_country, device AS slice_device, label, prediction, bucket, CAST(sum(n) AS BIGINT) AS n,
       CAST(sum(points) AS BIGINT) AS sum_0, CAST(sum(squared) AS BIGINT) AS sum_1,
       CAST(sum(log_score) AS BIGINT) AS sum_2, CAST(sum(log_rest) AS BIGINT) AS sum_3, 0 AS sum_4, 0 AS sum_5
FROM grouped
GROUP BY GROUPING SETS (
    (kind, place, model_version, country, label, prediction, bucket),
    (kind, place, model_version, device, label, prediction, bucket)
)
HAVING (bucket IS NOT NULL) AND (kind != 4 OR GROUPING(country) = 0);

-- The books: requests, rows beside those that count, labels without a prediction.
WITH booked AS (
    SELECT 0 AS reason, place, model_version, country, device, n, 0 AS duplicates, 0 AS corrections
    FROM grouped WHERE kind = 0
    UNION ALL
    SELECT 0, segment_predicted(predicted_at) * 4 + segment_labeled(labeled_at), model_version, country, device, 0, duplicates, corrections
    FROM resolved
    UNION ALL
    SELECT 1, segment_predicted(labeled_at) * 4 + segment_labeled(labeled_at), NULL, NULL, NULL, 1, 0, 0
    FROM (SELECT request_id, max(labeled_at) AS labeled_at FROM uneven_labels GROUP BY request_id) labels
    ANTI JOIN uneven_predictions USING (request_id)
)
SELECT 3 AS kind, GROUPING(country) AS "group", place // 4 AS on_predicted, place % 4 AS on_labeled, model_version,
       country AS slice_country, device AS slice_device, NULL AS label, NULL AS prediction, reason AS bucket,
       CAST(sum(n) AS BIGINT) AS n, CAST(sum(duplicates) AS BIGINT) AS sum_0,
       CAST(sum(corrections) AS BIGINT) AS sum_1, 0 AS sum_2, 0 AS sum_3, 0 AS sum_4, 0 AS sum_5
FROM booked
WHERE place != 0
GROUP BY GROUPING SETS ((reason, place, model_version, country), (reason, place, model_version, device));
