-- A site with :samples samples, for benchmarks/large_site.py, which replaces the names with a colon.
-- Triggers are off while it loads, so the order of the tables is free. Ids are reckoned, not drawn:
-- a completion's id is its sample's, a second attempt's is :samples more.
SET session_replication_role = replica;
SET synchronous_commit = off;

CREATE TEMP TABLE person AS
SELECT row_number() OVER (ORDER BY id) - 1 AS number, id
FROM auth_user WHERE username LIKE 'reviewer%';

-- --- texts -----------------------------------------------------------------------------------
CREATE TEMP TABLE passage AS
WITH words AS (SELECT string_to_array(
    'soil moisture nitrate plant cell protein lattice energy method temperature pressure growth '
    || 'rate gradient membrane alloy phonon enzyme inhibitor control variance under with of the '
    || 'and in we show that increases decreases significantly across replicate', ' ') AS word),
sentences AS (
    SELECT seed, place, (
        SELECT initcap(string_agg(word[1 + (seed * 31 + place * n * 13 + n * n * 17) % 35], ' '))
        FROM words, generate_series(1, 22) AS n
    ) || '. ' AS sentence
    FROM generate_series(0, 999) AS seed, generate_series(1, 8) AS place
)
SELECT seed, string_agg(sentence, '') AS source,
    string_agg(sentence, '') FILTER (WHERE place = 1) AS hypothesis,
    string_agg(sentence, '') FILTER (WHERE place > 4) AS methodology
FROM sentences GROUP BY seed;
ANALYZE passage;

-- --- datasets --------------------------------------------------------------------------------
INSERT INTO distill_dataset (id, name, description, created_at)
SELECT id, (ARRAY['papers', 'abstracts', 'notes'])[id], 'Made for a benchmark.', now()
FROM generate_series(1, 3) AS id;

INSERT INTO distill_sourcefile (id, dataset_id, name, sha256, size_bytes, mapping, state, message,
    rows_read, rows_kept, rows_refused, rows_duplicate, created_at, finished_at)
SELECT id, id, 'papers-' || id || '.jsonl', md5(id::text) || md5(id::text), 100000000,
    '{"text": "abstract"}', 'done', '', :samples, :samples / 2, 200, 1000, now(), now()
FROM generate_series(1, 3) AS id;

INSERT INTO distill_refusedrow (source_file_id, line, field, message, excerpt)
SELECT file, line, 'abstract', 'is empty', '' FROM generate_series(1, 3) AS file,
    generate_series(1, 200) AS line;

INSERT INTO distill_sample (id, dataset_id, source_file_id, line, key, source_key, group_key, split,
    domain, template_name, title, instruction, text, metadata)
SELECT id, dataset, dataset, id, md5(id::text), 'document-' || id / 2, 'document-' || id / 2,
    CASE WHEN id / 2 % 10 = 0 THEN 'test' WHEN id / 2 % 10 = 1 THEN 'validation' ELSE 'train' END,
    CASE WHEN id % 5000 = 4999 THEN 'astrobotany' ELSE
        (ARRAY['biology', 'physics', 'soil science', 'oncology', 'materials'])[1 + id / 7 % 5] END,
    '', 'On nitrification and drought, part ' || id, '',
    'Study ' || id || '. ' || CASE WHEN id = 77 THEN 'Zyzzyva. ' ELSE '' END
        || source,
    '{}'
FROM (
    SELECT id, CASE WHEN id <= :samples * 6 / 10 THEN 1 WHEN id <= :samples * 9 / 10 THEN 2
        ELSE 3 END AS dataset
    FROM generate_series(1, :samples) AS id
) AS samples
JOIN passage ON seed = id % 1000 ORDER BY id;

-- --- runs: 1 has ended, 2 goes on, 3 gated the first anew, the others were small ---------------
INSERT INTO distill_run (id, dataset_id, recipe_id, kind, rejected_by, reasons, state, message,
    spent_nano, reserved_nano, is_populated, known_count, saved_nano, workers, ending,
    populated_to, created_at, started_at, finished_at)
