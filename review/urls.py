"""The pages of the review."""

from __future__ import annotations

from django.urls import path

from review.views import queue

app_name = "review"

queue_urls = [
    path("review/", queue.queues, name="queues"),
    path("review/<int:queue_id>/", queue.queue, name="queue"),
    path("review/<int:queue_id>/claim/", queue.claim, name="claim"),
    path("review/<int:queue_id>/decide/", queue.decide, name="decide"),
    path("review/<int:queue_id>/undo/", queue.undo, name="undo"),
]

urlpatterns = [*queue_urls]
