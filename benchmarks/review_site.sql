-- :samples completions that passed the gate, each of its own sample, for benchmarks/review_site.py.
SET session_replication_role = replica;
SET synchronous_commit = off;

INSERT INTO distill_dataset (id, name, description, created_at)
VALUES (1, 'papers', 'Made for a benchmark.', now());

INSERT INTO distill_sourcefile (id, dataset_id, name, sha256, size_bytes, mapping, state, message,
    rows_read, rows_kept, rows_refused, rows_duplicate, created_at, finished_at)
VALUES (1, 1, 'papers.jsonl', md5('1') || md5('1'), 1, '{"text": "abstract"}', 'done', '', :samples,
    :samples, 0, 0, now(), now());

INSERT INTO distill_sample (id, dataset_id, source_file_id, line, key, source_key, group_key, split,
    domain, template_name, title, instruction, text, metadata)
SELECT id, 1, 1, id, md5(id::text), 'document-' || id, 'document-' || id, 'train',
    (ARRAY['biology', 'physics', 'soil science'])[1 + id % 3], '',
    'On nitrification and drought, part ' || id, '',
    repeat('Study ' || id || ' shows that nitrification slows when soils dry. ', 20), '{}'
FROM generate_series(1, :samples) AS id;

INSERT INTO distill_completion (id, sample_id, recipe_id, call_id, parent_id, key, draw, attempt,
    origin, teacher, model, template_name, text, reasoning, fields, finish_reason, prompt_tokens,
    completion_tokens, latency_ms, created_at)
SELECT id, id, NULL, NULL, NULL, md5('c' || id), 0, 1, 'generated', 'offline:extractive', 'extractive',
    'pair', said, '', jsonb_build_object('hypothesis', said, 'methodology', said), 'stop', 600, 250,
    900, now()
FROM (
    SELECT id, repeat('If soil moisture falls, nitrifiers ' || id || ' halve their activity. ', 6)
        AS said
    FROM generate_series(1, :samples) AS id
) AS written;

INSERT INTO distill_completionstate (completion_id, dataset_id, state, is_open, verdict_id, reasons,
    flags, mean_score)
SELECT id, 1, 'passed', true, NULL, ARRAY[]::varchar[], ARRAY[]::varchar[],
    0.8 + (id * 37 % 20) / 100.0
FROM generate_series(1, :samples) AS id;

RESET session_replication_role;
RESET synchronous_commit;