SELECT id, CASE id WHEN 2 THEN 2 ELSE 1 END, 1 + id % 20,
    CASE WHEN id <= 2 THEN 'pipeline' ELSE 'gate' END, 'anybody', '{}',
    CASE id WHEN 2 THEN 'running' ELSE 'done' END, '', 0, 0, true, 0, 0, 2, '', 0,
    now() - interval '2 hours', now() - interval '2 hours',
    CASE id WHEN 2 THEN NULL ELSE now() END
FROM generate_series(1, 30) AS id;

-- Two workers on each of the first two runs, for a day; those of run 2 are at work.
INSERT INTO distill_shift (id, run_id, host, pid, started_at, heartbeat_at, ended_at, pulse)
SELECT id, 1 + id / 3, 'gpu-host-' || id, 4000 + id, now() - interval '1 day', now(),
    CASE WHEN id < 3 THEN now() END,
    '{"seconds": 1, "slots": 64, "slot_seconds": 64, "busy_seconds": 60, "in_flight": 60,
      "finished": 20, "waiting": 2, "lanes": {"offline:extractive": {"sent": 40, "replies": 40,
      "failures": {}, "latencies": {"70": 40}, "in_flight": 60, "limit": 64, "state": "closed"}}}'
FROM generate_series(1, 4) AS id;

INSERT INTO distill_runreading (run_id, shift_id, at, reading)
SELECT 1 + shift / 3, shift, now() - number * interval '5 s', jsonb_build_object(
    'seconds', 5, 'slots', 64, 'slot_seconds', 320, 'busy_seconds', 300, 'in_flight', 60,
    'finished', 100, 'lanes', jsonb_build_object('offline:extractive', jsonb_build_object(
        'sent', 200, 'replies', 198, 'failures', jsonb_build_object('rate_limited', 1, 'server', 1),
        'input_tokens', 90000, 'output_tokens', 40000, 'limit', 64, 'state', 'closed',
        'in_flight', 60, 'latencies', (
            SELECT jsonb_object_agg(60 + bucket, 9) FROM generate_series(1, 22) AS bucket))))
FROM generate_series(1, 4) AS shift, generate_series(1, 17000) AS number;

INSERT INTO distill_runevent (run_id, at, level, message)
SELECT run, now(), 'info', 'Step ' || number || ' fed 600 requests and drained.'
FROM generate_series(1, 2) AS run, generate_series(1, 300) AS number;

-- --- completions -----------------------------------------------------------------------------
-- One sample in twenty failed; of the first dataset's rejected ones each has a second attempt.
CREATE TEMP TABLE made AS
SELECT id AS completion, id AS sample, CASE WHEN id <= :samples * 6 / 10 THEN 1 ELSE 2 END AS run,
    1 AS attempt, NULL::bigint AS parent,
    CASE WHEN id > :samples * 6 / 10 AND id % 50 = 7 THEN 'new'
        WHEN id % 10 IN (1, 2, 3) THEN 'rejected' ELSE 'passed' END AS state,
    NOT (id <= :samples * 6 / 10 AND id % 10 IN (1, 2, 3)) AS is_open
FROM generate_series(1, :samples * 3 / 4) AS id WHERE id % 20 <> 0
UNION ALL
SELECT :samples + id, id, 1, 2, id, CASE WHEN id % 3 = 0 THEN 'rejected' ELSE 'passed' END, true
FROM generate_series(1, :samples * 6 / 10) AS id WHERE id % 10 IN (1, 2, 3);

CREATE TEMP TABLE found AS
SELECT made.*,
    CASE WHEN state = 'rejected' THEN
        (ARRAY['citation', 'no_action_verb', 'too_short', 'low_score', 'low_score', 'low_score',
            'judge_invalid'])[1 + completion % 7] END AS reason,
    CASE WHEN state = 'rejected' THEN
        (ARRAY['rules', 'rules', 'rules', 'gate', 'gate', 'gate', 'judge'])[1 + completion % 7]
    ELSE '' END AS stage,
    0.5 + (completion * 37 % 50) / 100.0 AS mean
FROM made;

INSERT INTO distill_completion (id, sample_id, recipe_id, call_id, parent_id, key, draw, attempt,
    origin, teacher, model, template_name, text, reasoning, fields, finish_reason, prompt_tokens,
    completion_tokens, latency_ms, created_at)
