-- The temperature of an hour, and what was observed six hours before it. The hours before the month's first come from
-- the month before, where there is one.
SELECT
    CAST(wanted.observed_at AS VARCHAR) AS row_id,
    wanted.temp AS label,
    EXTRACT(HOUR FROM wanted.observed_at) AS hour_of_day,
    known.temp AS temp_then,
    known.temp - earlier.temp AS temp_change,
    day_before.temp AS temp_day_before,
    known.dewp AS dewp_then,
    known.humid AS humid_then,
    known.wind_speed AS wind_speed_then,
    known.pressure AS pressure_then
FROM observations AS wanted
CROSS JOIN target
LEFT JOIN observations AS known ON known.observed_at = wanted.observed_at - INTERVAL '6 hours'
LEFT JOIN observations AS earlier ON earlier.observed_at = wanted.observed_at - INTERVAL '9 hours'
LEFT JOIN observations AS day_before ON day_before.observed_at = wanted.observed_at - INTERVAL '24 hours'
WHERE wanted.observed_at >= target.month_start AND wanted.observed_at < target.month_end
ORDER BY row_id
