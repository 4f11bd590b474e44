"""The Functions app: events in, `rollout.handlers` does the rest. No logic here."""

from __future__ import annotations

import os
from typing import Any

import azure.functions as func

from rollout.handlers.app import on_event, on_off_hours, on_timer, on_weights

app = func.FunctionApp()


def _document(event: func.EventGridEvent) -> dict[str, Any]:
    """The event in Event Grid's schema."""
    time = event.event_time
    return {
        "id": event.id,
        "eventType": event.event_type,
        "subject": event.subject,
        "eventTime": time.isoformat() if time else "",
        "data": event.get_json(),
    }


@app.function_name("model_registered")
@app.event_grid_trigger("event")
def model_registered(event: func.EventGridEvent) -> None:
    """A registered model starts continuous delivery."""
    on_event("model_registered", _document(event))


@app.function_name("deployment_failed")
@app.event_grid_trigger("event")
def deployment_failed(event: func.EventGridEvent) -> None:
    """A failed, reverted or stuck rollout alerts people."""
    on_event("deployment_failed", _document(event))


@app.function_name("job_completed")
@app.event_grid_trigger("event")
def job_completed(event: func.EventGridEvent) -> None:
    """A completed job shows on the dashboard."""
    on_event("job_completed", _document(event))


if os.environ.get("ROLLOUT_TICK_SCHEDULE"):

    @app.function_name("tick")
    @app.timer_trigger("timer", "%ROLLOUT_TICK_SCHEDULE%", run_on_startup=False, use_monitor=True)
    def tick(timer: func.TimerRequest) -> None:
        """Drives the rollouts that are under way."""
        on_timer()


if os.environ.get("ROLLOUT_OFF_HOURS_SCHEDULE"):

    @app.function_name("off_hours")
    @app.timer_trigger("timer", "%ROLLOUT_OFF_HOURS_SCHEDULE%", run_on_startup=False, use_monitor=True)
    def off_hours(timer: func.TimerRequest) -> None:
        """Parks idle endpoints in the evening, and brings them back in the morning."""
        on_off_hours()


if os.environ.get("ROLLOUT_WEIGHTS_SCHEDULE"):

    @app.function_name("weights")
    @app.timer_trigger("timer", "%ROLLOUT_WEIGHTS_SCHEDULE%", run_on_startup=False, use_monitor=True)
    def weights(timer: func.TimerRequest) -> None:
        """Says what each deployment's share of the traffic should be; the traffic-split alert compares."""
        on_weights()