SELECT completion, sample, 2, completion, parent, md5('c' || completion), 0, attempt, 'generated',
    'offline:extractive', 'extractive', 'pair', hypothesis || methodology, '',
    jsonb_build_object('hypothesis', hypothesis, 'methodology', methodology), 'stop', 600, 250,
    900, now()
FROM found JOIN passage ON seed = completion % 997 ORDER BY completion;

INSERT INTO distill_verdict (id, completion_id, recipe_id, run_id, passed, stage, reasons, flags,
    evidence, scores, gate_version, mean_score, created_at)
SELECT turn * :samples * 10 + completion, completion, 2, CASE turn WHEN 0 THEN run ELSE 3 END,
    reason IS NULL, stage, array_remove(ARRAY[reason], NULL)::varchar[], ARRAY[]::varchar[],
    CASE WHEN reason IS NULL THEN '[]' ELSE
        jsonb_build_array(jsonb_build_object('reason', reason, 'detail', 'found “[3]”')) END,
    jsonb_build_object('F', jsonb_build_object('plausibility', mean)), '', mean, now()
FROM found, generate_series(0, 1) AS turn
WHERE state <> 'new' AND (turn = 0 OR run = 1 AND is_open);

INSERT INTO distill_completionstate (completion_id, dataset_id, state, is_open, verdict_id, reasons,
    flags, mean_score)
SELECT completion, run, state, is_open, CASE WHEN state <> 'new' THEN completion END,
    array_remove(ARRAY[reason], NULL)::varchar[], ARRAY[]::varchar[], mean
FROM found ORDER BY completion;

INSERT INTO distill_judgement (completion_id, call_id, judge, teacher, rubric_version, scores,
    mean_score, rationale, flags, error, created_at)
SELECT completion, :samples * 4 + completion, 'F', 'offline:rubric', ':rubric', jsonb_build_object(
        'plausibility', mean, 'falsifiability', mean, 'method_rigour', mean,
        'reproducibility', mean, 'grounding', mean),
    mean, 'Names variables and a measurable outcome.',
    CASE WHEN completion % 500 = 5 THEN ARRAY['safety: dual use'] ELSE ARRAY[]::text[] END, '',
    now()
FROM found WHERE state <> 'new' AND stage <> 'rules';

-- --- the ledger ------------------------------------------------------------------------------
CREATE TEMP TABLE asked AS
SELECT completion AS call, run, 'offline:extractive' AS teacher FROM found
UNION ALL
SELECT :samples * 4 + completion, run, 'offline:rubric' FROM found
WHERE state <> 'new' AND stage <> 'rules';

INSERT INTO distill_call (id, key, teacher, draw, created_at)
SELECT call, sha256(('call ' || call)::bytea), teacher, 0, now() FROM asked;

-- One call in 33 was sent twice; one sending in 500 never got a reply.
INSERT INTO distill_purchase (id, call_id, number, run_id, stage, template_name, bound_nano,
    expires_at, created_at)
SELECT (number - 1) * :samples * 10 + call, call, number, run, 'generate', 'pair', 1000, now(), now()
FROM asked, generate_series(1, 2) AS number WHERE number = 1 OR call % 33 = 0;

INSERT INTO distill_reply (purchase_id, call_id, outcome, status, message, raw, prompt_tokens,
    completion_tokens, cost_nano, latency_ms, created_at)
SELECT id, call_id,
    CASE WHEN number = 1 AND call_id % 33 = 0 THEN 'rate_limited' ELSE 'accepted' END, 200, '',
    ('{"choices": [{"message": {"content": "' || methodology || '"}}]}')::bytea,
    600, 250, 0, 900, now()
FROM distill_purchase JOIN passage ON seed = call_id % 997 WHERE id % 500 <> 9;

-- --- where each sample draw of the runs ended --------------------------------------------------
INSERT INTO distill_sampledraw (run_id, sample_id, draw, state, completion_id, verdict_id,
    failure_kind, failure_message, failure_attempts)
