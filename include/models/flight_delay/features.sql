-- What is known of a flight two hours before its scheduled departure, and whether it arrived more than 15 minutes late.
--
-- Instants are UTC: time_hour is the scheduled hour, and a departure's instant is the scheduled one plus dep_delay, which
-- is right across midnight, where the clock time dep_time is not. A departure counts only from the moment it really
-- happened; the weather of an hour counts once that hour is over.
--
-- Plain SQL that DuckDB and Postgres both run: no as-of join. "Lately" is a range window over departures and questions
-- (a flight's moment of prediction) on one time line; a question's window ends at its own instant.
WITH flight AS (
    SELECT
        CAST(time_hour AS VARCHAR) || ' ' || carrier || ' ' || CAST(flight AS VARCHAR) || ' ' || origin AS row_id,
        make_date(year, month, day) AS scheduled_date,
        carrier,
        origin,
        dest,
        distance,
        sched_dep_time,
        sched_arr_time,
        hour,
        minute,
        time_hour,
        dep_delay,
        arr_delay,
        time_hour + minute * INTERVAL '1 minute' - INTERVAL '2 hours' AS predicted_at,
        time_hour + (minute + dep_delay) * INTERVAL '1 minute' AS departed_at
    FROM flights
),

wanted AS (
    SELECT flight.*
    FROM flight
    CROSS JOIN target
    WHERE flight.scheduled_date >= target.month_start AND flight.scheduled_date < target.month_end
),

time_line AS (
    SELECT
        departed_at AS instant,
        origin,
        carrier,
        dep_delay,
        CASE WHEN dep_delay > 15 THEN 1 ELSE 0 END AS late,
        CAST(NULL AS VARCHAR) AS row_id
    FROM flight
    WHERE departed_at IS NOT NULL
    UNION ALL
    SELECT predicted_at, origin, carrier, CAST(NULL AS INTEGER), CAST(NULL AS INTEGER), row_id
    FROM wanted
),

lately AS (
    SELECT
        row_id,
        COUNT(dep_delay) OVER at_origin AS origin_departures,
        CAST(SUM(dep_delay) OVER at_origin AS DOUBLE PRECISION) AS origin_delay_sum,
        CAST(SUM(late) OVER at_origin AS DOUBLE PRECISION) AS origin_late_sum,
        COUNT(dep_delay) OVER of_carrier AS carrier_departures,
        CAST(SUM(dep_delay) OVER of_carrier AS DOUBLE PRECISION) AS carrier_delay_sum,
        CAST(SUM(late) OVER of_carrier AS DOUBLE PRECISION) AS carrier_late_sum
    FROM time_line
    WINDOW
        at_origin AS (
            PARTITION BY origin ORDER BY instant
            RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND CURRENT ROW
        ),
        of_carrier AS (
            PARTITION BY origin, carrier ORDER BY instant
            RANGE BETWEEN INTERVAL '4 hours' PRECEDING AND CURRENT ROW
        )
),

scheduled AS (
    SELECT origin, time_hour, COUNT(*) AS flights_in_hour
    FROM flight
    GROUP BY origin, time_hour
)

SELECT
    wanted.row_id,
    CASE WHEN wanted.arr_delay > 15 THEN 1 WHEN wanted.arr_delay IS NOT NULL THEN 0 END AS label,
    wanted.hour + CAST(wanted.minute AS DOUBLE PRECISION) / 60 AS departure_hour,
    EXTRACT(ISODOW FROM wanted.scheduled_date) AS weekday,
    wanted.distance,
    -- both clocks are local, so this is flying time plus a constant for each destination; hours times 100 is divided
    -- without a rest, because databases differ in what they do with one
    (
        (wanted.sched_arr_time - wanted.sched_arr_time % 100) * 60 / 100 + wanted.sched_arr_time % 100
        - wanted.hour * 60 - wanted.minute + 1440
    ) % 1440 AS scheduled_minutes,
    scheduled.flights_in_hour,
    lately.origin_departures,
    lately.origin_delay_sum / NULLIF(lately.origin_departures, 0) AS origin_mean_delay,
    lately.origin_late_sum / NULLIF(lately.origin_departures, 0) AS origin_late_share,
    lately.carrier_departures,
    lately.carrier_delay_sum / NULLIF(lately.carrier_departures, 0) AS carrier_mean_delay,
    lately.carrier_late_sum / NULLIF(lately.carrier_departures, 0) AS carrier_late_share,
    weather.temp,
    weather.dewp,
    weather.humid,
    weather.wind_dir,
    weather.wind_speed,
    weather.precip,
    weather.pressure,
    weather.visib,
    wanted.carrier,
    wanted.origin,
    wanted.dest
FROM wanted
INNER JOIN lately ON lately.row_id = wanted.row_id
INNER JOIN scheduled ON scheduled.origin = wanted.origin AND scheduled.time_hour = wanted.time_hour
LEFT JOIN weather
    ON weather.origin = wanted.origin
    AND weather.time_hour = date_trunc('hour', wanted.predicted_at) - INTERVAL '1 hour'
ORDER BY wanted.row_id
