"""Training runs and evaluations in Django's admin, read-only but for stopping and resuming."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from distill.admin import ReadOnlyAdmin, register
from distill.http import has_role
from training import tasks
from training.models import Contender, Evaluation, Metric, TrainingRun
from training.services.resume import resume_training
from training.services.stop import request_stop

register(Metric, ["training_run", "kind", "step", "at"], ["kind"])
register(Evaluation, ["training_run", "recipe", "state", "num_answered", "num_wanted"], ["state"])
register(Contender, ["evaluation", "role", "name", "loss"], ["role"])


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    list_display = ["id", "name", "export", "state", "step", "max_steps", "host", "created_at"]
    list_filter = ["state"]
    list_select_related = ["export__dataset"]
    actions = ["stop", "resume"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, "operator")

    @admin.action(description="Stop", permissions=["operate"])
    def stop(self, request: HttpRequest, queryset: QuerySet[TrainingRun]) -> None:
        stopped = sum(request_stop(training_run_id=run.pk) for run in queryset)
        self.message_user(request, f"Asked {stopped} of {len(queryset)} training runs to stop.")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[TrainingRun]) -> None:
        resumed = [run.pk for run in queryset if resume_training(training_run_id=run.pk)]
        for run_id in resumed:
            tasks.enqueue_training(run_id)
        self.message_user(request, f"Resumed {len(resumed)} of {len(queryset)} training runs.")