SELECT run, id, 0,
    CASE WHEN open.state = 'new' THEN 'answered' WHEN open.state IS NOT NULL THEN open.state
        WHEN id <= :samples * 3 / 4 THEN 'failed' ELSE 'pending' END,
    open.completion, CASE WHEN open.state <> 'new' THEN open.completion END,
    CASE WHEN open.state IS NULL AND id <= :samples * 3 / 4 THEN
        (ARRAY['timeout', 'server', 'refused'])[1 + id % 3] ELSE '' END,
    CASE WHEN open.state IS NULL AND id <= :samples * 3 / 4 THEN 'No answer within 60 s.' ELSE ''
        END, CASE WHEN open.state IS NULL AND id <= :samples * 3 / 4 THEN 5 ELSE 0 END
FROM (
    SELECT id, CASE WHEN id <= :samples * 6 / 10 THEN 1 ELSE 2 END AS run
    FROM generate_series(1, :samples * 9 / 10) AS id
) AS taken
LEFT JOIN (SELECT sample, completion, state FROM found WHERE is_open) AS open ON open.sample = taken.id
ORDER BY id;

INSERT INTO distill_sampledraw (run_id, sample_id, draw, state, completion_id, verdict_id,
    failure_kind, failure_message, failure_attempts)
SELECT 3, sample, 0, state, completion, :samples * 10 + completion, '', '', 0
FROM found WHERE run = 1 AND is_open ORDER BY sample;

INSERT INTO distill_sampledraw (run_id, sample_id, draw, state, completion_id, verdict_id,
    failure_kind, failure_message, failure_attempts)
SELECT small, sample, 0, state, completion, completion, '', '', 0
FROM found, generate_series(4, 30) AS small WHERE sample <= 200 AND is_open ORDER BY small, sample;

-- --- what people decided -----------------------------------------------------------------------
CREATE TEMP TABLE decided AS
SELECT turn AS number, completion, id AS reviewer, turn % 10 < 7 AS is_accepted,
    turn % 100 = 0 AS is_undone, turn % 50 = 1 AS is_skipped,
    now() - (:decisions - turn) * interval '14 days' / :decisions AS at
FROM (
    SELECT row_number() OVER (ORDER BY completion) AS turn, completion FROM found
    WHERE run = 1 AND is_open AND state = 'passed' LIMIT :decisions
) AS first
JOIN person ON person.number = turn % 8;

INSERT INTO distill_decision (id, completion_id, reviewer_id, kind, reasons, note, undoes_id,
    client_id, judge_seen, required_reviews, is_legacy, active_ms, created_at)
SELECT 2 * number, completion, reviewer,
    CASE WHEN is_skipped THEN 'skip' WHEN is_accepted THEN 'accept' ELSE 'reject' END,
    CASE WHEN is_accepted OR is_skipped THEN ARRAY[]::varchar[] ELSE ARRAY['not_falsifiable'] END,
    '', NULL, gen_random_uuid(), false, 1, false, 9000, at
FROM decided
UNION ALL
SELECT 2 * number + 1, completion, reviewer, 'undo', ARRAY[]::varchar[], '', 2 * number,
    gen_random_uuid(), false, 1, false, NULL, at
FROM decided WHERE is_undone ORDER BY 1;

INSERT INTO distill_label (completion_id, outcome, basis, decision_id, updated_at)
SELECT completion, CASE WHEN is_accepted THEN 'accepted' ELSE 'rejected' END, 'single',
    2 * number, at
FROM decided WHERE NOT is_undone AND NOT is_skipped;

INSERT INTO review_queue (id, dataset_id, name, is_default, is_closed, filter, required_reviews,
    guidelines, guidelines_version, created_at)
SELECT id, id, 'Passed the gate', true, false, '{}', 1, '', 1, now()
FROM generate_series(1, 2) AS id;

INSERT INTO review_guidelinereading (queue_id, reviewer_id, version, created_at)
SELECT queue.id, person.id, 1, now() FROM review_queue AS queue, person;

INSERT INTO review_slot (queue_id, completion_id, number, state, priority, reviewer_id, decision_id)
SELECT run, completion, 1, CASE WHEN label IS NULL THEN 'open' ELSE 'done' END, 0, reviewer,
    2 * label
FROM found
LEFT JOIN (
    SELECT completion, reviewer, number AS label FROM decided
    WHERE NOT is_undone AND NOT is_skipped
) AS labelled USING (completion)
WHERE is_open AND state = 'passed' ORDER BY completion;

RESET session_replication_role;
RESET synchronous_commit;
