"""How a run goes, as the API tells it: just now, and over some time."""

from __future__ import annotations

from rest_framework import serializers


class LaneFiguresSerializer(serializers.Serializer):
    """One teacher: latencies in ms, shares of its requests from 0 to 1."""

    teacher = serializers.CharField()
    replies = serializers.IntegerField()
    replies_per_s = serializers.FloatField()
    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)
    rate_limited = serializers.FloatField(help_text="Refused for a limit: 429, 503, 529.")
    failed = serializers.FloatField(help_text="All other failures.")


class FailureShareSerializer(serializers.Serializer):
    kind = serializers.CharField()
    count = serializers.IntegerField(help_text="Requests; most are sent again.")
    share = serializers.FloatField(help_text="Of all that came to an end, 0 to 1.")
    is_retryable = serializers.BooleanField()


class StretchSerializer(serializers.Serializer):
    """Some seconds of a run by the clock, all its workers together."""

    seconds = serializers.FloatField()
    occupancy = serializers.FloatField(help_text="Which share of the slots was busy, 0 to 1.")
    concurrency = serializers.FloatField(help_text="Requests on the way, on average.")
    slots = serializers.FloatField(help_text="On average.")
    samples_per_s = serializers.FloatField()
    replies_per_s = serializers.FloatField()
    input_tokens_per_s = serializers.FloatField()
    output_tokens_per_s = serializers.FloatField()
    rate_limited = serializers.FloatField(help_text="Share of the requests refused for a limit.")
    teachers = LaneFiguresSerializer(many=True, source="lanes")
    failures = FailureShareSerializer(many=True)


class ThrottleSerializer(serializers.Serializer):
    teacher = serializers.CharField()
    in_flight = serializers.IntegerField()
    limit = serializers.FloatField(help_text="So many requests it allows at once, all workers.")
    circuit = serializers.ChoiceField(["closed", "open", "half_open"], source="state")


class WorkerSerializer(serializers.Serializer):
    host = serializers.CharField()
    pid = serializers.IntegerField()
    since = serializers.DateTimeField()
    heard_at = serializers.DateTimeField()
    is_heard = serializers.BooleanField(help_text="False: others take over its part.")
    slots = serializers.IntegerField()
    in_flight = serializers.IntegerField()
    share = serializers.FloatField(help_text="Of all slots, 0 to 1.")


class LiveSerializer(serializers.Serializer):
    """How an active run goes just now; empty when it is not active."""

    workers = WorkerSerializer(many=True)
    throttles = ThrottleSerializer(many=True, source="lanes")
    waiting = serializers.IntegerField(
        source="now.waiting", help_text="Requests that wait for their next try."
    )
    waits_for_budget = serializers.BooleanField(source="now.is_short_of_budget")
    waits_for_another_run = serializers.BooleanField(source="is_behind_another_run")
    last_minute = StretchSerializer(source="recent")
