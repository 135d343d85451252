"""What a lead does with queues: make, change, close, delete."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from distill.http import AuthedRequest, render_partial, require_role
from distill.logic.errors import ConflictError, DistillError
from distill.models import Dataset
from review.forms import QueueForm
from review.logic.guidelines import shipped_guidelines
from review.models import Queue
from review.queries.counts import CAP
from review.queries.matching import count_fitting, queue_filter
from review.queries.queues import has_decision
from review.services import close, create, delete, edit
from review.services.fill import fill_queue
from review.tasks import enqueue_fill


@require_role("lead")
@require_http_methods(["GET", "HEAD", "POST"])
def new_queue(request: AuthedRequest) -> HttpResponse:
    """First the dataset, then what the queue takes of it, with a live count."""
    asked = request.POST if request.method == "POST" else request.GET
    dataset = Dataset.objects.filter(name=asked.get("dataset", "")).first()
    if dataset is None:
        context = {"datasets": Dataset.objects.order_by("name"), "asked": asked.get("dataset", "")}
        status = 422 if request.method == "POST" else 200
        return render(request, "review/queue_dataset.html", context, status=status)
    if request.method != "POST":
        return _form_page(request, QueueForm(dataset=dataset), dataset)
    form = QueueForm(request.POST, dataset=dataset)
    is_valid = form.is_valid()
    if "count" in request.POST:
        return _form_page(request, form, dataset)
    if not is_valid or form.wanted is None:
        return _form_page(request, form, dataset, status=422)
    try:
        queue = create.create_queue(
            dataset=dataset,
            name=form.cleaned_data["name"],
            wanted=form.wanted,
            required_reviews=form.cleaned_data["required_reviews"],
            guidelines=form.cleaned_data["guidelines"],
            ways=form.ways,
            created_by=request.user,
        )
    except DistillError as error:
        form.add_error(None, str(error))
        return _form_page(request, form, dataset, status=422)
    _fill(queue)
    messages.success(request, f"The queue “{queue.name}” is there.")
    return redirect("review:about_queue", queue.pk)


@require_role("lead")
@require_http_methods(["GET", "HEAD", "POST"])
def edit_queue(request: AuthedRequest, queue_id: int) -> HttpResponse:
    """Name and guidelines always; what it takes only while nobody has decided in it."""
    queue = get_object_or_404(Queue.objects.select_related("dataset"), pk=queue_id)
    form = QueueForm(
        request.POST if request.method == "POST" else None,
        dataset=queue.dataset,
        queue=queue,
        is_settled=has_decision(queue),
    )
    if not form.is_bound:
        return _form_page(request, form, queue.dataset, queue=queue)
    is_valid = form.is_valid()
    if "count" in request.POST:
        return _form_page(request, form, queue.dataset, queue=queue)
    if not is_valid:
        return _form_page(request, form, queue.dataset, queue=queue, status=422)
    try:
        is_new_version = edit.edit_queue(
            queue=queue,
            name=form.cleaned_data["name"],
            guidelines=form.cleaned_data["guidelines"],
            wanted=form.wanted if "gate" in form.fields else None,
            required_reviews=form.cleaned_data.get("required_reviews"),
            ways=form.ways,
        )
    except DistillError as error:
        form.add_error(None, str(error))
        return _form_page(request, form, queue.dataset, queue=queue, status=422)
    _fill(queue)
    said = " Reviewers read the new guidelines before their next card." if is_new_version else ""
    messages.success(request, f"Saved.{said}")
    return redirect("review:about_queue", queue.pk)


@require_role("lead")
@require_POST
def close_queue(request: AuthedRequest, queue_id: int) -> HttpResponse:
    get_object_or_404(Queue, pk=queue_id)
    close.close_queue(queue_id=queue_id)
    messages.success(request, "Closed: it gives out no further cards.")
    return redirect("review:about_queue", queue_id)


@require_role("lead")
@require_POST
def reopen_queue(request: AuthedRequest, queue_id: int) -> HttpResponse:
    queue = get_object_or_404(Queue, pk=queue_id)
    close.reopen_queue(queue_id=queue_id)
    _fill(queue)
    messages.success(request, "Open again.")
    return redirect("review:about_queue", queue_id)


@require_role("lead")
@require_POST
def delete_queue(request: AuthedRequest, queue_id: int) -> HttpResponse:
    try:
        delete.delete_queue(queue_id=queue_id, now=timezone.now())
    except ConflictError as error:
        messages.error(request, str(error))
        return redirect("review:about_queue", queue_id)
    messages.success(request, "Deleted.")
    return redirect("review:queues")


def _fill(queue: Queue) -> None:
    """At once where it takes a second at most, else by a worker."""
    queue.refresh_from_db()
    wanted, reviews = queue_filter(queue), queue.required_reviews
    if count_fitting(wanted, dataset=queue.dataset, required_reviews=reviews) > CAP:
        enqueue_fill(queue.pk)
    else:
        fill_queue(queue_id=queue.pk)


def _form_page(
    request: AuthedRequest,
    form: QueueForm,
    dataset: Dataset,
    *,
    queue: Queue | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "dataset": dataset,
        "queue": queue,
        "num_fitting": _num_fitting(form, dataset),
        "max_counted": CAP,
        "shipped": shipped_guidelines(),
    }
    return render_partial(
        request, "review/queue_form.html", context, partial="preview", status=status
    )


def _num_fitting(form: QueueForm, dataset: Dataset) -> int | None:
    """None where the form cannot say what is wanted, or may not."""
    if form.wanted is None or "gate" not in form.fields:
        return None
    return count_fitting(form.wanted, dataset=dataset, required_reviews=form.num_reviews)
