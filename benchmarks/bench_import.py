"""How fast a large file becomes samples, and in how much memory.

    python -m benchmarks.bench_import          100,000 rows, as Parquet and as JSONL
    QUICK=1 python -m benchmarks.bench_import  10,000 rows

Each format is imported by a fresh process into a throw-away embedded PostgreSQL. The last line is
one JSON object: `rows_per_s` and `peak_mb` are of the slower and of the larger one; `memory_ratio`
is the peak of the large import against one of a tenth of the rows: near 1 means flat memory.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

NUM_ROWS = 10_000 if os.environ.get("QUICK") else 100_000
DOMAINS = ("biology", "materials", "physics", "soil science", "oncology")
WORDS = [
    "soil",
    "moisture",
    "nitrate",
    "plant",
    "cell",
    "protein",
    "lattice",
    "energy",
    "method",
    "sample",
    "temperature",
    "pressure",
    "measured",
    "growth",
    "rate",
    "gradient",
    "membrane",
    "alloy",
    "phonon",
    "enzyme",
    "inhibitor",
    "control",
    "variance",
    "under",
    "with",
    "of",
    "the",
    "and",
    "in",
    "we",
    "show",
    "that",
    "increases",
    "decreases",
    "significantly",
    "across",
    "replicate",
]


def main() -> None:
    """Measure both formats, or, with a file as argument, import it and print what that took."""
    if len(sys.argv) > 1:
        _import_one(Path(sys.argv[1]))
        return
    # A throw-away server of our own, whatever the environment names.
    os.environ.pop("DATABASE_URL", None)
    folder = Path(tempfile.mkdtemp(prefix="nexa-bench-", dir="/tmp"))
    try:
        print(json.dumps(_measure(folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path) -> dict[str, object]:
    os.environ["NEXA_DATA_DIR"] = str(folder / "var")
    _attach()
    _manage("migrate", "--verbosity", "0")
    small, large = NUM_ROWS // 10, NUM_ROWS
    by_format, small_peaks = {}, {}
    for suffix in (".parquet", ".jsonl"):
        files = [_write(folder / f"{num}{suffix}", num) for num in (small, large)]
        small_peaks[suffix] = _run(files[0])["peak_mb"]
        by_format[suffix] = _run(files[1])
        print(f"{suffix}: {by_format[suffix]}", file=sys.stderr)
    return {
        "rows": large,
        "rows_per_s": min(found["rows_per_s"] for found in by_format.values()),
        "peak_mb": max(found["peak_mb"] for found in by_format.values()),
        "memory_ratio": round(
            max(found["peak_mb"] / small_peaks[kind] for kind, found in by_format.items()), 2
        ),
        "parquet": by_format[".parquet"],
        "jsonl": by_format[".jsonl"],
    }


def _run(path: Path) -> dict[str, float]:
    program = [sys.executable, "-m", "benchmarks.bench_import", str(path)]
    answer = subprocess.run(program, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(answer.stderr)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def _import_one(path: Path) -> None:
    import django

    _attach()
    os.environ["DJANGO_SETTINGS_MODULE"] = "nexa_site.settings"
    django.setup()
    from distill.services.ingest import create_dataset, import_file

    dataset = create_dataset(name=f"bench-{path.stem}-{path.suffix[1:]}")
    start = time.perf_counter()
    done = import_file(dataset=dataset, path=path, name=path.name)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    per_mb = 1024 * 1024 if sys.platform == "darwin" else 1024
    print(
        json.dumps(
            {
                "rows_per_s": round(done.rows_kept / seconds),
                "peak_mb": round(peak / per_mb),
                "seconds": round(seconds, 2),
            }
        )
    )


def _attach() -> None:
    from nexa_site import keeper

    keeper.attach(Path(os.environ["NEXA_DATA_DIR"]), throw_away=True)


def _manage(*arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], check=True)


def _write(path: Path, num_rows: int) -> Path:
    """Papers of about 1,200 characters, in batches so that writing needs no memory either."""
    if path.suffix == ".parquet":
        _write_parquet(path, num_rows)
        return path
    with path.open("w") as file:
        for row in _papers(num_rows):
            file.write(json.dumps(row) + "\n")
    return path


def _write_parquet(path: Path, num_rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [(name, pa.string()) for name in ("paper_id", "title", "domain", "abstract")]
    )
    papers = _papers(num_rows)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, num_rows, 5000):
            rows = [next(papers) for _ in range(min(5000, num_rows - start))]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _papers(num_rows: int) -> Iterator[dict[str, str]]:
    rng = random.Random(7)
    sentences = [" ".join(rng.choices(WORDS, k=24)).capitalize() + "." for _ in range(2000)]
    for number in range(num_rows):
        yield {
            "paper_id": f"paper-{number}",
            "title": f"On {rng.choice(WORDS)} and {rng.choice(WORDS)}, part {number}",
            "domain": rng.choice(DOMAINS),
            "abstract": f"Study {number}. " + " ".join(rng.choices(sentences, k=7)),
        }


if __name__ == "__main__":
    main()
