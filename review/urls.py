"""The pages of the review."""

from __future__ import annotations

from django.urls import path

from review.views import adjudicate, draft, hand, keys, manage, mine, past, queue, queues

app_name = "review"

queue_urls = [
    path("review/", queues.queues, name="queues"),
    path("review/new/", manage.new_queue, name="new_queue"),
    path("review/mine/", mine.mine, name="mine"),
    path("review/keys/", keys.keys, name="keys"),
    path("review/<int:queue_id>/", queue.queue, name="queue"),
    path("review/<int:queue_id>/claim/", queue.claim, name="claim"),
    path("review/<int:queue_id>/decide/", queue.decide, name="decide"),
    path("review/<int:queue_id>/draft/", draft.draft, name="draft"),
    path("review/<int:queue_id>/undo/", queue.undo, name="undo"),
    path("review/<int:queue_id>/adjudicate/", adjudicate.adjudicate_queue, name="adjudicate"),
    path(
        "review/<int:queue_id>/adjudicate/reopen/",
        adjudicate.reopen_adjudication,
        name="reopen_adjudication",
    ),
    path("review/<int:queue_id>/extend/", hand.extend, name="extend"),
    path("review/<int:queue_id>/leave/", hand.leave, name="leave"),
    path("review/<int:queue_id>/judge/", hand.judge, name="judge"),
    path("review/<int:queue_id>/past/", past.past, name="past"),
    path("review/<int:queue_id>/guidelines/", queue.guidelines, name="guidelines"),
    path("review/<int:queue_id>/read/", queue.read, name="read"),
    path("review/<int:queue_id>/about/", queues.about_queue, name="about_queue"),
    path("review/<int:queue_id>/edit/", manage.edit_queue, name="edit_queue"),
    path("review/<int:queue_id>/close/", manage.close_queue, name="close_queue"),
    path("review/<int:queue_id>/reopen/", manage.reopen_queue, name="reopen_queue"),
    path("review/<int:queue_id>/delete/", manage.delete_queue, name="delete_queue"),
]

urlpatterns = [*queue_urls]
